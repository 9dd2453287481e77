//! What the operator has asked of the API server, from the audit log, where that is within reach.

use std::fs::File;
use std::io::{BufRead, BufReader};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::names::OPERATOR_ACCOUNT;
use crate::{Operator, target, text};

impl Operator {
    /// The requests with which it has changed something in the namespace so far; `None` if the cluster is not
    /// on this machine.
    pub fn writes_in(&self, namespace: &str) -> Result<Option<Vec<String>>> {
        let Some(cluster) = target::local_cluster()? else { return Ok(None) };
        let path = cluster.audit_log();
        let log = File::open(&path).with_context(|| path.display().to_string())?;
        let mut writes = Vec::new();
        for line in BufReader::new(log).lines() {
            let line = line?;
            // Most lines are about others, and decoding takes its time.
            if line.contains(namespace) && line.contains(OPERATOR_ACCOUNT) {
                writes.extend(write_of_operator(&serde_json::from_str(&line)?, namespace));
            }
        }
        Ok(Some(writes))
    }
}

fn write_of_operator(event: &Value, namespace: &str) -> Option<String> {
    let (verb, object) = (text(&event["verb"]), &event["objectRef"]);
    let is_its_own = event["user"]["username"] == OPERATOR_ACCOUNT && object["namespace"] == namespace;
    let changes = !["get", "list", "watch"].contains(&verb);
    (is_its_own && changes).then(|| format!("{verb} {}", text(&event["requestURI"])))
}
