//! What the operator keeps in the cluster for its own memory: ledgers, the books of pods, and the checkpoint.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::names::{CHECKPOINT, OPERATOR_NAMESPACE, POD_BOOK};
use crate::{Kubectl, Namespace, Operator, Stopped, text};

impl Namespace {
    /// The name of the Secret that is the ExtendedJob's ledger, as soon as its status has it.
    pub fn ledger_of(&self, extended_job: &str) -> Result<String> {
        self.extended_job_until(extended_job, "a ledger", |seen| {
            seen["status"]["ledger"].as_str().map(str::to_owned)
        })
    }
}

impl Operator {
    /// The versions of the objects that are the book of a namespace's pods, as soon as there is one.
    pub fn book_of(&self, namespace: &str) -> Result<Vec<String>> {
        let what = ["configmaps", &selector(namespace)];
        Kubectl::in_namespace(OPERATOR_NAMESPACE).until(&what, "a book of pods", |seen| {
            let chunks = seen["items"].as_array().filter(|chunks| !chunks.is_empty())?;
            Some(chunks.iter().map(version).collect())
        })
    }
}

impl Operator {
    /// Takes the book of a namespace's pods away.
    pub fn delete_book(&self, namespace: &str) -> Result<()> {
        let kubectl = Kubectl::in_namespace(OPERATOR_NAMESPACE);
        kubectl.run(&["delete", "configmaps", &selector(namespace)]).map(drop)
    }
}

impl Stopped<'_> {
    /// Takes the checkpoint away, without which the operator can't go on with its watch where it left off: as
    /// after an outage that was too long for it.
    pub fn lose_checkpoint(&self) -> Result<()> {
        let kubectl = Kubectl::in_namespace(OPERATOR_NAMESPACE);
        let lease = kubectl.get(&["lease", OPERATOR_NAMESPACE])?;
        ensure!(
            lease["metadata"]["annotations"][CHECKPOINT].is_string(),
            "the Lease has no checkpoint: {lease}"
        );
        kubectl.run(&["annotate", "lease", OPERATOR_NAMESPACE, &format!("{CHECKPOINT}-")]).map(drop)
    }
}

fn selector(namespace: &str) -> String {
    format!("--selector={POD_BOOK}={namespace}")
}

fn version(object: &Value) -> String {
    format!("{} {}", crate::name(object), text(&object["metadata"]["resourceVersion"]))
}
