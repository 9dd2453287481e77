//! A proxy between operators and the API server, which does to requests what networks and API servers do on bad days.
//!
//! Streams that are open when a bad day begins have their share of it, and are left alone when it is over.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use crowds::names::OPERATOR;
use crowds::patience::until;
use crowds::target::Target;
use futures::{StreamExt, stream};
use kube::Client;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Until what was written to a connection is on its way.
const FLUSHING: Duration = Duration::from_millis(10);

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mischief {
    /// It is answered so, and nothing is done.
    Refused(u16),
    /// It is done, and answered so all the same.
    DoneButRefused(u16),
    /// It is passed on after this time, whether or not someone still waits for the answer.
    Late(Duration),
    /// It is done, and answered after this time.
    AnsweredLate(Duration),
    /// Its answer breaks off after so many bytes, or some thousand more.
    Cut(usize),
    /// Each part of its answer comes after this time.
    Slow(Duration),
}

/// To which requests it happens.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) concerns: fn(&Method, &Uri) -> bool,
    /// To the first of so many of a kind.
    pub(crate) one_of: usize,
    pub(crate) mischief: Mischief,
}

/// Runs until it is dropped.
pub(crate) struct Proxy {
    /// Where operators reach it.
    pub(crate) address: SocketAddr,
    passing: Arc<Passing>,
    serving: JoinHandle<()>,
}

struct Passing {
    client: Client,
    rule: watch::Sender<Option<Rule>>,
    /// Answers that were passed on so far.
    streams: AtomicUsize,
    /// Requests that a rule concerned so far.
    concerned: Counts,
    /// Those to which it happened.
    hits: Counts,
    /// Those that are still to be passed on.
    late: AtomicUsize,
}

impl Proxy {
    /// One that passes everything on.
    pub(crate) async fn start(target: &Target) -> Result<Self> {
        let passing = Arc::new(Passing {
            client: target.connect_as_nobody()?,
            rule: watch::Sender::default(),
            streams: AtomicUsize::new(0),
            concerned: Counts::default(),
            hits: Counts::default(),
            late: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(pass).with_state(Arc::clone(&passing));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the proxy gave way: {error}");
            }
        });
        Ok(Self { address, passing, serving })
    }

    /// From now on this happens, or nothing.
    pub(crate) fn follow(&self, rule: Option<Rule>) {
        self.passing.rule.send_replace(rule);
    }

    /// How often something has happened, by the kind of the requests, such as `GET pods`.
    pub(crate) fn hits(&self) -> BTreeMap<String, usize> {
        self.passing.hits.all().clone()
    }

    /// Waits until all that comes late has come.
    pub(crate) async fn until_none_is_late(&self) -> Result<()> {
        until("the last request that is late", async || {
            Ok((self.passing.late.load(Ordering::Relaxed) == 0).then_some(()))
        })
        .await
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Passing {
    /// What the present rule does to something like this, if it concerns it.
    fn concerning(&self, method: &Method, uri: &Uri) -> Option<Rule> {
        (*self.rule.borrow()).filter(|rule| (rule.concerns)(method, uri))
    }

    fn mischief(&self, request: &Request) -> Option<Mischief> {
        let rule = self.concerning(request.method(), request.uri())?;
        let is_its_turn = self.concerned.count(request.method(), request.uri()).is_multiple_of(rule.one_of);
        // What happens to a stream is counted when it does.
        if is_its_turn && !matches!(rule.mischief, Mischief::Cut(_) | Mischief::Slow(_)) {
            self.hits.count(request.method(), request.uri());
        }
        is_its_turn.then_some(rule.mischief)
    }
}

/// How many there were, by their kind.
#[derive(Default)]
struct Counts(Mutex<BTreeMap<String, usize>>);

impl Counts {
    /// Counts one more, and says how many there were before.
    fn count(&self, method: &Method, uri: &Uri) -> usize {
        let mut all = self.all();
        let count = all.entry(kind(method, uri)).or_default();
        *count += 1;
        *count - 1
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The method, and what a request is about: `GET pods`, `POST jobs`, `GET log`, the part of an object, `PATCH outputs`, or a
/// word for the rest.
fn kind(method: &Method, uri: &Uri) -> String {
    let known =
        ["log", "status", "leases", "events", "jobs", "extendedjobs", "pods", "configmaps", "secrets"];
    let parts: Vec<&str> = uri.path().split('/').collect();
    let about = match known.iter().find(|name| parts.contains(name)) {
        _ if uri.query().is_some_and(|query| query.contains("dryRun")) => "trials",
        // What is not the operator's own is what runs have printed.
        Some(&"configmaps") if !parts.contains(&OPERATOR) => "outputs",
        Some(name) => name,
        None => "others",
    };
    format!("{method} {about}")
}

async fn pass(State(passing): State<Arc<Passing>>, request: Request) -> Response {
    let mischief = passing.mischief(&request);
    if let Some(Mischief::Refused(code)) = mischief {
        return refusal(code);
    }
    let (method, uri) = (request.method().clone(), request.uri().clone());
    // Whoever asked may give up, and close the connection: what is to be done is done all the same.
    let passed = tokio::spawn(passed_on(Arc::clone(&passing), request, mischief));
    let mut answer = match passed.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            eprintln!("the proxy can't pass on {method} {uri}: {error:#}");
            return refusal(502);
        }
        Err(error) => {
            eprintln!("the proxy fell over {method} {uri}: {error}");
            return refusal(502);
        }
    };
    match mischief {
        Some(Mischief::DoneButRefused(code)) => return refusal(code),
        Some(Mischief::AnsweredLate(time)) => sleep(time).await,
        _ => {}
    }
    // Of the connection behind, not of the one before.
    answer.headers_mut().remove(CONNECTION);
    answer.headers_mut().remove(TRANSFER_ENCODING);
    answer.map(|body| Stream::new(passing, method, uri, body).into_body())
}

async fn passed_on(passing: Arc<Passing>, request: Request, mischief: Option<Mischief>) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(HOST);
    let body = to_bytes(body, usize::MAX).await?.to_vec();
    let late = match mischief {
        Some(Mischief::Late(time)) => Some(time),
        _ => None,
    };
    if let Some(time) = late {
        passing.late.fetch_add(1, Ordering::Relaxed);
        sleep(time).await;
    }
    let answer = passing.client.send(Request::from_parts(parts, body.into())).await;
    passing.late.fetch_sub(usize::from(late.is_some()), Ordering::Relaxed);
    Ok(answer?.map(Body::new))
}

