//! ExtendedJobs whose output is somebody's configuration: their own, or that of one another.

use anyhow::Result;
use e2e::{
    ExtendedJob, Namespace, Operator, condition, config_map, extended_job, name, scenario, template, text,
};
use serde_json::{Value, json};

/// A one-off that prints something else each time.
fn babbling(name: &str) -> ExtendedJob {
    extended_job(name).once().running(template::script("echo $HOSTNAME"))
}

/// With standard output stored anew each time, and without any addition to the pod, which would slow it down.
fn writing(extended_job: ExtendedJob, config_map: &str) -> ExtendedJob {
    let stdout = json!({"configRef": config_map, "overwrite": true, "key": "out"});
    extended_job.with("/output", json!({"separate": false, "stdout": stdout}))
}

#[test]
fn what_an_extendedjob_writes_itself_does_not_restart_it() -> Result<()> {
    scenario(|ns| {
        ns.set("app", "1")?;
        ns.apply([config_map("out", &json!({"out": "nothing yet"}))])?;
        ns.first_run(extended_job("reader").once().following("out"))?;
        let both = json!([{"configMapRef": {"name": "app"}}, {"configMapRef": {"name": "out"}}]);
        let template = template::in_container(template::script("echo $HOSTNAME"), "envFrom", both);
        ns.create(writing(extended_job("writer").once().running(template).restarting(), "out"))?;

        ns.restarted("reader", 1)?;
        ns.pass_a_sentinel()?;
        ns.restarted("writer", 0)?;
        ns.set("app", "2")?;
        ns.restarted("writer", 1)?;
        ns.restarted("reader", 2)?;
        ns.pass_a_sentinel()?;
        ns.restarted("writer", 1)?;
        ns.status_until("writer", &json!({"active": 0, "succeeded": 2}))
    })
}

#[test]
fn an_extendedjob_does_not_wait_for_what_it_is_to_write_itself() -> Result<()> {
    scenario(|ns| {
        ns.create(extended_job("writer").once().following("out").stdout_to("out"))?;
        ns.jobs_until("writer", 1)?;
        ns.until_accepted("writer")
    })
}

/// Waits until an ExtendedJob of the namespace shows what is wanted.
fn until_any<T>(ns: &Namespace, wanted: &str, find: impl Fn(&Value) -> Option<T>) -> Result<T> {
    ns.kubectl.until(&["extendedjobs"], wanted, |seen| seen["items"].as_array()?.iter().find_map(&find))
}

#[test]
fn two_that_feed_each_other_meet_a_brake_that_names_both_and_what_they_write() -> Result<()> {
    scenario(|ns| {
        // A brake begins anew with the operator.
        let _undisturbed = Operator::undisturbed();
        ns.apply(["of-ping", "of-pong"].map(|name| config_map(name, &json!({"out": "nothing yet"}))))?;
        ns.create_all([
            writing(babbling("ping").following("of-pong"), "of-ping").into(),
            writing(babbling("pong").following("of-ping"), "of-pong").into(),
        ])?;
        // Ten at once are granted. Each takes a pod's time.
        for times in 1..=10 {
            until_any(ns, &format!("{times} restarts"), |seen| {
                seen["status"]["configRevision"].as_u64().filter(|revision| *revision >= times)
            })?;
        }
        let (braked, message) = until_any(ns, "a brake", |seen| {
            let ready = condition(seen, "Ready").filter(|ready| ready["reason"] == "TooManyRestarts")?;
            (ready["status"] == "False").then(|| (name(seen).to_owned(), text(&ready["message"]).to_owned()))
        })?;
        let both = ["ping", "pong"].map(|name| format!("{}/{name}", ns.name));
        for part in both.iter().map(String::as_str).chain(["of-ping", "of-pong"]) {
            assert!(message.contains(part), "{part}: {message}");
        }
        ns.event_of(&braked, "TooManyRestarts", |event| (event["reason"] == "TooManyRestarts").then_some(()))
    })
}
