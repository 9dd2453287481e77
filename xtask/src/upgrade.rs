//! An upgrade, from the version before this one to what is here.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::report::Report;
use crate::target::Target;
use crate::{install, libtest, process, ways};

/// The version before this one, as a commit. There is no release yet: it is the first that had a chart.
const PREVIOUS: &str = "684153a855f39feb38bba0b5f89aae5c95eb14e4";

/// A module of tests.
const TESTS: &str = "upgrade::";

/// Installs the version before this one in the place of this one, and tests what an upgrade does to what is there. Is
/// only done on a local cluster.
pub(crate) fn test(target: &Target, name: &str, report: &mut Report) -> Option<()> {
    report.counted("end-to-end tests of an upgrade", |count| {
        let previous = checked_out()?;
        // Over this one. Its policy for terms has the Lease as parameter, so that this works once in the life of an API
        // server: see `cluster::fence`.
        let install = ["xtask", "install", "--name", name, "--profile", "dev"];
        process::run(Command::new("cargo").current_dir(previous).args(install))
            .context("install the version before this one")?;
        let this = env::current_exe().context("find out which program this is")?;
        let upgrade = format!("{} install --name {name} --profile dev", this.display());
        let mut tests = ways::end_to_end(target, None, &[TESTS])?;
        libtest::run(tests.arg("--ignored").env("EXTENDEDJOB_UPGRADE", upgrade), count)?;
        install::rollout(target)
    })
}

/// Its source, in a folder of its own, with a target folder of its own in it.
fn checked_out() -> Result<PathBuf> {
    let folder = process::project().join("target/previous").join(PREVIOUS);
    if !folder.exists() {
        let mut clone = git();
        process::run(clone.args(["clone", "--quiet", "--no-checkout", "--shared", "."]).arg(&folder))?;
    }
    let checkout = ["checkout", "--quiet", "--detach", PREVIOUS];
    process::run(git().current_dir(&folder).args(checkout))
        .with_context(|| format!("check {PREVIOUS} out; is this a shallow clone?"))?;
    Ok(folder)
}

fn git() -> Command {
    let mut git = Command::new("git");
    git.current_dir(process::project());
    git
}
