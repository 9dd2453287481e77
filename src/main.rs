//! The operator's program: reads its arguments, and runs until it is told to stop.

mod admin;
mod args;
mod http;
mod run;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;
use tracing::error;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let log_filter = telemetry::start(args.log_format, &args.log_filter);
    match actix::System::new().block_on(run::run(args, log_filter)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            error!(error = format!("{reason:#}"), "the operator ends");
            ExitCode::FAILURE
        }
    }
}
