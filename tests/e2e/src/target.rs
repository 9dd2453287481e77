//! Which cluster the tests may touch: the one that the environment names, never the current context.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::Namespace;

/// A kubectl command that can reach no cluster but the one under test.
pub(crate) fn kubectl() -> Result<Command> {
    let mut command = program()?;
    choose_cluster(&mut command)?;
    Ok(command)
}

/// The same with the plugin `ejob`, before whose name no flag may stand.
pub(crate) fn plugin(args: &[&str]) -> Result<Command> {
    let plugin = PathBuf::from(required("EXTENDEDJOB_PLUGIN")?);
    let folders = plugin.parent().map(Path::to_path_buf).into_iter();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(folders.chain(env::split_paths(&path)))?;
    let mut command = program()?;
    command.env("PATH", path).arg("ejob").args(args);
    choose_cluster(&mut command)?;
    Ok(command)
}

fn program() -> Result<Command> {
    // A machine that has only the local cluster has only the kubectl that was built with it.
    let of_cluster = local_cluster()?.map(|cluster| cluster.kubectl().get_program().to_owned());
    let mut kubectl = Command::new(of_cluster.unwrap_or_else(|| "kubectl".into()));
    // It lives for a tenth of a second, a good part of which would go into clearing up behind itself.
    kubectl.env("GOGC", "off");
    Ok(kubectl)
}

fn choose_cluster(command: &mut Command) -> Result<()> {
    command.arg("--kubeconfig").arg(required("EXTENDEDJOB_KUBECONFIG")?);
    command.arg("--context").arg(required("EXTENDEDJOB_CONTEXT")?);
    Ok(())
}

/// The local cluster that is under test, if it is one: its containers can be killed.
pub(crate) fn local_cluster() -> Result<Option<local_cluster::Cluster>> {
    env::var("EXTENDEDJOB_CLUSTER").ok().map(|name| local_cluster::Cluster::named(&name)).transpose()
}

/// The way on which the operator under test tells streams apart, as its status has it.
pub fn streams() -> String {
    env::var("EXTENDEDJOB_TEST_STREAMS").unwrap_or_else(|_| "Wrapped".to_owned())
}

/// The namespaces that the operator under test watches, where these are not all.
pub fn watched() -> Result<Vec<Namespace>> {
    Ok(required("EXTENDEDJOB_TEST_WATCHED")?.split(',').map(Namespace::existing).collect())
}

/// The user that it is to the API server there.
pub fn operator_account() -> Result<String> {
    required("EXTENDEDJOB_TEST_ACCOUNT")
}

/// Brings the operator that is installed up to date, with the command that the environment names.
pub fn upgrade() -> Result<()> {
    let command = required("EXTENDEDJOB_UPGRADE")?;
    let mut words = command.split_whitespace();
    let program = words.next().context("EXTENDEDJOB_UPGRADE is empty")?;
    let status = Command::new(program).args(words).status().with_context(|| format!("run {command}"))?;
    ensure!(status.success(), "{command} failed");
    Ok(())
}

fn required(variable: &str) -> Result<String> {
    env::var(variable)
        .with_context(|| format!("{variable} is not set: run these tests with `cargo xtask test`"))
}
