//! What a Supervisor does when children panic, and when answers come late.

mod cleanup;
mod config;
mod metrics;
mod requests;
mod status;

use std::{sync::Arc, time::Duration};

use actix::{Actor, Addr, Context, Handler, Message, StreamHandler, System};
use extendedjob_api::TargetKind;
use extendedjob_decide::{
    brake::Limit,
    checkpoint::Checkpoint,
    declared::Declared,
    job::{End, Job},
    pod::{Pod, Readiness as PodReadiness, Status, Version},
    streams::{Setting, Ways},
    track::Observation,
    transition::Trigger,
};
use http::Method;
use jiff::Timestamp;
use serde_json::json;
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        watch,
    },
    time::{Instant, pause, sleep, timeout},
};

use super::{Limits, Supervisor, Surroundings};
use crate::{
    Cluster, Metrics, Readiness,
    cluster::{REQUEST_TIMEOUT, configs::ConfigObject, pods::WatchedPod},
    config_watcher::ConfigHubs,
    hubs::{ConfigHub, JobHub, PodHub},
    job_runner::JobRunner,
    lifeline::{ChildEnded, Deaf, Lifeline},
    messages::{BeginPods, ChildId, Edited, Expect, FindCircle, TermBroken, WaysChanged},
    stand_in::{Asked, Reply, StandIn},
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
            ChildId::ConfigWatcher | ChildId::OutputWriter(_) => unreachable!("not poisoned in any test"),
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
        let watched = |pod| WatchedPod { pod, own: None };
        StreamHandler::handle(self, observation.map(watched), ctx);
    }
}

impl Handler<Says<Job>> for JobHub {
    type Result = ();

    fn handle(&mut self, Says(observation): Says<Job>, ctx: &mut Self::Context) {
        StreamHandler::handle(self, observation, ctx);
    }
}

impl Handler<Says<ConfigObject>> for ConfigHub {
    type Result = ();

