//! Several operators, of which one leads.

use anyhow::Result;
use e2e::{ANY, Kubectl, Operator, at, extended_job, names, pod, scenario};
use serde_json::json;

#[test]
fn another_goes_on_where_a_killed_leader_was() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.declare(extended_job("on-ready").on_ready())?;
        ns.start(pod("before").ready())?;
        ns.job_for("on-ready", "before")?;

        let term = operator.term()?;
        operator.kill_pod(&operator.leader()?)?;
        // Nobody leads now.
        ns.start(pod("meanwhile").ready())?;
        ns.job_for("on-ready", "meanwhile")?;
        // The standby, or the process that took the place of the killed one.
        assert!(operator.term()? > term);
        assert_eq!(ns.runs_after_a_sentinel("on-ready", ANY)?, ["before", "meanwhile"]);
        Ok(())
    })
}

#[test]
fn a_leader_that_is_asked_to_stop_hands_over_at_once() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.declare(extended_job("on-ready").on_ready())?;
        ns.start(pod("flaps").ready_at(&at(1)))?;
        ns.job_for("on-ready", "flaps")?;
        let term = operator.term()?;
        operator.restart()?;
        ns.turn_ready("flaps", &at(2))?;
        ns.jobs_until("on-ready", 2)?;
        assert!(operator.term()? > term);
        Ok(())
    })
}

#[test]
fn a_create_of_a_past_term_is_refused_by_the_api_server() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        let create = |term: i64| {
            let job = json!({
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {
                    "name": "delayed",
                    "labels": { names::OWNER: "any" },
                    "annotations": { names::TERM: term.to_string() },
                },
                "spec": {"template": {"spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": "busybox"}],
                }}},
            });
            (["create", "--dry-run=server", "--filename=-"], job.to_string())
        };
        let as_operator = ns.kubectl.acting_as(names::OPERATOR_ACCOUNT);
        let present = operator.term()?;
        let (command, job) = create(present - 1);
        let refusal = as_operator.refusal(&command, &job)?;
        assert!(refusal.contains(&format!("the present term is {present}")), "{refusal}");
        let (command, job) = create(present);
        as_operator.run_with_input(&command, &job).map(drop)
    })
}

#[test]
fn a_fence_that_someone_has_deleted_is_raised_anew() -> Result<()> {
    scenario(|ns| {
        let _held = Operator::hold();
        let fence = "serviceaccount/extendedjob-operator-term";
        Kubectl::in_namespace(names::OPERATOR_NAMESPACE).run(&["delete", fence])?;
        ns.first_run(extended_job("once").once()).map(drop)
    })
}

#[test]
fn a_fence_that_stands_too_high_is_reached_by_a_later_term() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        let high = operator.term()? + 100;
        // As it is where the Lease was deleted, and the counting began anew.
        let fence = ["annotate", "--overwrite", "serviceaccount/extendedjob-operator-term"];
        let annotation = format!("{}={high}", names::TERM);
        Kubectl::in_namespace(names::OPERATOR_NAMESPACE).run(&[&fence[..], &[&annotation]].concat())?;
        ns.first_run(extended_job("once").once())?;
        assert!(operator.term()? > high);
        Ok(())
    })
}
