//! The commands of the project; the steps of CI are these.

mod argocd;
mod bench;
mod book;
mod cargo;
mod chart;
mod cluster;
mod demo;
mod deny;
mod dump;
mod events;
mod generate;
mod go;
mod image;
mod install;
mod krew;
mod kustomize;
mod libtest;
mod monitoring;
mod plugin_archive;
mod process;
mod reference;
mod reinstall;
mod report;
mod sbom;
mod schemas;
mod scope;
mod steps;
mod storm;
mod target;
mod test;
mod tools;
mod upgrade;
mod ways;

use std::process::ExitCode;

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
    Storm(storm::Storm),
    Faults(storm::Faults),
    Soak(storm::Soak),
    Bench(bench::Bench),
    Install(install::Install),
    Image(image::Image),
    Sbom(sbom::Sbom),
    Gen(generate::Gen),
    /// Check the chart under several values, without a cluster
    Chart,
    ArgocdHealth(argocd::Health),
    PluginArchive(plugin_archive::PluginArchive),
    Krew(krew::Krew),
    /// A real Kubernetes on this machine
    #[command(subcommand)]
    Cluster(cluster::Task),
}

fn main() -> ExitCode {
    // Not `main() -> Result`: with RUST_BACKTRACE set, that buries the one line that matters.
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::Demo(demo) => demo.run()?,
        Task::Test(test) => return test.run(),
        Task::Storm(storm) => storm.run()?,
        Task::Faults(faults) => faults.run()?,
        Task::Soak(soak) => soak.run()?,
        Task::Bench(bench) => bench.run()?,
        Task::Install(install) => install.run()?,
        Task::Image(image) => image.run()?,
        Task::Sbom(sbom) => sbom.run()?,
        Task::Gen(r#gen) => r#gen.run()?,
        Task::Chart => chart::check::check()?,
        Task::ArgocdHealth(health) => health.run()?,
        Task::PluginArchive(archive) => archive.run()?,
        Task::Krew(krew) => krew.run()?,
        Task::Cluster(task) => cluster::run(task)?,
    }
    Ok(ExitCode::SUCCESS)
}
