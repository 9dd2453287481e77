//! The protocol of triggered ExtendedJobs, explored: the pieces of `decide` as one operator in a
//! cluster in which everything that can fail does, in every order.
//!
//! | file | holds |
//! | --- | --- |
//! | `world.rs` | the cluster: pods and what happens to them, Jobs, what is stored, writes on their way |
//! | `operator.rs` | one operator process: the pieces composed as the actors compose them, and its mutants |
//! | `steps.rs` | what can happen next, and what comes of it |
//! | `invariants.rs` | what must hold |
//! | `explorer.rs` | the walk through all states; `memo.rs` makes it quick |
//!
//! Everything at once is too much for any machine. Each configuration leaves some things in every
//! order and does others at once; together they leave none out.
//!
//! What is not here: two writes of one operator to make one Job, of which the first lands after the
//! Job is deleted again, as after a time-out of the client that the API server outlives by far; API
//! servers of which one has forgotten the checkpoint and another has not; a Lease that is deleted.

mod explorer;
mod invariants;
mod memo;
mod mutants;
mod operator;
mod steps;
mod world;

use extendedjob_api::When;
use extendedjob_decide::pod::Status::{False, True, Unknown};

use self::{
    explorer::explore,
    steps::{Model, Prompt, Slow},
    world::{Life, Spent, declared, life},
};

const KINDS: [When; 4] = [When::Created, When::Ready, When::NotReady, When::Deleted];

/// An ExtendedJob for this kind of transition that is there from the first, and runs one Job at a
/// time, over pods with these lives.
fn model(when: When, lives: Vec<Life>) -> Model {
    Model { lives, ..Model::new(vec![declared(when, false, 0)]) }
}

fn crashes(crashes: u32) -> Spent {
    Spent { crashes, ..Spent::default() }
}

/// `True` with the old time, as a kubelet writes it back after an outage of its node.
fn flap() -> Life {
    life(&[(True, 1), (False, 2), (True, 1)])
}

fn holds(name: &str, model: &Model) {
    let found = explore(model, 40_000_000);
    println!("{name}: {} states", found.states);
    if let Some(wrong) = found.wrong {
        panic!("{name}: {}\n{}", wrong.rule, wrong.way.join("\n"));
    }
}

#[test]
fn each_kind_of_transition() {
    for when in KINDS {
        let lives = vec![life(&[(True, 1), (False, 2)]).ends()];
        holds(&format!("{when:?}"), &Model { faults: crashes(2), ..model(when, lives) });
    }
}

#[test]
fn an_edge_that_looks_like_one_before_it() {
    holds("flap", &Model { faults: crashes(2), ..model(When::Ready, vec![flap()]) });
}

#[test]
fn a_pod_that_loses_and_gains_the_label() {
    let gains = life(&[(True, 1), (False, 2), (False, 2), (True, 1)]).unlabelled(&[0, 1]);
    holds("gains", &Model { faults: crashes(1), ..model(When::Ready, vec![gains]) });
    let loses = life(&[(True, 1), (False, 2), (False, 2), (True, 1)]).unlabelled(&[2]);
    holds("loses", &Model { faults: crashes(1), ..model(When::Ready, vec![loses]) });
}

#[test]
fn a_pod_that_is_being_deleted() {
    let lives = vec![life(&[(True, 1), (False, 2)]).deleting(1).ends()];
    holds("deleting", &Model { faults: crashes(1), ..model(When::NotReady, lives) });
}

#[test]
fn an_extended_job_that_is_created_late() {
    for when in KINDS {
        let lives = vec![life(&[(True, 1), (False, 1)]).ends()];
        let late = Model { early: false, faults: crashes(1), ..model(when, lives) };
        holds(&format!("late {when:?}"), &late);
    }
}

#[test]
fn an_extended_job_that_is_younger_than_its_pods() {
    let specs = vec![declared(When::Ready, false, 5)];
    let lives = vec![life(&[(True, 1), (False, 5), (True, 5)])];
    holds("younger", &Model { lives, early: false, faults: crashes(1), ..Model::new(specs) });
}

#[test]
fn an_edit_of_the_trigger() {
    let specs = vec![declared(When::Ready, false, 0), declared(When::NotReady, false, 0)];
    let lives = vec![life(&[(True, 1), (False, 2)])];
    holds("edit", &Model { lives, faults: crashes(1), ..Model::new(specs) });
}

#[test]
fn suspension_and_resumption() {
    let suspended = |suspend| declared(When::Ready, suspend, 0);
    let specs = vec![suspended(false), suspended(true), suspended(false)];
    let lives = vec![life(&[(True, 1), (True, 2)])];
    holds("suspend", &Model { lives, faults: crashes(1), ..Model::new(specs) });
}

