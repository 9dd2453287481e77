use std::sync::Arc;

use extendedjob_api::When;

use super::*;
use crate::{
    config::Config,
    fixtures::{at, declared, pod},
    pod::Status,
    transition::Transition,
};

const BASELINE: Baseline = Baseline { version: 10, since: None };

fn run(n: u64) -> Run {
    let transition = Transition { when: When::Ready, status: Status::True, time: Some(at(1)), n };
    Run::for_transition(&declared(), Arc::new(pod()), transition)
}

/// A desk whose baseline is stored.
fn based() -> Desk {
    let mut desk = Desk::default();
    desk.rebase(BASELINE, "terms".into());
    store(&mut desk);
    desk
}

/// Stores what is due, and says which deliveries that settles.
fn store(desk: &mut Desk) -> Vec<Receipt> {
    let ledger = desk.due().unwrap();
    desk.writing(ledger);
    desk.written()
}

fn fire(desk: &mut Desk, n: u64) -> Vec<Receipt> {
    desk.fire(run(n), 20 + n, Some(n), Brake::Closed)
}

#[test]
fn no_job_comes_before_the_baseline_is_stored() {
    let mut desk = Desk::default();
    desk.rebase(BASELINE, "terms".into());
    desk.fire(run(0), 10, None, Brake::Closed);
    assert!(desk.start(9, |_| true).is_empty());
    store(&mut desk);
    assert_eq!(desk.start(9, |_| true), [run(0)]);
}

#[test]
fn a_delivery_is_settled_by_the_job_or_by_the_stored_ledger_and_not_before() {
    let mut desk = based();
    assert!(fire(&mut desk, 0).is_empty() && fire(&mut desk, 1).is_empty());
    assert_eq!(desk.start(1, |_| true), [run(0)]);
    assert_eq!(desk.adopt(&run(0).job, 0), [0]);
    assert!(desk.holds(1));
    let ledger = desk.due().unwrap();
    desk.writing(ledger);
    assert!(desk.holds(1), "it may not have arrived");
    assert_eq!(desk.written(), [1]);
    assert!(!desk.holds(1));
    assert_eq!(fire(&mut desk, 0), [0], "a run that has its Job is known");
}

#[test]
fn a_run_that_is_being_made_for_the_first_time_needs_no_ledger() {
    let mut desk = based();
    fire(&mut desk, 0);
    desk.start(1, |_| true);
    assert_eq!(desk.due(), None);
    desk.hinder(&run(0).job);
    assert_eq!(desk.due().map(|ledger| ledger.pending), Some(vec![run(0)]));
    desk.put_back(&run(0).job);
    assert_eq!(desk.start(1, |_| true), [run(0)]);
}

#[test]
fn a_job_is_cleaned_when_the_checkpoint_has_passed_and_no_ledger_names_it() {
    let mut desk = based();
    fire(&mut desk, 0);
    store(&mut desk);
    desk.start(1, |_| true);
    desk.adopt(&run(0).job, 0);
    let job = run(0).job;
    assert!(desk.clean([job.as_str()], 19).is_empty(), "the checkpoint is before it");
    assert!(desk.clean([job.as_str()], 20).is_empty(), "the ledger names it");
    store(&mut desk);
    assert_eq!(desk.clean([job.as_str()], 20), [job.as_str()]);
    assert!(desk.forget(&job, 20));
}

#[test]
fn a_run_that_has_its_job_leaves_the_ledger_by_and_by() {
    let mut desk = based();
    fire(&mut desk, 0);
    store(&mut desk);
    desk.start(1, |_| true);
    desk.adopt(&run(0).job, 0);
    assert!(!desk.is_urgent());
    assert_eq!(desk.due().map(|ledger| ledger.pending), Some(vec![]));
}

#[test]
fn under_an_open_brake_ten_that_wait_as_one_are_nine_absorbed() {
    let mut desk = based();
    for n in 0..10 {
        desk.fire(run(n), 20, Some(n), Brake::Open);
    }
    assert_eq!((desk.len(), desk.take_absorbed()), (1, 9));
    assert_eq!(desk.idle().collect::<Vec<_>>(), [&run(9)]);
    assert_eq!(store(&mut desk), (0..10).collect::<Vec<Receipt>>());
}

