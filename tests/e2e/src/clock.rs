//! Times: chosen ones for pods without a kubelet, and the API server's own.

use anyhow::Result;

use crate::Namespace;
use crate::wait::poll;

/// Older than anything that a test creates.
pub const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// One of a row of times, each later than the creation of anything that a test creates.
pub fn at(second: u8) -> String {
    format!("2040-01-01T00:00:{second:02}Z")
}

impl Namespace {
    /// Waits until what is created from now on bears a later creation time than this one: they count whole
    /// seconds. The clock that matters is the API server's.
    pub fn wait_until_past(&self, time: &str) -> Result<()> {
        let mut latest = String::new();
        poll(&format!("the API server's clock to pass {time}"), || {
            let dry_run = ["create", "configmap", "clock", "--dry-run=server"];
            latest = self
                .kubectl
                .run(&[&dry_run[..], &["--output=jsonpath={.metadata.creationTimestamp}"]].concat())?;
            Ok((latest.as_str() > time).then_some(()).ok_or_else(|| latest.clone()))
        })
    }
}
