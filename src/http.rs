//! `/livez` and `/readyz`, for the kubelet.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use extendedjob_actors::Readiness;
use tokio::net::TcpListener;

/// Answers until the program ends.
///
/// It shares its thread with the actors: one that blocks it keeps `/livez` from answering, which
/// is what a liveness probe is for.
pub(crate) async fn serve(listen: SocketAddr, readiness: Readiness) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("can't listen on {listen}"))?;
    let router =
        Router::new().route("/livez", get(async || "ok")).route("/readyz", get(readyz)).with_state(readiness);
    axum::serve(listener, router).await.with_context(|| format!("can't serve on {listen}"))
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.is_ready() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "still reading what is in the cluster")
    }
}
