//! Runs that someone asks for.

use extendedjob_api::{ExtendedJobStatus, names};
use extendedjob_decide::run::{By, Run};

use super::*;

fn errand(run: &str) -> serde_json::Value {
    json!({ "run": run, "template": { "spec": { "template": { "spec": {} } } } })
}

#[test]
fn now_that_is_set_again_while_run_is_set_back_is_taken_up() {
    System::new().block_on(async {
        pause();
        let sets_back =
            |asked: &Asked| asked.method == Method::PATCH && asked.path.ends_with("/extendedjobs/ejob1");
        let metadata = json!({
            "uid": "uid", "name": "ejob1", "namespace": "ns", "resourceVersion": "2", "generation": 2,
            "creationTimestamp": created().to_string(), "annotations": { names::RESET: "1" },
        });
        let set_back = json!({ "metadata": metadata, "spec": errand("manually") });
        let (mut api, answer) = StandIn::holding_back(sets_back, set_back, granting);
        let spec = serde_json::from_str(&errand("now").to_string()).unwrap();
        let mut done = Declared { spec, ..declared() };
        let job = Run::for_request(&done, 1, By::Someone).under(&done, 0).job;
        let runs = json!([{ "job": job, "cause": { "type": "Manual" } }]);
        let runs = serde_json::from_value(runs).unwrap();
        done.status = ExtendedJobStatus { run_number: 1, runs, ..ExtendedJobStatus::default() };
        let stage = Stage::set_for(&mut api, done.clone(), watch::Sender::default().subscribe()).await;
        api.next(sets_back).await;
        let again = Declared { resource_version: "3".into(), generation: 3, reset: Some(1), ..done };
        stage.supervisor.send(Edited(again.into())).await.unwrap();
        answer.send(()).unwrap();
        let accepted = timeout(PATIENCE, api.next(Asked::writes_status)).await.expect("it is accepted");
        assert_eq!(accepted.body["status"]["runNumber"], 2);
    });
}
