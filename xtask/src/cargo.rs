//! Cargo, called in one way everywhere, so that one set of built dependencies serves tests and image alike.
//!
//! The image is `FROM scratch`, so the operator in it is linked statically; with glibc that is the target
//! feature `crt-static`, and as proc-macros can't be built with it, the target has to be named, though it is
//! the host. Both settings are part of what cargo tells dependencies apart by. So checks and tests are built
//! with them too: the debug binary of the image then costs a link (seconds), where an extra build of all
//! dependencies costs two minutes and a gigabyte.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::process;

/// How much time the compiler takes to make the operator small and fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// As for tests: built within seconds where tests have been built
    Dev,
    /// Optimised: takes minutes
    Release,
}

impl Profile {
    /// The name that cargo knows it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }
}

/// A cargo subcommand in the project's folder.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(process::project()).arg(subcommand);
    command
}

/// A cargo subcommand that compiles: for the host, linked statically.
pub(crate) fn compiling(subcommand: &str) -> Result<Command> {
    let mut flags = env::var("RUSTFLAGS").unwrap_or_default();
    flags.push_str(" -C target-feature=+crt-static");
    let mut command = cargo(subcommand);
    command.env("RUSTFLAGS", flags.trim_start()).args(["--target", &host()?]);
    Ok(command)
}

/// Builds the plugin for kubectl, and says where its binary is.
pub(crate) fn build_plugin() -> Result<PathBuf> {
    build(Profile::Dev, [PLUGIN]).map(|[plugin]| plugin)
}

/// Builds programs, and says where their binaries are. Together, because what cargo
/// tells dependencies apart by are also the features that all programs of one command want: on its own, a
/// program that wants fewer than the operator would have them built once more.
pub(crate) fn build<const N: usize>(profile: Profile, programs: [&str; N]) -> Result<[PathBuf; N]> {
    built(compiling("build")?, profile, programs)
}

fn built<const N: usize>(
    mut command: Command,
    profile: Profile,
    programs: [&str; N],
) -> Result<[PathBuf; N]> {
    command.args(["--profile", profile.name()]);
    command.args(programs.iter().flat_map(|program| ["--package", package_of(program), "--bin", program]));
    // Cargo knows where it puts things, whatever the user's settings; so let it say.
    command.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| process::cannot_start(&command))?;
    let mut binaries = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            binaries.extend(executable(&line.context("read cargo's messages")?));
        }
    }
    let status = child.wait().context("wait for cargo build")?;
    if !status.success() {
        bail!("`{}` failed: {status}", process::shown(&command));
    }
    let found = programs.map(|program| {
        binaries.iter().find(|path| path.file_name().is_some_and(|name| name == program)).cloned()
    });
    let found: Option<Vec<PathBuf>> = found.into_iter().collect();
    let found = found.and_then(|found| found.try_into().ok());
    found.with_context(|| format!("cargo build did not say where it put {}", programs.join(" and ")))
}

/// Builds the operator as the host's own programs are, linked dynamically.
pub(crate) fn build_dynamic_operator() -> Result<PathBuf> {
    let [operator] = built(cargo("build"), Profile::Dev, [OPERATOR])?;
    Ok(operator)
}

/// The name of the operator's binary.
pub(crate) const OPERATOR: &str = "extendedjob-operator";

/// The name of the program that tells streams apart in pods.
pub(crate) const STREAMS: &str = "extendedjob-streams";

/// The name of the plugin's binary, by which kubectl finds it.
pub(crate) const PLUGIN: &str = "kubectl-ejob";

/// All programs but the plugin are named as their packages.
fn package_of(program: &str) -> &str {
    if program == PLUGIN { OPERATOR } else { program }
}

/// The path of a program, if this message of cargo tells of one.
fn executable(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    Some(PathBuf::from(message.get("executable")?.as_str()?))
}

/// The compiler's name for this machine, such as `x86_64-unknown-linux-gnu`.
pub(crate) fn host() -> Result<String> {
    let version = process::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_program_is_taken_from_its_own_message_only() {
        let operator = r#"{"reason":"compiler-artifact","executable":"/t/debug/extendedjob-operator"}"#;
        assert_eq!(executable(operator), Some(PathBuf::from("/t/debug/extendedjob-operator")));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
