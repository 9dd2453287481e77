//! That each rule is needed: an operator that breaks it is found out.

use extendedjob_api::When;
use extendedjob_decide::pod::Status::True;

use crate::{
    crashes,
    explorer::explore,
    flap, model,
    operator::Mutant,
    steps::{Model, Slow},
    world::{Life, Spent, declared, life},
};

/// Explores what a mutant does, and wants it to break this rule, or one after it.
fn breaks(mutant: Mutant, rules: &[&str], model: Model) {
    let found = explore(&Model { mutant: Some(mutant), ..model }, 1_000_000);
    let rule = found.wrong.map(|wrong| wrong.rule).unwrap_or_default();
    println!("{mutant:?}: {} states, {rule}", found.states);
    assert!(rules.iter().any(|start| rule.starts_with(start)), "{mutant:?} breaks {rule:?}");
}

fn twice_ready() -> Vec<Life> {
    vec![life(&[(True, 1), (True, 2)])]
}

fn simple(faults: u32) -> Model {
    Model { faults: crashes(faults), ..model(When::Ready, twice_ready()) }
}

fn slow_jobs(faults: Spent) -> Model {
    let slow = Slow { job: true, ..Slow::default() };
    Model { slow, faults, ..model(When::Ready, twice_ready()) }
}

fn gap(when: When, lives: Vec<Life>, crashes: u32) -> Model {
    Model { faults: Spent { crashes, compactions: 1, ..Spent::default() }, ..model(when, lives) }
}

#[test]
fn the_checkpoint_waits() {
    breaks(Mutant::SettlesAtFire, &["(3)"], slow_jobs(Spent::default()));
    breaks(Mutant::CheckpointIgnoresBook, &["(3)"], simple(0));
    breaks(Mutant::CheckpointInGap, &["(1)"], gap(When::Ready, vec![flap()], 2));
    let brief = vec![life(&[(True, 1)]).ends()];
    breaks(Mutant::NoHold, &["(1)"], Model { early: false, faults: crashes(1), ..model(When::Ready, brief) });
}

#[test]
fn cleanup_waits() {
    breaks(Mutant::CleanIgnoresCheckpoint, &["(4)"], simple(0));
    breaks(Mutant::CleanIgnoresLedger, &["(4)"], simple(0));
    breaks(Mutant::RestoredAtBaseline, &["(4)"], simple(1));
    breaks(Mutant::BarrierOfTerm, &["(4)"], slow_jobs(Spent { falls: 1, ..Spent::default() }));
    let slow = Slow { status: true, ..Slow::default() };
    breaks(Mutant::CleanIgnoresStatus, &["(4)"], Model { slow, ..simple(0) });
}

#[test]
fn no_edge_gets_two_jobs_or_none() {
    breaks(Mutant::CountIgnored, &["(3)"], model(When::Ready, vec![flap()]));
    breaks(Mutant::NoFence, &["(2)"], Model { delayed: true, ..slow_jobs(crashes(1)) });
    let faults = Spent { losses: 1, ..Spent::default() };
    breaks(Mutant::ExistingJobNotAdopted, &["without faults it never comes to rest"], slow_jobs(faults));
}

#[test]
fn one_thing_is_stored_before_another() {
    let slow = Slow { ledger: true, ..Slow::default() };
    breaks(Mutant::JobBeforeBaseline, &["(1)", "(2)"], Model { slow, ..simple(1) });
    breaks(Mutant::FirstSightAfterBaseline, &["(1)"], simple(1));
    breaks(Mutant::BaselineBeforeBook, &["(3)"], gap(When::Ready, vec![flap()], 1));
    breaks(Mutant::JobBeforeBook, &["(1)", "(2)"], gap(When::Ready, vec![flap()], 2));
    breaks(Mutant::BookBeforeCheckpoint, &["(3)"], simple(1));
    let gone = vec![life(&[(True, 1)]).ends()];
    breaks(Mutant::PresentPodsNotNoted, &["(3)"], gap(When::Deleted, gone, 1));
}

#[test]
fn what_is_new_is_told_from_what_was_there() {
    let specs = vec![declared(When::Ready, true, 0), declared(When::Ready, false, 0)];
    let model = Model { lives: twice_ready(), faults: crashes(1), ..Model::new(specs) };
    breaks(Mutant::EditAtPosition, &["(1)"], model);
    let lives = vec![life(&[(True, 1)]), life(&[(True, 1)]).created(1)];
    breaks(Mutant::TimeOfWrite, &["(3)"], gap(When::Created, lives, 1));
}
