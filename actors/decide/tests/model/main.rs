//! The protocol of triggered ExtendedJobs, explored: the pieces of `decide` as one operator in a
//! cluster in which everything that can fail does, in every order.

mod explorer;
mod invariants;
mod memo;
mod operator;
mod steps;
mod world;

use extendedjob_api::When;
use extendedjob_decide::pod::Status::{False, True};

use self::{
    explorer::explore,
    steps::{Model, Slow},
    world::{Spent, declared, life},
};

fn model(when: When) -> Model {
    Model::new(vec![declared(when, false, 0)])
}

fn holds(name: &str, model: &Model) {
    let begun = std::time::Instant::now();
    let found = explore(model, 20_000_000);
    println!("{name}: {} states in {:?}", found.states, begun.elapsed());
    if let Some(wrong) = found.wrong {
        panic!("{name}: {}\n{}", wrong.rule, wrong.way.join("\n"));
    }
}

fn crashes(crashes: u32) -> Spent {
    Spent { crashes, ..Spent::default() }
}

#[test]
fn kinds() {
    for when in [When::Created, When::Ready, When::NotReady, When::Deleted] {
        let lives = vec![life(&[(True, 1), (False, 2)]).ends(), life(&[(True, 1)])];
        holds(&format!("{when:?}"), &Model { lives, faults: crashes(1), ..model(when) });
    }
}

#[test]
fn late() {
    for when in [When::Created, When::Ready, When::NotReady, When::Deleted] {
        let lives = vec![life(&[(True, 1), (False, 1), (True, 1)]).ends()];
        holds(&format!("late {when:?}"), &Model { lives, early: false, faults: crashes(1), ..model(when) });
    }
}

#[test]
fn edit() {
    let specs = vec![declared(When::Ready, false, 0), declared(When::NotReady, false, 0)];
    let lives = vec![life(&[(True, 1), (False, 2), (True, 1)])];
    holds("edit", &Model { lives, faults: crashes(1), ..Model::new(specs) });
}

#[test]
fn suspend() {
    let specs = vec![
        declared(When::Ready, false, 0),
        declared(When::Ready, true, 0),
        declared(When::Ready, false, 0),
    ];
    let lives = vec![life(&[(True, 1), (False, 2), (True, 1)])];
    holds("suspend", &Model { lives, faults: crashes(1), ..Model::new(specs) });
}

#[test]
fn slow_ledger() {
    let slow = Slow { ledger: true, job: true, ..Slow::default() };
    let lives = vec![life(&[(True, 1), (False, 2), (True, 1)])];
    holds("slow ledger", &Model { lives, slow, delayed: true, faults: crashes(2), ..model(When::Ready) });
}

#[test]
fn slow_page() {
    let slow = Slow { page: true, lease: true, ..Slow::default() };
    let lives = vec![life(&[(True, 1), (False, 2), (True, 1)])];
    holds("slow page", &Model { lives, slow, delayed: true, faults: crashes(2), ..model(When::Ready) });
}

#[test]
fn falls() {
    let faults = Spent { crashes: 1, falls: 1, refusals: 1, ..Spent::default() };
    let slow = Slow { job: true, ledger: true, ..Slow::default() };
    let lives = vec![life(&[(True, 1), (False, 2), (True, 1)])];
    holds("falls", &Model { lives, faults, slow, ..model(When::Ready) });
}

#[test]
fn gap_relabel() {
    let faults = Spent { crashes: 1, compactions: 1, ..Spent::default() };
    let lives = vec![life(&[(True, 1), (False, 2), (False, 2), (True, 1)]).unlabelled(&[2])];
    holds("gap relabel", &Model { lives, faults, ..model(When::Ready) });
}

#[test]
fn gap_kinds() {
    let faults = Spent { crashes: 2, compactions: 1, ..Spent::default() };
    for when in [When::Created, When::Ready, When::NotReady, When::Deleted] {
        let lives = vec![life(&[(True, 1), (False, 2), (True, 1)]).ends()];
        holds(&format!("gap {when:?}"), &Model { lives, faults, ..model(when) });
    }
}
