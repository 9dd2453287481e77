//! The protocol of triggered ExtendedJobs, explored: the pieces of `decide` as one operator in a
//! cluster in which everything that can fail does, in every order.
//!
//! One exploration of all that can happen together would not fit in any memory. So each of those
//! here takes in full what it is about, and little of the rest. In all of them `maxConcurrentRuns`
//! is 1, finished Jobs are cleaned up, writes and observations come as late as they like (but for what
//! is [`Prompt`]), and from every state the way without faults ends at rest. The larger ones are run
//! by `cargo xtask test --all`.
//!
//! What is not here: a watch that loses its place within a term, for that ends the term like a crash;
//! a Lease or a Job that someone else deletes; more than one ExtendedJob.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a state that should not be is a failed test"
)]

mod configs;
mod explorer;
mod invariants;
mod memo;
mod operator;
mod requests;
mod steps;
mod world;

use extendedjob_api::{
    Run::{Now, Once},
    When,
};
use extendedjob_decide::pod::Status::{False, True};

use self::{
    configs::Configs,
    explorer::explore,
    operator::Mutant,
    requests::Requests,
    steps::{Model, Prompt, Slow},
    world::{Life, Spent, declared, life},
};

/// More would not fit in the memory of a small machine.
const STATES_MAX: usize = 12_000_000;

fn model(when: When) -> Model {
    Model::new(vec![declared(when, false, 0)])
}

fn holds(name: &str, model: &Model) {
    let found = explore(model, STATES_MAX);
    println!("{name}: {} states", found.states);
    if let Some(wrong) = found.wrong {
        panic!("{name}: {}\n{}", wrong.rule, wrong.way.join("\n"));
    }
}

fn crashes(crashes: u32) -> Spent {
    Spent { crashes, ..Spent::default() }
}

/// Ready, not ready, and ready again with the old time.
fn flaps() -> Life {
    life(&[(True, 1), (False, 2), (True, 1)])
}

/// Two pods, one of which goes, and a crash.
fn kinds(of: [When; 2]) {
    for when in of {
        let lives = vec![life(&[(True, 1), (False, 2)]).ends(), life(&[(True, 1)])];
        holds(&format!("{when:?}"), &Model { lives, faults: crashes(1), ..model(when) });
    }
}

#[test]
fn pods_that_are_no_longer_ready_or_gone_with_a_crash() {
    kinds([When::NotReady, When::Deleted]);
}

#[test]
fn a_pod_that_is_being_deleted_with_a_crash() {
    let lives = vec![life(&[(True, 1), (False, 2)]).deleting(1).ends()];
    holds("deleting", &Model { lives, faults: crashes(1), ..model(When::NotReady) });
}

#[test]
#[ignore = "takes a minute"]
fn pods_that_appear_or_turn_ready_with_a_crash() {
    kinds([When::Created, When::Ready]);
}

/// An ExtendedJob that is created at any time of a pod's life, also while no operator runs; all its
/// edges are in one second.
fn late(of: [When; 2]) {
    for when in of {
        let lives = vec![life(&[(True, 1), (False, 1), (True, 1)]).ends()];
        holds(&format!("late {when:?}"), &Model { lives, early: false, faults: crashes(1), ..model(when) });
    }
}

#[test]
fn an_extendedjob_created_later_with_a_crash() {
    late([When::NotReady, When::Deleted]);
}

#[test]
#[ignore = "takes a minute"]
fn an_extendedjob_created_later_for_pods_that_appear_or_turn_ready_with_a_crash() {
    late([When::Created, When::Ready]);
}

#[test]
fn an_edit_of_the_trigger_with_a_crash() {
    let specs = vec![declared(When::Ready, false, 0), declared(When::NotReady, false, 0)];
    holds("edit", &Model { lives: vec![flaps()], faults: crashes(1), ..Model::new(specs) });
}

#[test]
#[ignore = "takes two minutes"]
fn suspension_and_resume_with_a_crash() {
    let specs = [false, true, false].map(|suspended| declared(When::Ready, suspended, 0)).to_vec();
    holds("suspend", &Model { lives: vec![flaps()], faults: crashes(1), ..Model::new(specs) });
}

/// Two operators: what the first one sent off arrives when the second one leads.
#[test]
fn a_delayed_create_and_a_delayed_ledger_of_the_leader_before() {
    let slow = Slow { ledger: true, job: true, ..Slow::default() };
    let lives = vec![life(&[(True, 1), (True, 2)])];
    holds("slow ledger", &Model { lives, slow, delayed: true, faults: crashes(1), ..model(When::Ready) });
}

