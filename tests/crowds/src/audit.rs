//! What was asked of the API server, from its audit log.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::names::OPERATOR_ACCOUNT;
use crate::target::Target;

/// The log from a certain moment on.
#[derive(Clone)]
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

    /// The requests of operators since the last time that it was asked.
    pub fn of_operators(&mut self) -> Result<Vec<Value>> {
        self.that(OPERATOR_ACCOUNT, |event| event["user"]["username"] == OPERATOR_ACCOUNT)
    }

    /// The requests about objects of this kind in a namespace since then.
    pub fn about(&mut self, resource: &str, namespace: &str) -> Result<Vec<Value>> {
        let is_about = |object: &Value| object["resource"] == resource && object["namespace"] == namespace;
        self.that(namespace, |event| is_about(&event["objectRef"]))
    }

    /// The [audit events](https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/) in whose text this stands and
    /// that are so.
    fn that(&mut self, text: &str, is_so: impl Fn(&Value) -> bool) -> Result<Vec<Value>> {
        let mut log = File::open(&self.path).with_context(|| self.path.display().to_string())?;
        log.seek(SeekFrom::Start(self.offset))?;
        let (mut log, mut line, mut requests) = (BufReader::new(log), String::new(), Vec::new());
        // The last line may be half written: it is read the next time.
        while log.read_line(&mut line)? > 0 && line.ends_with('\n') {
            self.offset += line.len() as u64;
            // Most lines are about others, and decoding takes its time.
            if line.contains(text) {
                requests.extend(Some(serde_json::from_str(&line)?).filter(&is_so));
            }
            line.clear();
        }
        Ok(requests)
    }
}
