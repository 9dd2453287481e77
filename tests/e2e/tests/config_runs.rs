//! What becomes of runs that are under way, or wait, when the configuration of their pods changes.

use anyhow::Result;
use e2e::names::{
    AFFECTED_POD, CHANGED_CONFIG, OWNER, POD_IP, POD_LABELS, POD_NAME, POD_NODE, POD_UID, TRANSITION,
};
use e2e::{
    ANY, ExtendedJob, Namespace, annotation, at, extended_job, label, name, pod, scenario, template, text,
    uid,
};
use serde_json::{Value, json};

fn app() -> ExtendedJob {
    extended_job("app").once().following("app")
}

/// How the runs that the status tells of went, the newest first.
fn results(ns: &Namespace, extended_job: &str) -> Result<Vec<String>> {
    let seen = ns.kubectl.get(&["extendedjob", extended_job])?;
    let runs = seen["status"]["runs"].as_array().into_iter().flatten();
    Ok(runs.map(|run| text(&run["result"]).to_owned()).collect())
}

#[test]
fn the_job_of_a_run_under_way_is_gone_before_the_one_that_replaces_it_is_made() -> Result<()> {
    scenario(|ns| {
        ns.set("app", "1")?;
        let first = ns.first_run(app())?;
        ns.hold(&first)?;
        ns.set("app", "2")?;
        ns.until_marked_deleted(&first)?;
        ns.pass_a_sentinel()?;
        assert_eq!(ns.jobs_of("app")?.len(), 1);
        ns.let_job_go(&first)?;

        let second = ns.restarted("app", 1)?;
        assert_eq!(ns.jobs_of("app")?.len(), 1);
        ns.release(&second)?;
        ns.status_until("app", &json!({"active": 0, "succeeded": 1, "failed": 0}))?;
        ns.condition_of("app", "Complete", "True")?;
        assert_eq!(results(ns, "app")?, ["Succeeded", "Replaced"]);
        Ok(())
    })
}

#[test]
fn the_request_of_an_errand_is_answered_when_the_run_that_replaced_another_is_over() -> Result<()> {
    scenario(|ns| {
        ns.set("app", "1")?;
        ns.first_run(extended_job("tidy").with("/run", json!("now")).following("app"))?;
        ns.set("app", "2")?;
        let second = ns.restarted("tidy", 1)?;
        ns.pass_a_sentinel()?;
        let seen = ns.kubectl.get(&["extendedjob", "tidy"])?;
        assert_eq!((&seen["spec"]["run"], &seen["status"]["completedRunNumber"]), (&json!("now"), &json!(0)));

        ns.release(&second)?;
        ns.status_until("tidy", &json!({"runNumber": 1, "completedRunNumber": 1, "succeeded": 1}))?;
        assert_eq!(ns.kubectl.get(&["extendedjob", "tidy"])?["spec"]["run"], "manually");
        assert_eq!(results(ns, "tidy")?, ["Succeeded", "Replaced"]);
        Ok(())
    })
}

#[test]
fn a_triggered_run_under_way_is_replaced_by_one_for_the_same_pod_whatever_has_become_of_that() -> Result<()> {
    scenario(|ns| {
        ns.set("app", "1")?;
        ns.declare_all(["ready", "deleted"].map(|when| extended_job(when).on(when).following("app")))?;
        ns.start(pod("goes").labelled("tier", "back").on_a_node())?;
        for name in ["dips", "stays"] {
            ns.start(pod(name).ready())?;
        }
        let pods = ["dips", "goes", "stays"];
        let mut before =
            pods.map(|name| ns.job_for("ready", name)).into_iter().collect::<Result<Vec<_>>>()?;
        ns.turn_unready("dips", &at(1))?;
        ns.delete("pod/goes")?;
        before.push(ns.job_for("deleted", "goes")?);
        ns.status_until("deleted", &json!({"active": 1}))?;

        ns.set("app", "2")?;
        let mut after = ns.restarted_for("ready", 1, &pods)?;
        after.extend(ns.restarted_for("deleted", 1, &["goes"])?);
        for (old, new) in before.iter().zip(&after) {
            assert_ne!(name(new), name(old));
            for fact in [POD_NAME, POD_UID, POD_IP, POD_NODE, POD_LABELS, TRANSITION] {
                assert_eq!(annotation(new, fact), annotation(old, fact), "{fact}");
            }
            assert_eq!(label(new, AFFECTED_POD), label(old, AFFECTED_POD));
            assert_eq!(annotation(new, CHANGED_CONFIG), "ConfigMap/app");
        }
        ns.status_until("deleted", &json!({"active": 1, "pending": 0, "configRevision": 1}))?;
        let seen = ns.kubectl.get(&["extendedjob", "deleted"])?;
        let cause = &seen["status"]["lastRun"]["cause"];
        let told = ["type", "pod", "object"].map(|part| text(&cause[part]));
        assert_eq!(told, ["ConfigChanged", "goes", "ConfigMap/app"]);
        assert_eq!(results(ns, "deleted")?, ["Running", "Replaced"]);
        assert_eq!(ns.runs_after_a_sentinel("ready", ANY)?, pods);
        assert_eq!(ns.runs_after_a_sentinel("deleted", ANY)?, ["goes"]);
        Ok(())
    })
}

/// The Job of `on-ready` that is under way, as soon as there is one.
fn under_way(ns: &Namespace) -> Result<Value> {
    let of_it = format!("--selector={OWNER}=on-ready");
    ns.kubectl.until(&["jobs", &of_it], "one Job under way", |seen| {
        let jobs = seen["items"].as_array()?.iter();
        let parked: Vec<&Value> = jobs.filter(|job| job["spec"]["suspend"] == true).collect();
        (parked.len() == 1).then(|| parked[0].clone())
    })
}

