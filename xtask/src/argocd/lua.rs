//! Scripts as Argo CD runs them: by the Go program in tests/argocd, which has its interpreter and its restrictions.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The program's source, within the project.
const SOURCE: &str = "tests/argocd";

/// A script for Argo CD.
#[derive(Clone, Copy, Debug)]
pub(super) enum Script {
    /// How an ExtendedJob is.
    Health,
    /// Which actions there are for it.
    Discovery,
    /// The action `run`.
    Run,
}

impl Script {
    /// Within the project.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Health => "deploy/argocd/health.lua",
            Self::Discovery => "deploy/argocd/actions/discovery.lua",
            Self::Run => "deploy/argocd/actions/run/action.lua",
        }
    }
}

/// The interpreter.
pub(super) struct Lua(PathBuf);

impl Lua {
    /// Builds it, which takes seconds, and the network once.
    pub(super) fn build() -> Result<Self> {
        let program = process::project().join("target/tools/bin/argocd-lua");
        let mut build = Command::new("go");
        build.args(["build", "-trimpath", "-buildvcs=false", "-o"]).arg(&program).arg(".");
        build.current_dir(process::project().join(SOURCE)).env("CGO_ENABLED", "0");
        process::run(&mut build)?;
        Ok(Self(program))
    }

    /// What a script returns for an object.
    pub(super) fn run(&self, script: Script, object: &Value) -> Result<Value> {
        let mut lua = Command::new(&self.0);
        lua.arg(process::project().join(script.path()));
        let answer = process::filter(&mut lua, &object.to_string())?;
        serde_json::from_str(&answer).with_context(|| format!("read what {} returned", script.path()))
    }
}
