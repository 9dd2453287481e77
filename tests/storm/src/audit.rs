//! What the operators have asked the API server to change, from its audit log.

use std::time::Duration;

use anyhow::Result;
use crowds::audit::AuditLog;
use crowds::namespace::{Namespace, PREFIX};
use crowds::patience::until;
use crowds::target::Target;
use serde_json::Value;
use tokio::time::Instant;

/// How long an operator has nothing to write before it counts as idle: longer than anything that it gathers
/// before it writes it.
const IDLE: Duration = Duration::from_secs(6);

/// What they have changed from a certain moment on.
pub(crate) struct Audit {
    log: AuditLog,
    /// Whose writes are of interest, beside those in no namespace of a storm.
    namespace: String,
}

impl Audit {
    /// From now on.
    pub(crate) fn begin(target: &Target, namespace: &Namespace) -> Result<Self> {
        Ok(Self { log: AuditLog::begin(target)?, namespace: namespace.name.clone() })
    }

    /// The writes since the last time that it was asked.
    pub(crate) fn writes(&mut self) -> Result<Vec<String>> {
        let requests = self.log.of_operators()?;
        Ok(requests.iter().filter_map(|request| self.write_in(request)).collect())
    }

    /// Waits until the operators have written nothing for a while.
    pub(crate) async fn until_idle(&mut self) -> Result<()> {
        let mut since = Instant::now();
        until("the operators to have nothing left to write", async || {
            if !self.writes()?.is_empty() {
                since = Instant::now();
            }
            Ok((since.elapsed() >= IDLE).then_some(()))
        })
        .await
    }

    /// What the request is, if it is a write that is of interest. Not the Lease, which is renewed
    /// all the time, nor the fence, which is raised with each term. Nor anything in the namespaces of other storms,
    /// which may still be on their way out.
    fn write_in(&self, event: &Value) -> Option<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (verb, object) = (text(&event["verb"]), &event["objectRef"]);
        let namespace = text(&object["namespace"]);
        let changes = !["get", "list", "watch"].contains(&verb.as_str());
        let is_elsewhere = namespace.starts_with(PREFIX) && namespace != self.namespace;
        let counts = changes
            && object["resource"] != "leases"
            && object["resource"] != "serviceaccounts"
            && !is_elsewhere;
        counts.then(|| format!("{verb} {}", text(&event["requestURI"])))
    }
}
