//! Running other programs, with errors that say which one failed.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a program to its end; what it prints goes where ours does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs a program and gives back what it printed to stdout. What it printed to stderr is part of the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| cannot_start(command))?;
    text_of(command, output)
}

/// Runs a program with `input` as its stdin.
pub(crate) fn feed(command: &mut Command, input: &str) -> Result<()> {
    let mut child = command.stdin(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let status = child.wait().with_context(|| format!("wait for `{}`", shown(command)))?;
    // Its own failure says more than the broken pipe that comes with it.
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    written.transpose().with_context(|| format!("write to `{}`", shown(command)))?;
    Ok(())
}

/// Runs a program with `input` as its stdin, and gives back what it printed to stdout. It is one that reads all before
/// it prints much.
pub(crate) fn filter(command: &mut Command, input: &str) -> Result<String> {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().with_context(|| cannot_start(command))?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().with_context(|| format!("wait for `{}`", shown(command)))?;
    let text = text_of(command, output)?;
    written.transpose().with_context(|| format!("write to `{}`", shown(command)))?;
    Ok(text)
}

/// What a program printed to stdout, if it was successful.
fn text_of(command: &Command, output: Output) -> Result<String> {
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}: {}", shown(command), output.status, stderr.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("read the output of `{}`", shown(command)))
}

/// The command line, for messages.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// The message for a program that could not be started.
pub(crate) fn cannot_start(command: &Command) -> String {
    format!("start `{}`", shown(command))
}

/// The folder of the project.
pub(crate) fn project() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}
