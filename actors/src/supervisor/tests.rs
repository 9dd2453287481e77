//! Children that panic: noticed, started anew, and nothing lost meanwhile.
//!
//! The API server is a stand-in that answers creates: a real one can't be told to leave one
//! without an answer.

use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message, StreamHandler, System};
use extendedjob_decide::{
    declared::Declared,
    job::Job,
    pod::{Pod, Readiness as PodReadiness, Status},
};
use http::{Method, Request, Response};
use jiff::Timestamp;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, timeout},
};

use super::{Supervisor, Surroundings};
use crate::{
    Cluster, Readiness,
    cluster::watch::Observation,
    hubs::{JobHub, PodHub},
    job_runner::JobRunner,
    lifeline::{ChildEnded, Lifeline},
    messages::ChildId,
    trigger_watcher::TriggerWatcher,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Makes a child of a Supervisor panic.
#[derive(Message)]
#[rtype(result = "()")]
struct Poison(ChildId);

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Poison> for Supervisor {
    type Result = ();

    fn handle(&mut self, Poison(id): Poison, _: &mut Self::Context) {
        match id {
            ChildId::TriggerWatcher => self.watcher.get(&()).unwrap().do_send(Panic),
            ChildId::JobRunner(job) => self.runners.get(&job).unwrap().do_send(Panic),
            ChildId::OutputWriter(_) => unreachable!("not poisoned in any test"),
        }
    }
}

impl Handler<Panic> for TriggerWatcher {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        panic!("a test wants it");
    }
}

impl Handler<Panic> for JobRunner {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        panic!("a test wants it");
    }
}

/// What the watch of a hub would say.
#[derive(Message)]
#[rtype(result = "()")]
struct Says<T>(Observation<T>);

impl Handler<Says<Pod>> for PodHub {
    type Result = ();

    fn handle(&mut self, Says(observation): Says<Pod>, ctx: &mut Self::Context) {
        StreamHandler::handle(self, observation, ctx);
    }
}

impl Handler<Says<Job>> for JobHub {
    type Result = ();

    fn handle(&mut self, Says(observation): Says<Job>, ctx: &mut Self::Context) {
        StreamHandler::handle(self, observation, ctx);
    }
}

/// Stands where the Operator stands.
struct Parent(UnboundedSender<ChildEnded<String>>);

impl Actor for Parent {
    type Context = Context<Self>;
}

impl Handler<ChildEnded<String>> for Parent {
    type Result = ();

    fn handle(&mut self, ended: ChildEnded<String>, _: &mut Self::Context) {
        self.0.send(ended).unwrap();
    }
}

impl Handler<ChildEnded<&'static str>> for Parent {
    type Result = ();

    fn handle(&mut self, _: ChildEnded<&'static str>, _: &mut Self::Context) {}
}

/// The names of Jobs whose creation was asked for, and how many of the first are left without an
/// answer.
struct ApiServer {
    created: UnboundedReceiver<String>,
    client: Client,
}

impl ApiServer {
    fn leaving_unanswered(mut unanswered: usize) -> Self {
        let (sender, created) = unbounded_channel();
        let service = tower::service_fn(move |request: Request<Body>| {
            let is_create = request.method() == Method::POST
                && request.uri().path().ends_with("/jobs")
                && !request.uri().query().is_some_and(|query| query.contains("dryRun"));
            let answered = is_create && unanswered == 0;
            if is_create {
                unanswered = unanswered.saturating_sub(1);
            }
            let sender = sender.clone();
            async move {
                if is_create {
                    let body = request.into_body().collect_bytes().await.unwrap();
                    let mut job: Value = serde_json::from_slice(&body).unwrap();
                    sender.send(job["metadata"]["name"].as_str().unwrap().to_owned()).unwrap();
                    if answered {
                        job["metadata"]["uid"] = json!("job-uid");
                        return Ok::<_, std::io::Error>(Response::new(Body::from(
                            job.to_string().into_bytes(),
                        )));
                    }
                }
                std::future::pending().await
            }
        });
        Self { created, client: Client::new(service, "default") }
    }

    async fn next_create(&mut self) -> String {
        timeout(PATIENCE, self.created.recv()).await.expect("a Job is asked for").unwrap()
    }
}

