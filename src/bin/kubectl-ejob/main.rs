//! `kubectl ejob`: asks for runs of ExtendedJobs, and shows what they are at.

mod args;
mod cluster;
mod completion;
mod logs;
mod output;
mod request;
mod runs;
mod status;
mod text;
mod why;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use cluster::Cluster;
use text::is_unread;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let done = if completion::is_asked_for(&words) {
        actix::System::new().block_on(completion::complete(&words)).map(|()| ExitCode::SUCCESS)
    } else {
        actix::System::new().block_on(act(Args::parse()))
    };
    match done {
        Ok(code) => code,
        Err(reason) if is_unread(&reason) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason:#}");
            ExitCode::FAILURE
        }
    }
}

async fn act(args: Args) -> anyhow::Result<ExitCode> {
    if let Command::Completion { shell } = args.command {
        completion::print_script(shell)?;
        return Ok(ExitCode::SUCCESS);
    }
    let cluster = Cluster::connect(&args.connection).await?;
    match args.command {
        Command::Run(how) => return request::run(&cluster, &how).await,
        Command::Output { name, stream, version } => {
            return output::show(&cluster, &name, stream, version).await;
        }
        Command::Status { name } => status::show(&cluster, &name).await?,
        Command::Runs { name, timeline } => runs::show(&cluster, &name, timeline).await?,
        Command::Why { name } => why::show(&cluster, &name).await?,
        Command::Completion { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}