    fn handle(&mut self, Says(observation): Says<ConfigObject>, ctx: &mut Self::Context) {
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

impl Handler<FindCircle> for Parent {
    type Result = Option<String>;

    fn handle(&mut self, _: FindCircle, _: &mut Self::Context) -> Self::Result {
        None
    }
}

impl Handler<TermBroken> for Parent {
    type Result = ();

    fn handle(&mut self, _: TermBroken, _: &mut Self::Context) {
        panic!("nobody else writes");
    }
}

/// Grants everything, but leaves the first so many creates without an answer.
fn api_leaving_unanswered(mut unanswered: usize) -> StandIn {
    StandIn::answering(move |asked| {
        if asked.creates_job() && unanswered > 0 {
            unanswered -= 1;
            return Reply::Never;
        }
        granting(asked)
    })
}

/// Grants what is to be created, and pages of the book; there are no pods yet, and no pages.
fn granting(asked: &Asked) -> Reply {
    let empty = json!({ "metadata": { "resourceVersion": "1" }, "items": [] });
    match asked.method {
        Method::POST => Reply::granted(asked),
        Method::PATCH if asked.path.contains("/configmaps/") => Reply::granted(asked),
        Method::GET if asked.path.ends_with("/configmaps") || asked.query.contains("limit=1") => {
            Reply::Now(200, empty)
        }
        _ => Reply::Never,
    }
}

/// The name of the next Job that is asked for.
async fn next_create(api: &mut StandIn) -> String {
    let asked = api.next(Asked::creates_job).await;
    asked.body["metadata"]["name"].as_str().unwrap().to_owned()
}

/// Hubs that know of no pod and no Job, and one Supervisor.
struct Stage {
    cluster: Cluster,
    pods: Addr<PodHub>,
    jobs: Addr<JobHub>,
    configs: ConfigHubs,
    supervisor: Addr<Supervisor>,
    metrics: Metrics,
    fallen: UnboundedReceiver<ChildEnded<String>>,
    version: Version,
}

impl Stage {
    async fn set(api: &mut StandIn) -> Self {
        Self::set_for(api, declared(), watch::Sender::default().subscribe()).await
    }

    /// The same for this ExtendedJob, where there are these ways to tell streams apart.
    async fn set_for(api: &mut StandIn, declared: Declared, ways: watch::Receiver<Arc<Ways>>) -> Self {
        let (sender, fallen) = unbounded_channel();
        let parent = Parent(sender).start();
        let cluster = api.cluster();
        cluster.term().hold(1, Instant::now() + PATIENCE * 10);
        let deaf = Deaf.start();
        let lifeline = |id| Lifeline::new(id, 1, deaf.clone().recipient());
        let operator = parent.clone().recipient();
        let home = "home".to_owned();
        let pods =
            PodHub::new(cluster.clone(), operator.clone(), home, Readiness::default(), lifeline("pods"));
        let pods = pods.start();
        pods.do_send(BeginPods { term: 1, checkpoint: None });
        api.next(Asked::lists_pods).await;
        let jobs = JobHub::new(cluster.clone(), Readiness::default(), lifeline("jobs")).start();
        for observation in [Observation::RelistBegun, Observation::RelistEnded(1)] {
            pods.do_send(Says(observation));
        }
        for observation in [Observation::RelistBegun, Observation::RelistEnded(1)] {
            jobs.do_send(Says(observation));
        }
        let config_hub = |kind| ConfigHub::new(kind, cluster.clone(), lifeline("configs")).start();
        let configs =
            ConfigHubs { maps: config_hub(TargetKind::ConfigMap), secrets: config_hub(TargetKind::Secret) };
        let limit = Limit { burst: 20, every: Duration::from_secs(30) };
        let limits = Limits {
            pod: limit,
            all: limit,
            requests: limit,
            restarts: limit,
            output_patience: Duration::from_secs(86_400),
        };
        cluster.progress().begin(Some(Checkpoint { version: 1, time: created(), forgotten: false }));
        let metrics = cluster.metrics().clone();
        let (others, circles) = (deaf.clone().recipient(), parent.clone().recipient());
        let around = Surroundings {
            cluster: cluster.clone(),
            operator,
            others,
            circles,
            limits,
            ways,
            pods: pods.clone(),
            jobs: jobs.clone(),
            configs,
        };
        let lifeline = Lifeline::new("uid".to_owned(), 1, parent.recipient());
        let configs = around.configs.clone();
        if let Some(triggers) = &declared.spec.triggers {
            let (owner, namespace, trigger) = ("uid".into(), "ns".into(), Trigger::new(triggers));
            pods.do_send(Expect { owner, namespace, trigger, is_new: true });
        }
        let supervisor = Supervisor::new(declared.into(), around, lifeline).start();
        Self { cluster, pods, jobs, configs, supervisor, metrics, fallen, version: 1 }
    }

    /// The watch shows what became of a Job that was asked for.
    fn job_appears_and_is_deleted(&self, asked: &Asked) {
        let job = job(asked, "uid-of-the-new");
        self.jobs.do_send(Says(Observation::Seen(job.clone())));
        self.jobs.do_send(Says(Observation::Gone(job)));
    }

    fn pod_turns_ready(&mut self, name: &str) {
        self.version += 1;
        let pod = Pod {
            version: self.version,
            uid: format!("uid-{name}"),
            name: name.into(),
            namespace: "ns".into(),
            ready: PodReadiness { status: Status::True, since: Some(created()) },
            ..Pod::default()
        };
        self.pods.do_send(Says(Observation::Seen(pod)));
    }
}

/// Does all that it is asked to: what is created has a UID of its own, what is written a new version.
fn obliging() -> StandIn {
    let mut version = 1;
    StandIn::answering(move |asked| {
        if asked.method == Method::GET {
            return granting(asked);
        }
        version += 1;
        let mut object = asked.body.clone();
        if asked.method == Method::POST {
            object["metadata"]["uid"] = object["metadata"]["name"].clone();
        }
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        Reply::Now(200, object)
    })
}

/// The next Job that is asked for there.
async fn next_job(api: &mut StandIn) -> Job {
    let asked = api.next(Asked::creates_job).await;
    job(&asked, asked.body["metadata"]["name"].as_str().unwrap())
}

fn succeeded(job: Job) -> Job {
    Job { end: Some(End { time: Some(created()), failure: None }), ..job }
}

/// The Job that was asked for, as the watch shows it.
fn job(asked: &Asked, uid: &str) -> Job {
    let annotation = |name| asked.body["metadata"]["annotations"][name].as_str().map(str::to_owned);
    Job {
        uid: uid.into(),
        name: asked.body["metadata"]["name"].as_str().unwrap().to_owned(),
        namespace: "ns".into(),
        owner: Some("uid".into()),
        key: annotation("fissile.cloudfoundry.org/transition"),
        pod_uid: annotation("fissile.cloudfoundry.org/affected-pod-uid"),
        pod_name: annotation("fissile.cloudfoundry.org/affected-pod-name"),
        term: Some(1),
        ..Job::default()
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
        requested_at: None,
        reset: None,
        run_manager: None,
        spec: serde_json::from_str(&spec.to_string()).unwrap(),
        status: Default::default(),
    }
}

#[test]
fn a_run_waits_for_what_its_pods_use() {
    System::new().block_on(async {
        let mut api = StandIn::answering(|asked| {
            let is_there = asked.path.ends_with("/configmaps/app");
            match is_there {
                true => Reply::Now(200, json!({ "metadata": {}, "data": { "a": "text" } })),
                false => granting(asked),
            }
        });
        let key = json!({ "name": "app", "key": "a" });
        let env = json!([{ "name": "A", "valueFrom": { "configMapKeyRef": key } }]);
        let pod = json!({ "containers": [{ "name": "main", "env": env }] });
        let spec = json!({
            "triggers": { "when": "ready" }, "template": { "spec": { "template": { "spec": pod } } },
        });
        let spec = serde_json::from_str(&spec.to_string()).unwrap();
        let ways = watch::Sender::default().subscribe();
        let mut stage = Stage::set_for(&mut api, Declared { spec, ..declared() }, ways).await;
        stage.pod_turns_ready("pod1");
        let waits = |asked: &Asked| {
            let status = asked.body.to_string();
            asked.writes_status() && status.contains("ConfigMissing") && status.contains("ConfigMap app")
        };
        api.next(waits).await;
        assert_eq!(api.count(Asked::creates_job), 0);
        let app = ConfigObject { namespace: "ns".into(), name: "app".into(), version: "2".into() };
        stage.configs.maps.do_send(Says(Observation::Seen(app)));
        next_create(&mut api).await;
    });
}

#[test]
fn what_can_not_go_apart_starts_when_a_way_opens() {
    System::new().block_on(async {
        let mut api = StandIn::answering(granting);
        let output = json!({ "stdout": { "secretRef": "out" }, "stderr": { "configRef": "err" } });
        let mut apart = declared();
        apart.spec.output = serde_json::from_value(output).unwrap();
        let ways = watch::Sender::new(Arc::new(Ways { setting: Setting::Kubelet, ..Ways::default() }));
        let mut stage = Stage::set_for(&mut api, apart, ways.subscribe()).await;
        stage.pod_turns_ready("pod1");
        let refused = |asked: &Asked| {
            asked.writes_status() && asked.body.to_string().contains("\"StreamsNotSeparable\"")
        };
        api.next(refused).await;
        assert_eq!(api.count(Asked::creates_job), 0);
        ways.send_modify(|ways| *ways = Arc::new(Ways { kubelet: true, ..Ways::clone(ways) }));
        stage.supervisor.send(WaysChanged).await.unwrap();
        let job = api.next(Asked::creates_job).await;
        assert_eq!(job.body["metadata"]["annotations"]["fissile.cloudfoundry.org/streams"], "Kubelet");
    });
}

#[test]
fn a_watcher_that_panics_is_started_anew_and_misses_no_transition() {
    System::new().block_on(async {
        let mut api = api_leaving_unanswered(0);
        let mut stage = Stage::set(&mut api).await;
        stage.pod_turns_ready("before");
        let before = next_create(&mut api).await;
        stage.supervisor.send(Poison(ChildId::TriggerWatcher)).await.unwrap();
        stage.pod_turns_ready("meanwhile");
        let meanwhile = next_create(&mut api).await;
        stage.pod_turns_ready("afterwards");
        let afterwards = next_create(&mut api).await;
        assert!(before != meanwhile && meanwhile != afterwards);
        // The new watcher has seen the first pod again; that run was known.
        assert_eq!(api.count(Asked::creates_job), 0);
        assert!(stage.fallen.try_recv().is_err(), "the Supervisor went on");
    });
}

#[test]
fn a_runner_that_panics_is_started_anew_and_asks_for_the_same_job() {
    System::new().block_on(async {
        let mut api = api_leaving_unanswered(1);
        let mut stage = Stage::set(&mut api).await;
        stage.pod_turns_ready("pod1");
        let job = next_create(&mut api).await;
        stage.supervisor.send(Poison(ChildId::JobRunner(job.clone()))).await.unwrap();
        stage.pod_turns_ready("pod2");
        let mut later = [next_create(&mut api).await, next_create(&mut api).await];
        // The other pod's Job may come first: it does not wait for the fallen runner.
        later.sort_by_key(|name| *name != job);
        assert_eq!(later[0], job);
        assert_ne!(later[1], job);
        assert!(stage.fallen.try_recv().is_err(), "the Supervisor went on");
    });
}

/// An API server that can make no Job.
fn without_jobs() -> StandIn {
    StandIn::answering(|asked| match asked.creates_job() {
        true => Reply::refused(500, "InternalError"),
        false => granting(asked),
    })
}

#[test]
fn a_run_that_is_tried_again_and_again_is_not_tried_while_suspended() {
    System::new().block_on(async {
        pause();
        let mut api = without_jobs();
        let mut stage = Stage::set(&mut api).await;
        stage.pod_turns_ready("pod1");
        next_create(&mut api).await;
        let mut suspended = Declared { generation: 2, ..declared() };
        suspended.spec.suspend = true;
        stage.supervisor.send(Edited(suspended.into())).await.unwrap();
        // All that was on its way has been answered by then.
        sleep(Duration::from_secs(60)).await;
        api.count(Asked::creates_job);
        sleep(Duration::from_secs(600)).await;
        assert_eq!(api.count(Asked::creates_job), 0);
    });
}

#[test]
fn a_job_that_was_made_without_an_answer_and_deleted_is_not_made_again() {
    System::new().block_on(async {
        pause();
        let mut api = api_leaving_unanswered(1);
        let mut stage = Stage::set(&mut api).await;
        stage.pod_turns_ready("pod1");
        let asked = api.next(Asked::creates_job).await;
        // The create has timed out, and is not tried again yet.
        sleep(REQUEST_TIMEOUT + Duration::from_millis(1)).await;
        stage.job_appears_and_is_deleted(&asked);
        sleep(Duration::from_secs(600)).await;
        assert_eq!(api.count(Asked::creates_job), 0);
    });
}

#[test]
fn a_job_that_comes_when_its_run_is_over_is_deleted() {
    System::new().block_on(async {
        let mut api = api_leaving_unanswered(0);
        let mut stage = Stage::set(&mut api).await;
        stage.pod_turns_ready("pod1");
        let asked = api.next(Asked::creates_job).await;
        stage.job_appears_and_is_deleted(&asked);
        // Once it is known to be over.
        api.next(|asked| asked.body["reason"] == "Deleted").await;
        stage.jobs.do_send(Says(Observation::Seen(job(&asked, "uid-of-another"))));
        let deletion = api.next(|asked| asked.method == Method::DELETE).await;
        assert_eq!(deletion.body["preconditions"]["uid"], "uid-of-another");
    });
}

#[test]
fn a_run_that_is_refused_for_ever_holds_no_other_back() {
    System::new().block_on(async {
        let pod = |asked: &Asked| {
            asked.body["metadata"]["annotations"]["fissile.cloudfoundry.org/affected-pod-name"].clone()
        };
        let mut api = StandIn::answering(move |asked| match pod(asked).as_str() {
            Some("bad" | "worse") => {
                let refusal = json!({ "kind": "Status", "status": "Failure", "code": 403,
                    "reason": "Forbidden", "message": "admission webhook \"w\" denied the request" });
                Reply::Now(403, refusal)
            }
            _ => granting(asked),
        });
        let mut stage = Stage::set(&mut api).await;
        stage.pod_turns_ready("bad");
        for _ in 0..2 {
            api.next(Asked::creates_job).await;
        }
        for name in ["worse", "good"] {
            stage.pod_turns_ready(name);
        }
        api.next(|asked| asked.creates_job() && pod(asked) == "good").await;
    });
}

#[test]
fn a_parent_is_told_of_a_panic_and_children_end_with_it() {
    System::new().block_on(async {
        let mut api = api_leaving_unanswered(0);
        let mut stage = Stage::set(&mut api).await;
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