/// Hubs that know of no pod and no Job, and one Supervisor.
struct Stage {
    pods: Addr<PodHub>,
    supervisor: Addr<Supervisor>,
    fallen: UnboundedReceiver<ChildEnded<String>>,
}

impl Stage {
    fn set(client: Client) -> Self {
        let (sender, fallen) = unbounded_channel();
        let parent = Parent(sender).start();
        let cluster = Cluster::new(client);
        cluster.term().hold(1, Instant::now() + PATIENCE * 10);
        let lifeline = |id| Lifeline::new(id, 1, parent.clone().recipient());
        let pods = PodHub::new(cluster.clone(), Readiness::default(), lifeline("pods")).start();
        let jobs = JobHub::new(cluster.clone(), Readiness::default(), lifeline("jobs")).start();
        for observation in [Observation::RelistBegun, Observation::RelistEnded] {
            pods.do_send(Says(observation));
        }
        for observation in [Observation::RelistBegun, Observation::RelistEnded] {
            jobs.do_send(Says(observation));
        }
        let around = Surroundings { cluster, pods: pods.clone(), jobs };
        let lifeline = Lifeline::new("uid".to_owned(), 1, parent.recipient());
        let supervisor = Supervisor::new(declared().into(), around, lifeline).start();
        Self { pods, supervisor, fallen }
    }

    fn pod_turns_ready(&self, name: &str) {
        let pod = Pod {
            uid: format!("uid-{name}"),
            name: name.into(),
            namespace: "ns".into(),
            ready: PodReadiness { status: Status::True, since: Some(created()) },
            ..Pod::default()
        };
        self.pods.do_send(Says(Observation::Seen(pod)));
    }
}

fn created() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn declared() -> Declared {
    let spec =
        json!({ "triggers": { "when": "ready" }, "template": { "spec": { "template": { "spec": {} } } } });
    Declared {
        uid: "uid".into(),
        name: "ejob1".into(),
        namespace: "ns".into(),
        resource_version: "1".into(),
        generation: 1,
        created: created(),
        deleting: false,
        spec: serde_json::from_str(&spec.to_string()).unwrap(),
        status: Default::default(),
    }
}

#[test]
fn a_watcher_that_panics_is_started_anew_and_misses_no_transition() {
    System::new().block_on(async {
        let mut api = ApiServer::leaving_unanswered(0);
        let mut stage = Stage::set(api.client.clone());
        stage.pod_turns_ready("before");
        let before = api.next_create().await;
        stage.supervisor.send(Poison(ChildId::TriggerWatcher)).await.unwrap();
        stage.pod_turns_ready("meanwhile");
        let meanwhile = api.next_create().await;
        stage.pod_turns_ready("afterwards");
        let afterwards = api.next_create().await;
        assert!(before != meanwhile && meanwhile != afterwards);
        // The new watcher has seen the first pod again; that run was known.
        assert!(api.created.try_recv().is_err());
        assert!(stage.fallen.try_recv().is_err(), "the Supervisor went on");
    });
}

#[test]
fn a_runner_that_panics_is_started_anew_and_asks_for_the_same_job() {
    System::new().block_on(async {
        let mut api = ApiServer::leaving_unanswered(1);
        let mut stage = Stage::set(api.client.clone());
        stage.pod_turns_ready("pod1");
        let job = api.next_create().await;
        stage.supervisor.send(Poison(ChildId::JobRunner(job.clone()))).await.unwrap();
        stage.pod_turns_ready("pod2");
        let mut later = [api.next_create().await, api.next_create().await];
        // The other pod's Job may come first: it does not wait for the fallen runner.
        later.sort_by_key(|name| *name != job);
        assert_eq!(later[0], job);
        assert_ne!(later[1], job);
        assert!(stage.fallen.try_recv().is_err(), "the Supervisor went on");
    });
}

#[test]
fn a_parent_is_told_of_a_panic_and_children_end_with_it() {
    System::new().block_on(async {
        let api = ApiServer::leaving_unanswered(0);
        let mut stage = Stage::set(api.client.clone());
        stage.supervisor.do_send(Panic);
        let ended = timeout(PATIENCE, stage.fallen.recv()).await.unwrap().unwrap();
        assert_eq!(ended, ChildEnded { id: "uid".to_owned(), generation: 1, panicked: true });
        assert!(!stage.supervisor.connected());
    });
}

impl Handler<Panic> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        panic!("a test wants it");
    }
}