#[test]
fn a_delayed_page_and_a_delayed_lease_with_two_crashes() {
    let slow = Slow { page: true, lease: true, ..Slow::default() };
    let lives = vec![life(&[(True, 1), (False, 2)])];
    holds("slow page", &Model { lives, slow, delayed: true, faults: crashes(2), ..model(When::Ready) });
}

#[test]
#[ignore = "takes several minutes"]
fn a_delayed_create_and_a_delayed_ledger_with_three_edges() {
    let slow = Slow { ledger: true, job: true, ..Slow::default() };
    holds(
        "slow",
        &Model { lives: vec![flaps()], slow, delayed: true, faults: crashes(1), ..model(When::Ready) },
    );
}

#[test]
fn a_supervisor_that_falls_and_a_create_that_is_refused() {
    let faults = Spent { falls: 1, refusals: 1, ..Spent::default() };
    let slow = Slow { job: true, ledger: true, ..Slow::default() };
    let lives = vec![life(&[(True, 1), (True, 2)])];
    holds("falls", &Model { lives, faults, slow, ..model(When::Ready) });
}

#[test]
fn a_gap_in_which_labels_are_lost_and_gained() {
    let faults = Spent { crashes: 1, compactions: 1, ..Spent::default() };
    let lives = vec![life(&[(True, 1), (False, 2), (False, 2), (True, 1)]).unlabelled(&[2])];
    holds("gap relabel", &Model { lives, faults, ..model(When::Ready) });
}

/// Two crashes and a gap that the watch can't bridge.
fn gap(of: [When; 2]) {
    let faults = Spent { crashes: 2, compactions: 1, ..Spent::default() };
    for when in of {
        holds(&format!("gap {when:?}"), &Model { lives: vec![flaps().ends()], faults, ..model(when) });
    }
}

#[test]
fn a_gap_between_two_crashes() {
    gap([When::NotReady, When::Deleted]);
}

#[test]
#[ignore = "takes two minutes"]
fn a_gap_between_two_crashes_for_pods_that_appear_or_turn_ready() {
    gap([When::Created, When::Ready]);
}

/// API servers of which one has forgotten the checkpoint, and another has not.
fn memories(crashes: u32) -> Model {
    let faults = Spent { crashes, compactions: 1, memories: 1, ..Spent::default() };
    Model { lives: vec![flaps()], faults, ..model(When::Ready) }
}

#[test]
fn a_checkpoint_that_not_all_api_servers_remember() {
    holds("memories", &memories(1));
}

#[test]
#[ignore = "takes a minute"]
fn a_checkpoint_that_not_all_api_servers_remember_with_two_crashes() {
    holds("memories", &memories(2));
    holds("memories, late", &Model { early: false, ..memories(2) });
}

/// A create that is given up, and made again, and comes all the same.
fn timeouts(crashes: u32) -> Model {
    let faults = Spent { crashes, timeouts: 1, ..Spent::default() };
    let slow = Slow { job: true, ..Slow::default() };
    Model { lives: vec![life(&[(True, 1), (True, 2)])], slow, faults, ..model(When::Ready) }
}

#[test]
fn a_create_that_outlives_its_time_out_with_a_crash() {
    holds("time-outs", &timeouts(1));
}

/// With edges that look alike, a label that is gained, and more runs than may be under way.
fn two_pods(prompt: Prompt, faults: Spent) -> Model {
    let gains = life(&[(True, 1), (True, 1), (True, 2)]).unlabelled(&[0]);
    Model { lives: vec![flaps(), gains], prompt, faults, ..model(When::Ready) }
}

const PROMPT: Prompt = Prompt { page: true, ledger: true, lease: true, job: true, cleanup: true };

#[test]
fn two_pods_with_a_crash() {
    holds("two pods", &two_pods(PROMPT, crashes(1)));
}

#[test]
#[ignore = "takes two minutes"]
fn two_pods_with_two_crashes() {
    holds("two pods", &two_pods(PROMPT, crashes(2)));
}

#[test]
#[ignore = "takes ten minutes"]
fn two_pods_with_a_crash_and_one_thing_at_any_time() {
    for (name, prompt) in [
        ("page", Prompt { page: false, ..PROMPT }),
        ("ledger", Prompt { ledger: false, ..PROMPT }),
        ("lease", Prompt { lease: false, ..PROMPT }),
        ("job", Prompt { job: false, ..PROMPT }),
        ("cleanup", Prompt { cleanup: false, ..PROMPT }),
    ] {
        holds(&format!("two pods, {name} at any time"), &two_pods(prompt, crashes(1)));
    }
}

