//! Bad days of the network and of the API server: for a while requests fail in some way, while pods change. When that is
//! over, each transition has its Job, and each output is where it belongs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use axum::http::{Method, Uri};
use crowds::extended_jobs::{once, triggered};
use crowds::pods::IN_SELECTOR;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::proxy::{Mischief, Proxy, Rule};
use crate::stage::Stage;

/// How long it lasts.
const DAY: Duration = Duration::from_secs(20);
/// Longer than the operator waits for an answer.
const TOO_LATE: Duration = Duration::from_secs(30);
/// In the middle of an event.
const CUT: usize = 5000;

/// Each watch, and each log that is followed, breaks off again and again.
pub(super) async fn streams_break_off(stage: &mut Stage<'_>) -> Result<()> {
    play(stage, Rule { concerns: is_stream, one_of: 1, mischief: Mischief::Cut(CUT) }).await
}

/// No watch can be resumed, and all has to be listed anew.
pub(super) async fn watches_are_gone(stage: &mut Stage<'_>) -> Result<()> {
    play(stage, Rule { concerns: is_watch, one_of: 2, mischief: Mischief::Refused(410) }).await
}

/// What watches tell is old: each event comes a second after the one before.
pub(super) async fn watches_are_behind(stage: &mut Stage<'_>) -> Result<()> {
    let mischief = Mischief::Slow(Duration::from_millis(250));
    play(stage, Rule { concerns: is_watch, one_of: 1, mischief }).await
}

/// The API server refuses every second request in this way.
pub(super) async fn refused(stage: &mut Stage<'_>, code: u16) -> Result<()> {
    play(stage, Rule { concerns: |_, _| true, one_of: 2, mischief: Mischief::Refused(code) }).await
}

/// Every second write is said to be outdated.
pub(super) async fn conflicts(stage: &mut Stage<'_>) -> Result<()> {
    play(stage, Rule { concerns: is_change, one_of: 2, mischief: Mischief::Refused(409) }).await
}

/// Every second write is done, and answered as if it had not been.
pub(super) async fn done_unanswered(stage: &mut Stage<'_>) -> Result<()> {
    play(stage, Rule { concerns: is_write, one_of: 2, mischief: Mischief::DoneButRefused(504) }).await
}

/// Every third request but those for the Lease is carried out when the operator has given it up.
pub(super) async fn late(stage: &mut Stage<'_>) -> Result<()> {
    let concerns = |method: &Method, uri: &Uri| !is_stream(method, uri) && !uri.path().contains("/leases");
    play(stage, Rule { concerns, one_of: 3, mischief: Mischief::Late(TOO_LATE) }).await
}

async fn play(stage: &mut Stage<'_>, rule: Rule) -> Result<()> {
    let proxy = Proxy::start(stage.target).await?;
    stage.operators.lead_through(stage.target.kubeconfig_over(proxy.address)?);
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    stage.declare("deleted", triggered("deleted")).await?;
    let pods = stage.namespace.create_pods("day", stage.load.pods(), IN_SELECTOR).await?;
    let (during, after) = pods.split_at(pods.len() / 2);
    stage.expected.one("ready", &pods);
    stage.expected.one("deleted", during);
    stage.expected.without_pod(1, "writer");

    proxy.follow(Some(rule));
    stage.namespace.create_extended_job("writer", printing()).await?;
    stage.namespace.turn_ready(during, 0).await?;
    sleep(DAY / 2).await;
    stage.namespace.delete_pods(during).await?;
    sleep(DAY / 2).await;
    proxy.follow(None);
    let begin = Instant::now();
    ensure!(proxy.hits() > 0, "nothing has happened");
    stage.namespace.turn_ready(after, 0).await?;
    stage.until_all_jobs().await?;
    stage.recovered = Some(begin.elapsed());
    println!("    it happened to {} requests", proxy.hits());
    stage.namespace.until_written("writer", 1).await?;
    stage.settle().await
}

/// It runs once, and prints some lines one after the other.
fn printing() -> Value {
    let mut spec = once();
    let job = &mut spec["template"]["spec"];
    job["suspend"] = json!(false);
    let script = "for line in 1 2 3 4 5 6 7 8; do echo $line; sleep 1; done";
    job["template"]["spec"]["containers"][0]["command"] = json!(["sh", "-c", script]);
    spec["output"] = json!({"stdout": {"configRef": "written"}});
    spec
}

fn has_parameter(uri: &Uri, name: &str) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|part| part.split('=').next() == Some(name)))
}

fn is_watch(_: &Method, uri: &Uri) -> bool {
    has_parameter(uri, "watch")
}

fn is_stream(method: &Method, uri: &Uri) -> bool {
    is_watch(method, uri) || has_parameter(uri, "follow")
}

fn is_write(method: &Method, _: &Uri) -> bool {
    *method != Method::GET
}

/// Of what is there already.
fn is_change(method: &Method, _: &Uri) -> bool {
    [Method::PATCH, Method::PUT, Method::DELETE].contains(method)
}
