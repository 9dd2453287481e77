//! `run: manually`: an errand, and the other ways to ask for a run.

use std::time::Instant;

use anyhow::Result;
use e2e::{Namespace, Operator, annotation, condition, extended_job, name, scenario, template, text};
use serde_json::{Value, json};

const REQUESTED_AT: &str = "fissile.cloudfoundry.org/run-requested-at";
const RESET: &str = "fissile.cloudfoundry.org/reset";

/// Asks for a run as most people do.
fn set_to_now(ns: &Namespace, errand: &str) -> Result<()> {
    ns.patch(&format!("extendedjob/{errand}"), &json!({"spec": {"run": "now"}}))
}

/// Asks for a run without touching the spec.
fn request_at(ns: &Namespace, extended_job: &str, value: &str) -> Result<()> {
    let annotation = format!("{REQUESTED_AT}={value}");
    ns.kubectl.run(&["annotate", "--overwrite", "extendedjob", extended_job, &annotation]).map(drop)
}

/// Waits as a script does that has just asked for a run.
fn wait_for(ns: &Namespace, extended_job: &str, condition: &str) -> Result<()> {
    let condition = format!("--for=condition={condition}");
    ns.kubectl.run(&["wait", &condition, "--timeout=90s", "extendedjob", extended_job]).map(drop)
}

fn look(ns: &Namespace, extended_job: &str) -> Result<Value> {
    ns.kubectl.get(&["extendedjob", extended_job])
}

#[test]
fn an_errand_runs_when_it_is_set_to_now_and_goes_back_to_manually() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("tidy").with("/run", json!("manually")).running(template::script("true")))?;
        ns.reason_of("tidy", "Ready", "Idle")?;
        assert!(ns.jobs_of("tidy")?.is_empty());
        for count in 1..=3 {
            set_to_now(ns, "tidy")?;
            wait_for(ns, "tidy", "Complete")?;
            let seen = look(ns, "tidy")?;
            assert_eq!(seen["spec"]["run"], "manually");
            assert_eq!(annotation(&seen, RESET), count.to_string());
            assert_eq!(seen["status"]["runNumber"], count);
            assert_eq!(seen["status"]["observedGeneration"], seen["metadata"]["generation"]);
            assert_eq!(ns.jobs_of("tidy")?.len(), count);
        }
        let seen = look(ns, "tidy")?;
        assert_eq!((&seen["status"]["mode"], &seen["status"]["succeeded"]), (&json!("errand"), &json!(3)));
        assert_eq!(seen["status"]["lastRun"]["cause"]["type"], "Manual");
        assert_eq!(seen["status"]["runs"].as_array().map(Vec::len), Some(3));
        Ok(())
    })
}

#[test]
fn an_errand_that_fails_goes_back_too_and_can_be_run_again() -> Result<()> {
    scenario(|ns| {
        ns.create(extended_job("tidy").with("/run", json!("now")).running(template::script("exit 3")))?;
        wait_for(ns, "tidy", "Failed")?;
        let seen = look(ns, "tidy")?;
        assert_eq!(seen["spec"]["run"], "manually");
        assert_eq!(condition(&seen, "Ready").map(|ready| &ready["status"]), Some(&json!("True")));
        let run = &seen["status"]["lastRun"];
        assert_eq!((&run["result"], &run["attempts"]), (&json!("Failed"), &json!(1)));
        assert_eq!(run["containers"], json!([{"name": "main", "exitCode": 3, "reason": "Error"}]));
        ns.patch("extendedjob/tidy", &json!({"spec": {"template": template::script("true")}}))?;
        set_to_now(ns, "tidy")?;
        wait_for(ns, "tidy", "Complete")
    })
}