#[test]
fn edges_that_look_alike_with_two_crashes() {
    holds("flaps", &Model { lives: vec![flaps()], faults: crashes(2), ..model(When::Ready) });
}

#[test]
fn a_label_that_is_gained_with_a_crash() {
    let lives = vec![life(&[(True, 1), (False, 2), (False, 2), (True, 1)]).unlabelled(&[0, 1])];
    holds("gains", &Model { lives, faults: crashes(1), ..model(When::Ready) });
}

#[test]
fn an_extendedjob_younger_than_its_pods_with_a_crash() {
    let lives = vec![life(&[(True, 1), (False, 5), (True, 5)])];
    let specs = vec![declared(When::Ready, false, 5)];
    holds("younger", &Model { lives, early: false, faults: crashes(1), ..Model::new(specs) });
}

#[test]
fn a_status_that_comes_late_and_an_answer_that_is_lost_with_a_crash() {
    let slow = Slow { status: true, job: true, ..Slow::default() };
    let faults = Spent { crashes: 1, losses: 1, ..Spent::default() };
    holds("slow status", &Model { lives: vec![life(&[(True, 1)])], slow, faults, ..model(When::Ready) });
}

#[test]
fn requests_with_two_crashes_and_a_lost_answer() {
    for run in ["once", "manually", "now"] {
        let asked = Requests { run, nows: 2, manuallys: 1, values: 1, deletions: 1, ..Requests::default() };
        let requests = Requests { crashes: 2, losses: 1, ..asked };
        let found = explore(&requests, STATES_MAX);
        println!("requests of {run}: {} states", found.states);
        if let Some(wrong) = found.wrong {
            panic!("{run}: {}\n{}", wrong.rule, wrong.way.join("\n"));
        }
    }
}

#[test]
fn each_broken_rule_of_requests_is_noticed() {
    for (mutant, rule) in [
        (requests::Mutant::NoPrecondition, "(3)"),
        (requests::Mutant::StartsBeforeAccepted, "(1)"),
        (requests::Mutant::ResetUnnoted, "(1)"),
        (requests::Mutant::CleanIgnoresStatus, "(1)"),
    ] {
        let model = Requests { run: "manually", nows: 2, manuallys: 1, crashes: 1, ..Requests::default() };
        let found = explore(&Requests { mutant: Some(mutant), ..model }, STATES_MAX);
        let wrong = found.wrong.map_or("nothing".to_owned(), |wrong| wrong.rule);
        println!("{mutant:?}: {} states: {wrong}", found.states);
        assert!(wrong.starts_with(rule), "{mutant:?}: {wrong}");
    }
}

fn configs_hold(name: &str, configs: &Configs) {
    let found = explore(configs, STATES_MAX);
    println!("configs of {name}: {} states", found.states);
    if let Some(wrong) = found.wrong {
        panic!("{name}: {}\n{}", wrong.rule, wrong.way.join("\n"));
    }
}

fn with_losses(crashes: u32) -> Spent {
    Spent { losses: 1, refusals: 1, ..self::crashes(crashes) }
}

/// Runs for pods that live so.
fn configs_of(when: When, lives: Vec<Life>) -> Configs {
    Configs::new(declared(when, false, 0), lives, 1)
}

/// It is ready, and then not.
fn dims() -> Life {
    life(&[(True, 1), (False, 2)])
}

/// It is ready twice.
fn blinks() -> Life {
    life(&[(True, 1), (False, 2), (True, 3)])
}

#[test]
fn a_one_off_whose_configuration_changes_three_times_with_a_crash() {
    configs_hold("one-off", &Configs { changes: 3, faults: crashes(1), ..Configs::requested(Once, 1) });
    let two = Configs { changes: 2, faults: crashes(1), ..Configs::requested(Once, 2) };
    configs_hold("one-off, two objects", &two);
}

#[test]
fn requested_runs_whose_configuration_changes_with_crashes_and_lost_answers() {
    for (run, count) in [(Once, 2), (Now, 1)] {
        let configs = Configs { changes: 2, faults: with_losses(count), ..Configs::requested(run, 1) };
        configs_hold(&format!("{run:?}"), &configs);
    }
}

#[test]
fn runs_for_a_pod_whose_configuration_changes_with_crashes_and_lost_answers() {
    for (changes, faults) in [(2, Spent { losses: 1, ..crashes(1) }), (1, with_losses(2))] {
        let configs = Configs { changes, faults, ..configs_of(When::Ready, vec![dims()]) };
        configs_hold(&format!("a pod, {changes} changes"), &configs);
    }
}

