//! `/livez` and `/readyz` for the kubelet, `/metrics` for Prometheus.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use extendedjob_actors::{Cluster, Readiness};
use tokio::net::TcpListener;

/// Answers until the program ends.
///
/// It shares its thread with the actors: one that blocks it keeps `/livez` from answering, which
/// is what a liveness probe is for.
pub(crate) async fn serve(listen: SocketAddr, readiness: Readiness, cluster: Cluster) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("can't listen on {listen}"))?;
    let router = Router::new()
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(metrics).with_state(cluster));
    axum::serve(listener, router).await.with_context(|| format!("can't serve on {listen}"))
}

/// What [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/) calls its text format.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

async fn metrics(State(cluster): State<Cluster>) -> Response {
    match cluster.metrics_text() {
        Ok(text) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.is_ready() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "still reading what is in the cluster")
    }
}
