//! Storms on a real cluster: crowds of pods change at once while operators are killed, stopped and started
//! anew, and the API server with them. Then every Job that was ever made is counted against what the rules
//! promise: one for each transition, none missing, none double.
//!
//! The operators are processes of this machine, so that they can be hit at a chosen moment; the installed
//! Deployment rests meanwhile. Pods have no node, and their readiness is written into their status. Nothing is
//! imported from the operator. `cargo xtask storm` brings up a cluster and starts this program.
//!
//! `stage → scenarios → expected → report`: one namespace with its operators; what is done there; what should have come of
//! it, beside what came of it; the table. Faults of requests are made by `proxy`.

mod audit;
mod expected;
mod finish;
mod load;
mod proxy;
mod report;
mod scenarios;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use crowds::target::Target;
use local_cluster::Cluster;

use crate::load::Load;
use crate::report::Report;

/// Storms on a local cluster in which the operator is installed
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The local cluster
    #[arg(long, value_name = "NAME")]
    cluster: String,

    /// The operator's program, built for this machine
    #[arg(long, value_name = "PATH")]
    operator: PathBuf,

    #[command(flatten)]
    load: Load,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(report) if report.is_good() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the scenarios one after the other and prints what came of them.
fn run(arguments: Arguments) -> Result<Report> {
    // One thread does: this program mostly waits, and the cores are for the cluster and the operators.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(async {
        let cluster = Cluster::named(&arguments.cluster)?;
        let kubeconfig = cluster.kubeconfig();
        let target = Target::prepare(cluster, &kubeconfig, arguments.operator).await?;
        let report = Report::gather(&target, &arguments.load).await;
        println!("\n{report}");
        target.leave(report.is_good()).await?;
        Ok(report)
    })
}
