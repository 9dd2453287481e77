//! Cargo subcommands of others, each at one version.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::cargo::cargo;
use crate::process;

/// A program that cargo can install.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// The version that is installed where there is none.
    pub(crate) version: &'static str,
}

impl Tool {
    /// The one of this machine, or one that is built under target/, which takes minutes once.
    pub(crate) fn command(&self) -> Result<Command> {
        let Self { name, version } = self;
        let own = process::project().join("target/tools");
        let path = own.join("bin").join(name);
        if !path.exists() {
            // Whether it can be started says whether it is there: not all answer when they are asked for their version alone.
            if Command::new(name).arg("--version").output().is_ok() {
                return Ok(self.in_project(PathBuf::from(name)));
            }
            let mut install = cargo("install");
            install.args([name, "--version", version, "--locked", "--root"]).arg(own);
            process::run(&mut install)?;
        }
        Ok(self.in_project(path))
    }

    fn in_project(&self, path: PathBuf) -> Command {
        let mut command = Command::new(path);
        command.current_dir(process::project());
        command
    }
}
