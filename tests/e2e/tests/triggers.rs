//! Which changes of a pod start a Job, and which don't.

use std::iter::repeat_n;

use anyhow::Result;
use e2e::names::{AFFECTED_POD, OWNER, POD_IP, POD_LABELS, POD_NAME, POD_NODE, POD_UID, TRANSITION};
use e2e::{
    ExtendedJob, LONG_AGO, Operator, annotation, at, condition, controller, created, extended_job, label,
    name, pod, scenario, template, text,
};
use serde_json::{Value, json};

const CACHE: (&str, &str) = ("app", "cache");

fn on_ready_caches() -> ExtendedJob {
    extended_job("on-ready").on_ready().of(CACHE.0, CACHE.1)
}

fn cache(name: &str) -> e2e::Pod {
    pod(name).labelled(CACHE.0, CACHE.1)
}

#[test]
fn a_ready_pod_starts_exactly_one_job_and_others_none() -> Result<()> {
    scenario(|ns| {
        ns.declare(on_ready_caches())?;
        ns.start(cache("ready").ready())?;
        ns.start(cache("not-ready"))?;
        ns.start(pod("unmatched").labelled("app", "web").ready())?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", CACHE)?, ["ready"]);
        Ok(())
    })
}

#[test]
fn a_job_and_its_pods_say_which_pod_they_run_for() -> Result<()> {
    scenario(|ns| {
        ns.declare(on_ready_caches().running(template::script("true")))?;
        ns.start(cache("redis-0").labelled("tier", "back").on_a_node())?;
        let job = ns.job_for("on-ready", "redis-0")?;
        let affected = ns.kubectl.get(&["pod", "redis-0"])?;
        let extended_job = ns.kubectl.get(&["extendedjob", "on-ready"])?;

        assert!(name(&job).starts_with("on-ready-") && name(&job).len() <= 52, "{}", name(&job));
        let owner = controller(&job).cloned().unwrap_or_default();
        assert_eq!(owner["uid"], extended_job["metadata"]["uid"]);
        assert_eq!(owner["blockOwnerDeletion"], true);

        let of_job = |seen: &Value| seen["items"].as_array()?.first().cloned();
        let selector = format!("--selector=job-name={}", name(&job));
        let own_pod = ns.kubectl.until(&["pods", &selector], "a pod of the Job", of_job)?;
        for bearer in [&job, &own_pod] {
            assert_eq!(label(bearer, AFFECTED_POD), "redis-0");
            assert_eq!(label(bearer, OWNER), "on-ready");
            assert_eq!(annotation(bearer, POD_NAME), "redis-0");
            assert_eq!(annotation(bearer, POD_UID), text(&affected["metadata"]["uid"]));
            assert_eq!(annotation(bearer, POD_IP), text(&affected["status"]["podIP"]));
            assert_eq!(annotation(bearer, POD_NODE), text(&affected["spec"]["nodeName"]));
            let labels: Value = serde_json::from_str(annotation(bearer, POD_LABELS))?;
            assert_eq!(labels, json!({"app": "cache", "tier": "back"}));
            assert_ne!(annotation(bearer, TRANSITION), "");
        }
        Ok(())
    })
}

#[test]
fn a_hundred_new_annotations_and_labels_on_a_ready_pod_start_none() -> Result<()> {
    scenario(|ns| {
        ns.declare(on_ready_caches())?;
        ns.start(cache("busy").ready())?;
        ns.job_for("on-ready", "busy")?;
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
        assert_eq!(ns.runs_after_a_sentinel("on-ready", CACHE)?, ["busy"]);
        Ok(())
    })
}

#[test]
fn ready_at_another_time_is_one_more_ready() -> Result<()> {
    scenario(|ns| {
        ns.declare(on_ready_caches())?;
        ns.start(cache("flaps").ready_at(&at(1)))?;
        ns.job_for("on-ready", "flaps")?;
        ns.turn_ready("flaps", &at(2))?;
        let jobs = ns.jobs_until("on-ready", 2)?;
        assert_ne!(annotation(&jobs[0], TRANSITION), annotation(&jobs[1], TRANSITION));
        assert_eq!(ns.runs_after_a_sentinel("on-ready", CACHE)?, ["flaps", "flaps"]);
        Ok(())
    })
}

