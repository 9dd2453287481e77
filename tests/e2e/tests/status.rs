//! What `kubectl get` and `kubectl describe` tell about an ExtendedJob.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use e2e::{
    Namespace, Operator, TRANSITIONS, at, condition, extended_job, name, pod, scenario, template, text,
};
use serde_json::json;

/// The row of `kubectl get ejob` by the headings of its columns.
fn row(ns: &Namespace, extended_job: &str) -> Result<BTreeMap<String, String>> {
    let printed = ns.kubectl.run(&["get", "ejob", extended_job])?;
    let (headings, cells) = printed.split_once('\n').context("kubectl get printed no row")?;
    // Headings stand apart by three blanks or more, and may hold one; a cell may be empty.
    let begins =
        |at: &usize| !headings[*at..].starts_with(' ') && (*at == 0 || headings[..*at].ends_with("  "));
    let starts: Vec<usize> = (0..headings.len()).filter(begins).collect();
    let ends = starts.iter().skip(1).copied().chain([printed.len()]);
    let cut = |line: &str, from: usize, to: usize| {
        line.chars().take(to).skip(from).collect::<String>().trim().to_owned()
    };
    let columns = starts.iter().zip(ends);
    Ok(columns.map(|(&from, to)| (cut(headings, from, to), cut(cells, from, to))).collect())
}

#[test]
fn the_columns_show_how_it_is_doing() -> Result<()> {
    scenario(|ns| {
        ns.create(extended_job("fine").once().running(template::script("true")))?;
        ns.create(extended_job("broken").once().running(template::script("exit 1")))?;
        ns.create(extended_job("busy").once().running(template::script("sleep 1000")))?;
        ns.declare(extended_job("idle").on_ready())?;
        ns.condition_of("fine", "Complete", "True")?;
        ns.condition_of("broken", "Failed", "True")?;
        ns.extended_job_until("busy", "one active run", |seen| {
            (seen["status"]["active"] == 1).then_some(())
        })?;

        let headings =
            ["NAME", "MODE", "READY", "ACTIVE", "SUCCEEDED", "FAILED", "LAST RUN", "RESULT", "AGE"];
        let mut sorted = headings.map(str::to_owned);
        sorted.sort();
        assert_eq!(row(ns, "fine")?.into_keys().collect::<Vec<_>>(), sorted);
        for (extended_job, mode, ready, counts, result) in [
            ("fine", "once", "True", ["0", "1", "0"], "Succeeded"),
            ("broken", "once", "False", ["0", "0", "1"], "Failed"),
            ("busy", "once", "True", ["1", "0", "0"], "Running"),
            ("idle", "ready", "True", ["0", "0", "0"], ""),
        ] {
            let row = row(ns, extended_job)?;
            let of = |heading: &str| row[heading].as_str();
            assert_eq!(
                (of("MODE"), of("READY"), [of("ACTIVE"), of("SUCCEEDED"), of("FAILED")], of("RESULT")),
                (mode, ready, counts, result),
                "{row:?}",
            );
            assert_eq!(of("LAST RUN").is_empty(), extended_job == "idle", "{row:?}");
        }
        Ok(())
    })
}

#[test]
fn the_last_run_says_what_caused_it_and_how_it_ended() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("on-ready").on_ready().running(template::script("exit 3")).stdout_to("out"))?;
        ns.start(pod("redis-0").ready())?;
        let failed = ns.condition_of("on-ready", "Failed", "True")?;
        let status = &failed["status"];
        let run = &status["lastRun"];
        assert_eq!(run["cause"]["type"], "Ready");
        assert_eq!(run["cause"]["pod"], "redis-0");
        assert_eq!(run["result"], "Failed");
        assert_eq!(text(&run["job"]), name(&ns.jobs_of("on-ready")?[0]));
        assert!(
            text(&run["startTime"]) <= text(&run["completionTime"]) && run["startTime"].is_string(),
            "{run}"
        );
        assert_eq!(
            (&status["active"], &status["succeeded"], &status["failed"]),
            (&json!(0), &json!(0), &json!(1))
        );
        assert_eq!(status["observedGeneration"], failed["metadata"]["generation"]);
        // A trigger stands ready for the next pod, however the last run ended.
        assert_eq!(condition(&failed, "Ready").map(|ready| &ready["status"]), Some(&json!("True")));
        Ok(())
    })
}

