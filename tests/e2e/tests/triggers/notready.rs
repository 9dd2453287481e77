//! `notready`: the Ready condition turns from True to anything else.

use anyhow::Result;
use e2e::{LONG_AGO, at, scenario};

use super::{CACHE, cache, caches_on};

#[test]
fn false_unknown_and_absent_are_all_not_ready_and_between_them_nothing_happens() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("notready"))?;
        for pod in ["false", "unknown", "absent"] {
            ns.start(cache(pod).ready_at(&at(1)))?;
        }
        ns.turn_unready("false", &at(2))?;
        ns.turn_unknown("unknown", &at(2))?;
        ns.turn_unsaid("absent")?;
        for pod in ["absent", "false", "unknown"] {
            ns.job_for("notready", pod)?;
            ns.turn_unready(pod, &at(3))?;
            ns.turn_unready(pod, &at(4))?;
            ns.turn_unknown(pod, &at(5))?;
            ns.turn_unsaid(pod)?;
        }
        assert_eq!(ns.runs_after_a_sentinel("notready", CACHE)?, ["absent", "false", "unknown"]);
        Ok(())
    })
}

#[test]
fn a_pod_that_was_never_ready_starts_none() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("notready"))?;
        ns.start(cache("starts"))?;
        ns.turn_unready("starts", &at(1))?;
        assert!(ns.runs_after_a_sentinel("notready", CACHE)?.is_empty());
        Ok(())
    })
}

#[test]
fn each_time_that_it_is_no_longer_ready_counts() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("notready"))?;
        ns.start(cache("flaps").ready_at(&at(1)))?;
        ns.turn_unready("flaps", &at(2))?;
        ns.turn_ready("flaps", &at(3))?;
        ns.turn_unready("flaps", &at(4))?;
        assert_eq!(ns.runs_after_a_sentinel("notready", CACHE)?, ["flaps", "flaps"]);
        Ok(())
    })
}

#[test]
fn ready_at_another_time_is_no_notready() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("notready"))?;
        ns.start(cache("flaps").ready_at(&at(1)))?;
        ns.turn_ready("flaps", &at(2))?;
        assert!(ns.runs_after_a_sentinel("notready", CACHE)?.is_empty());
        Ok(())
    })
}

#[test]
fn a_pod_that_is_being_deleted_starts_none() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("notready"))?;
        ns.start(cache("replaced").ready_at(LONG_AGO).held())?;
        ns.mark_deleted("replaced")?;
        ns.turn_unready("replaced", &at(1))?;
        assert!(ns.runs_after_a_sentinel("notready", CACHE)?.is_empty());
        ns.let_go("replaced")?;
        ns.until_gone("replaced")?;
        assert!(ns.runs_after_a_sentinel("notready", CACHE)?.is_empty());
        Ok(())
    })
}

#[test]
fn a_ready_pod_that_ends_counts_however_it_ends() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("notready"))?;
        for (pod, exit_code) in [("succeeds", 0), ("fails", 3)] {
            ns.start(cache(pod).on_a_node())?;
            ns.ready_until(pod, "True")?;
            ns.run_in(pod, &format!("echo {exit_code} > /end"))?;
            ns.job_for("notready", pod)?;
        }
        for (pod, phase) in [("succeeds", "Succeeded"), ("fails", "Failed")] {
            ns.kubectl
                .until(&["pod", pod], phase, |seen| (seen["status"]["phase"] == phase).then_some(()))?;
        }
        assert_eq!(ns.runs_after_a_sentinel("notready", CACHE)?, ["fails", "succeeds"]);
        Ok(())
    })
}
