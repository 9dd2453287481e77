//! `deleted`: the pod is gone.

use std::collections::BTreeSet;

use anyhow::Result;
use e2e::names::POD_UID;
use e2e::{annotation, at, pod, scenario, uid};

use super::{CACHE, cache, caches_on};

#[test]
fn a_deleted_pod_starts_exactly_one_job_ready_or_not() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("deleted"))?;
        ns.create_all([cache("waits").into(), pod("unmatched").into(), cache("stays").into()])?;
        ns.start(cache("was-ready").ready())?;
        for gone in ["waits", "unmatched", "was-ready"] {
            ns.delete(&format!("pod/{gone}"))?;
        }
        assert_eq!(ns.runs_after_a_sentinel("deleted", CACHE)?, ["waits", "was-ready"]);
        Ok(())
    })
}

#[test]
fn a_pod_is_deleted_when_it_is_gone_and_not_before() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("deleted"))?;
        ns.start(cache("lingers").ready().held())?;
        ns.mark_deleted("lingers")?;
        ns.turn_unready("lingers", &at(1))?;
        assert!(ns.runs_after_a_sentinel("deleted", CACHE)?.is_empty());
        ns.let_go("lingers")?;
        ns.job_for("deleted", "lingers")?;
        assert_eq!(ns.runs_after_a_sentinel("deleted", CACHE)?, ["lingers"]);
        Ok(())
    })
}

#[test]
fn each_pod_that_had_a_name_is_deleted_for_itself() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("deleted"))?;
        let mut gone = BTreeSet::new();
        for _ in 0..2 {
            ns.start(cache("redis-0").ready())?;
            gone.insert(uid(&ns.kubectl.get(&["pod", "redis-0"])?).to_owned());
            ns.delete("pod/redis-0")?;
        }
        let jobs = ns.jobs_until("deleted", 2)?;
        assert_eq!(jobs.iter().map(|job| annotation(job, POD_UID).to_owned()).collect::<BTreeSet<_>>(), gone);
        assert_eq!(ns.runs_after_a_sentinel("deleted", CACHE)?, ["redis-0", "redis-0"]);
        Ok(())
    })
}

#[test]
fn labels_are_the_last_known() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("deleted"))?;
        ns.start(cache("left"))?;
        ns.start(pod("joined").labelled("app", "web"))?;
        ns.relabel("left", "app=web")?;
        ns.relabel("joined", "app=cache")?;
        // To leave the selector is no end.
        assert!(ns.runs_after_a_sentinel("deleted", CACHE)?.is_empty());
        ns.delete("pod/left")?;
        ns.delete("pod/joined")?;
        assert_eq!(ns.runs_after_a_sentinel("deleted", CACHE)?, ["joined"]);
        Ok(())
    })
}