#[test]
fn each_kind_of_trigger_is_named_in_mode_and_cause() -> Result<()> {
    scenario(|ns| {
        ns.declare_all(TRANSITIONS.map(|when| extended_job(when).on(when)))?;
        ns.start(pod("redis-0").ready())?;
        ns.turn_unready("redis-0", &at(1))?;
        ns.delete("pod/redis-0")?;
        for (when, cause) in TRANSITIONS.into_iter().zip(["Created", "Ready", "NotReady", "Deleted"]) {
            ns.job_for(when, "redis-0")?;
            let seen = ns.extended_job_until(when, "a run", |seen| {
                seen["status"]["lastRun"].is_object().then(|| seen.clone())
            })?;
            let run = &seen["status"]["lastRun"];
            assert_eq!(seen["status"]["mode"], when);
            assert_eq!((&run["cause"]["type"], &run["cause"]["pod"]), (&json!(cause), &json!("redis-0")));
            assert_eq!(row(ns, when)?["MODE"], when);
        }
        Ok(())
    })
}

#[test]
fn complete_and_failed_are_both_false_while_a_run_is_active() -> Result<()> {
    scenario(|ns| {
        ns.create(extended_job("busy").once())?;
        let busy = ns.extended_job_until("busy", "one active run", |seen| {
            (seen["status"]["active"] == 1).then(|| seen.clone())
        })?;
        for kind in ["Complete", "Failed"] {
            assert_eq!(condition(&busy, kind).map(|found| &found["status"]), Some(&json!("False")), "{kind}");
        }
        Ok(())
    })
}

#[test]
fn every_written_output_is_accounted_for() -> Result<()> {
    scenario(|ns| {
        ns.create(extended_job("greet").once().running(template::script("echo hello")).stdout_to("out"))?;
        let mut written = ns.condition_of("greet", "OutputWritten", "True")?;
        let outputs = written["status"]["lastRun"]["outputs"].take();
        let output = &outputs[0];
        assert_eq!(outputs.as_array().map(Vec::len), Some(1));
        assert_eq!((text(&output["stream"]), text(&output["key"])), ("stdout", "main.stdout"));
        assert!(text(&output["target"]).contains(&format!("{}/out", ns.name)), "{output}");
        assert_eq!((&output["bytesSeen"], &output["bytesKept"]), (&json!(6), &json!(6)));
        assert_eq!(output["result"], "Written");
        Ok(())
    })
}

#[test]
fn an_event_names_the_pod_that_started_a_job() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("on-ready").on_ready())?;
        ns.start(pod("redis-0").ready())?;
        let job = name(&ns.job_for("on-ready", "redis-0")?).to_owned();
        ns.event_of("on-ready", "the pod and the Job", |event| {
            let message = text(&event["message"]);
            (message.contains("redis-0") && message.contains(&job)).then_some(())
        })
    })
}

#[test]
fn the_events_of_a_storm_are_told_in_few() -> Result<()> {
    scenario(|ns| {
        // What was held back goes with the operator.
        let _undisturbed = Operator::undisturbed();
        ns.declare(extended_job("on-created").on("created"))?;
        ns.create_all((0..60).map(|number| pod(&format!("p{number}")).into()))?;
        ns.jobs_until("on-created", 60)?;
        ns.event_of("on-created", "what was held back", |event| {
            text(&event["message"]).contains("times in a short time").then_some(())
        })?;
        let about = "--field-selector=involvedObject.kind=ExtendedJob,involvedObject.name=on-created";
        let events = ns.kubectl.list(&["events", about])?.len();
        assert!(events < 60, "{events}");
        Ok(())
    })
}
