//! The book in docs/: that it can be built, and that what its pages refer to is there.

mod page;
mod pages;
#[cfg(test)]
pub(crate) mod reasons;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::tools::Tool;

/// Without a server and a watch on files, which only authors want.
const MDBOOK: Tool =
    Tool { name: "mdbook", version: "0.5.4", options: &["--no-default-features", "--features", "search"] };

/// Builds the book to target/book. What mdbook complains of, such as a sample that is not there, it does not take for a
/// failure; here it is one.
pub(crate) fn check() -> Result<()> {
    let broken = pages::read()?.broken();
    if !broken.is_empty() {
        bail!("the book refers to what is not there:\n{}", broken.join("\n"));
    }
    let mut mdbook = MDBOOK.command()?;
    mdbook.args(["build", "docs"]).env_remove("RUST_LOG");
    let output = mdbook.output().with_context(|| process::cannot_start(&mdbook))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = complaints(&log).collect();
    if !output.status.success() || !complaints.is_empty() {
        bail!("`{}`: {}\n{log}", process::shown(&mdbook), output.status);
    }
    Ok(())
}

/// The lines of mdbook's log that are warnings or worse.
fn complaints(log: &str) -> impl Iterator<Item = &str> {
    let is_bad = |line: &&str| ["WARN", "ERROR"].iter().any(|level| line.trim_start().starts_with(level));
    log.lines().filter(is_bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_and_errors_of_mdbook_are_complaints_and_news_are_not() {
        let log = " INFO Book building has started\nERROR no such file\n WARN Caused By: nothing\n";
        assert_eq!(complaints(log).collect::<Vec<_>>(), ["ERROR no such file", " WARN Caused By: nothing"]);
    }
}
