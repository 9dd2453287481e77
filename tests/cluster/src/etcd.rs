//! What etcd is told directly, by its JSON gateway: the API server has no request for it.

use anyhow::{Context, Result};

use crate::command::run;
use crate::layout::Layout;
use crate::namespaces;

/// Removes all versions of all objects but the newest.
pub(crate) fn compact(layout: &Layout) -> Result<()> {
    let status = post(layout, "maintenance/status", "{}").context("cannot ask etcd for its revision")?;
    let revision = revision(&status).with_context(|| format!("etcd names no revision: {status}"))?;
    let request = format!(r#"{{"revision": {revision}, "physical": true}}"#);
    post(layout, "kv/compaction", &request).context("cannot compact etcd").map(drop)
}

fn post(layout: &Layout, path: &str, body: &str) -> Result<String> {
    let url = format!("http://127.0.0.1:2379/v3/{path}");
    let quiet_but_for_errors = ["--silent", "--show-error", "--fail-with-body"];
    run(namespaces::enter_network(layout, "curl").args(quiet_but_for_errors).args(["--data", body, &url]))
}

/// The present revision, which stands in the header of each answer: `"revision":"445"`.
fn revision(answer: &str) -> Option<u64> {
    let (_, rest) = answer.split_once(r#""revision":"#)?;
    rest.trim_start_matches([' ', '"']).split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_is_found_in_an_answer() {
        let answer = r#"{"header":{"member_id":"10276657743932975437", "revision":"445", "raft_term":"2"}}"#;
        assert_eq!(revision(answer), Some(445));
        assert_eq!(revision(r#"{"revision": 7}"#), Some(7));
        assert_eq!(revision("{}"), None);
    }
}