/// Also of an operator that is gone: then two write at once.
#[test]
fn writes_of_ledger_and_jobs_that_take_their_time() {
    let slow = Slow { ledger: true, job: true, ..Slow::default() };
    let lives = vec![life(&[(True, 1), (True, 2)])];
    let model = Model { slow, delayed: true, faults: crashes(1), ..model(When::Ready, lives) };
    holds("slow ledger", &model);
}

#[test]
fn writes_of_book_and_lease_that_take_their_time() {
    let slow = Slow { page: true, lease: true, ..Slow::default() };
    let lives = vec![life(&[(True, 1), (False, 2)])];
    let model = Model { slow, delayed: true, faults: crashes(2), ..model(When::Ready, lives) };
    holds("slow page", &model);
}

#[test]
fn a_status_that_comes_late() {
    let slow = Slow { status: true, ..Slow::default() };
    let lives = vec![life(&[(True, 1), (True, 2)])];
    holds("slow status", &Model { slow, faults: crashes(1), ..model(When::Ready, lives) });
}

#[test]
fn a_supervisor_that_falls_creates_that_are_refused_and_answers_that_are_lost() {
    let faults = Spent { falls: 1, refusals: 1, losses: 1, ..Spent::default() };
    let slow = Slow { job: true, ..Slow::default() };
    let lives = vec![life(&[(True, 1), (True, 2)])];
    holds("falls", &Model { faults, slow, ..model(When::Ready, lives) });
}

#[test]
fn a_gap_in_the_watch() {
    let faults = Spent { crashes: 2, compactions: 1, ..Spent::default() };
    for when in KINDS {
        let lives = vec![life(&[(True, 1), (Unknown, 2)]).ends()];
        holds(&format!("gap {when:?}"), &Model { faults, ..model(when, lives) });
    }
}

#[test]
fn a_gap_in_which_a_pod_flaps_or_loses_its_label() {
    let faults = Spent { crashes: 1, compactions: 1, ..Spent::default() };
    let lives = vec![life(&[(False, 2), (True, 1), (False, 2), (True, 1)])];
    holds("gap, flaps", &Model { faults, ..model(When::Ready, lives) });
    let lives = vec![life(&[(True, 1), (False, 2), (False, 2), (True, 1)]).unlabelled(&[2])];
    holds("gap, loses", &Model { faults, ..model(When::Ready, lives) });
}

fn two_pods() -> Vec<Life> {
    vec![flap(), life(&[(True, 1), (True, 1), (True, 2)]).unlabelled(&[0])]
}

const PROMPT: Prompt = Prompt { page: true, ledger: true, lease: true, job: true, cleanup: true };

#[test]
fn two_pods_one_crash() {
    holds("two pods", &Model { prompt: PROMPT, faults: crashes(1), ..model(When::Ready, two_pods()) });
}

#[test]
#[ignore = "some minutes"]
fn two_pods_two_crashes() {
    holds("two pods", &Model { prompt: PROMPT, faults: crashes(2), ..model(When::Ready, two_pods()) });
}

#[test]
#[ignore = "some minutes"]
fn two_pods_with_one_thing_in_any_order() {
    for (name, prompt) in [
        ("page", Prompt { page: false, ..PROMPT }),
        ("ledger", Prompt { ledger: false, ..PROMPT }),
        ("lease", Prompt { lease: false, ..PROMPT }),
        ("job", Prompt { job: false, ..PROMPT }),
        ("cleanup", Prompt { cleanup: false, ..PROMPT }),
    ] {
        let model = Model { prompt, faults: crashes(1), ..model(When::Ready, two_pods()) };
        holds(&format!("two pods, {name} in any order"), &model);
    }
}

#[test]
#[ignore = "some minutes"]
fn longer_lives() {
    let faults = Spent { crashes: 2, compactions: 1, ..Spent::default() };
    for when in KINDS {
        let lives = vec![flap().ends()];
        holds(&format!("gap {when:?}"), &Model { faults, ..model(when, lives) });
    }
    let suspended = |suspend| declared(When::Ready, suspend, 0);
    let specs = vec![suspended(false), suspended(true), suspended(false)];
    holds("suspend", &Model { lives: vec![flap()], faults: crashes(1), ..Model::new(specs) });
    let slow = Slow { ledger: true, job: true, ..Slow::default() };
    let lives = vec![life(&[(True, 1), (True, 2)])];
    let model = Model { slow, delayed: true, faults: crashes(2), ..model(When::Ready, lives) };
    holds("slow ledger", &model);
}
