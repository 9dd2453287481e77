//! What the operators have asked of the API server, from its audit log.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::names::OPERATOR_ACCOUNT;
use crate::target::Target;

/// The log from a certain moment on.
pub struct AuditLog {
    path: PathBuf,
    offset: u64,
}

impl AuditLog {
    /// From now on.
    pub fn begin(target: &Target) -> Result<Self> {
        let path = target.cluster.audit_log();
        let offset = path.metadata().with_context(|| path.display().to_string())?.len();
        Ok(Self { path, offset })
    }

    /// The requests of operators since the last time that it was asked, as
    /// [audit events](https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/).
    pub fn requests(&mut self) -> Result<Vec<Value>> {
        let mut log = File::open(&self.path).with_context(|| self.path.display().to_string())?;
        log.seek(SeekFrom::Start(self.offset))?;
        let (mut log, mut line, mut requests) = (BufReader::new(log), String::new(), Vec::new());
        // The last line may be half written: it is read the next time.
        while log.read_line(&mut line)? > 0 && line.ends_with('\n') {
            self.offset += line.len() as u64;
            // Most lines are about others, and decoding takes its time.
            if line.contains(OPERATOR_ACCOUNT) {
                let event: Value = serde_json::from_str(&line)?;
                requests.extend(Some(event).filter(|event| event["user"]["username"] == OPERATOR_ACCOUNT));
            }
            line.clear();
        }
        Ok(requests)
    }
}
