//! The flags that the chart gives to the operator, as the operator takes them.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{DEFAULT, facts, render};
use crate::cargo::{self, OPERATOR, Profile, STREAMS};
use crate::process;

/// Values that set everything that becomes a flag.
const VALUES: &str = "--values=deploy/chart/ci/everything.yaml";

/// Fails if there is a flag that the operator does not know, or whose value it refuses.
pub(crate) fn check() -> Result<()> {
    let [operator, _] = cargo::build(Profile::Dev, [OPERATOR, STREAMS])?;
    let args = facts::operator_args(&facts::objects(&render(DEFAULT, &[VALUES])?)?);
    ensure!(!args.is_empty(), "the chart gives the operator no flag");
    // Flags are looked at in their order, and only if all are well it comes to this one, and does nothing.
    let mut command = Command::new(operator);
    process::output(command.args(args).arg("--help"))
        .map(drop)
        .context("the operator refuses the chart's flags")
}
