//! What goes wrong around the operator, and to it.

use anyhow::Result;
use e2e::names::{POD_LABELS, POD_UID};
use e2e::{ANY, Operator, annotation, at, extended_job, pod, scenario, template, text, uid};
use serde_json::{Value, json};

#[test]
fn a_quota_delays_its_own_namespace_only() -> Result<()> {
    scenario(|ns| {
        let free = ns.sibling("free")?;
        ns.declare(extended_job("on-ready").on_ready())?;
        free.declare(extended_job("on-ready").on_ready())?;
        ns.forbid("jobs.batch")?;

        ns.start(pod("refused").ready())?;
        ns.extended_job_until("on-ready", "a condition that names the quota", |seen| {
            let mut conditions = seen["status"]["conditions"].as_array()?.iter();
            conditions.find(|condition| text(&condition["message"]).contains("exceeded quota")).map(drop)
        })?;
        free.start(pod("free").ready())?;
        free.job_for("on-ready", "free")?;
        assert!(ns.jobs_of("on-ready")?.is_empty());

        ns.forbid_no_longer()?;
        ns.job_for("on-ready", "refused")?;
        ns.until_accepted("on-ready")
    })
}

#[test]
fn runs_that_a_quota_keeps_waiting_outlive_their_pods_and_a_restart() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.declare(extended_job("on-ready").on_ready())?;
        ns.forbid("jobs.batch")?;
        ns.start(pod("gone").labelled("tier", "back").ready())?;
        ns.start(pod("stays").ready())?;
        ns.status_until("on-ready", &json!({"active": 0, "pending": 2}))?;
        ns.reason_of("on-ready", "Ready", "QuotaExceeded")?;
        let gone = ns.kubectl.get(&["pod", "gone"])?;
        ns.delete("pod/gone")?;
        operator.restart()?;

        ns.forbid_no_longer()?;
        let job = ns.job_for("on-ready", "gone")?;
        assert_eq!(annotation(&job, POD_UID), uid(&gone));
        let labels: Value = serde_json::from_str(annotation(&job, POD_LABELS))?;
        assert_eq!(labels, json!({"tier": "back"}));
        ns.job_for("on-ready", "stays")?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", ANY)?, ["gone", "stays"]);
        ns.status_until("on-ready", &json!({"pending": 0}))?;
        ns.until_accepted("on-ready")
    })
}

#[test]
fn a_ledger_that_cannot_be_written_is_reported_and_holds_no_one_else_back() -> Result<()> {
    scenario(|ns| {
        let free = ns.sibling("free")?;
        ns.forbid("secrets")?;
        ns.create(extended_job("on-ready").on_ready())?;
        ns.reason_of("on-ready", "Ready", "LedgerNotWritten")?;
        ns.start(pod("waits").ready())?;

        // A Job is cleaned up when the checkpoint, which is that of all, has passed its transition.
        free.declare(extended_job("on-ready").on_ready().running(template::script("true")).keeping(0, 0))?;
        free.start(pod("p").ready())?;
        free.status_until("on-ready", &json!({"active": 0, "succeeded": 1}))?;
        free.until_no("jobs")?;
        assert!(ns.jobs_of("on-ready")?.is_empty());

        ns.forbid_no_longer()?;
        ns.job_for("on-ready", "waits")?;
        ns.until_accepted("on-ready")
    })
}

#[test]
fn an_operator_killed_in_a_burst_starts_one_job_for_each_pod() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        let names: Vec<String> = (10..40).map(|number| format!("pod-{number}")).collect();
        ns.declare(extended_job("on-ready").on_ready())?;
        ns.create_all(names.iter().map(|name| pod(name).into()))?;

        let (before, after) = names.split_at(15);
        ns.turn_all_ready(before, &at(1))?;
        operator.kill()?;
        ns.turn_all_ready(after, &at(1))?;

        ns.jobs_until("on-ready", names.len())?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", ANY)?, names);
        Ok(())
    })
}
