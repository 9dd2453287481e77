//! `suspend`: nothing new starts, and nothing is made up for.

use anyhow::Result;
use e2e::{ANY, Operator, TRANSITIONS, at, extended_job, label, pod, scenario, template};
use serde_json::json;

#[test]
fn a_one_off_created_suspended_waits_and_runs_at_resume() -> Result<()> {
    scenario(|ns| {
        let once = extended_job("migrate").once().running(template::script("true"));
        ns.create(once.with("/suspend", json!(true)))?;
        ns.reason_of("migrate", "Ready", "Suspended")?;
        assert!(ns.jobs_of("migrate")?.is_empty());
        ns.resume("migrate")?;
        ns.condition_of("migrate", "Complete", "True")?;
        assert_eq!(ns.jobs_of("migrate")?.len(), 1);
        Ok(())
    })
}

#[test]
fn runs_under_way_go_on() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("on-ready").on_ready())?;
        ns.start(pod("p").ready())?;
        let job = ns.job_for("on-ready", "p")?;
        ns.suspend("on-ready")?;
        ns.release(&job)?;
        ns.status_until("on-ready", &json!({"active": 0, "succeeded": 1}))?;
        ns.reason_of("on-ready", "Ready", "Suspended").map(drop)
    })
}

#[test]
fn what_happens_to_pods_meanwhile_is_not_made_up_for_and_what_happens_later_counts() -> Result<()> {
    scenario(|ns| {
        ns.declare_all(TRANSITIONS.map(|when| extended_job(when).on(when)))?;
        // Its Jobs show that a pod was seen while the others were suspended.
        ns.declare(extended_job("witness").on("deleted"))?;
        for when in TRANSITIONS {
            ns.suspend(when)?;
        }
        ns.start(pod("meanwhile").ready_at(&at(1)))?;
        ns.turn_unready("meanwhile", &at(2))?;
        ns.delete("pod/meanwhile")?;
        ns.start(pod("stays").ready_at(&at(1)))?;
        ns.start(pod("last"))?;
        ns.delete("pod/last")?;
        ns.job_for("witness", "last")?;

        for when in TRANSITIONS {
            assert!(ns.jobs_of(when)?.is_empty(), "{when}");
            ns.resume(when)?;
            assert!(ns.runs_after_a_sentinel(when, ANY)?.is_empty(), "{when}");
        }
        ns.turn_unready("stays", &at(3))?;
        ns.turn_ready("stays", &at(4))?;
        ns.delete("pod/stays")?;
        assert!(ns.runs_after_a_sentinel("created", ANY)?.is_empty());
        for when in ["ready", "notready", "deleted"] {
            assert_eq!(ns.runs_after_a_sentinel(when, ANY)?, ["stays"], "{when}");
        }
        Ok(())
    })
}

#[test]
fn a_restart_neither_ends_a_suspension_nor_makes_up_for_it() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.declare_all(
            ["resumed", "resumed-meanwhile", "witness"].map(|name| extended_job(name).on_ready()),
        )?;
        ns.suspend("resumed")?;
        ns.suspend("resumed-meanwhile")?;
        ns.start(pod("meanwhile").ready())?;
        ns.job_for("witness", "meanwhile")?;

        let stopped = operator.stop()?;
        ns.patch("extendedjob/resumed-meanwhile", &json!({"spec": {"suspend": false}}))?;
        drop(stopped);
        ns.until_accepted("resumed-meanwhile")?;
        ns.start(pod("after").ready())?;
        ns.job_for("witness", "after")?;
        assert!(ns.jobs_of("resumed")?.is_empty());
        assert_eq!(ns.runs_after_a_sentinel("resumed-meanwhile", ANY)?, ["after"]);

        ns.resume("resumed")?;
        assert!(ns.runs_after_a_sentinel("resumed", ANY)?.is_empty());
        Ok(())
    })
}

#[test]
fn neither_suspension_nor_an_edit_drops_a_run_that_waits() -> Result<()> {
    scenario(|ns| {
        let limited = extended_job("on-ready").on_ready().at_most(1);
        ns.declare(limited.running(template::parked_edition("first")))?;
        ns.start(pod("a").ready())?;
        let first = ns.job_for("on-ready", "a")?;
        ns.start(pod("b").ready())?;
        ns.status_until("on-ready", &json!({"active": 1, "pending": 1}))?;

        ns.suspend("on-ready")?;
        ns.edit("on-ready", &json!({"template": template::parked_edition("second")}))?;
        ns.edit("on-ready", &json!({"triggers": {"selector": {"matchLabels": {"app": "web"}}}}))?;
        ns.release(&first)?;
        // There would be room for it.
        ns.status_until("on-ready", &json!({"active": 0, "pending": 1, "succeeded": 1}))?;
        assert_eq!(ns.runs_of("on-ready")?, ["a"]);

        ns.resume("on-ready")?;
        let second = ns.job_for("on-ready", "b")?;
        assert_eq!(label(&second, "edition"), "second");
        ns.status_until("on-ready", &json!({"active": 1, "pending": 0}))
    })
}

#[test]
fn a_run_that_a_quota_keeps_waiting_does_not_start_while_suspended() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("on-ready").on_ready())?;
        ns.forbid("jobs.batch")?;
        ns.start(pod("p").ready())?;
        ns.reason_of("on-ready", "Ready", "QuotaExceeded")?;
        ns.suspend("on-ready")?;
        ns.forbid_no_longer()?;
        // One that is not suspended has started by then.
        ns.declare(extended_job("witness").on_ready())?;
        ns.start(pod("later").ready())?;
        ns.job_for("witness", "later")?;
        assert!(ns.jobs_of("on-ready")?.is_empty());

        ns.resume("on-ready")?;
        ns.job_for("on-ready", "p")?;
        Ok(())
    })
}
