//! Counts the requests to the API server, all of them: whatever asks goes through the client that is made here.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Method, Request, Response, Uri};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tower::{Layer, Service};

use crate::metrics::Metrics;

/// A client whose requests are counted.
///
/// # Errors
/// If it can't be set up, such as for a CA that can't be used.
pub fn client(config: Config, metrics: &Metrics) -> Result<Client, kube::Error> {
    Ok(ClientBuilder::try_from(config)?.with_layer(&Counting(metrics.clone())).build())
}

struct Counting(Metrics);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Counted { inner, metrics: self.0.clone() }
    }
}

struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, ctx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(ctx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let verb = verb(request.method(), request.uri());
        let mut asked = Asked { verb, code: None, metrics: self.metrics.clone() };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            asked.answered(answer.as_ref().ok().map(|answer| answer.status().as_u16()));
            answer
        })
    }
}

/// A request on its way. Whoever gives up waiting for the answer drops it.
struct Asked {
    verb: &'static str,
    code: Option<u16>,
    metrics: Metrics,
}

impl Asked {
    /// A method, because an assignment would move the field alone into the future, and drop the rest before the answer.
    fn answered(&mut self, code: Option<u16>) {
        self.code = code;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.metrics.requests().count(self.verb, self.code);
    }
}

/// What a request does, in the words of Kubernetes; `log` is its own, because it may last as long as a pod.
fn verb(method: &Method, uri: &Uri) -> &'static str {
    match *method {
        Method::GET if uri.query().is_some_and(|query| query.split('&').any(|it| it == "watch=true")) => {
            "watch"
        }
        Method::GET => reading(uri.path()),
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    }
}

fn reading(path: &str) -> &'static str {
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    // `api/v1` or `apis/batch/v1`, and perhaps `namespaces/default`.
    parts.drain(..parts.len().min(if parts.first() == Some(&"apis") { 3 } else { 2 }));
    if parts.len() > 2 && parts[0] == "namespaces" {
        parts.drain(..2);
    }
    match parts[..] {
        [_] => "list",
        [_, _, "log"] => "log",
        _ => "get",
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::pending};

    use futures::FutureExt as _;
    use tower::service_fn;

    use super::*;

    #[test]
    fn verbs_are_those_of_kubernetes() {
        for (method, uri, expected) in [
            (Method::GET, "/api/v1/pods?limit=500", "list"),
            (Method::GET, "/api/v1/pods?labelSelector=watch%3Dtrue", "list"),
            (Method::GET, "/api/v1/pods?&watch=true&timeoutSeconds=290", "watch"),
            (Method::GET, "/api/v1/namespaces/ns/pods?", "list"),
            (Method::GET, "/api/v1/namespaces/ns/pods/p/log?follow=true", "log"),
            (Method::GET, "/api/v1/namespaces/ns/secrets/s", "get"),
            (Method::GET, "/apis/batch/v1/jobs", "list"),
            (Method::GET, "/apis/batch/v1/namespaces/ns/jobs/j", "get"),
            (Method::GET, "/api/v1/nodes/n", "get"),
            (Method::GET, "/", "get"),
            (Method::POST, "/apis/batch/v1/namespaces/ns/jobs?dryRun=All", "create"),
            (Method::PATCH, "/apis/batch/v1/namespaces/ns/jobs/j", "patch"),
            (Method::DELETE, "/apis/batch/v1/namespaces/ns/jobs/j", "delete"),
            (Method::OPTIONS, "/", "other"),
        ] {
            assert_eq!(verb(&method, &uri.parse().unwrap()), expected, "{method} {uri}");
        }
    }

    fn request() -> Request<Body> {
        Request::get("/api/v1/pods").body(Body::empty()).unwrap()
    }

    fn told(metrics: &Metrics, code: &str) -> bool {
        let line = format!("extendedjob_api_requests_total{{verb=\"list\",code=\"{code}\"}} 1\n");
        metrics.text().unwrap().contains(&line)
    }

    #[tokio::test]
    async fn an_answer_is_counted_by_its_code() {
        let metrics = Metrics::default();
        let answers =
            service_fn(async |_| Ok::<_, Infallible>(Response::builder().status(429).body(()).unwrap()));
        Counting(metrics.clone()).layer(answers).call(request()).await.unwrap();
        assert!(told(&metrics, "429") && !told(&metrics, "error"));
    }

    #[tokio::test]
    async fn what_was_given_up_is_an_error() {
        let metrics = Metrics::default();
        let silent = service_fn(|_| pending::<Result<Response<()>, Infallible>>());
        let asking = Counting(metrics.clone()).layer(silent).call(request());
        assert!(asking.now_or_never().is_none());
        assert!(told(&metrics, "error"));
    }
}
