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

/// Several pods, each with an index.
fn indexed(script: &str, mut more: Value) -> Value {
    for (field, value) in
        [("completions", json!(2)), ("parallelism", json!(2)), ("completionMode", json!("Indexed"))]
    {
        more[field] = value;
    }
    job(script, more)
}

#[test]
fn jobs_of_each_kind_end_as_native_ones_do() -> Result<()> {
    let second_fails = "exit $((JOB_COMPLETION_INDEX == 1))";
    let per_index = |limit: u32| json!({"backoffLimit": null, "backoffLimitPerIndex": limit});
    let mut first_is_enough = per_index(1);
    first_is_enough["successPolicy"] = json!({"rules": [{"succeededIndexes": "0"}]});
    let fails_at_once =
        json!({"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]});
    // With the reason of the Job's last condition, how many of its pods succeeded, and what the ExtendedJob tells.
    let kinds = [
        (
            "parallel",
            job("true", json!({"completions": 3, "parallelism": 3})),
            "CompletionsReached",
            3,
            "Succeeded",
        ),
        (
            "indexed",
            indexed("test -n \"$JOB_COMPLETION_INDEX\"", json!({})),
            "CompletionsReached",
            2,
            "Succeeded",
        ),
        ("limit-per-index", indexed(second_fails, per_index(0)), "FailedIndexes", 1, "Failed"),
        ("success-policy", indexed(second_fails, first_is_enough), "SuccessPolicy", 1, "Succeeded"),
        (
            "failure-policy",
            job("exit 42", json!({"backoffLimit": 5, "podFailurePolicy": fails_at_once})),
            "PodFailurePolicy",
            0,
            "Failed",
        ),
        (
            "deadline",
            job("sleep 1000", json!({"activeDeadlineSeconds": 2, "podReplacementPolicy": "Failed"})),
            "DeadlineExceeded",
            0,
            "Failed",
        ),
    ];
    scenario(|ns| {
        ns.create_all(
            kinds
                .iter()
                .map(|(name, template, ..)| Value::from(extended_job(name).once().running(template.clone()))),
        )?;
        for (name, _, reason, succeeded, result) in kinds {
            ns.extended_job_until(name, "an end", |seen| {
                (seen["status"]["lastRun"]["result"] == result).then_some(())
            })?;
            let job = ns.jobs_of(name)?.remove(0);
            let conditions = job["status"]["conditions"].as_array();
            let last = conditions.and_then(|all| all.last()).cloned().unwrap_or_default();
            let found = (text(&last["reason"]), job["status"]["succeeded"].as_u64().unwrap_or(0));
            assert_eq!(found, (reason, succeeded), "{name}");
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
