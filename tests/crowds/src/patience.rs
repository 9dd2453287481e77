//! Requests that outlast an API server which is down, and waiting on conditions with a deadline.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use kube::core::Status;
use tokio::time::{Instant, sleep, timeout};

/// Longer than an API server takes to come back, than a Lease lasts, and than a run prints.
pub const PATIENCE: Duration = Duration::from_secs(150);
/// Between two looks at something that can't be watched.
const INTERVAL: Duration = Duration::from_millis(200);
/// What a single request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// What the API server answers: what was asked for, or a refusal.
pub type Answer<T> = Result<T, Box<Status>>;

/// Makes a request until it is answered, so it must be one that can be made twice. A refusal is an answer,
/// unless it says that the API server is busy or not yet ready.
pub async fn asked<T, F>(what: &str, request: impl Fn() -> F) -> Result<Answer<T>>
where
    F: Future<Output = kube::Result<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        let error = match timeout(REQUEST_TIMEOUT, request()).await {
            Ok(Ok(answer)) => return Ok(Ok(answer)),
            Ok(Err(kube::Error::Api(status))) if is_final(&status) => return Ok(Err(status)),
            Ok(Err(error)) => anyhow!(error),
            Err(_) => anyhow!("no answer within {REQUEST_TIMEOUT:?}"),
        };
        if Instant::now() > deadline {
            return Err(error).with_context(|| format!("cannot {what}"));
        }
        sleep(INTERVAL).await;
    }
}

/// The same, where a refusal is an error.
pub async fn answered<T, F>(what: &str, request: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = kube::Result<T>>,
{
    asked(what, request).await?.map_err(anyhow::Error::new).with_context(|| format!("cannot {what}"))
}

/// The same, where some refusals, told by their HTTP status, mean that there is nothing left to be done.
pub async fn done_or<T, F>(what: &str, code: u16, request: impl Fn() -> F) -> Result<()>
where
    F: Future<Output = kube::Result<T>>,
{
    match asked(what, request).await? {
        Err(status) if status.code != code => Err(status).with_context(|| format!("cannot {what}")),
        _ => Ok(()),
    }
}

/// Looks again and again until something is found; `None` is "not yet".
pub async fn until<T>(wanted: &str, look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(PATIENCE, wanted, look).await
}

/// The same with another patience.
pub async fn until_within<T>(
    patience: Duration,
    wanted: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look().await.with_context(|| format!("while waiting for {wanted}"))? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("waited {patience:?} for {wanted}");
        }
        sleep(INTERVAL).await;
    }
}

/// Whether the same request would be refused again.
fn is_final(status: &Status) -> bool {
    status.code != 429 && status.code < 500
}
