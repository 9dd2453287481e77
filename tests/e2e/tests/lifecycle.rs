//! What an ExtendedJob leaves behind, and what it takes with it.

use anyhow::Result;
use e2e::{ANY, ExtendedJob, LONG_AGO, at, controller, created, extended_job, pod, scenario, template, uid};

fn on_ready() -> ExtendedJob {
    extended_job("on-ready").on_ready().running(template::script("echo kept")).stdout_to("out")
}

#[test]
fn a_deleted_extendedjob_takes_its_jobs_and_its_ledger_and_leaves_their_output() -> Result<()> {
    scenario(|ns| {
        ns.declare(on_ready())?;
        ns.start(pod("p").ready())?;
        ns.condition_of("on-ready", "OutputWritten", "True")?;
        ns.ledger_of("on-ready")?;
        ns.delete("extendedjob/on-ready")?;
        ns.until_no("jobs")?;
        ns.until_no("secrets")?;
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"]["main.stdout"], "kept\n");
        Ok(())
    })
}

#[test]
fn an_extendedjob_created_anew_under_its_name_begins_anew() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("on-ready").on_ready())?;
        ns.start(pod("p").ready_at(LONG_AGO))?;
        ns.job_for("on-ready", "p")?;
        ns.wait_until_past(created(&ns.kubectl.get(&["pod", "p"])?))?;

        ns.delete("extendedjob/on-ready")?;
        ns.declare(extended_job("on-ready").on_ready())?;
        ns.turn_unready("p", &at(1))?;
        ns.turn_ready("p", &at(2))?;
        // The garbage collector may still be at the Job of the first.
        let second = ns.kubectl.get(&["extendedjob", "on-ready"])?;
        ns.kubectl.until(&["jobs"], "one Job, of the new ExtendedJob", |seen| {
            let jobs = seen["items"].as_array()?;
            (jobs.len() == 1 && controller(&jobs[0])?["uid"] == uid(&second)).then_some(())
        })?;
        assert_eq!(ns.runs_after_a_sentinel("on-ready", ANY)?, ["p"]);
        Ok(())
    })
}
