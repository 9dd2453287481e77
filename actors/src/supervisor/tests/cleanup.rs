//! What becomes of Jobs that have ended.

use super::*;

#[test]
fn to_a_job_without_output_nothing_is_done_but_to_delete_it() {
    System::new().block_on(async {
        pause();
        let mut api = obliging();
        let mut keeping = declared();
        keeping.spec.successful_runs_history_limit = 20;
        let mut stage = Stage::set_for(&mut api, keeping, watch::Sender::default().subscribe()).await;
        // One more than a status tells of.
        let mut jobs = vec![];
        for number in 0..11 {
            stage.pod_turns_ready(&format!("pod{number}"));
            jobs.push(next_job(&mut api).await);
        }
        for job in jobs {
            stage.jobs.do_send(Says(Observation::Seen(succeeded(job))));
        }
        let tells_all = |asked: &Asked| asked.writes_status() && asked.body["status"]["succeeded"] == 11;
        api.next(tells_all).await;
        // Time that stands passes when nobody has anything more to do.
        sleep(PATIENCE / 4).await;
        let changes_job = |asked: &Asked| asked.method == Method::PATCH && asked.path.contains("/jobs/");
        assert_eq!(api.count(changes_job), 0);
    });
}
