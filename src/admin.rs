//! `/log-filter`, for whoever may forward a port to the pod: what is logged, and what is to be.

use std::net::SocketAddr;

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;
use tracing::warn;

use crate::telemetry::{FilterError, LogFilter};

/// Answers until the program ends. Without it all else goes on, such as where the port is taken.
pub(crate) async fn serve(listen: SocketAddr, log_filter: LogFilter) {
    let served = match TcpListener::bind(listen).await {
        Ok(listener) => axum::serve(listener, router(log_filter)).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        warn!(%listen, %error, "the log filter can't be changed while the operator runs");
    }
}

fn router(log_filter: LogFilter) -> Router {
    Router::new().route("/log-filter", get(read).put(replace)).with_state(log_filter)
}

async fn read(State(log_filter): State<LogFilter>) -> (StatusCode, String) {
    answer(log_filter.read())
}

async fn replace(State(log_filter): State<LogFilter>, filter: String) -> (StatusCode, String) {
    answer(log_filter.replace(&filter).and_then(|()| log_filter.read()))
}

/// A line of text.
fn answer(result: Result<String, FilterError>) -> (StatusCode, String) {
    match result {
        Ok(filter) => (StatusCode::OK, format!("{filter}\n")),
        Err(error @ (FilterError::Bad(_) | FilterError::Empty)) => {
            (StatusCode::BAD_REQUEST, format!("{error}\n"))
        }
        Err(error @ FilterError::Log(_)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::{Method, Request},
    };
    use tower::ServiceExt as _;

    use super::*;

    /// What this log answers.
    async fn asked(log_filter: &LogFilter, method: Method, body: &'static str) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri("/log-filter").body(Body::from(body)).unwrap();
        let answer = router(log_filter.clone()).oneshot(request).await.unwrap();
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn in_runtime(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
    }

    #[test]
    fn the_filter_is_told_and_changed() {
        let (filter, _log) = LogFilter::of_test("info");
        in_runtime(async {
            assert_eq!(asked(&filter, Method::GET, "").await, (StatusCode::OK, "info\n".to_owned()));
            let (status, now) = asked(&filter, Method::PUT, "info,extendedjob_actors=debug\n").await;
            assert_eq!((status, now.as_str()), (StatusCode::OK, "extendedjob_actors=debug,info\n"));
            assert_eq!(asked(&filter, Method::GET, "").await, (StatusCode::OK, now));
        });
    }

    #[test]
    fn a_bad_filter_is_refused_with_the_reason_and_changes_nothing() {
        let (filter, _log) = LogFilter::of_test("warn");
        in_runtime(async {
            for bad in ["info,extendedjob_actors=loud", "a=b=c", "", " \n"] {
                let (status, why) = asked(&filter, Method::PUT, bad).await;
                assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
                assert!(why.contains("filter"), "{why}");
            }
            assert_eq!(asked(&filter, Method::GET, "").await, (StatusCode::OK, "warn\n".to_owned()));
            assert_eq!(asked(&filter, Method::POST, "info").await.0, StatusCode::METHOD_NOT_ALLOWED);
        });
    }
}
