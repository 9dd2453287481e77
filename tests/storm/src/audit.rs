//! What the operators have asked the API server to change, from its audit log.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::time::Instant;

use crowds::names::OPERATOR_ACCOUNT;
use crowds::namespace::{Namespace, PREFIX};
use crowds::patience::until;
use crowds::target::Target;

/// How long an operator has nothing to write before it counts as idle: longer than anything that it gathers
/// before it writes it.
const IDLE: Duration = Duration::from_secs(6);

/// The log from a certain moment on.
pub(crate) struct Audit {
    path: PathBuf,
    offset: u64,
    /// Whose writes are of interest, beside those in no namespace of a storm.
    namespace: String,
}

impl Audit {
    /// From now on.
    pub(crate) fn begin(target: &Target, namespace: &Namespace) -> Result<Self> {
        let path = target.cluster.audit_log();
        let offset = path.metadata().with_context(|| path.display().to_string())?.len();
        Ok(Self { path, offset, namespace: namespace.name.clone() })
    }

    /// The writes since the last time that it was asked.
    pub(crate) fn writes(&mut self) -> Result<Vec<String>> {
        let mut log = File::open(&self.path).with_context(|| self.path.display().to_string())?;
        log.seek(SeekFrom::Start(self.offset))?;
        let (mut log, mut line, mut writes) = (BufReader::new(log), String::new(), Vec::new());
        // The last line may be half written: it is read the next time.
        while log.read_line(&mut line)? > 0 && line.ends_with('\n') {
            self.offset += line.len() as u64;
            // Most lines are about others, and decoding takes its time.
            if line.contains(OPERATOR_ACCOUNT) {
                writes.extend(self.write_in(&serde_json::from_str(&line)?));
            }
            line.clear();
        }
        Ok(writes)
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

    /// What the event says, if it is a write of an operator that is of interest. Not the Lease, which is renewed
    /// all the time, nor the fence, which is raised with each term. Nor anything in the namespaces of other storms,
    /// which may still be on their way out.
    fn write_in(&self, event: &Value) -> Option<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (verb, object) = (text(&event["verb"]), &event["objectRef"]);
        let namespace = text(&object["namespace"]);
        let changes = !["get", "list", "watch"].contains(&verb.as_str());
        let is_elsewhere = namespace.starts_with(PREFIX) && namespace != self.namespace;
        let counts = event["user"]["username"] == OPERATOR_ACCOUNT
            && changes
            && object["resource"] != "leases"
            && object["resource"] != "serviceaccounts"
            && !is_elsewhere;
        counts.then(|| format!("{verb} {}", text(&event["requestURI"])))
    }
}
