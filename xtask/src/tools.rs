//! Programs of others that cargo can install, each at one version.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use local_cluster::cache;

use crate::cargo::cargo;
use crate::process;

/// A program that cargo can install.
pub(crate) struct Tool {
    /// Its name, and that of its package.
    pub(crate) name: &'static str,
    /// The version that is installed where there is none.
    pub(crate) version: &'static str,
    /// How it is built: further arguments of `cargo install`.
    pub(crate) options: &'static [&'static str],
}

impl Tool {
    /// The one of this machine, or one that is built into the cache, which takes minutes once. It works in the project's folder.
    pub(crate) fn command(&self) -> Result<Command> {
        let Self { name, version, options } = *self;
        let own = cache()?.join(format!("{name}-{version}"));
        let path = own.join("bin").join(name);
        if !path.exists() {
            // Whether it can be started says whether it is there: not all answer when they are asked for their version alone.
            if Command::new(name).arg("--version").output().is_ok() {
                return Ok(in_project(PathBuf::from(name)));
            }
            let mut install = cargo("install");
            install.args([name, "--version", version, "--locked"]).args(options).arg("--root").arg(own);
            process::run(&mut install)?;
        }
        Ok(in_project(path))
    }
}

fn in_project(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    command.current_dir(process::project());
    command
}
