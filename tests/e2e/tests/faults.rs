//! What goes wrong around the operator, and to it.

use anyhow::Result;
use e2e::{LONG_AGO, Namespace, Operator, at, created, extended_job, pod, scenario, template, text};
use serde_json::{Value, json};

fn forbid_jobs(ns: &Namespace) -> Result<()> {
    ns.create(json!({
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-jobs"},
        "spec": {"hard": {"count/jobs.batch": "0"}},
    }))?;
    let in_force = |quota: &Value| quota["status"]["hard"].is_object().then_some(());
    ns.kubectl.until(&["resourcequota", "no-jobs"], "a quota in force", in_force)
}

#[test]
fn a_quota_delays_its_own_namespace_only() -> Result<()> {
    scenario(|ns| {
        let free = ns.sibling("free")?;
        ns.declare(extended_job("on-ready").on_ready())?;
        free.declare(extended_job("on-ready").on_ready())?;
        forbid_jobs(ns)?;

        ns.start(pod("refused").ready())?;
        ns.extended_job_until("on-ready", "a condition that names the quota", |seen| {
            let mut conditions = seen["status"]["conditions"].as_array()?.iter();
            conditions.find(|condition| text(&condition["message"]).contains("no-jobs")).map(drop)
        })?;
        free.start(pod("free").ready())?;
        free.job_for("on-ready", "free")?;
        assert!(ns.jobs_of("on-ready")?.is_empty());

        ns.delete("resourcequota/no-jobs")?;
        ns.job_for("on-ready", "refused")?;
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
        assert_eq!(ns.runs_after_a_sentinel("on-ready", ("app", "any"))?, names);
        Ok(())
    })
}

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
        assert_eq!(ns.runs_after_a_sentinel("on-ready", ("app", "any"))?, ["flaps", "flaps"]);
        Ok(())
    })
}

#[test]
fn a_restart_with_nothing_changed_writes_nothing() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        let elsewhere = ns.sibling("elsewhere")?;
        ns.create(extended_job("done").once().running(template::script("echo done")).stdout_to("out"))?;
        ns.create(extended_job("failed").once().running(template::script("exit 1")).stdout_to("out"))?;
        ns.create(extended_job("busy").once())?;
        ns.declare(extended_job("on-ready").on_ready())?;
        ns.start(pod("p").ready())?;
        ns.condition_of("done", "OutputWritten", "True")?;
        ns.condition_of("failed", "Failed", "True")?;
        for active in ["busy", "on-ready"] {
            ns.extended_job_until(active, "a run", |seen| (seen["status"]["active"] == 1).then_some(()))?;
        }
        let before = operator.writes_in(&ns.name)?;
        assert_ne!(before, Some(vec![]));

        operator.restart()?;
        elsewhere.create(extended_job("sentinel").once())?;
        elsewhere.condition_of("sentinel", "Ready", "True")?;
        elsewhere.jobs_until("sentinel", 1)?;
        assert_eq!(operator.writes_in(&ns.name)?, before);
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
            assert_eq!(ns.runs_after_a_sentinel(extended_job, ("app", "any"))?, ["new", "turns-ready"]);
        }
        Ok(())
    })
}