#[test]
fn more_runs_whose_configuration_changes_with_a_crash() {
    let two = || vec![life(&[(True, 1)]), life(&[(True, 1)])];
    for (name, limit, prompt, lives) in [
        ("a pod twice", usize::MAX, true, vec![blinks()]),
        ("two pods", usize::MAX, true, two()),
        ("two pods, one run at a time", 1, false, two()),
    ] {
        let configs = Configs { limit, prompt, ..configs_of(When::Ready, lives) };
        configs_hold(name, &Configs { changes: 1, faults: crashes(1), ..configs });
    }
}

#[test]
fn runs_for_pods_that_are_gone_whose_configuration_changes_with_a_crash() {
    let lives = || vec![life(&[(True, 1)]).ends()];
    let one = Configs { changes: 2, ..configs_of(When::Deleted, lives()) };
    configs_hold("a pod that is gone", &Configs { faults: crashes(1), ..one });
    let two = Configs { changes: 1, limit: 1, ..configs_of(When::Deleted, [lives(), lives()].concat()) };
    configs_hold("two pods that are gone", &Configs { prompt: true, faults: crashes(1), ..two });
}

#[test]
#[ignore = "takes two minutes"]
fn more_changes_of_configuration_of_a_one_off() {
    let once = |objects| Configs { changes: 3, prompt: true, ..Configs::requested(Once, objects) };
    configs_hold("one-off, three changes", &Configs { faults: with_losses(1), ..once(1) });
    configs_hold("one-off, two objects", &Configs { faults: crashes(1), ..once(2) });
}

#[test]
#[ignore = "takes three minutes"]
fn more_changes_of_configuration_of_runs_for_pods() {
    for (name, changes, limit, lives) in [
        ("a pod", 3, usize::MAX, vec![dims()]),
        ("a pod twice", 2, usize::MAX, vec![blinks()]),
        ("two pods", 2, 1, vec![life(&[(True, 1)]), life(&[(True, 1)])]),
        ("two pods that end", 1, 1, vec![dims().ends(), life(&[(True, 1)]).ends()]),
    ] {
        let configs = Configs { changes, limit, prompt: true, ..configs_of(When::Ready, lives) };
        configs_hold(name, &Configs { faults: crashes(1), ..configs });
    }
}

#[test]
fn each_broken_rule_of_configs_is_noticed() {
    use configs::Mutant;
    let once = || Configs::requested(Once, 1);
    let pod = || configs_of(When::Ready, vec![dims()]);
    for (mutant, rule, model) in [
        (Mutant::DeletesBeforeStored, "(3)", Configs { changes: 2, ..once() }),
        (Mutant::DeletesBeforeStored, "(3)", Configs { changes: 2, ..pod() }),
        (Mutant::StartsBeforeStored, "(1)", Configs { changes: 1, ..once() }),
        (Mutant::StartsBesideOld, "(2)", Configs { changes: 1, ..once() }),
        (Mutant::StartsBesideOld, "(2)", Configs { changes: 1, ..pod() }),
        (Mutant::NamesWithoutRevision, "(3)", Configs { changes: 1, ..once() }),
        (Mutant::NamesWithoutRevision, "(3)", Configs { changes: 1, ..pod() }),
        (Mutant::RunsUnderWayIgnored, "(1)", Configs { changes: 1, ..Configs::requested(Now, 1) }),
        (Mutant::RunsUnderWayIgnored, "(1)", Configs { changes: 1, ..pod() }),
        (Mutant::CleanIgnoresCounted, "(1)", Configs { changes: 1, ..pod() }),
        (Mutant::GivenAtStart, "(1)", Configs { changes: 1, ..once() }),
        (Mutant::GivenAtStart, "(1)", Configs { changes: 1, ..pod() }),
        (Mutant::UnansweredIsRenamed, "(2)", Configs { changes: 1, ..once() }),
        (Mutant::UnansweredIsRenamed, "(2)", Configs { changes: 1, ..pod() }),
        (Mutant::PodsOfCheckpoint, "(1)", Configs { changes: 1, ..pod() }),
    ] {
        let is_of_losses = mutant == Mutant::UnansweredIsRenamed;
        let faults = if is_of_losses { with_losses(1) } else { crashes(1) };
        let found = explore(&Configs { faults, mutant: Some(mutant), ..model }, STATES_MAX);
        let wrong = found.wrong.map_or("nothing".to_owned(), |wrong| wrong.rule);
        println!("{mutant:?}: {} states: {wrong}", found.states);
        assert!(wrong.starts_with(rule), "{mutant:?}: {wrong}");
    }
}

