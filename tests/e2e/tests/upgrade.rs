//! An upgrade of the operator, over what the version before it has left in the cluster.

use std::collections::BTreeMap;

use anyhow::Result;
use e2e::{Namespace, extended_job, names, pod, scenario_alone, template, text, uid, upgrade};
use serde_json::{Value, json};

/// With a run that is over, one that is under way, some that wait, and restarts.
fn fill(ns: &Namespace) -> Result<()> {
    ns.declare(extended_job("warm").on_ready().of("app", "web").running(template::nothing()))?;
    ns.declare(extended_job("one-by-one").on("created").of("app", "queue").at_most(1))?;
    for name in ["a", "b"] {
        ns.start(pod(name).labelled("app", "web").ready())?;
    }
    for name in ["c", "d", "e"] {
        ns.create(pod(name).labelled("app", "queue"))?;
    }
    ns.create(extended_job("once").once().running(template::script("echo once")).stdout_to("out"))?;
    ns.create(extended_job("errand").with("/run", json!("now")).running(template::nothing()))?;
    ns.set("settings", "before")?;
    ns.first_run(extended_job("following").once().following("settings"))?;
    ns.set("settings", "changed")?;

    ns.restarted("following", 1)?;
    ns.jobs_until("warm", 2)?;
    ns.status_until("one-by-one", &json!({"active": 1, "pending": 2}))?;
    ns.condition_of("once", "OutputWritten", "True")?;
    ns.condition_of("errand", "Complete", "True").map(drop)
}

/// The UIDs of all Jobs, and whose each is.
fn jobs(ns: &Namespace) -> Result<BTreeMap<String, String>> {
    let jobs = ns.kubectl.list(&["jobs"])?;
    let owner = |job: &Value| text(&job["metadata"]["labels"][names::OWNER]).to_owned();
    Ok(jobs.iter().map(|job| (uid(job).to_owned(), owner(job))).collect())
}

/// Lets the runs of a queue go on one after the other, and says for which pods there were runs.
fn work_off(ns: &Namespace, queue: &str, runs: usize) -> Result<Vec<String>> {
    for count in 1..=runs {
        for job in ns.jobs_until(queue, count)? {
            ns.release(&job)?;
        }
    }
    ns.status_until(queue, &json!({"active": 0, "pending": 0}))?;
    ns.runs_of(queue)
}

#[test]
#[ignore = "it needs an older version that is installed before it"]
fn nothing_runs_again_after_an_upgrade_and_what_waited_goes_on() -> Result<()> {
    scenario_alone(|ns| {
        fill(ns)?;
        let before = jobs(ns)?;
        upgrade()?;

        let runs = ns.runs_after_a_sentinel("warm", ("app", "web"))?;
        assert_eq!(runs, ["a", "b"], "and none twice");
        ns.pass_a_sentinel()?;
        let now = jobs(ns)?;
        assert!(before.keys().all(|job| now.contains_key(job)), "{before:?} {now:?}");
        let new = now.iter().filter(|(job, _)| !before.contains_key(*job)).map(|(_, owner)| owner);
        let of_no_sentinel: Vec<_> = new.filter(|owner| !owner.starts_with("later-")).collect();
        assert_eq!(of_no_sentinel, ["warm"], "but for that of the sentinel among pods");

        assert_eq!(work_off(ns, "one-by-one", 3)?, ["c", "d", "e"]);
        ns.edit("errand", &json!({"run": "now"}))?;
        ns.status_until("errand", &json!({"runNumber": 2}))?;
        assert_eq!(ns.jobs_until("errand", 2)?.len(), 2);
        ns.set("settings", "after")?;
        ns.restarted("following", 2)?;
        assert_eq!(ns.jobs_of("once")?.len(), 1);
        Ok(())
    })
}
