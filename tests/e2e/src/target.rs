//! Which cluster the tests may touch: the one that the environment names, never the current context.

use std::env;
use std::process::Command;

use anyhow::{Context, Result};

/// A kubectl command that can reach no cluster but the one under test.
pub(crate) fn kubectl() -> Result<Command> {
    // A machine that has only the local cluster has only the kubectl that was built with it.
    let of_cluster = local_cluster()?.map(|cluster| cluster.kubectl().get_program().to_owned());
    let mut command = Command::new(of_cluster.unwrap_or_else(|| "kubectl".into()));
    command.arg("--kubeconfig").arg(required("EXTENDEDJOB_KUBECONFIG")?);
    command.arg("--context").arg(required("EXTENDEDJOB_CONTEXT")?);
    Ok(command)
}

/// The local cluster that is under test, if it is one: its containers can be killed.
pub(crate) fn local_cluster() -> Result<Option<local_cluster::Cluster>> {
    env::var("EXTENDEDJOB_CLUSTER").ok().map(|name| local_cluster::Cluster::named(&name)).transpose()
}

fn required(variable: &str) -> Result<String> {
    env::var(variable)
        .with_context(|| format!("{variable} is not set: run these tests with `cargo xtask test`"))
}
