//! What the operator asks of the API server for one run whose output is stored, from the audit log.
//!
//! One run after the other, each with a pod that prints a line: nothing that is gathered for several runs hides what one
//! costs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use crowds::audit::AuditLog;
use crowds::extended_jobs::{running, triggered};
use crowds::pods::IN_SELECTOR;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Bench;
use crate::figures::{Figure, Limit};
use crate::runner::{Runner, Who};

const RUNS: usize = 20;
/// Longer than anything that the operator gathers before it writes it.
const IDLE: Duration = Duration::from_secs(8);

/// At most so many writes of Job, output and status, one Event, and one patch or delete that cleans up.
const WRITES: f64 = 6.0;

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
            log.of_operators()?;
        }
    }
    sleep(IDLE).await;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for request in log.of_operators()? {
        *counts.entry(kind(&request, &namespace.name)).or_default() += 1;
    }
    runner.stop().await?;

    let per_run = |count: usize| count as f64 / RUNS as f64;
    let writes = counts.iter().filter(|(kind, _)| is_write_of_run(kind)).map(|(_, count)| count).sum();
    let figure = Figure::new("calls", "per run, writes but those of book and ledger", "", per_run(writes));
    bench.figures.push(figure.within(Limit::Most(WRITES)));
    for (kind, count) in counts {
        bench.figures.push(Figure::new("calls", format!("per run, {kind}"), "", per_run(count)));
    }
    Ok(())
}

/// Not a read, nor what goes on without runs, nor what is bounded by time.
fn is_write_of_run(kind: &str) -> bool {
    let (verb, what) = kind.split_once(' ').unwrap_or_default();
    !["get", "list", "watch"].contains(&verb)
        && !["leases", "serviceaccounts", "configmaps of the book", "secrets of the ledger"].contains(&what)
}

/// Its Jobs print one line, which is stored under the name of the pod.
fn printing() -> Value {
    let mut spec = running(triggered("ready"), json!(["sh", "-c", "echo done; sleep 2"]));
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
    format!("{verb} {resource}{part}{kept}")
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
        assert_eq!(request("patch", "configmaps", "", "home"), "patch configmaps of the book");
        assert!(is_write_of_run("patch jobs") && is_write_of_run("create events"));
        assert!(!is_write_of_run("get pods/log") && !is_write_of_run("patch configmaps of the book"));
    }
}
