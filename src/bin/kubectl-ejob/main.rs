//! `kubectl ejob`: asks for runs of ExtendedJobs, and shows what they are at.

mod args;
mod cluster;
mod logs;
mod output;
mod request;
mod runs;
mod status;
mod text;
mod why;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command};
use cluster::Cluster;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Command::Completion { shell } = args.command {
        clap_complete::generate(shell, &mut Args::command(), "kubectl-ejob", &mut std::io::stdout());
        return ExitCode::SUCCESS;
    }
    match actix::System::new().block_on(act(args)) {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("error: {reason:#}");
            ExitCode::FAILURE
        }
    }
}

async fn act(args: Args) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.connection).await?;
    match args.command {
        Command::Run(how) => return request::run(&cluster, &how).await,
        Command::Status { name } => status::show(&cluster, &name).await?,
        Command::Runs { name, timeline } => runs::show(&cluster, &name, timeline).await?,
        Command::Output { name, stream } => output::show(&cluster, &name, stream).await?,
        Command::Why { name } => why::show(&cluster, &name).await?,
        Command::Completion { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}
