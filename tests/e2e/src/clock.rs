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
        let stamp = "--output=jsonpath={.metadata.creationTimestamp}";
        poll(&format!("the API server's clock to pass {time}"), || {
            let now = self.kubectl.run(&["create", "configmap", "clock", "--dry-run=server", stamp])?;
            Ok(if now.as_str() > time { Ok(()) } else { Err(now) })
        })
    }
}
