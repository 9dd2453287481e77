//! `ready`: the Ready condition turns True.

use std::iter::repeat_n;

use anyhow::Result;
use e2e::names::TRANSITION;
use e2e::{LONG_AGO, Operator, annotation, at, created, extended_job, pod, scenario};
use serde_json::json;

use super::{CACHE, cache, caches_on};

#[test]
fn a_ready_pod_starts_exactly_one_job_and_others_none() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("ready"))?;
        ns.start(cache("ready").ready())?;
        ns.start(cache("not-ready"))?;
        ns.start(pod("unmatched").labelled("app", "web").ready())?;
        assert_eq!(ns.runs_after_a_sentinel("ready", CACHE)?, ["ready"]);
        Ok(())
    })
}

#[test]
fn a_hundred_new_annotations_and_labels_on_a_ready_pod_start_none() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("ready"))?;
        ns.start(cache("busy").ready())?;
        ns.job_for("ready", "busy")?;
        // One command for a hundred updates: each item is applied for itself.
        let updated = |count: u32| {
            let count = json!({"count": count.to_string()});
            let metadata = json!({"name": "busy", "annotations": count, "labels": count});
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
        };
        let updates =
            json!({"apiVersion": "v1", "kind": "List", "items": (1..=100).map(updated).collect::<Vec<_>>()});
        ns.kubectl.run_with_input(&["apply", "--server-side", "--filename=-"], &updates.to_string())?;
        assert_eq!(annotation(&ns.kubectl.get(&["pod", "busy"])?, "count"), "100");
        assert_eq!(ns.runs_after_a_sentinel("ready", CACHE)?, ["busy"]);
        Ok(())
    })
}

#[test]
fn ready_at_another_time_is_one_more_ready() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("ready"))?;
        ns.start(cache("flaps").ready_at(&at(1)))?;
        ns.job_for("ready", "flaps")?;
        ns.turn_ready("flaps", &at(2))?;
        let jobs = ns.jobs_until("ready", 2)?;
        assert_ne!(annotation(&jobs[0], TRANSITION), annotation(&jobs[1], TRANSITION));
        assert_eq!(ns.runs_after_a_sentinel("ready", CACHE)?, ["flaps", "flaps"]);
        Ok(())
    })
}

#[test]
fn ready_notready_ready_is_two() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("ready"))?;
        ns.start(cache("flaps").ready_at(&at(1)))?;
        ns.job_for("ready", "flaps")?;
        ns.turn_unready("flaps", &at(2))?;
        ns.turn_ready("flaps", &at(3))?;
        assert_eq!(ns.runs_after_a_sentinel("ready", CACHE)?, ["flaps", "flaps"]);
        Ok(())
    })
}

#[test]
fn flaps_within_one_second_are_told_apart() -> Result<()> {
    scenario(|ns| {
        let _undisturbed = Operator::undisturbed();
        ns.declare(caches_on("ready"))?;
        ns.start(cache("flaps").ready_at(&at(1)))?;
        for _ in 0..4 {
            ns.turn_unready("flaps", &at(1))?;
            ns.turn_ready("flaps", &at(1))?;
        }
        let five = repeat_n("flaps", 5).collect::<Vec<_>>();
        assert_eq!(ns.runs_after_a_sentinel("ready", CACHE)?, five);
        Ok(())
    })
}

#[test]
fn a_ready_pod_that_comes_back_under_its_name_is_another_pod() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("ready"))?;
        ns.start(cache("redis-0").ready())?;
        ns.job_for("ready", "redis-0")?;
        ns.delete("pod/redis-0")?;
        ns.start(cache("redis-0").ready())?;
        assert_eq!(ns.runs_after_a_sentinel("ready", CACHE)?, ["redis-0", "redis-0"]);
        Ok(())
    })
}

#[test]
fn a_pod_that_was_ready_before_starts_none_and_those_of_the_same_manifest_do() -> Result<()> {
    scenario(|ns| {
        ns.start(cache("old").ready_at(LONG_AGO))?;
        ns.wait_until_past(created(&ns.kubectl.get(&["pod", "old"])?))?;
        ns.create_all([cache("above").into(), caches_on("ready").into(), cache("below").into()])?;
        ns.turn_ready("above", &at(1))?;
        ns.turn_ready("below", &at(1))?;
        assert_eq!(ns.runs_after_a_sentinel("ready", CACHE)?, ["above", "below"]);
        Ok(())
    })
}

#[test]
fn pods_of_other_namespaces_start_none() -> Result<()> {
    scenario(|ns| {
        let elsewhere = ns.sibling("elsewhere")?;
        ns.declare(extended_job("ready").on("ready"))?;
        elsewhere.start(cache("foreign").ready())?;
        assert!(ns.runs_after_a_sentinel("ready", CACHE)?.is_empty());
        assert!(elsewhere.kubectl.list(&["jobs"])?.is_empty());
        Ok(())
    })
}

#[test]
fn two_extendedjobs_start_a_job_each_for_one_pod() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("backup").on_ready().of(CACHE.0, CACHE.1))?;
        ns.declare(extended_job("notify").on_ready())?;
        ns.start(cache("both").ready())?;
        assert_eq!(ns.runs_after_a_sentinel("backup", CACHE)?, ["both"]);
        assert_eq!(ns.runs_after_a_sentinel("notify", CACHE)?, ["both"]);
        Ok(())
    })
}
