//! Which runs that are over are started again when the configuration of their pods changes.

use anyhow::Result;
use e2e::names::CHANGED_CONFIG;
use e2e::{
    LONG_AGO, Namespace, Operator, TRANSITIONS, annotation, at, created, extended_job, scenario, template,
    text,
};
use serde_json::json;

use crate::triggers::{assert_runs, cache, caches_on};

/// Of those of [`pods_in_all_states`], which are so still.
const AGAIN: [(&str, &[&str]); 4] = [
    ("created", &["back", "left", "never", "stays"]),
    ("ready", &["back", "stays"]),
    ("notready", &["left"]),
    ("deleted", &[]),
];

/// Four ExtendedJobs that use the ConfigMap `app`, and pods to which all has happened that they wait for. The
/// runs for that are over, and of each ExtendedJob no more than so many Jobs are kept.
fn pods_in_all_states(ns: &Namespace, kept: u32) -> Result<()> {
    ns.set("app", "1")?;
    // What was so before does not count.
    for name in ["ready-before", "not-ready-before"] {
        ns.start(cache(name).ready_at(LONG_AGO))?;
    }
    ns.turn_unready("not-ready-before", LONG_AGO)?;
    ns.wait_until_past(created(&ns.kubectl.get(&["pod", "not-ready-before"])?))?;
    ns.declare_all(
        TRANSITIONS
            .map(|when| caches_on(when).running(template::nothing()).following("app").keeping(kept, kept)),
    )?;

    ns.start(cache("never"))?;
    ns.start(cache("stays").ready())?;
    for name in ["back", "gone", "left"] {
        ns.start(cache(name).ready_at(&at(1)))?;
        ns.turn_unready(name, &at(2))?;
    }
    ns.turn_ready("back", &at(3))?;
    ns.delete("pod/gone")?;
    for (when, runs) in [("created", 5), ("ready", 5), ("notready", 3), ("deleted", 1)] {
        ns.status_until(when, &json!({"active": 0, "pending": 0, "succeeded": runs}))?;
    }
    Ok(())
}

#[test]
fn a_triggered_one_runs_again_for_each_pod_that_counted_and_is_in_that_state_now() -> Result<()> {
    scenario(|ns| {
        pods_in_all_states(ns, 50)?;
        ns.set("app", "2")?;
        for (when, pods) in AGAIN {
            for job in ns.restarted_for(when, 1, pods)? {
                assert_eq!(annotation(&job, CHANGED_CONFIG), "ConfigMap/app");
            }
        }
        // Once each: those of before, and those again.
        assert_runs(
            ns,
            [
                ("created", &["back", "back", "gone", "left", "left", "never", "never", "stays", "stays"]),
                ("ready", &["back", "back", "back", "gone", "left", "stays", "stays"]),
                ("notready", &["back", "gone", "left", "left"]),
                ("deleted", &["gone"]),
            ],
        )
    })
}

#[test]
fn which_pods_counted_is_known_after_a_restart_and_without_their_jobs() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        pods_in_all_states(ns, 0)?;
        ns.until_no("jobs")?;
        operator.restart()?;
        // From now on Jobs stay.
        for when in TRANSITIONS {
            ns.edit(when, &json!({"successfulRunsHistoryLimit": 50}))?;
        }
        ns.set("app", "2")?;
        for (when, pods) in AGAIN {
            ns.restarted_for(when, 1, pods)?;
        }
        assert_runs(ns, AGAIN)
    })
}

#[test]
fn a_one_off_runs_again_when_it_is_over_with_success_or_without_also_when_its_job_is_gone() -> Result<()> {
    scenario(|ns| {
        ns.set("app", "bad")?;
        let template = template::script("test $a = good");
        ns.create(extended_job("migrate").once().running(template).following("app").keeping(0, 0))?;
        ns.condition_of("migrate", "Failed", "True")?;
        ns.until_no("jobs")?;
        ns.set("app", "good")?;
        ns.status_until("migrate", &json!({"configRevision": 1, "active": 0, "failed": 1, "succeeded": 1}))?;
        ns.condition_of("migrate", "Ready", "True")?;
        let seen = ns.condition_of("migrate", "Complete", "True")?;
        let runs = &seen["status"]["runs"];
        let told = |run: usize| (text(&runs[run]["cause"]["type"]), text(&runs[run]["result"]));
        assert_eq!((told(0), told(1)), (("ConfigChanged", "Succeeded"), ("Once", "Failed")));

        ns.set("app", "bad")?;
        ns.status_until("migrate", &json!({"configRevision": 2, "active": 0, "failed": 2, "succeeded": 1}))?;
        ns.pass_a_sentinel()?;
        ns.status_until("migrate", &json!({"configRevision": 2, "active": 0, "failed": 2, "succeeded": 1}))?;
        ns.condition_of("migrate", "Ready", "False").map(drop)
    })
}

#[test]
fn an_errand_that_nobody_asks_for_is_not_run() -> Result<()> {
    scenario(|ns| {
        ns.set("app", "1")?;
        let errand = |name: &str, run: &str| {
            extended_job(name).with("/run", json!(run)).running(template::nothing()).following("app")
        };
        ns.declare(errand("never-run", "manually"))?;
        ns.create(errand("run-before", "now"))?;
        ns.status_until("run-before", &json!({"completedRunNumber": 1, "succeeded": 1}))?;
        ns.set("app", "2")?;
        ns.pass_a_sentinel()?;
        for (name, runs) in [("never-run", 0), ("run-before", 1)] {
            assert_eq!(ns.jobs_of(name)?.len(), runs);
            ns.edit(name, &json!({"run": "now"}))?;
            ns.status_until(name, &json!({"completedRunNumber": runs + 1, "succeeded": runs + 1}))?;
            assert_eq!(ns.jobs_of(name)?.len(), runs + 1);
        }
        Ok(())
    })
}
