//! An operator that starts goes on where the last one was.

use anyhow::Result;
use e2e::{
    ANY, LONG_AGO, Namespace, Operator, TRANSITIONS, at, created, extended_job, pod, scenario, template,
};
use serde_json::json;

use crate::triggers::{CACHE, assert_runs, cache, caches_on};

#[test]
fn a_restart_starts_nothing_anew() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.start(pod("old").ready_at(LONG_AGO))?;
        ns.wait_until_past(created(&ns.kubectl.get(&["pod", "old"])?))?;
        ns.declare(extended_job("on-ready").on_ready())?;
        ns.start(pod("flaps").ready_at(&at(1)))?;
        ns.job_for("on-ready", "flaps")?;
        ns.turn_ready("flaps", &at(2))?;
        ns.jobs_until("on-ready", 2)?;
        operator.restart()?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", ANY)?, ["flaps", "flaps"]);
        Ok(())
    })
}

#[test]
fn a_restart_with_nothing_changed_writes_nothing() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        let elsewhere = ns.sibling("elsewhere")?;
        finished_active_pending_and_cleaned_runs(ns)?;
        // Its last writes are answered when it has stopped.
        let stopped = operator.stop()?;
        let before = (operator.writes_in(&ns.name)?, operator.book_of(&ns.name)?);
        assert_ne!(before.0, Some(vec![]));

        drop(stopped);
        elsewhere.create(extended_job("sentinel").once().running(template::script("true")))?;
        elsewhere.condition_of("sentinel", "Complete", "True")?;
        assert_eq!((operator.writes_in(&ns.name)?, operator.book_of(&ns.name)?), before);
        Ok(())
    })
}

/// Runs of all kinds, in all states that last, and all of them recorded.
fn finished_active_pending_and_cleaned_runs(ns: &Namespace) -> Result<()> {
    ns.create(extended_job("done").once().running(template::script("echo done")).stdout_to("out"))?;
    ns.create(extended_job("failed").once().running(template::script("exit 1")).stdout_to("out"))?;
    ns.create(extended_job("busy").once())?;
    ns.create(extended_job("suspended").once().with("/suspend", json!(true)))?;
    ns.declare_all(TRANSITIONS.map(caches_on))?;
    ns.declare(extended_job("limited").on_ready().of(CACHE.0, CACHE.1).at_most(1))?;
    ns.start(cache("stays").ready())?;
    ns.start(cache("goes").ready())?;
    ns.turn_unready("goes", &at(1))?;
    ns.delete("pod/goes")?;

    ns.condition_of("done", "OutputWritten", "True")?;
    ns.condition_of("failed", "Failed", "True")?;
    ns.reason_of("suspended", "Ready", "Suspended")?;
    for (extended_job, active, pending) in [
        ("busy", 1, 0),
        ("created", 2, 0),
        ("ready", 2, 0),
        ("notready", 1, 0),
        ("deleted", 1, 0),
        ("limited", 1, 1),
    ] {
        ns.status_until(extended_job, &json!({"active": active, "pending": pending}))?;
    }
    // A Job is cleaned up when all that went before is on record.
    ns.declare(
        extended_job("cleaned").on_ready().of("app", "web").running(template::script("true")).keeping(0, 0),
    )?;
    ns.start(pod("web").labelled("app", "web").ready())?;
    ns.status_until("cleaned", &json!({"active": 0, "succeeded": 1}))?;
    ns.jobs_until("cleaned", 0).map(drop)
}

#[test]
fn output_that_someone_takes_away_stays_away_after_a_restart() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        // More than the status names.
        let names: Vec<String> = (10..21).map(|number| format!("web-{number}")).collect();
        let ejob = extended_job("many").on_ready().of("app", "web").keeping(20, 20);
        let ejob = ejob.running(template::script("echo done")).stdout_to("out");
        ns.declare(ejob.with("/output/stdout/key", json!("{pod}")))?;
        for name in &names {
            ns.start(pod(name).labelled("app", "web").ready())?;
        }
        ns.extended_job_until("many", "settled output of all runs that the status names", |seen| {
            let runs = seen["status"]["runs"].as_array()?;
            let settled = runs.iter().filter(|run| run["outputSettled"] == true).count();
            (seen["status"]["succeeded"] == names.len() && settled == runs.len()).then_some(())
        })?;
        ns.kubectl.until(&["jobs"], "a note on the Job that the status does not name", |jobs| {
            let mut annotations = jobs["items"].as_array()?.iter().map(|job| &job["metadata"]["annotations"]);
            annotations.find(|it| it["fissile.cloudfoundry.org/output-settled"] == "true").map(drop)
        })?;
        let out = ns.kubectl.get(&["configmap", "out"])?;
        assert_eq!(out["data"].as_object().map(|data| data.len()), Some(names.len()));
        ns.kubectl.run(&["delete", "configmap", "out"])?;
        operator.restart()?;
        ns.create(extended_job("sentinel").once().running(template::script("echo done")).stdout_to("other"))?;
        ns.condition_of("sentinel", "OutputWritten", "True")?;
        let left = ns.kubectl.list(&["configmaps"])?;
        let left: Vec<&str> = left.iter().map(e2e::name).filter(|name| *name == "out").collect();
        assert!(left.is_empty(), "it was written again");
        Ok(())
    })
}

#[test]
fn what_happened_while_no_operator_ran_is_made_up_for() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.start(pod("older").ready_at(LONG_AGO))?;
        ns.start(pod("turns-ready"))?;
        ns.wait_until_past(created(&ns.kubectl.get(&["pod", "turns-ready"])?))?;
        ns.declare(extended_job("on-ready").on_ready())?;

        let stopped = operator.stop()?;
        ns.create(extended_job("created-meanwhile").on_ready())?;
        ns.turn_ready("turns-ready", &at(1))?;
        // By a kubelet whose clock is behind.
        ns.start(pod("new").ready_at(LONG_AGO))?;
        drop(stopped);

        for extended_job in ["on-ready", "created-meanwhile"] {
            ns.job_for(extended_job, "new")?;
            ns.job_for(extended_job, "turns-ready")?;
            assert_eq!(ns.runs_after_a_sentinel(extended_job, ANY)?, ["new", "turns-ready"]);
        }
        Ok(())
    })
}

#[test]
fn all_that_happened_to_pods_while_no_operator_ran_counts() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        for pod in ["dips", "goes", "leaves", "turns"] {
            ns.start(cache(pod).ready_at(LONG_AGO))?;
        }
        ns.turn_unready("turns", LONG_AGO)?;
        ns.wait_until_past(created(&ns.kubectl.get(&["pod", "turns"])?))?;
        ns.declare_all(TRANSITIONS.map(caches_on))?;

        let stopped = operator.stop()?;
        ns.turn_ready("turns", &at(1))?;
        ns.turn_unready("turns", &at(2))?;
        ns.turn_ready("turns", &at(3))?;
        ns.turn_unready("dips", &at(1))?;
        ns.delete("pod/goes")?;
        ns.relabel("leaves", "app=web")?;
        ns.start(cache("comes"))?;
        ns.start(cache("passes").ready())?;
        ns.delete("pod/passes")?;
        drop(stopped);

        assert_runs(
            ns,
            [
                ("created", &["comes", "passes"]),
                ("ready", &["passes", "turns", "turns"]),
                ("notready", &["dips", "turns"]),
                ("deleted", &["goes", "passes"]),
            ],
        )
    })
}
