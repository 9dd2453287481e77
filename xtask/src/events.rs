//! The events of a namespace, printed as they happen.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::process;
use crate::steps::Seconds;
use crate::target::Target;

/// One line for each event.
const TEMPLATE: &str =
    "{{.involvedObject.kind}} {{.involvedObject.name}}: {{.reason}}: {{.message}}{{\"\\n\"}}";

/// A watch that prints until it is ended.
pub(crate) struct Events {
    kubectl: Child,
    printer: JoinHandle<()>,
}

impl Events {
    /// Begins with what happens from now on.
    pub(crate) fn follow(target: &Target, namespace: &str) -> Result<Self> {
        let mut command = target.kubectl();
        command.args(["get", "events", "--namespace", namespace, "--watch-only"]);
        command.args(["--output", "go-template", "--template", TEMPLATE]);
        let mut kubectl =
            command.stdout(Stdio::piped()).spawn().with_context(|| process::cannot_start(&command))?;
        let stdout = kubectl.stdout.take().context("take the output of the watch on events")?;
        let begin = Instant::now();
        let printer = thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                println!("    [{:>7}] {line}", Seconds(begin.elapsed()).to_string());
            }
        });
        Ok(Self { kubectl, printer })
    }

    /// Ends the watch. What goes wrong here takes nothing from what was shown, so it is only mentioned.
    pub(crate) fn end(mut self) {
        if let Err(error) = self.kubectl.kill().and_then(|()| self.kubectl.wait()) {
            eprintln!("the watch on events could not be ended: {error}");
        }
        if self.printer.join().is_err() {
            eprintln!("printing events broke off");
        }
    }
}
