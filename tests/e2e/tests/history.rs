//! Finished Jobs are kept as many as asked for, and what is on record does not happen again.

use anyhow::Result;
use e2e::{ANY, Namespace, Operator, at, condition, extended_job, pod, scenario, template};
use serde_json::{Value, json};

/// An ExtendedJob `on-ready` whose run for the pod `p` is over and whose Job is cleaned up. Jobs that it starts from
/// now on stay.
pub(crate) fn declare_with_a_cleaned_run(ns: &Namespace) -> Result<()> {
    let swept = extended_job("on-ready").on_ready().of(ANY.0, ANY.1).keeping(0, 0);
    ns.declare(swept.running(template::script("true")))?;
    ns.start(pod("p").labelled(ANY.0, ANY.1).ready_at(&at(1)))?;
    ns.status_until("on-ready", &json!({"active": 0, "succeeded": 1}))?;
    ns.until_no("jobs")?;
    ns.edit("on-ready", &json!({"template": template::parked()}))
}

#[test]
fn the_newest_finished_jobs_are_kept_as_many_as_asked_for_and_all_are_counted() -> Result<()> {
    scenario(|ns| {
        let template = template::script_on_pod("case $POD in bad-*) exit 1;; esac");
        ns.declare(extended_job("on-ready").on_ready().running(template).keeping(2, 1))?;
        for (pod_name, succeeded, failed) in
            [("good-1", 1, 0), ("bad-1", 1, 1), ("good-2", 2, 1), ("good-3", 3, 1), ("bad-2", 3, 2)]
        {
            ns.start(pod(pod_name).ready())?;
            ns.status_until("on-ready", &json!({"succeeded": succeeded, "failed": failed, "active": 0}))?;
        }
        ns.jobs_until("on-ready", 3)?;
        assert_eq!(ns.runs_of("on-ready")?, ["bad-2", "good-2", "good-3"]);
        ns.status_until("on-ready", &json!({"succeeded": 3, "failed": 2}))
    })
}

#[test]
fn a_cleaned_job_is_not_made_again() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        declare_with_a_cleaned_run(ns)?;
        ns.relabel("p", "app=other")?;
        ns.relabel("p", "app=any")?;
        assert!(ns.runs_after_a_sentinel("on-ready", ANY)?.is_empty());
        ns.relabel("p", "app=other")?;
        operator.restart()?;
        ns.relabel("p", "app=any")?;
        assert!(ns.runs_after_a_sentinel("on-ready", ANY)?.is_empty());
        ns.status_until("on-ready", &json!({"succeeded": 1}))?;

        // Another transition is another run.
        ns.turn_unready("p", &at(2))?;
        ns.turn_ready("p", &at(3))?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", ANY)?, ["p"]);
        Ok(())
    })
}

#[test]
fn a_job_whose_time_to_live_is_zero_goes_when_all_is_on_record_and_is_not_made_again() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        let brief = |name: &str| {
            let mut template = template::script("echo kept");
            template["spec"]["ttlSecondsAfterFinished"] = json!(0);
            extended_job(name).running(template).stdout_to(name)
        };
        ns.create(brief("once").once())?;
        ns.declare(brief("on-ready").on_ready())?;
        ns.start(pod("p").ready())?;
        for name in ["once", "on-ready"] {
            ns.status_until(name, &json!({"active": 0, "succeeded": 1}))?;
            let seen = ns.condition_of(name, "OutputWritten", "True")?;
            assert_eq!(seen["status"]["lastRun"]["result"], "Succeeded");
            assert_eq!(ns.kubectl.get(&["configmap", name])?["data"]["main.stdout"], "kept\n");
        }
        ns.until_no("jobs")?;

        operator.restart()?;
        for name in ["once", "on-ready"] {
            ns.edit(name, &json!({"template": template::parked()}))?;
        }
        assert!(ns.runs_after_a_sentinel("on-ready", ANY)?.is_empty());
        ns.create(extended_job("sentinel").once())?;
        ns.jobs_until("sentinel", 1)?;
        assert!(ns.jobs_of("once")?.is_empty());
        let once = ns.kubectl.get(&["extendedjob", "once"])?;
        let complete = condition(&once, "Complete").map(|complete| &complete["status"]);
        assert_eq!((complete, &once["status"]["succeeded"]), (Some(&Value::from("True")), &json!(1)));
        Ok(())
    })
}
