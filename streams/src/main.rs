//! Takes the standard error of a container apart from its standard output: the log of a container holds both, and tells
//! them apart on no ordinary cluster.
//!
//! ```text
//! prepare   an init container: copies this program and makes a named pipe for each container
//! run       before the container's command: opens the pipe as standard error, and becomes that command
//!           with a token, it first marks there where this run of the command begins
//! drain     a sidecar: what comes out of the pipe is its own standard output, and so its own log
//! ```
//!
//! No process stands between the kubelet and the command: signals, exit codes and user are those of the command itself.

mod drain;
mod prepare;
mod run;

use std::ffi::OsString;
use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

/// What the copy is called, beside the pipes.
const PROGRAM: &str = "extendedjob-streams";
/// As a shell has it: the command could not be run.
const NOT_RUN: u8 = 127;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some((task, rest)) = arguments.split_first() else { return usage() };
    match (task.to_str(), rest) {
        (Some("prepare"), [folder, pipes @ ..]) => told(prepare::prepare(Path::new(folder), pipes)),
        (Some("drain"), [pipe]) => told(drain::drain(Path::new(pipe))),
        (Some("run"), [pipe, command, arguments @ ..]) => {
            not_run(&run::run(Path::new(pipe), None, command, arguments))
        }
        (Some("run-marked"), [token, pipe, command, arguments @ ..]) => {
            not_run(&run::run(Path::new(pipe), Some(token), command, arguments))
        }
        _ => usage(),
    }
}

fn not_run(error: &std::io::Error) -> ExitCode {
    complain(error);
    ExitCode::from(NOT_RUN)
}

fn told(done: std::io::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn complain(error: &dyn Display) {
    eprintln!("{PROGRAM}: {error}");
}

fn usage() -> ExitCode {
    complain(
        &"usage: prepare FOLDER PIPE... | run PIPE COMMAND ARGUMENT... | run-marked TOKEN PIPE COMMAND ARGUMENT... | \
          drain PIPE",
    );
    ExitCode::from(2)
}
