//! Runs that start again.

use std::sync::atomic::{AtomicU32, Ordering};

use extendedjob_decide::job::PodFacts;

use super::*;
use crate::messages::RunNews;

/// A triggered ExtendedJob whose pods use the ConfigMap `app`.
fn following() -> Declared {
    let env = json!([{ "configMapRef": { "name": "app" } }]);
    let pod = json!({ "containers": [{ "name": "main", "envFrom": env }] });
    let spec = json!({
        "triggers": { "when": "ready" }, "updateOnConfigChange": true,
        "template": { "spec": { "template": { "spec": pod } } },
    });
    Declared { spec: serde_json::from_str(&spec.to_string()).unwrap(), ..declared() }
}

/// Grants all, and has a ConfigMap with this value, or one that may not be read if that is 0.
fn api(value: Arc<AtomicU32>) -> StandIn {
    let mut version = 10;
    StandIn::answering(move |asked| {
        version += 1;
        let mut object = asked.body.clone();
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        match asked.method {
            Method::GET if asked.path.ends_with("/configmaps/app") => match value.load(Ordering::Relaxed) {
                0 => Reply::refused_with(403, "Forbidden", "no right to get it"),
                value => Reply::Now(200, json!({ "metadata": {}, "data": { "a": value.to_string() } })),
            },
            Method::GET if asked.query.contains("watch") => Reply::Never,
            Method::POST if asked.path.ends_with("/secrets") => Reply::Now(201, object),
            Method::PATCH if asked.writes_status() || writes_ledger(asked) => Reply::Now(200, object),
            Method::DELETE => Reply::Now(200, json!({ "kind": "Status", "status": "Success" })),
            _ => granting(asked),
        }
    })
}

/// A pod has turned ready, and its run has waited for the ConfigMap, which is there now; its value can be changed, see
/// [`api`].
async fn waited(value: u32) -> (Arc<AtomicU32>, StandIn, Stage) {
    let value = Arc::new(AtomicU32::new(value));
    let mut api = api(Arc::clone(&value));
    let ways = watch::Sender::default().subscribe();
    let mut stage = Stage::set_for(&mut api, following(), ways).await;
    stage.pod_turns_ready("pod1");
    api.next(|asked| tells(asked, "ConfigMissing")).await;
    changes(&stage, "2");
    (value, api, stage)
}

fn changes(stage: &Stage, version: &str) {
    let app = ConfigObject { namespace: "ns".into(), name: "app".into(), version: version.into() };
    stage.configs.maps.do_send(Says(Observation::Seen(app)));
}

fn writes_ledger(asked: &Asked) -> bool {
    asked.method != Method::GET && asked.path.contains("/secrets")
}

fn deletes_job(asked: &Asked) -> bool {
    asked.method == Method::DELETE && asked.path.contains("/jobs/")
}

fn tells(asked: &Asked, word: &str) -> bool {
    asked.writes_status() && asked.body.to_string().contains(word)
}

#[test]
fn a_job_goes_when_the_change_is_on_record_and_told_and_the_next_one_comes_when_it_is_gone() {
    System::new().block_on(async {
        let (value, mut api, stage) = waited(1).await;
        let asked = api.next(|asked| asked.creates_job() || deletes_job(asked)).await;
        let old = Job { pod: Some(Arc::new(PodFacts::default())), ..job(&asked, "uid-of-the-new") };
        stage.jobs.do_send(Says(Observation::Seen(old.clone())));
        api.next(|asked| tells(asked, "Running")).await;

        value.store(2, Ordering::Relaxed);
        changes(&stage, "3");
        let first = api.next(|asked| writes_ledger(asked) || deletes_job(asked)).await;
        assert!(writes_ledger(&first), "{first:?}");
        let second = api.next(|asked| tells(asked, "Replaced") || deletes_job(asked)).await;
        assert!(tells(&second, "Replaced"), "{second:?}");
        let third = api.next(|asked| asked.creates_job() || deletes_job(asked)).await;
        assert!(deletes_job(&third) && third.path.ends_with(&old.name), "{third:?}");
        assert_eq!(third.body["propagationPolicy"], "Foreground");
        // The last words of its runner may come late.
        let ended = RunNews::Ended { job: Arc::new(old.clone()), end: None, containers: vec![] };
        stage.supervisor.send(ended).await.unwrap();
        assert_eq!(api.count(Asked::creates_job), 0, "the old Job is there still");
        stage.jobs.do_send(Says(Observation::Gone(old.clone())));
        let new = api.next(Asked::creates_job).await;
        let annotations = &new.body["metadata"]["annotations"];
        assert_eq!(annotations["fissile.cloudfoundry.org/config-revision"], "1");
        assert_eq!(annotations["fissile.cloudfoundry.org/changed-config"], "ConfigMap/app");
        assert_ne!(new.body["metadata"]["name"], old.name);
    });
}

#[test]
fn what_can_not_be_read_is_told() {
    System::new().block_on(async {
        let (_value, mut api, _stage) = waited(0).await;
        api.next(|asked| tells(asked, "ConfigUnknown") && tells(asked, "no right to get it")).await;
    });
}

#[test]
fn what_could_not_be_read_for_a_while_and_is_as_before_is_told_as_known() {
    System::new().block_on(async {
        let (value, mut api, stage) = waited(1).await;
        next_create(&mut api).await;
        value.store(0, Ordering::Relaxed);
        changes(&stage, "3");
        api.next(|asked| tells(asked, "ConfigUnknown")).await;
        value.store(1, Ordering::Relaxed);
        api.next(|asked| tells(asked, "Watching")).await;
    });
}