#[test]
fn with_a_limit_of_one_a_replaced_run_and_those_that_wait_start_once_each_one_after_the_other() -> Result<()>
{
    scenario(|ns| {
        ns.set("app", "1")?;
        ns.declare(extended_job("on-ready").on_ready().at_most(1).following("app"))?;
        ns.start(pod("a").ready())?;
        let first = ns.job_for("on-ready", "a")?;
        for name in ["b", "c"] {
            ns.start(pod(name).ready())?;
        }
        ns.status_until("on-ready", &json!({"active": 1, "pending": 2}))?;

        ns.hold(&first)?;
        ns.set("app", "2")?;
        ns.until_marked_deleted(&first)?;
        ns.pass_a_sentinel()?;
        assert_eq!(ns.jobs_of("on-ready")?.len(), 1);
        ns.let_job_go(&first)?;

        for succeeded in 1..=3 {
            let job = under_way(ns)?;
            ns.status_until("on-ready", &json!({"active": 1, "pending": 3 - succeeded}))?;
            assert_eq!(ns.jobs_of("on-ready")?.len(), succeeded);
            ns.release(&job)?;
            ns.status_until("on-ready", &json!({"succeeded": succeeded}))?;
        }
        assert_eq!(ns.runs_after_a_sentinel("on-ready", ANY)?, ["a", "b", "c"]);
        ns.status_until("on-ready", &json!({"configRevision": 1, "active": 1, "pending": 0}))?;
        let replaced = results(ns, "on-ready")?.into_iter().filter(|result| result == "Replaced").count();
        assert_eq!(replaced, 1);
        Ok(())
    })
}

#[test]
fn while_suspended_no_run_is_replaced_and_at_resume_each_once() -> Result<()> {
    scenario(|ns| {
        ns.set("app", "1")?;
        let first = ns.first_run(app())?;
        ns.declare(extended_job("on-ready").on_ready().following("app"))?;
        ns.start(pod("p").ready())?;
        let of_pod = ns.job_for("on-ready", "p")?;
        for name in ["app", "on-ready"] {
            ns.suspend(name)?;
        }
        ns.set("app", "2")?;
        ns.pass_a_sentinel()?;
        for (name, job) in [("app", &first), ("on-ready", &of_pod)] {
            assert_eq!(ns.jobs_of(name)?.iter().map(uid).collect::<Vec<_>>(), [uid(job)]);
        }

        for name in ["app", "on-ready"] {
            ns.resume(name)?;
        }
        ns.restarted("app", 1)?;
        ns.restarted_for("on-ready", 1, &["p"])?;
        ns.pass_a_sentinel()?;
        ns.restarted("app", 1)?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", ANY)?, ["p"]);
        Ok(())
    })
}

/// `greet`, which prints what the ConfigMap `app` holds into the ConfigMap `out`, or another one.
fn greet(template: Value, target: Value) -> ExtendedJob {
    let stdout = json!({"configRef": target, "overwrite": true, "writeOnFailure": true});
    let greet = extended_job("greet").once().running(template).following("app");
    greet.with("/output/stdout", stdout)
}

/// The run that replaced another has succeeded, and what it printed is all that there is, and stays.
fn has_the_last_word(ns: &Namespace, out: &Namespace) -> Result<()> {
    ns.condition_of("greet", "Complete", "True")?;
    ns.condition_of("greet", "OutputWritten", "True")?;
    assert_eq!(results(ns, "greet")?, ["Succeeded", "Replaced"]);
    // Output that comes later is written by then.
    ns.create(extended_job("last").once().running(template::script("true")).stdout_to("last"))?;
    ns.condition_of("last", "OutputWritten", "True")?;
    assert_eq!(out.kubectl.get(&["configmap", "out"])?["data"], json!({"main.stdout": "new\n"}));
    Ok(())
}

#[test]
fn what_a_replaced_run_printed_never_takes_the_place_of_what_its_successor_printed() -> Result<()> {
    scenario(|ns| {
        ns.set("app", "old")?;
        let script = "echo $a; test $a = new || sleep 1000";
        ns.first_run(greet(template::script(script), json!("out")))?;
        let pod = ns.until_running()?;
        e2e::poll("the word of the first run", || {
            let said = ns.kubectl.run(&["logs", &pod, "--container=main"])?;
            Ok(if said == "old\n" { Ok(()) } else { Err(said) })
        })?;
        ns.set("app", "new")?;
        ns.restarted("greet", 1)?;
        has_the_last_word(ns, ns)
    })
}

#[test]
fn nor_does_output_of_a_replaced_run_that_could_not_be_written_when_it_was_there() -> Result<()> {
    scenario(|ns| {
        ns.set("app", "old")?;
        // Its first attempts fail, and what they print waits for the namespace.
        let template = template::restarted("echo $a; test $a = new", 100);
        ns.first_run(greet(template, json!(format!("{}-later/out", ns.name))))?;
        ns.kubectl.until(&["pods"], "a second attempt", |pods| {
            let main = &pods["items"][0]["status"]["containerStatuses"][0];
            main["restartCount"].as_u64().filter(|count| *count > 0).map(drop)
        })?;
        ns.set("app", "new")?;
        ns.restarted("greet", 1)?;
        ns.condition_of("greet", "Complete", "True")?;
        ns.reason_of("greet", "OutputWritten", "TargetNamespaceMissing")?;
        has_the_last_word(ns, &ns.sibling("later")?)
    })
}
