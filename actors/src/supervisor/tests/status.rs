//! What is told, and when.

use extendedjob_api::conditions::reasons;
use extendedjob_decide::view::{Settled, Trouble};
use tokio::sync::OwnedSemaphorePermit;

use super::*;
use crate::messages::OutputSettled;

#[test]
fn an_edit_seen_before_the_answer_to_a_status_write_is_not_taken_back() {
    System::new().block_on(async {
        let written = json!({ "metadata": { "resourceVersion": "2" } });
        let (mut api, answer) = StandIn::holding_back(Asked::writes_status, written, granting);
        let stage = Stage::set(&mut api).await;
        let first = api.next(Asked::writes_status).await;
        assert_eq!(first.body["metadata"]["resourceVersion"], "1");
        let edited = Declared { resource_version: "3".into(), generation: 2, ..declared() };
        stage.supervisor.send(Edited(edited.into())).await.unwrap();
        answer.send(()).unwrap();
        let second = api.next(Asked::writes_status).await;
        assert_eq!(second.body["metadata"]["resourceVersion"], "3");
    });
}

/// The turns of all who may write a status at a time.
async fn all_turns(cluster: &Cluster) -> Vec<OwnedSemaphorePermit> {
    let mut turns = vec![];
    while let Ok(Some(turn)) = timeout(Duration::ZERO, cluster.turn_to_report()).await {
        turns.push(turn);
    }
    turns
}

#[test]
fn a_request_is_accepted_whoever_else_has_something_to_tell() {
    System::new().block_on(async {
        pause();
        let mut api = StandIn::answering(granting);
        let spec = json!({ "run": "once", "template": { "spec": { "template": { "spec": {} } } } });
        let once = Declared { spec: serde_json::from_str(&spec.to_string()).unwrap(), ..declared() };
        let stage = Stage::set_for(&mut api, once, watch::Sender::default().subscribe()).await;
        let _turns = all_turns(&stage.cluster).await;
        let accepted = api.next(Asked::writes_status).await;
        assert_eq!(accepted.body["status"]["runNumber"], 1);
    });
}

#[test]
fn a_status_that_is_not_answered_holds_up_no_other_one() {
    System::new().block_on(async {
        pause();
        let mut api = StandIn::answering(granting);
        let stage = Stage::set(&mut api).await;
        api.next(Asked::writes_status).await;
        let _turns = all_turns(&stage.cluster).await;
        let since = Instant::now();
        let _one_more = stage.cluster.turn_to_report().await;
        assert!(since.elapsed() < REQUEST_TIMEOUT / 2, "{:?}", since.elapsed());
    });
}

#[test]
fn a_status_that_was_not_written_is_written_again() {
    System::new().block_on(async {
        pause();
        let mut fails = 3;
        let mut api = StandIn::answering(move |asked| match asked.writes_status() && fails > 0 {
            true => {
                fails -= 1;
                Reply::refused(500, "InternalError")
            }
            false => granting(asked),
        });
        let _stage = Stage::set(&mut api).await;
        for _ in 0..4 {
            api.next(Asked::writes_status).await;
        }
    });
}

#[test]
fn what_happens_while_a_status_is_written_is_told_with_the_next_one() {
    System::new().block_on(async {
        pause();
        let written = json!({ "metadata": { "resourceVersion": "2" } });
        let (mut api, answer) = StandIn::holding_back(Asked::writes_status, written, granting);
        let mut stage = Stage::set(&mut api).await;
        api.next(Asked::writes_status).await;
        stage.pod_turns_ready("a");
        next_create(&mut api).await;
        // Time that stands passes when nobody has anything more to do.
        sleep(PATIENCE / 4).await;
        answer.send(()).unwrap();
        let next = timeout(PATIENCE, api.next(Asked::writes_status)).await.expect("it is told soon");
        assert_eq!(next.body["status"]["active"], 1, "{}", next.body);
    });
}

#[test]
fn that_output_has_settled_is_not_told_by_an_edit_that_asks_for_none() {
    System::new().block_on(async {
        pause();
        let mut api = obliging();
        let mut stage = Stage::set(&mut api).await;
        stage.pod_turns_ready("a");
        let job = next_job(&mut api).await;
        stage.jobs.do_send(Says(Observation::Seen(succeeded(job))));
        api.next(|asked| asked.writes_status() && asked.body["status"]["succeeded"] == 1).await;
        // Later than any version that a status was given.
        let mut edited = Declared { resource_version: "9".into(), generation: 2, ..declared() };
        edited.spec.max_concurrent_runs = Some(1);
        stage.supervisor.send(Edited(edited.into())).await.unwrap();
        let told = api.next(Asked::writes_status).await.body.to_string();
        assert!(told.contains("succeeded") && !told.contains("outputSettled"), "{told}");
    });
}

#[test]
fn what_is_written_while_a_run_goes_on_is_told_with_its_end() {
    System::new().block_on(async {
        pause();
        let mut api = obliging();
        let mut printing = declared();
        let output = json!({ "stdout": { "configRef": "out" } });
        printing.spec.output = serde_json::from_value(output).unwrap();
        let mut stage = Stage::set_for(&mut api, printing, watch::Sender::default().subscribe()).await;
        stage.pod_turns_ready("a");
        let job = next_job(&mut api).await;
        stage.jobs.do_send(Says(Observation::Seen(job.clone())));
        api.next(|asked| asked.writes_status() && asked.body["status"]["active"] == 1).await;
        sleep(PATIENCE).await;
        // What the start of the run had to tell is told by now.
        api.count(Asked::writes_status);
        let settled = |trouble| {
            let settled = Settled { trouble, ..Settled::default() };
            OutputSettled { job: job.name.clone(), id: "of an attempt".into(), settled, done: true }
        };
        stage.supervisor.send(settled(None)).await.unwrap();
        sleep(PATIENCE / 4).await;
        assert_eq!(api.count(Asked::writes_status), 0);
        let trouble = Trouble { reason: reasons::KEY_EXISTS, message: "it is there".into() };
        stage.supervisor.send(settled(Some(trouble))).await.unwrap();
        let told = timeout(PATIENCE, api.next(Asked::writes_status)).await.expect("trouble is told at once");
        assert!(told.body.to_string().contains(reasons::KEY_EXISTS));
    });
}
