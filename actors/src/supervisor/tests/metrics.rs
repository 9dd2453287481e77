//! What is counted on a run's way, and what of it goes with a Supervisor.

use super::*;

impl Stage {
    /// Waits until the metrics tell all of this.
    async fn tells(&self, lines: &[&str]) {
        let text = || self.metrics.text().unwrap();
        let all = async {
            while !lines.iter().all(|line| text().contains(&format!("\nextendedjob_{line}\n"))) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, all).await.is_ok(), "{lines:?}: {}", text());
    }
}

#[test]
fn a_run_is_counted_from_its_transition_to_its_end() {
    System::new().block_on(async {
        let mut api = StandIn::answering(granting);
        let mut stage = Stage::set(&mut api).await;
        stage.pod_turns_ready("pod1");
        let asked = api.next(Asked::creates_job).await;
        let started = [
            "transitions_total{when=\"ready\"} 1",
            "runs_started_total{mode=\"ready\"} 1",
            "trigger_latency_seconds_count 1",
            "runs_pending 0",
            "runs_active 1",
            "pods 1",
        ];
        stage.tells(&started).await;
        stage.job_appears_and_is_deleted(&asked);
        stage.tells(&["runs_ended_total{mode=\"ready\",result=\"Deleted\"} 1", "runs_active 0"]).await;
    });
}

#[test]
fn a_run_that_can_not_start_is_pending() {
    System::new().block_on(async {
        let mut api = without_jobs();
        let mut stage = Stage::set(&mut api).await;
        stage.pod_turns_ready("pod1");
        next_create(&mut api).await;
        stage.tells(&["runs_pending 1", "runs_active 0", "runs_started_total{mode=\"ready\"} 0"]).await;
    });
}

#[test]
fn what_a_watcher_that_fell_is_told_again_is_not_counted_again() {
    System::new().block_on(async {
        let mut api = StandIn::answering(granting);
        let mut stage = Stage::set(&mut api).await;
        stage.pod_turns_ready("before");
        next_create(&mut api).await;
        stage.supervisor.send(Poison(ChildId::TriggerWatcher)).await.unwrap();
        stage.pod_turns_ready("afterwards");
        next_create(&mut api).await;
        let told = [
            "actor_restarts_total{actor=\"trigger_watcher\",cause=\"panic\"} 1",
            "transitions_total{when=\"ready\"} 2",
            "runs_started_total{mode=\"ready\"} 2",
            "trigger_latency_seconds_count 2",
            "runs_active 2",
        ];
        stage.tells(&told).await;
    });
}

#[test]
fn the_runs_of_a_supervisor_that_ends_are_no_longer_counted_as_under_way() {
    System::new().block_on(async {
        let mut api = StandIn::answering(granting);
        let mut stage = Stage::set(&mut api).await;
        stage.pod_turns_ready("pod1");
        stage.tells(&["runs_active 1"]).await;
        stage.supervisor.do_send(Panic);
        stage.tells(&["runs_active 0", "runs_pending 0", "runs_started_total{mode=\"ready\"} 1"]).await;
    });
}

#[test]
fn a_brake_that_opens_is_counted() {
    System::new().block_on(async {
        let mut api = StandIn::answering(granting);
        let mut stage = Stage::set(&mut api).await;
        for number in 0..=20 {
            stage.pod_turns_ready(&format!("pod{number}"));
        }
        let told = [
            "brake_openings_total{brake=\"all\"} 1",
            "brakes_open{brake=\"all\"} 1",
            "brakes_open{brake=\"pod\"} 0",
            "runs_pending 1",
            "runs_active 20",
        ];
        stage.tells(&told).await;
    });
}
