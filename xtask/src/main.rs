//! The commands of the project; the steps of CI are these.

mod cluster;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The commands of the project", version)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// A real Kubernetes on this machine
    #[command(subcommand)]
    Cluster(cluster::Task),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Task::Cluster(task) => cluster::run(task),
    }
}
