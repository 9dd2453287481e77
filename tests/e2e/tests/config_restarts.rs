//! What the operator knows of configuration outlives it.

use anyhow::Result;
use e2e::{Namespace, Operator, extended_job, pod, scenario, template};
use serde_json::json;

#[test]
fn what_has_changed_while_no_operator_ran_restarts_once_and_what_is_as_before_does_not() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        let names = ["back-again", "changed", "made-anew", "untouched"];
        for name in names {
            ns.set(name, "1")?;
            ns.first_run(extended_job(name).once().following(name))?;
        }
        let stopped = operator.stop()?;
        ns.set("back-again", "2")?;
        ns.set("back-again", "1")?;
        ns.set("changed", "2")?;
        ns.set("changed", "3")?;
        ns.delete("configmap/made-anew")?;
        ns.set("made-anew", "2")?;
        drop(stopped);

        ns.pass_a_sentinel()?;
        for (name, times) in names.into_iter().zip([0, 1, 1, 0]) {
            ns.restarted(name, times)?;
        }
        // What it found at its start is what later changes are measured by.
        for name in names {
            ns.set(name, "4")?;
        }
        for (name, times) in names.into_iter().zip([1, 2, 2, 1]) {
            ns.restarted(name, times)?;
        }
        Ok(())
    })
}

/// ExtendedJobs of all kinds that have been restarted once: their runs are under way, over, or wait.
fn restarted_ones(ns: &Namespace) -> Result<()> {
    ns.set("app", "1")?;
    ns.first_run(extended_job("busy").once().following("app"))?;
    ns.create(extended_job("done").once().running(template::nothing()).following("app"))?;
    ns.declare(extended_job("idle").with("/run", json!("manually")).following("app"))?;
    let optional = json!([{"secretRef": {"name": "none", "optional": true}}]);
    let optional = template::in_container(template::parked(), "envFrom", optional);
    ns.first_run(extended_job("without").once().restarting().running(optional))?;
    ns.declare(extended_job("on-ready").on_ready().at_most(1).following("app"))?;
    ns.start(pod("a").ready())?;
    ns.job_for("on-ready", "a")?;
    ns.start(pod("b").ready())?;
    ns.status_until("on-ready", &json!({"active": 1, "pending": 1}))?;
    ns.status_until("done", &json!({"active": 0, "succeeded": 1}))?;

    ns.set("app", "2")?;
    ns.restarted("busy", 1)?;
    ns.status_until("done", &json!({"configRevision": 1, "active": 0, "succeeded": 2}))?;
    ns.status_until("on-ready", &json!({"configRevision": 1, "active": 1, "pending": 1}))
}

#[test]
fn a_restart_of_the_operator_with_nothing_changed_restarts_no_run_and_writes_nothing() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        let elsewhere = ns.sibling("elsewhere")?;
        restarted_ones(ns)?;
        elsewhere.pass_a_sentinel()?;
        // Its last writes are answered when it has stopped.
        let stopped = operator.stop()?;
        let before = operator.writes_in(&ns.name)?;
        assert_ne!(before, Some(vec![]));
        drop(stopped);

        elsewhere.pass_a_sentinel()?;
        assert_eq!(operator.writes_in(&ns.name)?, before);
        for (name, times) in [("busy", 1), ("done", 1), ("without", 0)] {
            ns.restarted(name, times)?;
        }
        Ok(())
    })
}

#[test]
fn a_lost_ledger_restarts_none_and_later_changes_count_on() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.set("app", "1")?;
        ns.first_run(extended_job("app").once().following("app"))?;
        ns.set("app", "2")?;
        ns.restarted("app", 1)?;
        let ledger = ns.ledger_of("app")?;
        let stopped = operator.stop()?;
        ns.delete(&format!("secret/{ledger}"))?;
        drop(stopped);

        ns.reason_of("app", "LedgerRebuilt", "LedgerLost")?;
        ns.event_of("app", "LedgerLost", |event| (event["reason"] == "LedgerLost").then_some(()))?;
        ns.pass_a_sentinel()?;
        ns.restarted("app", 1)?;
        ns.set("app", "1")?;
        ns.restarted("app", 2).map(drop)
    })
}
