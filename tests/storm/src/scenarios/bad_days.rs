//! Bad days of the network and of the API server: for a while requests fail in some way, while pods change. When that is
//! over, each transition has its Job, and each output is where it belongs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use axum::http::{Method, Uri};
use crowds::extended_jobs::triggered;
use crowds::pods::IN_SELECTOR;
use tokio::time::sleep;

use super::writer;
use crate::proxy::{Mischief, Proxy, Rule};
use crate::stage::Stage;

/// How long it lasts.
const DAY: Duration = Duration::from_secs(20);
/// Longer than the operator waits for an answer.
const TOO_LATE: Duration = Duration::from_secs(30);
/// A write of an output to an object that is not there yet.
const WRITE_OF_OUTPUT: &str = "POST outputs";
/// In the middle of an event, or of a line.
const CUT: usize = 5000;

/// Each watch, and each log that is followed, breaks off again and again.
pub(super) async fn streams_break_off(stage: &mut Stage<'_>) -> Result<()> {
    let rule = Rule { concerns: is_stream, one_of: 1, mischief: Mischief::Cut(CUT) };
    play(stage, rule, &["GET pods", "GET jobs", "GET log"], Deleted::Meanwhile).await
}

/// No watch can be resumed, and all has to be listed anew. Of a pod that turns ready and goes between two lists nobody can
/// tell; so none does.
pub(super) async fn watches_are_gone(stage: &mut Stage<'_>) -> Result<()> {
    let rule = Rule { concerns: is_watch, one_of: 2, mischief: Mischief::Refused(410) };
    play(stage, rule, &["GET pods", "GET jobs", "GET extendedjobs"], Deleted::Afterwards).await
}

/// What watches tell is old, and more so the longer it lasts.
pub(super) async fn watches_are_behind(stage: &mut Stage<'_>) -> Result<()> {
    let mischief = Mischief::Slow(Duration::from_millis(250));
    play(
        stage,
        Rule { concerns: is_watch, one_of: 1, mischief },
        &["GET pods", "GET jobs"],
        Deleted::Meanwhile,
    )
    .await
}

/// The API server refuses every second request in this way.
pub(super) async fn refused(stage: &mut Stage<'_>, code: u16) -> Result<()> {
    // Not those that are open: it answers no more than it is asked.
    requests_fail(stage, |method, uri| !is_stream(method, uri), 2, Mischief::Refused(code)).await
}

/// Every second write is said to be outdated.
pub(super) async fn conflicts(stage: &mut Stage<'_>) -> Result<()> {
    requests_fail(stage, is_write, 2, Mischief::Refused(409)).await
}

/// Every second write is done, and answered as if it had not been.
pub(super) async fn done_unanswered(stage: &mut Stage<'_>) -> Result<()> {
    requests_fail(stage, is_write, 2, Mischief::DoneButRefused(504)).await
}

/// Every third request but those for the Lease is carried out when the operator has given it up. Nor is the look at an
/// object before output is written there: the write would come when all is over.
pub(super) async fn late(stage: &mut Stage<'_>) -> Result<()> {
    let concerns = |method: &Method, uri: &Uri| {
        let is_look = *method == Method::GET && uri.path().contains("/configmaps/");
        !is_stream(method, uri) && !is_of_lease(uri) && !is_look
    };
    requests_fail(stage, concerns, 3, Mischief::Late(TOO_LATE)).await
}

/// Every third write is done at once, and answered when the operator has given it up.
pub(super) async fn answered_late(stage: &mut Stage<'_>) -> Result<()> {
    let concerns = |method: &Method, uri: &Uri| is_write(method, uri) && !is_of_lease(uri);
    requests_fail(stage, concerns, 3, Mischief::AnsweredLate(TOO_LATE)).await
}

/// It happens to one of so many of these requests, those for Jobs and outputs among them.
async fn requests_fail(
    stage: &mut Stage<'_>,
    concerns: fn(&Method, &Uri) -> bool,
    one_of: usize,
    mischief: Mischief,
) -> Result<()> {
    play(stage, Rule { concerns, one_of, mischief }, &["POST jobs", WRITE_OF_OUTPUT], Deleted::Meanwhile)
        .await
}

/// When the pods go that turn ready on a bad day.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deleted {
    Meanwhile,
    Afterwards,
}

/// `concerned`: what it happens to at least.
async fn play(stage: &mut Stage<'_>, rule: Rule, concerned: &[&str], deleted: Deleted) -> Result<()> {
    let proxy = Proxy::start(stage.target).await?;
    stage.operators.lead_through(stage.target.kubeconfig_over(proxy.address)?);
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    stage.declare("deleted", triggered("deleted")).await?;
    let pods = stage.namespace.create_pods("day", stage.load.pods(), IN_SELECTOR).await?;
    let (during, after) = pods.split_at(pods.len() / 2);
    stage.expected.one("ready", during);

    writer::begin(stage).await?;
    proxy.follow(Some(rule));
    stage.namespace.turn_ready(during, 0).await?;
    sleep(DAY / 2).await;
    if deleted == Deleted::Meanwhile {
        stage.expected.one("deleted", during);
        stage.namespace.delete_pods(during).await?;
    }
    sleep(DAY / 2).await;
    proxy.follow(None);
    let begin = Instant::now();
    stage.until_all_jobs().await?;
    stage.recovered = Some(begin.elapsed());

    let hits = proxy.hits();
    println!("    it happened to {hits:?}");
    let spared = concerned.iter().find(|resource| !hits.contains_key(**resource));
    ensure!(spared.is_none(), "nothing happened to {spared:?}");
    proxy.until_none_is_late().await?;
    if deleted == Deleted::Afterwards {
        stage.expected.one("deleted", during);
        stage.namespace.delete_pods(during).await?;
    }
    stage.expected.one("ready", after);
    stage.namespace.turn_ready(after, 0).await?;
    writer::until_all_is_written(stage).await?;
    stage.settle().await
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

fn is_of_lease(uri: &Uri) -> bool {
    uri.path().contains("/leases")
}

fn is_write(method: &Method, _: &Uri) -> bool {
    *method != Method::GET
}
