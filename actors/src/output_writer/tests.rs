//! What a writer does when writes fail, and with many wishes at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor, Addr, Context, Handler, System};
use extendedjob_api::{ContainerEnd, Stream, Streams, Target, TargetKind};
use extendedjob_decide::{
    attempts::{AttemptEnd, LogId},
    job::Job,
    output,
};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, pause, sleep};
use tracing::Span;

use super::OutputWriter;
use crate::{
    Spool,
    capture::Recorder,
    cluster::logs::{Followed, Section},
    lifeline::{Deaf, Lifeline},
    messages::{Attempted, ChildId, OutputSettled, WriteOutput},
    stand_in::{Asked, Reply, StandIn},
};

/// The attempts of these tests ended long ago.
const FOREVER: Duration = Duration::MAX;

/// What the writer has told: why it is not written, and whether that is the last word.
type Told = Arc<Mutex<Vec<(Option<&'static str>, bool)>>>;

/// Keeps what the writer tells.
#[derive(Default)]
struct Parent(Told);

impl Actor for Parent {
    type Context = Context<Self>;
}

impl Handler<OutputSettled> for Parent {
    type Result = ();

    fn handle(&mut self, told: OutputSettled, _: &mut Self::Context) {
        self.0.lock().unwrap().push((told.settled.trouble.map(|trouble| trouble.reason), told.done));
    }
}

fn target() -> Target {
    Target { kind: TargetKind::ConfigMap, namespace: "elsewhere".into(), name: "out".into() }
}

fn writer(api: &StandIn, parent: &Addr<Parent>) -> Addr<OutputWriter> {
    patient_writer(api, parent, FOREVER)
}

fn patient_writer(api: &StandIn, parent: &Addr<Parent>, patience: Duration) -> Addr<OutputWriter> {
    let cluster = api.cluster();
    cluster.term().hold(1, Instant::now() + Duration::from_secs(1_000_000));
    let id = ChildId::OutputWriter(target());
    let lifeline = Lifeline::new(id, 1, Deaf.start().recipient());
    let (name, told) = ("ns/ejob1".to_owned(), parent.clone().recipient());
    OutputWriter::new(cluster, target(), name, patience, told, Span::none(), lifeline).start()
}

/// The wish of a Job that ended with success in this second.
fn wish(job: &str, second: i64) -> WriteOutput {
    of_containers(job, second, &["main"])
}

/// The first wish of this output, of streams that are told apart in this way.
fn first_wish(output: Value, streams: Streams) -> Arc<output::Wish> {
    output::wishes(&serde_json::from_value(output).unwrap(), "ns", streams).unwrap().remove(0).into()
}

/// The same with these containers.
fn of_containers(job: &str, second: i64, containers: &[&str]) -> WriteOutput {
    let wish =
        first_wish(json!({ "stdout": { "configRef": "elsewhere/out", "overwrite": true } }), Streams::Merged);
    let log = |name: &&str| LogId { pod: "uid".into(), container: (*name).into(), restart: 0 };
    let attempt = AttemptEnd {
        id: format!("pod-of-{job}"),
        pod: format!("pod-of-{job}"),
        node: None,
        index: None,
        in_place: false,
        succeeded: true,
        began: None,
        at: Timestamp::from_second(second).ok(),
        rotatable: false,
        logs: containers.iter().map(log).collect(),
        containers: vec![],
    };
    let containers = containers.iter().map(|&name| name.to_owned()).collect();
    let job = Job { name: job.into(), namespace: "ns".into(), containers, ..Job::default() };
    let id = attempt.id.clone();
    let attempts = [Arc::new(Attempted { end: attempt, followed: HashMap::new() })].into();
    WriteOutput { id, job: job.into(), attempts, wish }
}

/// A log for every pod, and a target whose create is answered by `create`.
fn api(create: impl Fn(&Asked) -> Reply + Send + 'static) -> StandIn {
    StandIn::answering(move |asked| {
        if asked.path.ends_with("/log") {
            Reply::Raw("2026-01-01T00:00:00Z printed\n".into())
        } else if asked.method == Method::GET {
            Reply::refused(404, "NotFound")
        } else {
            create(asked)
        }
    })
}

#[test]
fn wishes_that_wait_share_one_retry() {
    System::new().block_on(async {
        pause();
        let mut api = api(|_| Reply::refused(404, "NotFound"));
        let told = Told::default();
        let parent = Parent(Arc::clone(&told)).start();
        let writer = writer(&api, &parent);
        for number in 0..50 {
            writer.do_send(wish(&format!("job-{number:02}"), number));
        }
        sleep(Duration::from_secs(60)).await;
        // A round reads the target once. In a minute the delays leave room for about eight; were
        // there a retry for each wish, there would be hundreds.
        let rounds =
            api.count(|asked| asked.method == Method::GET && asked.path.ends_with("/configmaps/out"));
        assert!((4..20).contains(&rounds), "{rounds} rounds");
        // What one has met with, all others would: they are told, and not tried.
        assert!(api.count(|asked| asked.method == Method::POST) <= rounds);
        let told = told.lock().unwrap();
        assert!((50..50 + rounds).contains(&told.len()), "{} times told", told.len());
        assert!(told.iter().all(|told| *told == (Some("TargetNamespaceMissing"), false)));
    });
}

#[test]
fn what_fails_for_too_long_is_given_up_with_a_word_and_not_tried_again() {
    System::new().block_on(async {
        pause();
        let mut api = api(|_| Reply::refused(404, "NotFound"));
        let told = Told::default();
        let parent = Parent(Arc::clone(&told)).start();
        patient_writer(&api, &parent, Duration::from_secs(3600)).do_send(wish("job", 1));
        sleep(Duration::from_secs(600)).await;
        assert_eq!(*told.lock().unwrap(), [(Some("OutputGivenUp"), true)]);
        assert_eq!(api.count(|asked| asked.method == Method::POST), 1);
    });
}

#[test]
fn a_log_that_can_not_be_read_now_keeps_back_no_other() {
    System::new().block_on(async {
        let mut api = StandIn::answering(|asked| {
            let is_left = asked.query.contains("container=left");
            match (&asked.method, asked.path.ends_with("/log")) {
                (_, true) if is_left => Reply::refused(503, "ServiceUnavailable"),
                (_, true) => Reply::Raw("2026-01-01T00:00:00Z printed\n".into()),
                (&Method::GET, false) => Reply::refused(404, "NotFound"),
                _ => Reply::Now(201, json!({ "metadata": { "resourceVersion": "7" } })),
            }
        });
        let told = Told::default();
        let parent = Parent(Arc::clone(&told)).start();
        let writer = writer(&api, &parent);
        writer.do_send(of_containers("job", 1, &["left", "right"]));
        let written = api.next(|asked| asked.method == Method::POST).await;
        assert_eq!(written.body["data"], json!({ "right.stdout": "printed\n" }));
        while told.lock().unwrap().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(told.lock().unwrap()[0], (Some("WriteFailed"), false));
    });
}

#[test]
fn outputs_are_written_in_the_order_in_which_attempts_ended() {
    System::new().block_on(async {
        let mut api = api(|asked| {
            let mut object = asked.body.clone();
            object["metadata"]["resourceVersion"] = json!("7");
            Reply::Now(201, object)
        });
        let parent = Parent::default().start();
        let writer = writer(&api, &parent);
        for (job, second) in [("first", 1), ("third", 3), ("second", 2)] {
            writer.do_send(wish(job, second));
        }
        let mut records = vec![];
        for _ in 0..3 {
            let asked = api.next(|asked| asked.body["metadata"]["annotations"].is_object()).await;
            let record =
                &asked.body["metadata"]["annotations"]["output.fissile.cloudfoundry.org/main.stdout"];
            let record: serde_json::Value = serde_json::from_str(record.as_str().unwrap()).unwrap();
            records.push(record["job"].as_str().unwrap().to_owned());
        }
        assert_eq!(records, ["first", "second", "third"]);
    });
}

/// An answer to the create of any object.
fn created(_: &Asked) -> Reply {
    Reply::Now(201, json!({ "metadata": { "resourceVersion": "7" } }))
}

/// Waits until so much has been told.
async fn told_of(told: &Told, count: usize) -> Vec<(Option<&'static str>, bool)> {
    while told.lock().unwrap().len() < count {
        sleep(Duration::from_millis(10)).await;
    }
    told.lock().unwrap().clone()
}

#[test]
fn what_one_output_waits_for_delays_no_other() {
    System::new().block_on(async {
        pause();
        let api = StandIn::answering(|asked| match (&asked.method, asked.path.ends_with("/log")) {
            (_, true) if asked.path.contains("pod-of-stuck") => Reply::refused(503, "ServiceUnavailable"),
            (_, true) => Reply::Raw("2026-01-01T00:00:00Z printed\n".into()),
            (&Method::GET, false) => Reply::refused(404, "NotFound"),
            _ => created(asked),
        });
        let told = Told::default();
        let parent = Parent(Arc::clone(&told)).start();
        let writer = writer(&api, &parent);
        writer.do_send(wish("stuck", 1));
        // The delays have grown by then.
        sleep(Duration::from_secs(300)).await;
        let (before, since) = (told.lock().unwrap().len(), Instant::now());
        writer.do_send(wish("next", 2));
        assert_eq!(told_of(&told, before + 1).await.last(), Some(&(None, true)));
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
        // The other one is tried again all the same.
        assert_eq!(told_of(&told, before + 2).await.last(), Some(&(Some("WriteFailed"), false)));
    });
}

/// A node that does not know the question for one stream.
fn api_without_streams() -> StandIn {
    StandIn::answering(|asked| match asked.path.ends_with("/log") {
        true if asked.query.contains("stream=") => {
            Reply::refused_with(400, "BadRequest", "unable to return the given log stream")
        }
        true => Reply::Raw("2026-01-01T00:00:00Z both\n".into()),
        false if asked.method == Method::GET => Reply::refused(404, "NotFound"),
        false => created(asked),
    })
}

#[test]
fn streams_that_are_not_apart_are_written_to_no_object_that_is_for_one_of_them() {
    System::new().block_on(async {
        pause();
        let mut api = api_without_streams();
        let told = Told::default();
        let writer = writer(&api, &Parent(Arc::clone(&told)).start());
        let to = |name: &str| json!({ "configRef": name });
        let output = json!({ "stdout": to("elsewhere/out"), "stderr": to("elsewhere/err") });
        writer.do_send(WriteOutput { wish: first_wish(output, Streams::Api), ..wish("job", 1) });
        // It is tried again.
        assert_eq!(told_of(&told, 3).await, [(Some("StreamsNotSeparated"), false); 3]);
        assert_eq!(api.count(|asked| asked.method == Method::POST), 0);
    });
}

#[test]
fn one_object_for_both_or_one_stream_alone_gets_them_as_they_are() {
    System::new().block_on(async {
        let to = || json!({ "configRef": "elsewhere/out" });
        for (output, key) in [
            (json!({ "stdout": to(), "stderr": to() }), "main.log"),
            (json!({ "stdout": to() }), "main.stdout"),
            (json!({ "stderr": to() }), "main.stderr"),
        ] {
            let mut api = api_without_streams();
            let writer = writer(&api, &Parent::default().start());
            writer.do_send(WriteOutput { wish: first_wish(output, Streams::Api), ..wish("job", 1) });
            let written = api.next(|asked| asked.method == Method::POST).await.body;
            assert_eq!(written["data"].as_object().unwrap().keys().collect::<Vec<_>>(), [key]);
            let record =
                &written["metadata"]["annotations"][format!("output.fissile.cloudfoundry.org/{key}")];
            assert!(record.as_str().unwrap().contains("\"streams\":\"Merged\""), "{record}");
        }
    });
}

#[test]
fn that_one_container_is_merged_is_not_the_last_word_for_another() {
    System::new().block_on(async {
        pause();
        let mut api = StandIn::answering(|asked| match asked.path.ends_with("/log") {
            true if asked.query.contains("container=busy") => Reply::refused(503, "ServiceUnavailable"),
            true if asked.query.contains("stream=") => {
                Reply::refused_with(400, "BadRequest", "unable to return the given log stream")
            }
            true => Reply::Raw("2026-01-01T00:00:00Z both\n".into()),
            false if asked.method == Method::GET => Reply::refused(404, "NotFound"),
            false => created(asked),
        });
        let told = Told::default();
        let writer = writer(&api, &Parent(Arc::clone(&told)).start());
        let to = || json!({ "configRef": "elsewhere/out" });
        let wish = first_wish(json!({ "stdout": to(), "stderr": to() }), Streams::Api);
        writer.do_send(WriteOutput { wish, ..of_containers("job", 1, &["busy", "mixed"]) });
        let written = api.next(|asked| asked.method == Method::POST).await.body;
        assert_eq!(written["data"], json!({ "mixed.log": "both\n" }));
        assert_eq!(told_of(&told, 1).await, [(Some("WriteFailed"), false)]);
    });
}

#[test]
fn a_log_that_was_written_with_both_streams_before_a_crash_is_not_written_beside_them() {
    System::new().block_on(async {
        let order = wish("job", 1);
        let record = json!({
            "extendedJob": "ns/ejob1", "job": "job", "run": "", "attempt": order.attempts[0].end.id,
            "container": "main", "result": "Succeeded", "ended": "1970-01-01T00:00:01Z", "bytesSeen": 4, "bytesKept": 4,
            "streams": "Merged",
        });
        let annotations = json!({ "output.fissile.cloudfoundry.org/main.log": record.to_string() });
        let metadata = json!({ "resourceVersion": "7", "annotations": annotations });
        let mut api = StandIn::answering(move |asked| match asked.method {
            Method::GET => Reply::Now(200, json!({ "metadata": metadata, "data": { "main.log": "both" } })),
            _ => created(asked),
        });
        let told = Told::default();
        let writer = writer(&api, &Parent(Arc::clone(&told)).start());
        let to = || json!({ "configRef": "elsewhere/out" });
        let wish = first_wish(json!({ "stdout": to(), "stderr": to() }), Streams::Kubelet);
        writer.do_send(WriteOutput { wish, ..order });
        assert_eq!(told_of(&told, 1).await, [(None, true)]);
        assert_eq!(api.count(|asked| asked.method != Method::GET || asked.path.ends_with("/log")), 0);
    });
}

#[test]
fn what_was_followed_is_not_given_up_for_less() {
    System::new().block_on(async {
        let mut api = api(created);
        let parent = Parent::default().start();
        let writer = writer(&api, &parent);
        let mut recorder = Recorder::new(Spool::without_room(), 1000);
        recorder.push(b"all that came before the rotation\n").await;
        let mut order = wish("job", 1);
        let end = order.attempts[0].end.clone();
        let followed = HashMap::from([(
            (end.logs[0].clone(), Stream::Log),
            Followed::cut_short(recorder.finish().await),
        )]);
        order.attempts = [Arc::new(Attempted { end, followed })].into();
        writer.do_send(order);
        let written = api.next(|asked| asked.method == Method::POST).await;
        assert_eq!(written.body["data"], json!({ "main.stdout": "all that came before the rotation\n" }));
    });
}

#[test]
fn a_log_of_which_nothing_was_heard_before_its_pod_went_is_lost_and_not_empty() {
    System::new().block_on(async {
        let mut api = StandIn::answering(|_| Reply::refused(404, "NotFound"));
        let told = Told::default();
        let parent = Parent(Arc::clone(&told)).start();
        let mut order = wish("job", 1);
        let end = order.attempts[0].end.clone();
        let capture = Recorder::new(Spool::without_room(), 1000).finish().await;
        let log = (end.logs[0].clone(), Stream::Log);
        let followed = HashMap::from([(log, Followed::cut_short(capture))]);
        order.attempts = [Arc::new(Attempted { end, followed })].into();
        writer(&api, &parent).do_send(order);
        assert_eq!(told_of(&told, 1).await, [(Some("OutputLost"), true)]);
        assert_eq!(api.count(|asked| asked.method != Method::GET), 0);
    });
}

/// What is written of the first run of a container that failed and may be started again, of which its pod does not tell
/// yet: by what was followed, and by what the kubelet has of its present run and of the one before.
async fn written_of_a_first_run(
    followed: Followed,
    present: &'static str,
    before: Option<&'static str>,
) -> Value {
    let owner = json!({ "apiVersion": "batch/v1", "kind": "Job", "uid": "job", "controller": true });
    let labels = json!({ "fissile.cloudfoundry.org/extendedjob": "x" });
    let metadata =
        json!({ "name": "pod-of-job", "resourceVersion": "1", "labels": labels, "ownerReferences": [owner] });
    let status = json!({ "containerStatuses": [{ "name": "main", "restartCount": 0 }] });
    let pod =
        json!({ "metadata": metadata, "spec": { "containers": [{ "name": "main" }] }, "status": status });
    let mut api = StandIn::answering(move |asked| match (asked.path.ends_with("/log"), before) {
        (true, Some(before)) if asked.query.contains("previous=true") => Reply::Raw(before.into()),
        (true, None) if asked.query.contains("previous=true") => Reply::refused(400, "BadRequest"),
        (true, _) => Reply::Raw(present.into()),
        _ if asked.path.ends_with("/pods") => Reply::Now(200, json!({ "items": [pod] })),
        _ if asked.method == Method::GET => Reply::refused(404, "NotFound"),
        _ => created(asked),
    });
    let writer = writer(&api, &Parent::default().start());
    let mut order = wish("job", 1);
    let main = ContainerEnd { name: "main".into(), exit_code: 1, reason: "Error".into() };
    let end = order.attempts[0].end.clone();
    let end = AttemptEnd { in_place: true, succeeded: false, containers: vec![main], ..end };
    let followed = HashMap::from([((end.logs[0].clone(), Stream::Log), followed)]);
    order.attempts = [Arc::new(Attempted { end, followed })].into();
    order.wish = Arc::new(output::Wish { write_on_failure: true, ..output::Wish::clone(&order.wish) });
    writer.do_send(order);
    api.next(|asked| asked.method == Method::POST).await.body["data"].clone()
}

async fn silent() -> Followed {
    let capture = Recorder::new(Spool::without_room(), 1000).finish().await;
    Followed::whole_section(Section { run: None, capture, possibly_rotated: false })
}

#[test]
fn what_a_run_printed_is_not_mistaken_for_the_silence_of_the_next_one() {
    System::new().block_on(async {
        let printed = Some("2026-01-01T00:00:00Z printed\n");
        let written = written_of_a_first_run(silent().await, "", printed).await;
        assert_eq!(written, json!({ "main.stdout": "printed\n" }));
    });
}

#[test]
fn last_words_that_got_their_stamp_after_the_end_are_not_lost() {
    System::new().block_on(async {
        // It ended in second 1.
        let late = "1970-01-01T00:00:02Z late\n";
        let written = written_of_a_first_run(silent().await, late, None).await;
        assert_eq!(written, json!({ "main.stdout": "late\n" }));
    });
}

#[test]
fn a_log_that_the_kubelet_has_lost_is_told_to_be_lost() {
    System::new().block_on(async {
        let api = StandIn::answering(|asked| match asked.path.ends_with("/log") {
            true => Reply::Raw("unable to retrieve container logs for containerd://0123".into()),
            false => Reply::refused(404, "NotFound"),
        });
        let told = Told::default();
        let parent = Parent(Arc::clone(&told)).start();
        writer(&api, &parent).do_send(wish("job", 1));
        assert_eq!(told_of(&told, 1).await, [(Some("OutputLost"), true)]);
    });
}

#[test]
fn numbers_that_others_have_taken_are_passed_over() {
    System::new().block_on(async {
        let api = StandIn::answering(|asked| {
            let name = asked.body["metadata"]["name"].as_str().unwrap_or_default();
            let number = name.strip_prefix("out-v").and_then(|number| number.parse().ok());
            match number {
                _ if asked.path.ends_with("/log") => Reply::Raw("2026-01-01T00:00:00Z printed\n".into()),
                None => Reply::Now(200, json!({ "items": null })),
                Some(1..=25) => Reply::refused(409, "AlreadyExists"),
                Some(26..) | Some(..=0) => created(asked),
            }
        });
        let told = Told::default();
        let parent = Parent(Arc::clone(&told)).start();
        let mut order = wish("job", 1);
        order.wish = Arc::new(output::Wish { versioned: true, ..output::Wish::clone(&order.wish) });
        pause();
        writer(&api, &parent).do_send(order);
        let told = told_of(&told, 3).await;
        assert_eq!(told, [(Some("WriteFailed"), false), (Some("WriteFailed"), false), (None, true)]);
    });
}
