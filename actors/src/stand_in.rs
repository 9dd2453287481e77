//! An API server for tests of what a real one will not do on demand: leave a request without an
//! answer, or give it at a chosen moment.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::StreamBody;
use kube::Client;
use serde_json::{Value, json};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, unbounded_channel},
        oneshot,
    },
    time::timeout,
};

use crate::{capture::Spool, cluster::Cluster};

const PATIENCE: Duration = Duration::from_secs(60);

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: String,
    pub(crate) body: Value,
}

impl Asked {
    /// Whether it would make a Job.
    pub(crate) fn creates_job(&self) -> bool {
        self.method == Method::POST && self.path.ends_with("/jobs") && !self.is_dry_run()
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.query.contains("dryRun=All")
    }

    /// Whether it lists all pods.
    pub(crate) fn lists_pods(&self) -> bool {
        self.method == Method::GET && self.path.ends_with("/pods") && self.query.contains("limit=500")
    }

    /// Whether it would change a status.
    pub(crate) fn writes_status(&self) -> bool {
        self.method == Method::PATCH && self.path.ends_with("/status")
    }
}

/// What becomes of a request.
pub(crate) enum Reply {
    /// This answer.
    Now(u16, Value),
    /// This answer, when the sender says so.
    When(oneshot::Receiver<()>, u16, Value),
    /// These very bytes.
    Raw(Vec<u8>),
    /// These very bytes, and then neither more nor an end.
    Stalling(Vec<u8>),
    /// None.
    Never,
}

impl Reply {
    /// A create or dry run that is granted.
    pub(crate) fn granted(asked: &Asked) -> Self {
        let mut object = asked.body.clone();
        object["metadata"]["uid"] = json!("uid-of-the-new");
        Self::Now(201, object)
    }

    /// A Status with this code.
    pub(crate) fn refused(code: u16, reason: &str) -> Self {
        Self::refused_with(code, reason, "")
    }

    /// The same with these words.
    pub(crate) fn refused_with(code: u16, reason: &str, message: &str) -> Self {
        let status = json!({
            "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message,
        });
        Self::Now(code, status)
    }
}

/// When an answer ends.
enum End {
    Now,
    Never,
}

fn sent(bytes: Vec<u8>, end: End) -> impl Body<Data = Bytes, Error = io::Error> + Send {
    let rest = match end {
        End::Now => stream::empty().left_stream(),
        End::Never => stream::pending().right_stream(),
    };
    StreamBody::new(stream::iter([Ok(Frame::data(bytes.into()))]).chain(rest))
}

fn shown(header: &http::HeaderValue) -> String {
    header.to_str().unwrap().to_owned()
}

/// What was asked so far, and a client to ask with.
pub(crate) struct StandIn {
    asked: UnboundedReceiver<Asked>,
    pub(crate) client: Client,
}

impl StandIn {
    /// Answers each request as `answer` says.
    pub(crate) fn answering(answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let (sender, asked) = unbounded_channel();
        let answer = Arc::new(Mutex::new(answer));
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let (sender, answer) = (sender.clone(), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let asked = Asked {
                    method: parts.method,
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().unwrap_or_default().to_owned(),
                    authorization: parts.headers.get("authorization").map(shown).unwrap_or_default(),
                    body: serde_json::from_slice(&body).unwrap_or_default(),
                };
                let reply = answer.lock().unwrap()(&asked);
                // The test may be over.
                sender.send(asked).unwrap_or_default();
                let (code, body) = match reply {
                    Reply::Raw(body) => return Ok(Response::new(sent(body, End::Now))),
                    Reply::Stalling(body) => return Ok(Response::new(sent(body, End::Never))),
                    Reply::Now(code, body) => (code, body),
                    Reply::When(moment, code, body) => {
                        moment.await.unwrap();
                        (code, body)
                    }
                    Reply::Never => std::future::pending().await,
                };
                let body = sent(body.to_string().into_bytes(), End::Now);
                Ok::<_, io::Error>(Response::builder().status(code).body(body).unwrap())
            }
        });
        Self { asked, client: Client::new(service, "default") }
    }

    /// The same, but that the first request of a kind is answered so when the sender says so.
    pub(crate) fn holding_back(
        is_of_kind: impl Fn(&Asked) -> bool + Send + 'static,
        body: Value,
        mut answer: impl FnMut(&Asked) -> Reply + Send + 'static,
    ) -> (Self, oneshot::Sender<()>) {
        let (sender, moment) = oneshot::channel();
        let mut held_back = Some((moment, body));
        let api = Self::answering(move |asked| match held_back.take_if(|_| is_of_kind(asked)) {
            Some((moment, body)) => Reply::When(moment, 200, body),
            None => answer(asked),
        });
        (api, sender)
    }

    /// The cluster behind it, whose logs are kept nowhere.
    pub(crate) fn cluster(&self) -> Cluster {
        Cluster::new(self.client.clone(), Spool::without_room())
    }

    /// The next request of this kind; others are passed over.
    pub(crate) async fn next(&mut self, kind: impl Fn(&Asked) -> bool) -> Asked {
        let next = async {
            loop {
                let asked = self.asked.recv().await.unwrap();
                if kind(&asked) {
                    return asked;
                }
            }
        };
        timeout(PATIENCE, next).await.expect("a request of this kind comes")
    }

    /// How many requests of this kind have come and were not looked at.
    pub(crate) fn count(&mut self, kind: impl Fn(&Asked) -> bool) -> usize {
        std::iter::from_fn(|| self.asked.try_recv().ok()).filter(kind).count()
    }
}
