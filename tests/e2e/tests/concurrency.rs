//! `maxConcurrentRuns`: runs over it wait in order, and none is lost.

use anyhow::Result;
use e2e::names::{POD_LABELS, POD_UID};
use e2e::{
    ANY, ExtendedJob, Namespace, Operator, annotation, at, extended_job, name, pod, scenario, text, uid,
};
use serde_json::{Value, json};

fn one_at_a_time() -> ExtendedJob {
    extended_job("on-ready").on_ready().at_most(1)
}

/// Three pods turn ready in this order. Gives the Job of the first, which is under way.
fn three_at_once(ns: &Namespace) -> Result<Value> {
    let pods = ["a", "b", "c"].map(str::to_owned);
    ns.create_all(pods.iter().map(|name| pod(name).labelled("pod", name).into()))?;
    ns.turn_all_ready(&pods, &at(1))?;
    ns.status_until("on-ready", &json!({"active": 1, "pending": 2}))?;
    assert_eq!(ns.runs_of("on-ready")?, ["a"]);
    ns.job_for("on-ready", "a")
}

#[test]
fn with_a_limit_of_one_pods_get_their_jobs_one_after_the_other_in_order() -> Result<()> {
    scenario(|ns| {
        ns.declare(one_at_a_time())?;
        let first = three_at_once(ns)?;

        ns.release(&first)?;
        let second = ns.job_for("on-ready", "b")?;
        ns.status_until("on-ready", &json!({"active": 1, "pending": 1, "succeeded": 1}))?;
        assert_eq!(ns.runs_of("on-ready")?, ["a", "b"]);

        ns.release(&second)?;
        ns.job_for("on-ready", "c")?;
        ns.status_until("on-ready", &json!({"active": 1, "pending": 0, "succeeded": 2}))?;
        assert_eq!(ns.runs_of("on-ready")?, ["a", "b", "c"]);
        ns.until_accepted("on-ready")
    })
}

#[test]
fn a_job_that_someone_deletes_makes_room_for_the_next() -> Result<()> {
    scenario(|ns| {
        ns.declare(one_at_a_time())?;
        let first = three_at_once(ns)?;
        ns.delete(&format!("job/{}", name(&first)))?;
        ns.job_for("on-ready", "b")?;
        ns.status_until("on-ready", &json!({"active": 1, "pending": 1}))
    })
}

#[test]
fn a_limit_that_is_raised_or_removed_lets_those_start_that_wait() -> Result<()> {
    scenario(|ns| {
        ns.declare(one_at_a_time())?;
        three_at_once(ns)?;
        ns.edit("on-ready", &json!({"maxConcurrentRuns": 2}))?;
        ns.job_for("on-ready", "b")?;
        ns.status_until("on-ready", &json!({"active": 2, "pending": 1}))?;
        assert_eq!(ns.runs_of("on-ready")?, ["a", "b"]);
        ns.edit("on-ready", &json!({"maxConcurrentRuns": null}))?;
        ns.job_for("on-ready", "c")?;
        ns.status_until("on-ready", &json!({"active": 3, "pending": 0}))
    })
}

#[test]
fn a_run_that_waits_outlives_its_pod_and_a_restart() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.declare(one_at_a_time())?;
        let first = three_at_once(ns)?;
        let waiting = ns.kubectl.get(&["pod", "b"])?;
        ns.delete("pod/b")?;
        operator.restart()?;
        ns.delete("pod/c")?;

        ns.release(&first)?;
        let second = ns.job_for("on-ready", "b")?;
        assert_eq!(annotation(&second, POD_UID), uid(&waiting));
        let labels: Value = serde_json::from_str(annotation(&second, POD_LABELS))?;
        assert_eq!(labels, json!({"pod": "b"}));

        ns.release(&second)?;
        let third = ns.job_for("on-ready", "c")?;
        ns.release(&third)?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", ANY)?, ["a", "b", "c"]);
        Ok(())
    })
}

#[test]
fn a_run_that_waited_is_not_made_again_when_its_finished_job_is_deleted() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.declare(one_at_a_time())?;
        let first = three_at_once(ns)?;
        let ledger = ns.ledger_of("on-ready")?;
        let size = |secret: &Value| text(&secret["data"]["ledger"]).len();
        let with_two = size(&ns.kubectl.get(&["secret", &ledger])?);
        ns.release(&first)?;
        for pod in ["b", "c"] {
            ns.release(&ns.job_for("on-ready", pod)?)?;
        }
        ns.status_until("on-ready", &json!({"active": 0, "pending": 0, "succeeded": 3}))?;
        ns.kubectl.until(&["secret", &ledger], "a ledger in which no run waits", |secret| {
            (size(secret) < with_two).then_some(())
        })?;

        ns.kubectl.run(&["delete", "jobs", "--all"])?;
        operator.restart()?;
        assert!(ns.runs_after_a_sentinel("on-ready", ANY)?.is_empty());
        Ok(())
    })
}