#[test]
fn ten_that_waited_before_the_brake_opened_are_nine_absorbed_too() {
    let mut desk = based();
    for n in 0..10 {
        desk.fire(run(n), 20, Some(n), Brake::Closed);
    }
    store(&mut desk);
    desk.merge(|_| false);
    assert_eq!(desk.len(), 10);
    desk.merge(|_| true);
    assert_eq!((desk.len(), desk.take_absorbed()), (1, 9));
    assert_eq!(desk.idle().collect::<Vec<_>>(), [&run(9)]);
    assert_eq!(desk.due().map(|ledger| ledger.pending.len()), Some(1), "the ledger forgets them");
}

#[test]
fn what_was_restored_may_be_observed_again_until_the_barrier() {
    let ledger = Ledger {
        baseline: Some(BASELINE),
        terms: "terms".into(),
        config: Config::default(),
        pending: vec![run(0)],
        writers: 1,
    };
    let mut desk = Desk::restored(ledger, 50);
    assert_eq!(fire(&mut desk, 0), [0], "it stands in the stored ledger");
    desk.start(1, |_| true);
    desk.adopt(&run(0).job, 0);
    store(&mut desk);
    let job = run(0).job;
    assert!(desk.clean([job.as_str()], 49).is_empty());
    assert_eq!(desk.clean([job.as_str()], 50), [job.as_str()]);
}

#[test]
fn no_job_is_cleaned_before_a_ledger_of_ours_has_ruled_out_that_another_names_it() {
    let ledger = Ledger {
        baseline: Some(BASELINE),
        terms: "terms".into(),
        config: Config::default(),
        pending: vec![],
        writers: 4,
    };
    let mut desk = Desk::restored(ledger.clone(), 50);
    desk.adopt("job", 50);
    assert_eq!(desk.due(), None, "a start with nothing changed writes nothing");
    assert!(desk.clean(["job"], 50).is_empty());
    assert_eq!(desk.due(), Some(Ledger { writers: 5, ..ledger }));
    store(&mut desk);
    assert_eq!(desk.clean(["job"], 50), ["job"]);
}

#[test]
fn a_job_that_is_seen_before_its_create_is_answered_is_not_cleaned() {
    let mut desk = based();
    fire(&mut desk, 0);
    desk.start(1, |_| true);
    let job = run(0).job;
    assert!(desk.clean([job.as_str()], 99).is_empty());
}

#[test]
fn an_edit_drops_no_run_that_waits_and_starts_none_before_it_is_stored() {
    let mut desk = based();
    fire(&mut desk, 0);
    desk.rebase(Baseline { version: 30, since: None }, "other terms".into());
    assert!(desk.is_for("other terms") && desk.start(1, |_| true).is_empty());
    assert_eq!(store(&mut desk), [0]);
    assert_eq!(desk.start(1, |_| true), [run(0)]);
}

#[test]
fn a_run_that_gets_its_job_while_the_ledger_is_written_is_taken_out_of_it() {
    let mut desk = based();
    fire(&mut desk, 0);
    let due = desk.due().unwrap();
    desk.writing(due);
    desk.start(1, |_| true);
    desk.adopt(&run(0).job, 1);
    desk.written();
    assert_eq!(desk.due().map(|ledger| ledger.pending), Some(vec![]));
}

#[test]
fn a_run_whose_job_is_long_in_the_making_goes_into_the_ledger() {
    let mut desk = based();
    fire(&mut desk, 0);
    desk.start(1, |_| true);
    desk.grow_old();
    assert_eq!(desk.due(), None);
    desk.grow_old();
    assert_eq!(store(&mut desk), [0]);
}

#[test]
fn a_run_that_is_put_back_keeps_its_place() {
    let mut desk = based();
    (0..3).for_each(|n| drop(fire(&mut desk, n)));
    assert_eq!(desk.start(2, |_| true), [run(0), run(1)]);
    desk.put_back(&run(0).job);
    assert_eq!(desk.start(9, |run| run.job != self::run(2).job), [run(0)]);
}

#[test]
fn what_was_before_the_baseline_is_cleaned_when_all_of_that_is_passed() {
    let mut desk = based();
    desk.fire(run(0), 3, Some(0), Brake::Closed);
    desk.start(1, |_| true);
    desk.adopt(&run(0).job, 0);
    let job = run(0).job;
    assert!(desk.clean([job.as_str()], BASELINE.version - 1).is_empty());
    assert_eq!(desk.clean([job.as_str()], BASELINE.version), [job.as_str()]);
}
