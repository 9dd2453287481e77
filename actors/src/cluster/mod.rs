//! All that is said to the Kubernetes API server: one resource per file, and no decision here
//! about what it means.

#[cfg(test)]
mod bad_input;
pub(crate) mod configs;
mod counted;
mod creates;
pub(crate) mod events;
pub(crate) mod extendedjobs;
mod failpoint;
mod fault;
pub(crate) mod fence;
pub(crate) mod jobs;
pub(crate) mod kept;
pub(crate) mod leases;
pub(crate) mod ledgers;
pub(crate) mod logs;
mod meta;
pub(crate) mod pages;
pub(crate) mod pods;
mod progress;
mod rush;
pub(crate) mod targets;
mod term;
mod turn;
pub(crate) mod watch;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use extendedjob_api::names;
use extendedjob_decide::scope::Scope;
use kube::{
    Client,
    api::{PatchParams, PostParams},
    core::Request,
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock, Semaphore, SemaphorePermit},
    time::timeout,
};
use tracing::warn;

use crate::{capture::Spool, metrics::Metrics};
pub use counted::client;
use creates::Creates;
use failpoint::Failpoint;
pub(crate) use fault::Fault;
pub use leases::Candidacy;
pub use logs::{AccountError, KubeletOptions, Kubelets};
use progress::Progress;
use rush::Rush;
use term::Term;
pub(crate) use turn::holding;

/// A call that takes longer has failed as far as the operator is concerned; the same call is made
/// again, and finds what the first one did. A leader's Lease outlives its last call.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a shutdown waits for answers; less than the kubelet waits for the operator.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Creates in flight over the whole operator: enough to keep an API server busy, and few enough
/// that a burst of pods locks out no one else's ExtendedJob.
const CREATES_IN_FLIGHT: usize = 64;

/// Logs that are read at a time: each may take a mebibyte.
const LOGS_IN_FLIGHT: usize = 8;

/// Logs that are followed at a time: each holds a connection and some memory.
const FOLLOWS_IN_FLIGHT: usize = 1000;

/// Outputs that are written at a time: each takes some mebibytes.
const OUTPUTS_IN_FLIGHT: usize = 16;

/// ConfigMaps and Secrets that are read at a time: each may hold a mebibyte.
const CONFIGS_IN_FLIGHT: usize = 8;

/// Ledgers that are read at a time. When a term begins that is one for each ExtendedJob: all at once would be as many
/// connections, of which the API server turns away a third.
const LEDGERS_IN_FLIGHT: usize = 16;

/// Statuses that are written at a time, but for those that are not answered at once.
const STATUSES_IN_FLIGHT: usize = 8;

/// Jobs that are tried out at a time, but for those that are not answered at once: after an upgrade that may be one for
/// each ExtendedJob.
const TRIES_IN_FLIGHT: usize = 16;

/// Jobs that are had deleted at a time, of those that others take the place of.
const DELETES_IN_FLIGHT: usize = 16;

/// The cluster, as seen by the operator's account.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    scope: Scope,
    /// What all operators of this process are for.
    served: Arc<BTreeSet<Scope>>,
    term: Term,
    progress: Progress,
    creates: Creates,
    creates_in_flight: Arc<Semaphore>,
    rush: Rush,
    logs: Arc<Semaphore>,
    follows: Arc<Semaphore>,
    outputs: Arc<Semaphore>,
    configs: Arc<Semaphore>,
    ledgers: Arc<Semaphore>,
    statuses: Arc<Semaphore>,
    tries: Arc<Semaphore>,
    deletes: Arc<Semaphore>,
    spool: Spool,
    kubelets: Option<Kubelets>,
    /// Held for reading by each write that is under way, and for writing by a shutdown.
    writes: Arc<RwLock<()>>,
    events: events::Recorder,
    metrics: Metrics,
}

/// As long as it is held, no write begins.
pub struct Quiet {
    _writes: OwnedRwLockWriteGuard<()>,
}

impl Cluster {
    /// Speaks through `client`, and keeps logs that are followed in `spool`. Writes nothing before it leads.
    #[must_use]
    pub fn new(client: Client, spool: Spool) -> Self {
        let events = events::Recorder::new(&client);
        let creates_in_flight = Arc::new(Semaphore::new(CREATES_IN_FLIGHT));
        let logs = Arc::new(Semaphore::new(LOGS_IN_FLIGHT));
        Self {
            client,
            scope: Scope::default(),
            served: Arc::new(BTreeSet::from([Scope::default()])),
            term: Term::default(),
            progress: Progress::default(),
            creates: Creates::default(),
            creates_in_flight,
            rush: Rush::default(),
            logs,
            follows: Arc::new(Semaphore::new(FOLLOWS_IN_FLIGHT)),
            outputs: Arc::new(Semaphore::new(OUTPUTS_IN_FLIGHT)),
            configs: Arc::new(Semaphore::new(CONFIGS_IN_FLIGHT)),
            ledgers: Arc::new(Semaphore::new(LEDGERS_IN_FLIGHT)),
            statuses: Arc::new(Semaphore::new(STATUSES_IN_FLIGHT)),
            tries: Arc::new(Semaphore::new(TRIES_IN_FLIGHT)),
            deletes: Arc::new(Semaphore::new(DELETES_IN_FLIGHT)),
            spool,
            kubelets: None,
            writes: Arc::default(),
            events,
            metrics: Metrics::default(),
        }
    }

