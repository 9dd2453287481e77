//! `created`: a pod appears.

use anyhow::Result;
use e2e::{created, pod, scenario};

use super::{CACHE, cache, caches_on};

#[test]
fn a_pod_that_appears_starts_exactly_one_job_ready_or_not() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("created"))?;
        ns.start(cache("waits"))?;
        ns.start(cache("turns-ready").ready())?;
        ns.start(pod("unmatched").labelled("app", "web"))?;
        assert_eq!(ns.runs_after_a_sentinel("created", CACHE)?, ["turns-ready", "waits"]);
        Ok(())
    })
}

#[test]
fn a_pod_that_was_there_before_starts_none() -> Result<()> {
    scenario(|ns| {
        ns.start(cache("old"))?;
        ns.wait_until_past(created(&ns.kubectl.get(&["pod", "old"])?))?;
        ns.declare(caches_on("created"))?;
        assert!(ns.runs_after_a_sentinel("created", CACHE)?.is_empty());
        Ok(())
    })
}

#[test]
fn pods_of_the_same_manifest_count() -> Result<()> {
    scenario(|ns| {
        ns.create_all([cache("above").into(), caches_on("created").into(), cache("below").into()])?;
        let above = ns.kubectl.get(&["pod", "above"])?;
        let extended_job = ns.kubectl.get(&["extendedjob", "created"])?;
        // Times are whole seconds, and one may have begun between the two.
        let expected: &[&str] =
            if created(&above) >= created(&extended_job) { &["above", "below"] } else { &["below"] };
        assert_eq!(ns.runs_after_a_sentinel("created", CACHE)?, expected);
        Ok(())
    })
}

#[test]
fn a_pod_that_is_gone_before_anyone_has_looked_counts() -> Result<()> {
    scenario(|ns| {
        ns.create_all([caches_on("created").into(), cache("brief").into()])?;
        ns.delete("pod/brief")?;
        ns.job_for("created", "brief")?;
        assert_eq!(ns.runs_after_a_sentinel("created", CACHE)?, ["brief"]);
        Ok(())
    })
}

#[test]
fn a_pod_created_anew_under_its_name_is_another_pod() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("created"))?;
        ns.start(cache("redis-0"))?;
        ns.job_for("created", "redis-0")?;
        ns.delete("pod/redis-0")?;
        ns.start(cache("redis-0"))?;
        assert_eq!(ns.runs_after_a_sentinel("created", CACHE)?, ["redis-0", "redis-0"]);
        Ok(())
    })
}
