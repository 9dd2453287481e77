//! What holds for all kinds of transition alike.

use anyhow::Result;
use e2e::{LONG_AGO, TRANSITIONS, at, created, extended_job, pod, scenario, template};
use serde_json::json;

use super::{assert_runs, cache, caches_on};

#[test]
fn what_a_kubelet_does_to_a_real_pod_counts() -> Result<()> {
    scenario(|ns| {
        ns.declare_all(TRANSITIONS.map(caches_on))?;
        ns.start(cache("real").on_a_node())?;
        ns.job_for("created", "real")?;
        ns.jobs_until("ready", 1)?;
        ns.run_in("real", "rm /ready")?;
        ns.job_for("notready", "real")?;
        ns.run_in("real", "touch /ready")?;
        ns.jobs_until("ready", 2)?;
        ns.delete("pod/real")?;
        ns.job_for("deleted", "real")?;
        assert_runs(
            ns,
            [
                ("created", &["real"]),
                ("ready", &["real", "real"]),
                ("notready", &["real"]),
                ("deleted", &["real"]),
            ],
        )
    })
}

#[test]
fn what_was_so_before_starts_none() -> Result<()> {
    scenario(|ns| {
        ns.start(cache("gone").ready_at(LONG_AGO))?;
        ns.delete("pod/gone")?;
        ns.start(cache("ready").ready_at(LONG_AGO))?;
        ns.start(cache("not-ready").ready_at(LONG_AGO))?;
        ns.turn_unready("not-ready", LONG_AGO)?;
        ns.wait_until_past(created(&ns.kubectl.get(&["pod", "not-ready"])?))?;
        ns.declare_all(TRANSITIONS.map(caches_on))?;
        assert_runs(ns, TRANSITIONS.map(|when| (when, &[][..])))
    })
}

#[test]
fn gaining_or_losing_the_labels_is_no_transition_and_later_ones_count() -> Result<()> {
    scenario(|ns| {
        ns.start(pod("joins").labelled("app", "web").ready_at(LONG_AGO))?;
        ns.start(cache("leaves").ready_at(LONG_AGO))?;
        ns.start(cache("leaves-unready"))?;
        ns.wait_until_past(created(&ns.kubectl.get(&["pod", "leaves-unready"])?))?;
        ns.declare_all(TRANSITIONS.map(caches_on))?;

        ns.relabel("joins", "app=cache")?;
        ns.relabel("leaves", "app=web")?;
        ns.relabel("leaves-unready", "app=web")?;
        ns.turn_unready("leaves", &at(1))?;
        ns.turn_ready("leaves-unready", &at(1))?;
        ns.delete("pod/leaves")?;
        assert_runs(ns, TRANSITIONS.map(|when| (when, &[][..])))?;

        ns.turn_unready("joins", &at(2))?;
        ns.turn_ready("joins", &at(3))?;
        ns.delete("pod/joins")?;
        assert_runs(
            ns,
            [("created", &[]), ("ready", &["joins"]), ("notready", &["joins"]), ("deleted", &["joins"])],
        )
    })
}

#[test]
fn pods_of_own_jobs_start_none() -> Result<()> {
    scenario(|ns| {
        // Without a selector every pod of the namespace is meant. These are ready while they sleep, and go with
        // their Jobs, which are not kept.
        let unselective =
            |when| extended_job(when).on(when).running(template::script("sleep 3")).keeping(0, 0);
        ns.declare_all(TRANSITIONS.map(unselective))?;
        ns.start(pod("first").ready())?;
        ns.turn_unready("first", &at(1))?;
        ns.delete("pod/first")?;
        let one_run = json!({"active": 0, "pending": 0, "succeeded": 1});
        for when in TRANSITIONS {
            ns.status_until(when, &one_run)?;
        }
        ns.until_no("jobs")?;
        ns.until_no("pods")?;
        // From now on a Job that should not be would stay.
        for when in TRANSITIONS {
            ns.edit(when, &json!({"template": template::parked()}))?;
        }
        assert_runs(ns, TRANSITIONS.map(|when| (when, &[][..])))?;
        TRANSITIONS.into_iter().try_for_each(|when| ns.status_until(when, &json!({"succeeded": 1})))
    })
}
