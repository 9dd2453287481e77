//! Brakes: what asks for too many runs waits, and holds up nobody else.

use anyhow::Result;
use e2e::names::TRANSITION;
use e2e::{Operator, annotation, at, extended_job, pod, scenario};
use serde_json::json;

#[test]
fn a_pod_that_flaps_thirty_times_gets_twenty_jobs_and_one_more_for_all_the_rest() -> Result<()> {
    scenario(|ns| {
        // An operator that starts anew has forgotten how many runs a pod had.
        let _undisturbed = Operator::undisturbed();
        ns.declare(extended_job("on-ready").on_ready())?;
        ns.start(pod("flaps"))?;
        ns.flap("flaps", (1..=30).map(at))?;
        ns.status_until("on-ready", &json!({"active": 20, "pending": 1, "merged": 9}))?;
        ns.condition_of("on-ready", "Ready", "False")?;
        let message = ns.reason_of("on-ready", "Ready", "TooManyRuns")?;
        assert!(message.contains("flaps"), "{message}");
        ns.start(pod("calm").ready())?;
        ns.job_for("on-ready", "calm")?;

        // One run is granted again half a minute after the first was taken.
        ns.status_until("on-ready", &json!({"active": 22, "pending": 0, "merged": 9}))?;
        let jobs = ns.jobs_of("on-ready")?;
        let stands_for =
            |second: u8| jobs.iter().any(|job| annotation(job, TRANSITION).contains(&at(second)));
        let told: Vec<u8> = (1..=30).filter(|second| stands_for(*second)).collect();
        assert_eq!(told, (1..=20).chain([30]).collect::<Vec<u8>>());
        ns.until_accepted("on-ready")
    })
}
