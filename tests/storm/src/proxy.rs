//! A proxy between operators and the API server, which does to requests what networks and API servers do on bad days.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use crowds::target::Target;
use futures::{StreamExt, TryStreamExt, stream};
use kube::Client;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mischief {
    /// It is answered so, and nothing is done.
    Refused(u16),
    /// It is done, and answered so all the same.
    DoneButRefused(u16),
    /// It is passed on after this time.
    Late(Duration),
    /// Its answer breaks off after so many bytes.
    Cut(usize),
    /// Each part of its answer comes after this time.
    Slow(Duration),
}

/// To which requests it happens.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) concerns: fn(&Method, &Uri) -> bool,
    /// To one of so many of them.
    pub(crate) one_of: usize,
    pub(crate) mischief: Mischief,
}

/// Runs until it is dropped.
pub(crate) struct Proxy {
    /// Where operators reach it.
    pub(crate) address: SocketAddr,
    state: Arc<Passing>,
    serving: JoinHandle<()>,
}

struct Passing {
    client: Client,
    rule: RwLock<Option<Rule>>,
    /// Requests that the rule concerned so far.
    concerned: AtomicUsize,
    /// Those to which it happened.
    hit: AtomicUsize,
}

impl Proxy {
    /// One that passes everything on.
    pub(crate) async fn start(target: &Target) -> Result<Self> {
        let client = target.connect_as_nobody()?;
        let (rule, concerned, hit) = (RwLock::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let state = Arc::new(Passing { client, rule, concerned, hit });
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(pass).with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the proxy gave way: {error}");
            }
        });
        Ok(Self { address, state, serving })
    }

    /// From now on this happens, or nothing.
    pub(crate) fn follow(&self, rule: Option<Rule>) {
        *self.state.rule.write().unwrap_or_else(PoisonError::into_inner) = rule;
    }

    /// How often something has happened.
    pub(crate) fn hits(&self) -> usize {
        self.state.hit.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Passing {
    fn mischief(&self, request: &Request) -> Option<Mischief> {
        let rule = (*self.rule.read().unwrap_or_else(PoisonError::into_inner))?;
        if !(rule.concerns)(request.method(), request.uri()) {
            return None;
        }
        let is_its_turn = self.concerned.fetch_add(1, Ordering::Relaxed).is_multiple_of(rule.one_of);
        self.hit.fetch_add(usize::from(is_its_turn), Ordering::Relaxed);
        is_its_turn.then_some(rule.mischief)
    }
}

async fn pass(State(passing): State<Arc<Passing>>, request: Request) -> Response {
    let mischief = passing.mischief(&request);
    match mischief {
        Some(Mischief::Refused(code)) => return refusal(code),
        Some(Mischief::Late(time)) => sleep(time).await,
        _ => {}
    }
    let Ok(mut answer) = passed_on(&passing.client, request).await else { return refusal(502) };
    // Of the connection behind, not of the one before.
    answer.headers_mut().remove(CONNECTION);
    answer.headers_mut().remove(TRANSFER_ENCODING);
    match mischief {
        Some(Mischief::DoneButRefused(code)) => refusal(code),
        Some(Mischief::Cut(length)) => answer.map(|body| cut(body, length)),
        Some(Mischief::Slow(time)) => answer.map(|body| {
            let parts = body.into_data_stream().then(move |part| async move {
                sleep(time).await;
                part
            });
            Body::from_stream(parts)
        }),
        _ => answer,
    }
}

async fn passed_on(client: &Client, request: Request) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(HOST);
    let body = to_bytes(body, usize::MAX).await?.to_vec();
    let answer = client.send(Request::from_parts(parts, body.into())).await?;
    Ok(answer.map(Body::new))
}

/// What comes behind so many bytes does not come, and the connection breaks.
fn cut(body: Body, length: usize) -> Body {
    let broken = stream::once(async { Err(axum::Error::new("cut")) });
    let mut left = length;
    let parts = body.into_data_stream().map_ok(move |part| {
        let part: Bytes = part.slice(..part.len().min(left));
        left -= part.len();
        part
    });
    let begin = parts.try_take_while(|part| std::future::ready(Ok(!part.is_empty())));
    Body::from_stream(begin.chain(broken))
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
