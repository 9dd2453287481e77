//! What the operator asks of the API server for one run whose output is stored, from the audit log.
//!
//! One run after the other, each with a pod that prints a line: nothing that is gathered for several runs hides what one
//! costs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use crowds::audit::AuditLog;
use crowds::extended_jobs::triggered;
use crowds::pods::IN_SELECTOR;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Bench;
use crate::figures::{Figure, Target};
use crate::runner::{Runner, Who};

const RUNS: usize = 20;
/// Longer than anything that the operator gathers before it writes it.
const IDLE: Duration = Duration::from_secs(8);

/// Requests that go on whether there are runs or not, or that are bounded by time and not by runs.
const BESIDE: [&str; 4] = ["leases", "serviceaccounts", "configmaps of the book", "secrets of the ledger"];

pub(super) async fn measure(bench: &mut Bench<'_>) -> Result<()> {
    let runner = Runner::start(bench.target, Who::Operator, "calls").await?;
    let namespace = &runner.namespace;
    namespace.declare("ready", printing()).await?;
    let pods = namespace.create_pods("pod", RUNS + 1, IN_SELECTOR).await?;
    let mut count = 0;
    let mut log = AuditLog::begin(bench.target)?;
    for pod in &pods {
        namespace.turn_ready(std::slice::from_ref(pod), 0).await?;
        count += 1;
        namespace.until_written("ready", count).await?;
        if count == 1 {
            // The first one may do more than others.
            sleep(IDLE).await;
            log.requests()?;
        }
    }
    sleep(IDLE).await;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for request in log.requests()? {
        *counts.entry(kind(&request, &namespace.name)).or_default() += 1;
    }
    runner.stop().await?;

    let per_run = |count: usize| count as f64 / RUNS as f64;
    let writes = ["create jobs", "create configmaps", "patch configmaps", "patch extendedjobs/status"];
    let written = writes.iter().filter_map(|kind| counts.get(*kind)).sum();
    let figure = Figure::new("calls", "per run, writes of Job, output and status", "", per_run(written));
    bench.figures.push(figure.within(Target::Most(4.0)));
    for (kind, count) in counts {
        bench.figures.push(Figure::new("calls", format!("per run, {kind}"), "", per_run(count)));
    }
    Ok(())
}

/// Its Jobs print one line, which is stored under the name of the pod.
fn printing() -> Value {
    let mut spec = triggered("ready");
    let job = &mut spec["template"]["spec"];
    job["suspend"] = json!(false);
    job["template"]["spec"]["containers"][0]["command"] = json!(["sh", "-c", "echo done; sleep 2"]);
    spec["output"] = json!({"stdout": {"configRef": "out", "key": "{pod}"}});
    spec
}

/// Such as `create jobs` or `patch extendedjobs/status`.
fn kind(request: &Value, namespace: &str) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &request["objectRef"];
    let (verb, resource, part) =
        (text(&request["verb"]), text(&object["resource"]), text(&object["subresource"]));
    let kept = match (resource.as_str(), object["namespace"] == namespace) {
        ("configmaps", false) => " of the book",
        ("secrets", _) => " of the ledger",
        _ => "",
    };
    let part = if part.is_empty() { part } else { format!("/{part}") };
    let resource = format!("{resource}{part}{kept}");
    let beside = if BESIDE.contains(&resource.as_str()) { " (not by runs)" } else { "" };
    format!("{verb} {resource}{beside}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_what_they_are_about() {
        let request = |verb: &str, resource: &str, part: &str, namespace: &str| {
            let object = json!({"resource": resource, "subresource": part, "namespace": namespace});
            kind(&json!({"verb": verb, "objectRef": object}), "mine")
        };
        assert_eq!(request("patch", "extendedjobs", "status", "mine"), "patch extendedjobs/status");
        assert_eq!(request("patch", "configmaps", "", "mine"), "patch configmaps");
        assert_eq!(request("patch", "configmaps", "", "home"), "patch configmaps of the book (not by runs)");
        assert_eq!(request("update", "leases", "", "home"), "update leases (not by runs)");
    }
}