/// That a mutant breaks this rule is found.
fn breaks(mutant: Mutant, rule: &str, model: Model) {
    let found = explore(&Model { mutant: Some(mutant), ..model }, STATES_MAX);
    let wrong = found.wrong.map_or("nothing".to_owned(), |wrong| wrong.rule);
    println!("{mutant:?}: {} states: {wrong}", found.states);
    assert!(wrong.starts_with(rule), "{mutant:?}: {wrong}");
}

#[test]
fn each_broken_rule_is_noticed() {
    let two = || vec![life(&[(True, 1), (True, 2)])];
    let plain = |lives, count| Model { lives, faults: crashes(count), ..model(When::Ready) };
    let slow = |lives, slow, count| Model { slow, ..plain(lives, count) };
    let job = Slow { job: true, ..Slow::default() };
    let ledger = Slow { ledger: true, ..Slow::default() };
    let gap = |lives, when, count| {
        let faults = Spent { crashes: count, compactions: 1, ..Spent::default() };
        Model { lives, faults, ..model(when) }
    };
    breaks(Mutant::SettlesAtFire, "(3)", slow(two(), job, 0));
    breaks(Mutant::CheckpointIgnoresBook, "(3)", plain(two(), 0));
    breaks(Mutant::CheckpointInGap, "(", gap(vec![flaps()], When::Ready, 2));
    breaks(Mutant::CleanIgnoresCheckpoint, "(4)", plain(two(), 0));
    breaks(Mutant::CleanIgnoresLedger, "(4)", plain(two(), 0));
    breaks(
        Mutant::CleanIgnoresStatus,
        "(4)",
        Model { slow: Slow { status: true, ..Slow::default() }, ..plain(two(), 0) },
    );
    breaks(Mutant::CountIgnored, "(3)", plain(vec![flaps()], 0));
    breaks(Mutant::JobBeforeBaseline, "(2)", slow(two(), ledger, 1));
    breaks(
        Mutant::ExistingJobNotAdopted,
        "without faults it never comes to rest",
        Model { faults: Spent { losses: 1, ..Spent::default() }, ..slow(two(), job, 0) },
    );
    breaks(Mutant::RestoredAtBaseline, "(4)", plain(two(), 1));
    breaks(Mutant::FirstSightAfterBaseline, "(1)", plain(two(), 1));
    breaks(Mutant::NoFence, "(2)", Model { delayed: true, ..slow(two(), job, 1) });
    breaks(Mutant::PresentPodsNotNoted, "(3)", gap(vec![life(&[(True, 1)]).ends()], When::Deleted, 1));
    breaks(Mutant::BaselineBeforeBook, "(3)", plain(vec![flaps()], 1));
    breaks(Mutant::BaselineBeforeBook, "(3)", gap(vec![life(&[(True, 1)]).ends()], When::Deleted, 1));
    breaks(Mutant::JobBeforeBook, "(2)", gap(vec![flaps()], When::Ready, 2));
    breaks(Mutant::BookBeforeCheckpoint, "(3)", plain(two(), 1));
    breaks(Mutant::FirstCheckpointAtPosition, "(1)", plain(vec![flaps()], 1));
    breaks(
        Mutant::SameLedger,
        "(4)",
        Model { delayed: true, ..slow(two(), Slow { ledger: true, ..job }, 1) },
    );
    let specs = || vec![declared(When::Ready, true, 0), declared(When::Ready, false, 0)];
    breaks(Mutant::EditAtPosition, "(1)", Model { lives: two(), faults: crashes(1), ..Model::new(specs()) });
    breaks(
        Mutant::TimeOfWrite,
        "(3)",
        gap(vec![life(&[(True, 1)]), life(&[(True, 1)]).created(100)], When::Created, 1),
    );
    breaks(
        Mutant::BarrierOfTerm,
        "(4)",
        Model { faults: Spent { falls: 1, ..Spent::default() }, ..slow(two(), job, 0) },
    );
    breaks(Mutant::ForgottenUnnoted, "(2)", memories(2));
    breaks(Mutant::CleanIgnoresCreates, "(2)", timeouts(0));
    breaks(Mutant::NoHold, "(1)", Model { early: false, ..plain(vec![life(&[(True, 1)]).ends()], 1) });
}