#[test]
fn now_during_a_run_means_that_run_and_manually_does_not_stop_it() -> Result<()> {
    scenario(|ns| {
        ns.create(extended_job("tidy").with("/run", json!("now")))?;
        let jobs = ns.jobs_until("tidy", 1)?;
        ns.edit("tidy", &json!({"run": "manually"}))?;
        ns.edit("tidy", &json!({"run": "now"}))?;
        ns.release(&jobs[0])?;
        wait_for(ns, "tidy", "Complete")?;
        let seen = look(ns, "tidy")?;
        assert_eq!((&seen["status"]["runNumber"], &seen["spec"]["run"]), (&json!(1), &json!("manually")));
        assert_eq!(ns.jobs_of("tidy")?.len(), 1);
        Ok(())
    })
}

#[test]
fn a_new_value_of_the_annotation_runs_an_errand_and_leaves_the_spec_alone() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("tidy").with("/run", json!("manually")))?;
        request_at(ns, "tidy", "monday")?;
        let jobs = ns.jobs_until("tidy", 1)?;
        ns.status_until("tidy", &json!({"lastHandledRunAt": "monday", "active": 1}))?;
        // Of those that come during the run the last one counts.
        request_at(ns, "tidy", "tuesday")?;
        request_at(ns, "tidy", "wednesday")?;
        ns.release(&jobs[0])?;
        let jobs = ns.jobs_until("tidy", 2)?;
        ns.status_until("tidy", &json!({"lastHandledRunAt": "wednesday", "succeeded": 1}))?;
        for job in &jobs {
            ns.release(job)?;
        }
        ns.status_until("tidy", &json!({"succeeded": 2, "runNumber": 2, "completedRunNumber": 2}))?;
        let seen = look(ns, "tidy")?;
        assert_eq!((&seen["metadata"]["generation"], &seen["spec"]["run"]), (&json!(1), &json!("manually")));
        Ok(())
    })
}

#[test]
fn a_one_off_runs_again_when_the_annotation_asks_but_not_for_the_value_it_was_created_with() -> Result<()> {
    scenario(|ns| {
        let once = extended_job("migrate").once().running(template::script("true"));
        ns.create(once.annotated(REQUESTED_AT, "first"))?;
        ns.status_until("migrate", &json!({"completedRunNumber": 1, "lastHandledRunAt": "first"}))?;
        let first = look(ns, "migrate")?;
        assert_eq!(first["status"]["lastRun"]["cause"]["type"], "Once");
        request_at(ns, "migrate", "again")?;
        ns.status_until(
            "migrate",
            &json!({"completedRunNumber": 2, "lastHandledRunAt": "again", "succeeded": 2}),
        )?;
        assert_eq!(look(ns, "migrate")?["status"]["lastRun"]["cause"]["type"], "Manual");
        Ok(())
    })
}

#[test]
fn a_triggered_one_ignores_the_annotation_and_says_so() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("on-ready").on_ready())?;
        request_at(ns, "on-ready", "monday")?;
        ns.event_of("on-ready", "a word on what is ignored", |event| {
            (event["reason"] == "RequestIgnored").then_some(())
        })?;
        ns.status_until("on-ready", &json!({"lastHandledRunAt": "monday"}))?;
        assert!(ns.jobs_of("on-ready")?.is_empty());
        Ok(())
    })
}

#[test]
fn a_job_that_someone_deletes_ends_the_run_and_the_next_now_starts_another() -> Result<()> {
    scenario(|ns| {
        let _undisturbed = Operator::undisturbed();
        ns.create(extended_job("tidy").with("/run", json!("now")))?;
        let jobs = ns.jobs_until("tidy", 1)?;
        ns.status_until("tidy", &json!({"active": 1}))?;
        ns.delete(&format!("job/{}", name(&jobs[0])))?;
        ns.reason_of("tidy", "Failed", "Deleted")?;
        assert_eq!(look(ns, "tidy")?["spec"]["run"], "manually");
        set_to_now(ns, "tidy")?;
        let again = ns.jobs_until("tidy", 1)?;
        assert_ne!(name(&again[0]), name(&jobs[0]));
        Ok(())
    })
}