/// An answer on its way.
struct Stream {
    passing: Arc<Passing>,
    rule: watch::Receiver<Option<Rule>>,
    method: Method,
    uri: Uri,
    parts: BodyDataStream,
    /// How many bytes more than others come before it is cut, if it is: cut at the same place each time, what is longer
    /// would never get through.
    more: usize,
    /// How many have come since then.
    sent: usize,
    /// A part of it was held back: nothing may come after that.
    is_cut: bool,
    is_broken: bool,
}

impl Stream {
    fn new(passing: Arc<Passing>, method: Method, uri: Uri, body: Body) -> Self {
        let (rule, parts) = (passing.rule.subscribe(), body.into_data_stream());
        let more = passing.streams.fetch_add(1, Ordering::Relaxed) * 997 % 8192;
        Self { passing, rule, method, uri, parts, more, sent: 0, is_cut: false, is_broken: false }
    }

    fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, async |mut stream| Some((stream.next().await?, stream))))
    }

    async fn next(&mut self) -> Option<Result<Bytes, axum::Error>> {
        if self.is_broken {
            return None;
        }
        if self.is_cut {
            // What was passed on is sent before the connection is closed.
            sleep(FLUSHING).await;
            self.passing.hits.count(&self.method, &self.uri);
            return Some(self.broken());
        }
        loop {
            tokio::select! {
                part = self.parts.next() => return self.harmed(part?).await,
                Ok(()) = self.rule.changed() => {
                    if matches!(self.mischief(), Some(Mischief::Refused(_))) {
                        return Some(self.broken());
                    }
                }
            }
        }
    }

    fn mischief(&self) -> Option<Mischief> {
        Some(self.passing.concerning(&self.method, &self.uri)?.mischief)
    }

    async fn harmed(&mut self, part: Result<Bytes, axum::Error>) -> Option<Result<Bytes, axum::Error>> {
        let Ok(bytes) = part else { return Some(part) };
        match self.mischief() {
            Some(Mischief::Slow(time)) => {
                self.passing.hits.count(&self.method, &self.uri);
                sleep(time).await;
                Some(Ok(bytes))
            }
            Some(Mischief::Cut(length)) => {
                let left = (length + self.more).saturating_sub(self.sent);
                self.sent += bytes.len();
                self.is_cut = bytes.len() >= left;
                Some(Ok(bytes.slice(..bytes.len().min(left))))
            }
            _ => Some(Ok(bytes)),
        }
    }

    fn broken(&mut self) -> Result<Bytes, axum::Error> {
        self.is_broken = true;
        Err(axum::Error::new("cut"))
    }
}

/// As the API server words it.
fn refusal(code: u16) -> Response {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "Unknown",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "a bad day", "reason": reason, "code": code,
    });
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut answer = (code, [(CONTENT_TYPE, "application/json")], status.to_string()).into_response();
    if code == StatusCode::TOO_MANY_REQUESTS {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}