#[test]
fn ready_notready_ready_is_two() -> Result<()> {
    scenario(|ns| {
        ns.declare(on_ready_caches())?;
        ns.start(cache("flaps").ready_at(&at(1)))?;
        ns.job_for("on-ready", "flaps")?;
        ns.turn_unready("flaps", &at(2))?;
        ns.turn_ready("flaps", &at(3))?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", CACHE)?, ["flaps", "flaps"]);
        Ok(())
    })
}

#[test]
fn flaps_within_one_second_are_told_apart() -> Result<()> {
    scenario(|ns| {
        let _undisturbed = Operator::hold();
        ns.declare(on_ready_caches())?;
        ns.start(cache("flaps").ready_at(&at(1)))?;
        for _ in 0..4 {
            ns.turn_unready("flaps", &at(1))?;
            ns.turn_ready("flaps", &at(1))?;
        }
        let five = repeat_n("flaps", 5).collect::<Vec<_>>();
        assert_eq!(ns.runs_after_a_sentinel("on-ready", CACHE)?, five);
        Ok(())
    })
}

#[test]
fn a_kubelets_own_transitions_count() -> Result<()> {
    scenario(|ns| {
        let set_ready = |command: &str| ns.kubectl.run(&["exec", "real", "--", "sh", "-c", command]);
        let ready_is = |status: &'static str| {
            ns.kubectl.until(&["pod", "real"], &format!("Ready={status}"), move |pod| {
                condition(pod, "Ready").filter(|ready| ready["status"] == status).map(drop)
            })
        };
        ns.declare(on_ready_caches())?;
        ns.start(cache("real").on_a_node())?;
        ns.jobs_until("on-ready", 1)?;
        set_ready("rm /ready")?;
        ready_is("False")?;
        set_ready("touch /ready")?;
        ns.jobs_until("on-ready", 2)?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", CACHE)?, ["real", "real"]);
        Ok(())
    })
}

#[test]
fn a_pod_that_comes_back_under_its_name_is_another_pod() -> Result<()> {
    scenario(|ns| {
        ns.declare(on_ready_caches())?;
        ns.start(cache("redis-0").ready())?;
        ns.job_for("on-ready", "redis-0")?;
        ns.delete("pod/redis-0")?;
        ns.start(cache("redis-0").ready())?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", CACHE)?, ["redis-0", "redis-0"]);
        Ok(())
    })
}

#[test]
fn a_pod_that_was_ready_before_starts_none_and_those_of_the_same_manifest_do() -> Result<()> {
    scenario(|ns| {
        ns.start(cache("old").ready_at(LONG_AGO))?;
        ns.wait_until_past(created(&ns.kubectl.get(&["pod", "old"])?))?;
        ns.create_all([cache("above").into(), on_ready_caches().into(), cache("below").into()])?;
        ns.turn_ready("above", &at(1))?;
        ns.turn_ready("below", &at(1))?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", CACHE)?, ["above", "below"]);
        Ok(())
    })
}

#[test]
fn gaining_or_losing_the_labels_is_no_transition_and_later_ones_count() -> Result<()> {
    scenario(|ns| {
        ns.start(pod("joins").labelled("app", "web").ready_at(LONG_AGO))?;
        ns.start(cache("leaves"))?;
        ns.wait_until_past(created(&ns.kubectl.get(&["pod", "leaves"])?))?;
        ns.declare(on_ready_caches())?;

        ns.relabel("joins", "app=cache")?;
        ns.relabel("leaves", "app=web")?;
        ns.turn_ready("leaves", &at(1))?;
        assert!(ns.runs_after_a_sentinel("on-ready", CACHE)?.is_empty());

        ns.turn_unready("joins", &at(2))?;
        ns.turn_ready("joins", &at(3))?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", CACHE)?, ["joins"]);
        Ok(())
    })
}

#[test]
fn pods_of_own_jobs_start_none() -> Result<()> {
    scenario(|ns| {
        // Without a selector every pod of the namespace is meant. These pods are ready while they sleep.
        ns.declare(extended_job("on-ready").on_ready().running(template::script("sleep 3")))?;
        ns.start(pod("first").ready())?;
        ns.condition_of("on-ready", "Complete", "True")?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", CACHE)?, ["first"]);
        Ok(())
    })
}

#[test]
fn pods_of_other_namespaces_start_none() -> Result<()> {
    scenario(|ns| {
        let elsewhere = ns.sibling("elsewhere")?;
        ns.declare(extended_job("on-ready").on_ready())?;
        elsewhere.start(cache("foreign").ready())?;
        assert!(ns.runs_after_a_sentinel("on-ready", CACHE)?.is_empty());
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
