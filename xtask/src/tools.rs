//! Programs of other projects that checks need: those of this machine, or built once under target/.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

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
    /// The program of this machine, or one that is built under target/, which takes minutes once.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        let Self { name, version, options } = *self;
        let own = process::project().join("target/tools");
        let path = own.join("bin").join(name);
        if path.exists() {
            return Ok(path);
        }
        if Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()) {
            return Ok(PathBuf::from(name));
        }
        let mut install = cargo("install");
        install.args([name, "--version", version, "--locked"]).args(options).arg("--root").arg(own);
        process::run(&mut install)?;
        Ok(path)
    }
}