    /// For a process whose operators look there.
    #[must_use]
    pub fn serving(self, served: BTreeSet<Scope>) -> Self {
        Self { served: Arc::new(served), ..self }
    }

    /// Where this operator looks.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What the operators of this process are for.
    pub(crate) fn served(&self) -> &BTreeSet<Scope> {
        &self.served
    }

    /// For one of them: it leads, or does not, by itself, and shares connections, bounds and counters with the
    /// others.
    #[must_use]
    pub fn within(&self, scope: Scope) -> Self {
        Self {
            scope,
            term: Term::default(),
            progress: Progress::default(),
            creates: Creates::default(),
            writes: Arc::default(),
            ..self.clone()
        }
    }

    /// Reads log files on nodes by way of these.
    #[must_use]
    pub fn with_kubelets(self, kubelets: Kubelets) -> Self {
        Self { kubelets: Some(kubelets), ..self }
    }

    /// Has what happens counted here.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Where it is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Has it counted whether this operator leads now.
    pub fn count_leading(&self) {
        self.metrics.leading(&self.scope, self.term.number());
    }

    /// Whether the API server refuses something that this operator has to know: it can't become ready then.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.metrics.are_refused(&self.scope)
    }

    /// Whether log files on nodes may be read.
    pub async fn may_read_node_logs(&self) -> Result<bool, AccountError> {
        match &self.kubelets {
            Some(kubelets) => kubelets.may_read().await,
            None => Ok(false),
        }
    }

    /// The time in office of whoever uses this.
    pub(crate) fn term(&self) -> &Term {
        &self.term
    }

    /// Held by whoever has output in memory to write it.
    pub(crate) async fn turn_to_write(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.outputs.acquire().await.ok()
    }

    /// Held by whoever writes a status, which is put together then. Jobs come first.
    pub(crate) async fn turn_to_report(&self) -> Option<OwnedSemaphorePermit> {
        self.rush.over().await;
        // Nobody closes it.
        Arc::clone(&self.statuses).acquire_owned().await.ok()
    }

    /// How far the leader has got with what happens to pods.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What of Jobs may still come.
    pub(crate) fn creates(&self) -> &Creates {
        &self.creates
    }

    /// Waits until the writes under way are answered, and lets no more begin; `None` if some were
    /// not answered in time.
    pub async fn quiet(&self) -> Option<Quiet> {
        let writes = timeout(DRAIN_TIMEOUT, Arc::clone(&self.writes).write_owned()).await;
        writes.ok().map(|writes| Quiet { _writes: writes })
    }

    /// Gives the Lease back, so that a standby need not wait for its end.
    pub async fn resign(&self, candidacy: &Candidacy, _: Quiet) {
        // One that was taken a moment ago is given back as well.
        let checkpoint = self.term.number().and_then(|_| self.progress.checkpoint());
        self.term.end();
        if let Err(error) = self.release_lease(candidacy, None, checkpoint).await {
            warn!(%error, "the Lease was not released; a standby takes over when it ends");
        }
    }

    /// Sends a request that changes something, if this operator leads.
    async fn write<T: DeserializeOwned>(
        &self,
        point: Failpoint,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, Fault> {
        let _under_way = self.writes.read().await;
        // Directly before the write: whoever was stopped in between may have been succeeded.
        self.term.number().ok_or(Fault::NotLeading)?;
        self.call_at(point, request).await
    }

    /// The same whoever leads.
    async fn call_at<T: DeserializeOwned>(
        &self,
        point: Failpoint,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, Fault> {
        point.before();
        let answer = self.call(request).await;
        point.after(answer.is_ok());
        answer
    }

    /// Sends a request whose answer is one JSON value.
    async fn call<T: DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, Fault> {
        let request = request.map_err(Fault::request)?;
        let answer = timeout(REQUEST_TIMEOUT, self.client.request_text(request))
            .await
            .map_err(|_| Fault::NoAnswer(REQUEST_TIMEOUT))??;
        // Not by the client, which logs what it can't decode.
        serde_json::from_str(&answer).map_err(Fault::Undecodable)
    }
}

/// Parameters of a patch: whose the fields are that it sets.
fn patching() -> PatchParams {
    PatchParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// The same of a create.
fn creating() -> PostParams {
    PostParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

/// The requests for `resource` (such as `apis/batch/v1`, `jobs`) in one namespace.
fn requests(group: &str, namespace: &str, resource: &str) -> Request {
    Request::new(format!("/{group}/namespaces/{namespace}/{resource}"))
}

/// Adds a parameter for which kube has no name to a request that has others.
fn with_query<T>(request: http::Request<T>, parameter: &str) -> Result<http::Request<T>, Fault> {
    let (mut parts, body) = request.into_parts();
    parts.uri = format!("{}&{parameter}", parts.uri)
        .parse()
        .map_err(|source: http::uri::InvalidUri| Fault::Broken(kube::Error::HttpError(source.into())))?;
    Ok(http::Request::from_parts(parts, body))
}
