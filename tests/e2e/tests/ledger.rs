//! What the operator must not forget is in the cluster; if that is lost nothing is started for it.

use anyhow::{Context, Result};
use e2e::{ANY, Namespace, Operator, at, controller, extended_job, pod, scenario, template, text, uid};
use serde_json::json;

use crate::history::declare_with_a_cleaned_run;

#[test]
fn the_ledger_of_a_trigger_is_a_secret_that_it_owns_and_a_one_off_has_none() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("on-ready").on_ready())?;
        let ledger = ns.ledger_of("on-ready")?;
        let secret = ns.kubectl.get(&["secret", &ledger])?;
        let owner = controller(&secret).context("the ledger has no owner")?;
        assert_eq!(text(&owner["uid"]), uid(&ns.kubectl.get(&["extendedjob", "on-ready"])?));

        ns.create(extended_job("migrate").once().running(template::script("true")))?;
        let once = ns.condition_of("migrate", "Complete", "True")?;
        assert!(once["status"]["ledger"].is_null(), "{once}");
        assert_eq!(ns.kubectl.list(&["secrets"])?.len(), 1);
        Ok(())
    })
}

/// Spoils a ledger while no operator runs. What the operator finds then is told, and nothing is started, though the
/// pod is ready and its Job is gone.
fn assert_rebuilt(ns: &Namespace, reason: &str, spoil: impl FnOnce(&str) -> Result<()>) -> Result<()> {
    let operator = Operator::hold();
    declare_with_a_cleaned_run(ns)?;
    let ledger = ns.ledger_of("on-ready")?;
    let stopped = operator.stop()?;
    spoil(&ledger)?;
    drop(stopped);

    ns.reason_of("on-ready", "LedgerRebuilt", reason)?;
    ns.condition_of("on-ready", "LedgerRebuilt", "True")?;
    ns.event_of("on-ready", reason, |event| (event["reason"] == reason).then_some(()))?;
    assert!(ns.runs_after_a_sentinel("on-ready", ANY)?.is_empty());

    ns.turn_unready("p", &at(2))?;
    ns.turn_ready("p", &at(3))?;
    assert_eq!(ns.runs_after_a_sentinel("on-ready", ANY)?, ["p"]);
    let rebuilt = ns.ledger_of("on-ready")?;
    assert!(!ns.kubectl.get(&["secret", &rebuilt])?.is_null());
    Ok(())
}

#[test]
fn a_lost_ledger_is_reported_and_starts_none() -> Result<()> {
    scenario(|ns| assert_rebuilt(ns, "LedgerLost", |ledger| ns.delete(&format!("secret/{ledger}"))))
}

#[test]
fn an_unreadable_ledger_is_reported_and_starts_none() -> Result<()> {
    scenario(|ns| {
        // "garbage"
        let garbage = json!({"data": {"ledger": "Z2FyYmFnZQ=="}});
        assert_rebuilt(ns, "LedgerUnreadable", |ledger| ns.patch(&format!("secret/{ledger}"), &garbage))
    })
}

#[test]
fn a_lost_book_of_pods_starts_none_and_later_transitions_count() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        declare_with_a_cleaned_run(ns)?;
        operator.book_of(&ns.name)?;
        let stopped = operator.stop()?;
        operator.delete_book(&ns.name)?;
        drop(stopped);
        ns.reason_of("on-ready", "LedgerRebuilt", "LedgerLost")?;
        assert!(ns.runs_after_a_sentinel("on-ready", ANY)?.is_empty());
        ns.turn_unready("p", &at(2))?;
        ns.turn_ready("p", &at(3))?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", ANY)?, ["p"]);
        operator.book_of(&ns.name).map(drop)
    })
}

#[test]
fn a_page_of_the_book_that_someone_deletes_is_written_anew() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.declare(extended_job("on-ready").on_ready().running(template::script("true")).keeping(0, 0))?;
        operator.book_of(&ns.name)?;
        operator.delete_book(&ns.name)?;
        ns.start(pod("p").ready())?;
        // Its Job is cleaned up when what is known of the pod is in the book.
        ns.status_until("on-ready", &json!({"active": 0, "succeeded": 1}))?;
        ns.until_no("jobs")?;
        operator.book_of(&ns.name).map(drop)
    })
}
