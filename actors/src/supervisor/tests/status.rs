//! What is told, and when.

use tokio::sync::OwnedSemaphorePermit;

use super::*;

#[test]
fn an_edit_seen_before_the_answer_to_a_status_write_is_not_taken_back() {
    System::new().block_on(async {
        let (answer, moment) = oneshot::channel();
        let mut moment = Some(moment);
        let mut api = StandIn::answering(move |asked| match (asked.writes_status(), moment.take()) {
            (true, Some(moment)) => {
                Reply::When(moment, 200, json!({ "metadata": { "resourceVersion": "2" } }))
            }
            (_, kept) => {
                moment = kept;
                granting(asked)
            }
        });
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
        let (answer, moment) = oneshot::channel();
        let mut moment = Some(moment);
        let mut api = StandIn::answering(move |asked| {
            let written = json!({ "metadata": { "resourceVersion": "2" } });
            match asked.writes_status().then(|| moment.take()).flatten() {
                Some(moment) => Reply::When(moment, 200, written),
                None => granting(asked),
            }
        });
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
