//! Jobs of each kind run as native ones do: the operator makes them, and lets the Job controller do its work.

use anyhow::Result;
use e2e::{extended_job, scenario, template, text};
use serde_json::{Value, json};

/// A Job whose one container runs this script, with more in its spec.
fn job(script: &str, more: Value) -> Value {
    let mut template = template::script(script);
    for (field, value) in more.as_object().into_iter().flatten() {
        template["spec"][field] = value.clone();
    }
    template
}

/// What the Job controller made of it, and what the ExtendedJob tells.
struct Outcome {
    name: &'static str,
    template: Value,
    /// The reason of the Job's last condition.
    reason: &'static str,
    /// How many of its pods succeeded.
    succeeded: u64,
    result: &'static str,
}

#[test]
fn jobs_of_each_kind_end_as_native_ones_do() -> Result<()> {
    let index = "exit $((JOB_COMPLETION_INDEX == 1))";
    let exits = |action: &str| json!({"rules": [{"action": action, "onExitCodes": {"operator": "In", "values": [42]}}]});
    let outcomes = [
        Outcome {
            name: "parallel",
            template: job("true", json!({"completions": 3, "parallelism": 3})),
            reason: "CompletionsReached",
            succeeded: 3,
            result: "Succeeded",
        },
        Outcome {
            name: "indexed",
            template: job(
                "test -n \"$JOB_COMPLETION_INDEX\"",
                json!({"completions": 2, "parallelism": 2, "completionMode": "Indexed"}),
            ),
            reason: "CompletionsReached",
            succeeded: 2,
            result: "Succeeded",
        },
        Outcome {
            name: "limit-per-index",
            template: job(
                index,
                json!({
                    "completions": 2, "parallelism": 2, "completionMode": "Indexed",
                    "backoffLimit": null, "backoffLimitPerIndex": 0,
                }),
            ),
            reason: "FailedIndexes",
            succeeded: 1,
            result: "Failed",
        },
        Outcome {
            name: "success-policy",
            template: job(
                index,
                json!({
                    "completions": 2, "parallelism": 2, "completionMode": "Indexed",
                    "backoffLimit": null, "backoffLimitPerIndex": 1,
                    "successPolicy": {"rules": [{"succeededIndexes": "0"}]},
                }),
            ),
            reason: "SuccessPolicy",
            succeeded: 1,
            result: "Succeeded",
        },
        Outcome {
            name: "failure-policy",
            template: job("exit 42", json!({"backoffLimit": 5, "podFailurePolicy": exits("FailJob")})),
            reason: "PodFailurePolicy",
            succeeded: 0,
            result: "Failed",
        },
        Outcome {
            name: "deadline",
            template: job(
                "sleep 1000",
                json!({"activeDeadlineSeconds": 2, "podReplacementPolicy": "Failed"}),
            ),
            reason: "DeadlineExceeded",
            succeeded: 0,
            result: "Failed",
        },
    ];
    scenario(|ns| {
        ns.create_all(outcomes.iter().map(|outcome| {
            Value::from(extended_job(outcome.name).once().running(outcome.template.clone()))
        }))?;
        for Outcome { name, reason, succeeded, result, .. } in &outcomes {
            ns.extended_job_until(name, "an end", |seen| {
                (seen["status"]["lastRun"]["result"] == *result).then_some(())
            })?;
            let job = ns.jobs_of(name)?.remove(0);
            let last = job["status"]["conditions"]
                .as_array()
                .and_then(|all| all.last())
                .cloned()
                .unwrap_or_default();
            assert_eq!(
                (text(&last["reason"]), job["status"]["succeeded"].as_u64().unwrap_or(0)),
                (*reason, *succeeded),
                "{name}"
            );
        }
        Ok(())
    })
}

#[test]
fn a_job_that_another_controller_manages_is_left_to_it() -> Result<()> {
    scenario(|ns| {
        let managed = job("true", json!({"managedBy": "example.com/queue"}));
        ns.create(extended_job("queued").once().running(managed))?;
        let job = ns.jobs_until("queued", 1)?.remove(0);
        assert_eq!(job["spec"]["managedBy"], "example.com/queue");
        ns.status_until("queued", &json!({"active": 1}))
    })
}