#[test]
fn a_request_waits_while_suspended_and_can_be_taken_back() -> Result<()> {
    scenario(|ns| {
        let errand = |name| extended_job(name).with("/run", json!("manually")).with("/suspend", json!(true));
        for name in ["kept", "taken-back"] {
            ns.create(errand(name))?;
            ns.reason_of(name, "Ready", "Suspended")?;
            set_to_now(ns, name)?;
            ns.status_until(name, &json!({"pending": 1}))?;
        }
        ns.edit("taken-back", &json!({"run": "manually"}))?;
        for name in ["taken-back", "kept"] {
            ns.resume(name)?;
        }
        ns.jobs_until("kept", 1)?;
        ns.reason_of("taken-back", "Ready", "Idle")?;
        assert!(ns.jobs_of("taken-back")?.is_empty());
        Ok(())
    })
}

#[test]
fn an_event_names_who_has_set_it_to_now() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("tidy").with("/run", json!("manually")))?;
        ns.kubectl.run(&[
            "patch",
            "extendedjob",
            "tidy",
            "--type=merge",
            "--field-manager=flux",
            "--patch",
            r#"{"spec":{"run":"now"}}"#,
        ])?;
        ns.event_of("tidy", "the field manager", |event| {
            let message = text(&event["message"]);
            (event["reason"] == "Started" && message.contains("flux")).then_some(())
        })
    })
}

#[test]
fn a_controller_that_sets_it_to_now_again_and_again_meets_a_brake_that_names_it() -> Result<()> {
    scenario(|ns| {
        // A brake begins anew with the operator.
        let _undisturbed = Operator::undisturbed();
        ns.declare(extended_job("tidy").with("/run", json!("manually")).running(template::script("true")))?;
        let begin = Instant::now();
        loop {
            ns.kubectl.run(&[
                "patch",
                "extendedjob",
                "tidy",
                "--type=merge",
                "--field-manager=gitops",
                "--patch",
                r#"{"spec":{"run":"now"}}"#,
            ])?;
            let is_braked = ns.extended_job_until("tidy", "an end of the run, or a brake", |seen| {
                let braked = condition(seen, "Ready").is_some_and(|ready| ready["reason"] == "TooManyRuns");
                (braked || seen["spec"]["run"] == "manually").then_some(braked)
            })?;
            if is_braked {
                break;
            }
        }
        let message = ns.reason_of("tidy", "Ready", "TooManyRuns")?;
        assert!(message.contains("gitops"), "{message}");
        // The first one, and ten more at once; and since then one each minute.
        let number = look(ns, "tidy")?["status"]["runNumber"].as_u64().unwrap_or_default();
        let minutes = begin.elapsed().as_secs() / 60;
        assert!((11..=11 + minutes).contains(&number), "{number} after {minutes} minutes");
        Ok(())
    })
}

#[test]
fn a_restart_repeats_no_run_and_swallows_no_request() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.create(extended_job("idle").with("/run", json!("now")).running(template::script("true")))?;
        wait_for(ns, "idle", "Complete")?;
        ns.create(extended_job("busy").with("/run", json!("now")))?;
        let jobs = ns.jobs_until("busy", 1)?;
        let stopped = operator.stop()?;
        set_to_now(ns, "idle")?;
        ns.release(&jobs[0])?;
        drop(stopped);
        ns.status_until("idle", &json!({"completedRunNumber": 2, "succeeded": 2}))?;
        ns.status_until("busy", &json!({"completedRunNumber": 1, "succeeded": 1}))?;
        assert_eq!((ns.jobs_of("idle")?.len(), ns.jobs_of("busy")?.len()), (2, 1));
        Ok(())
    })
}

#[test]
fn once_and_an_errand_cannot_be_exchanged() -> Result<()> {
    scenario(|ns| {
        ns.create(extended_job("migrate").once().with("/suspend", json!(true)))?;
        let patch = r#"{"spec":{"run":"now"}}"#;
        let refused =
            ns.kubectl.refusal(&["patch", "extendedjob", "migrate", "--type=merge", "--patch", patch], "")?;
        assert!(refused.contains("delete the ExtendedJob and create it anew"), "{refused}");
        Ok(())
    })
}
