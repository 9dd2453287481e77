//! All that is said to the Kubernetes API server: one resource per file, and no decision here
//! about what it means.

pub(crate) mod events;
pub(crate) mod extendedjobs;
mod fault;
pub(crate) mod jobs;
pub(crate) mod logs;
mod meta;
pub(crate) mod pods;
pub(crate) mod targets;
pub(crate) mod watch;

use std::{sync::Arc, time::Duration};

use kube::{Client, core::Request};
use serde::de::DeserializeOwned;
use tokio::{sync::Semaphore, time::timeout};
use tracing::warn;

pub(crate) use fault::Fault;

/// A call that takes longer has failed as far as the operator is concerned; the same call is made
/// again, and finds what the first one did.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a shutdown waits for answers; less than the kubelet waits for the operator.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Creates in flight over the whole operator: enough to keep an API server busy, and few enough
/// that a burst of pods locks out no one else's ExtendedJob.
const CREATES_IN_FLIGHT: usize = 32;

/// The cluster, as seen by the operator's account.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    creates: Arc<Semaphore>,
    events: events::Recorder,
}

impl Cluster {
    /// Speaks through `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let events = events::Recorder::new(&client);
        Self { client, creates: Arc::new(Semaphore::new(CREATES_IN_FLIGHT)), events }
    }

    /// Waits until the creates in flight are answered, and lets no more begin.
    pub async fn drain(&self) {
        let all = u32::try_from(CREATES_IN_FLIGHT).unwrap_or(u32::MAX);
        if timeout(DRAIN_TIMEOUT, self.creates.acquire_many(all)).await.is_err() {
            warn!("creates in flight were not answered in time; the next start finds what they did");
        }
        self.creates.close();
    }

    /// Sends a request whose answer is one JSON value.
    async fn call<T: DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, Fault> {
        let request = request.map_err(Fault::request)?;
        timeout(CALL_TIMEOUT, self.client.request(request))
            .await
            .map_err(|_| Fault::NoAnswer(CALL_TIMEOUT))?
            .map_err(Fault::from)
    }
}

/// The requests for `resource` (such as `apis/batch/v1`, `jobs`) in one namespace.
fn requests(group: &str, namespace: &str, resource: &str) -> Request {
    Request::new(format!("/{group}/namespaces/{namespace}/{resource}"))
}
