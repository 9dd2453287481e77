//! kubectl as a subprocess: what users have, with their view of refusals.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::target;

/// kubectl in one namespace, as one user.
#[derive(Clone, Debug)]
pub struct Kubectl {
    namespace: String,
    user: Option<String>,
}

impl Kubectl {
    /// As the administrator, in this namespace.
    pub fn in_namespace(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), user: None }
    }

    /// The same, as another user.
    pub fn acting_as(&self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..self.clone() }
    }

    /// What it prints; its complaint as the error.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        self.run_with_input(args, "")
    }

    /// The same for a command that reads manifests (`-f -`).
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Result<String> {
        let output = self.output(args, input)?;
        ensure!(output.status.success(), "kubectl {}: {}", args.join(" "), complaint(&output));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The message of a refusal that must come.
    pub fn refusal(&self, args: &[&str], input: &str) -> Result<String> {
        let output = self.output(args, input)?;
        ensure!(!output.status.success(), "kubectl {}: accepted, although it should not be", args.join(" "));
        Ok(complaint(&output))
    }

    /// One object or a list; `Null` if there is no such object.
    pub fn get(&self, what: &[&str]) -> Result<Value> {
        let output = self.output(&[&["get", "--output=json"], what].concat(), "")?;
        // --ignore-not-found would print nothing for an empty list too.
        if !output.status.success() && complaint(&output).contains("(NotFound)") {
            return Ok(Value::Null);
        }
        ensure!(output.status.success(), "kubectl get {}: {}", what.join(" "), complaint(&output));
        serde_json::from_slice(&output.stdout).with_context(|| format!("kubectl get {}", what.join(" ")))
    }

    /// The objects of a list.
    pub fn list(&self, what: &[&str]) -> Result<Vec<Value>> {
        match self.get(what)?["items"].take() {
            Value::Array(items) => Ok(items),
            other => bail!("kubectl get {}: not a list but {other}", what.join(" ")),
        }
    }

    /// What the plugin `kubectl ejob` prints, and how it ends.
    pub fn ejob(&self, args: &[&str]) -> Result<Output> {
        let mut command = target::plugin(args)?;
        command.arg("--namespace").arg(&self.namespace).output().context("kubectl can't be started")
    }

    fn output(&self, args: &[&str], input: &str) -> Result<Output> {
        let mut command = self.command(args)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("kubectl can't be started")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).or_else(ignore_unread)?;
        }
        Ok(child.wait_with_output()?)
    }

    /// A call of it that is still to be started.
    pub fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = target::kubectl()?;
        command.arg("--namespace").arg(&self.namespace);
        if let Some(user) = &self.user {
            command.arg("--as").arg(user);
        }
        command.args(args);
        Ok(command)
    }
}

/// kubectl may end without reading its input; its own message then says why.
fn ignore_unread(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    }
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}
