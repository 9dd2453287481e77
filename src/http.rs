//! `/livez` and `/readyz` for the kubelet, `/metrics` for Prometheus.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use extendedjob_actors::{Cluster, Metrics, Readiness};
use tokio::net::TcpListener;

/// What it answers about.
pub(crate) struct Answers {
    pub(crate) metrics: Metrics,
    /// The operators of this process.
    pub(crate) operators: Vec<(Cluster, Readiness)>,
}

/// Answers until the program ends.
///
/// It shares its thread with the actors: one that blocks it keeps `/livez` from answering, which
/// is what a liveness probe is for.
pub(crate) async fn serve(listen: SocketAddr, answers: Answers) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("can't listen on {listen}"))?;
    let router = Router::new()
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(answers));
    axum::serve(listener, router).await.with_context(|| format!("can't serve on {listen}"))
}

/// What [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/) calls its text format.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

async fn metrics(State(answers): State<Arc<Answers>>) -> Response {
    answers.operators.iter().for_each(|(cluster, _)| cluster.count_leading());
    match answers.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// One that may not look at its namespace is waited for as little as its namespace is needed for others.
async fn readyz(State(answers): State<Arc<Answers>>) -> (StatusCode, &'static str) {
    let operators = || answers.operators.iter();
    let waits = |(cluster, readiness): &(Cluster, Readiness)| !readiness.is_ready() && !cluster.is_refused();
    if operators().any(waits) {
        (StatusCode::SERVICE_UNAVAILABLE, "still reading what is in the cluster")
    } else if operators().all(|(_, readiness)| !readiness.is_ready()) {
        (StatusCode::SERVICE_UNAVAILABLE, "the API server does not let it read what is in the cluster")
    } else {
        (StatusCode::OK, "ok")
    }
}
