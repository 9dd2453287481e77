//! The commands of the project; the steps of CI are these.

mod cargo;
mod cluster;
mod demo;
mod deny;
mod dump;
mod events;
mod generate;
mod image;
mod install;
mod libtest;
mod process;
mod steps;
mod target;
mod test;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The commands of the project", version)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    Demo(demo::Demo),
    Test(test::Test),
    Install(install::Install),
    Image(image::Image),
    Gen(generate::Gen),
    /// A real Kubernetes on this machine
    #[command(subcommand)]
    Cluster(cluster::Task),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Task::Demo(demo) => demo.run(),
        Task::Test(test) => test.run(),
        Task::Install(install) => install.run(),
        Task::Image(image) => image.run(),
        Task::Gen(r#gen) => r#gen.run(),
        Task::Cluster(task) => cluster::run(task),
    }
}
