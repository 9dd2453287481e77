//! What the operator tells of itself.

use anyhow::{Context, Result};
use e2e::names::OPERATOR_NAMESPACE;
use e2e::{Kubectl, Operator, extended_job, pod, scenario, template};

/// What a pod of the operator tells on /metrics.
fn told_by(pod: &str) -> Result<String> {
    let path = format!("/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{pod}:8080/proxy/metrics");
    Kubectl::in_namespace(OPERATOR_NAMESPACE).run(&["get", "--raw", &path])
}

fn value(text: &str, sample: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("no {sample} in {text}"))?.trim().parse()?)
}

#[test]
fn what_the_leader_does_is_counted_and_nothing_is_called_by_its_name() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        let leader = operator.leader()?;
        let started = r#"extendedjob_runs_started_total{mode="ready"}"#;
        let before = value(&told_by(&leader)?, started)?;
        ns.declare(extended_job("on-ready").on_ready().of("app", "web").running(template::nothing()))?;
        for name in ["a", "b", "c"] {
            ns.start(pod(name).labelled("app", "web").ready())?;
        }
        ns.jobs_until("on-ready", 3)?;
        let text = told_by(&leader)?;
        assert!(value(&text, started)? >= before + 3.0);
        assert!(value(&text, "extendedjob_trigger_latency_seconds_count")? >= 3.0);
        assert_eq!(value(&text, r#"extendedjob_leader{watched="*"}"#)?, 1.0);
        assert_eq!(value(&text, "extendedjob_dropped_fields")?, 0.0);
        assert!(!text.contains(&ns.name) && !text.contains("on-ready"));
        Ok(())
    })
}

#[test]
fn who_stands_by_says_so_and_has_no_runs() -> Result<()> {
    scenario(|_| {
        let operator = Operator::hold();
        let leader = operator.leader()?;
        let pods = Kubectl::in_namespace(OPERATOR_NAMESPACE).list(&["pods"])?;
        let standby = pods.iter().map(e2e::name).find(|pod| *pod != leader).context("nobody stands by")?;
        let text = told_by(standby)?;
        let leading = [r#"extendedjob_leader{watched="*"}"#, r#"extendedjob_term{watched="*"}"#];
        for gauge in leading.into_iter().chain(["extendedjob_runs_active"]) {
            assert_eq!(value(&text, gauge)?, 0.0, "{gauge}");
        }
        Ok(())
    })
}
