//! `run: once`: a one-off.

use anyhow::Result;
use e2e::{Operator, condition, extended_job, name, scenario, template, uid};
use serde_json::json;

#[test]
fn a_one_off_runs_once_and_is_complete() -> Result<()> {
    scenario(|ns| {
        ns.create(extended_job("migrate").once().running(template::script("true")))?;
        ns.kubectl.run(&["wait", "--for=condition=Complete", "extendedjob/migrate", "--timeout=90s"])?;
        let status = ns.condition_of("migrate", "Ready", "True")?["status"].take();
        assert_eq!(status["succeeded"], 1);
        assert_eq!(ns.jobs_of("migrate")?.len(), 1);
        Ok(())
    })
}

#[test]
fn a_failed_one_off_is_failed_and_not_ready() -> Result<()> {
    scenario(|ns| {
        ns.create(extended_job("migrate").once().running(template::script("exit 3")))?;
        let failed = ns.condition_of("migrate", "Failed", "True")?;
        assert_eq!(condition(&failed, "Ready").map(|ready| &ready["status"]), Some(&json!("False")));
        assert_eq!(condition(&failed, "Complete").map(|complete| &complete["status"]), Some(&json!("False")));
        assert_eq!(failed["status"]["failed"], 1);
        Ok(())
    })
}

#[test]
fn a_finished_one_off_never_runs_again() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.create(extended_job("cleaned").once().running(template::script("true")))?;
        ns.create(extended_job("kept").once().running(template::script("true")))?;
        ns.condition_of("cleaned", "Complete", "True")?;
        ns.condition_of("kept", "Complete", "True")?;
        let first = ns.jobs_of("kept")?.remove(0);
        ns.delete(&format!("job/{}", name(&ns.jobs_of("cleaned")?[0])))?;

        operator.restart()?;
        ns.patch("extendedjob/cleaned", &json!({"spec": {"template": {"spec": {"backoffLimit": 2}}}}))?;
        ns.until_accepted("cleaned")?;
        // It would have run by the time that another one does, which is created after the restart.
        ns.create(extended_job("sentinel").once())?;
        ns.jobs_until("sentinel", 1)?;
        assert!(ns.jobs_of("cleaned")?.is_empty());
        let kept = ns.jobs_of("kept")?;
        assert_eq!(kept.iter().map(uid).collect::<Vec<_>>(), [uid(&first)]);
        Ok(())
    })
}

#[test]
fn a_job_deleted_while_it_runs_ends_its_run_for_good() -> Result<()> {
    scenario(|ns| {
        // One that dies before it has told of the Job can't know that there was one.
        let _undisturbed = Operator::undisturbed();
        ns.create(extended_job("migrate").once())?;
        let jobs = ns.jobs_until("migrate", 1)?;
        ns.delete(&format!("job/{}", name(&jobs[0])))?;
        ns.reason_of("migrate", "Failed", "Deleted")?;
        ns.condition_of("migrate", "Ready", "False")?;
        ns.create(extended_job("sentinel").once())?;
        ns.jobs_until("sentinel", 1)?;
        assert!(ns.jobs_of("migrate")?.is_empty());
        Ok(())
    })
}

#[test]
fn a_job_deleted_while_no_operator_runs_ends_its_run_too() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        ns.create(extended_job("migrate").once())?;
        let jobs = ns.jobs_until("migrate", 1)?;
        ns.status_until("migrate", &json!({"active": 1}))?;
        let stopped = operator.stop()?;
        ns.delete(&format!("job/{}", name(&jobs[0])))?;
        drop(stopped);
        ns.reason_of("migrate", "Failed", "Deleted")?;
        ns.event_of("migrate", "what became of the Job", |event| {
            (event["reason"] == "Deleted").then_some(())
        })?;
        ns.create(extended_job("sentinel").once())?;
        ns.jobs_until("sentinel", 1)?;
        assert!(ns.jobs_of("migrate")?.is_empty());
        Ok(())
    })
}
