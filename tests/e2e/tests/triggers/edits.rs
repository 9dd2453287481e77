//! An edit of `triggers` takes the pods as they are.

use anyhow::Result;
use e2e::{Operator, at, extended_job, pod, scenario};
use serde_json::json;

use super::{CACHE, cache, caches_on};

#[test]
fn pods_that_are_ready_when_a_new_selector_meets_them_start_none() -> Result<()> {
    const WEB: (&str, &str) = ("app", "web");
    scenario(|ns| {
        let operator = Operator::hold();
        ns.declare(caches_on("ready"))?;
        ns.start(pod("web").labelled(WEB.0, WEB.1).ready_at(&at(1)))?;
        assert!(ns.runs_after_a_sentinel("ready", CACHE)?.is_empty());

        ns.edit("ready", &json!({"triggers": {"selector": {"matchLabels": {WEB.0: WEB.1}}}}))?;
        assert!(ns.runs_after_a_sentinel("ready", WEB)?.is_empty());
        operator.restart()?;
        assert!(ns.runs_after_a_sentinel("ready", WEB)?.is_empty());

        ns.turn_unready("web", &at(2))?;
        ns.turn_ready("web", &at(3))?;
        assert_eq!(ns.runs_after_a_sentinel("ready", WEB)?, ["web"]);
        Ok(())
    })
}

#[test]
fn a_new_when_makes_up_for_nothing() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.declare(extended_job("edited").on("ready").of(CACHE.0, CACHE.1))?;
        ns.start(cache("flaps").ready_at(&at(1)))?;
        ns.job_for("edited", "flaps")?;
        ns.turn_unready("flaps", &at(2))?;
        ns.turn_ready("flaps", &at(3))?;
        ns.jobs_until("edited", 2)?;
        ns.start(cache("gone").ready())?;
        ns.job_for("edited", "gone")?;
        ns.delete("pod/gone")?;
        let of_ready = ["flaps", "flaps", "gone"];
        for when in ["created", "notready", "deleted", "ready"] {
            ns.edit("edited", &json!({"triggers": {"when": when}}))?;
            assert_eq!(ns.runs_after_a_sentinel("edited", CACHE)?, of_ready, "{when}");
        }
        operator.restart()?;
        assert_eq!(ns.runs_after_a_sentinel("edited", CACHE)?, of_ready);
        Ok(())
    })
}

#[test]
fn an_edit_while_no_operator_runs_makes_up_for_nothing() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.declare(extended_job("edited").on("ready").of("app", "web"))?;
        ns.start(cache("ready").ready_at(&at(1)))?;
        assert!(ns.runs_after_a_sentinel("edited", ("app", "web"))?.is_empty());
        let stopped = operator.stop()?;
        let triggers = json!({"selector": {"matchLabels": {CACHE.0: CACHE.1}}});
        ns.patch("extendedjob/edited", &json!({"spec": {"triggers": triggers}}))?;
        drop(stopped);
        ns.until_accepted("edited")?;
        assert!(ns.runs_after_a_sentinel("edited", CACHE)?.is_empty());
        Ok(())
    })
}
