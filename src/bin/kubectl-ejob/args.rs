//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Asks for runs of ExtendedJobs, and shows what they are at
#[derive(Debug, Parser)]
#[command(name = "kubectl-ejob", bin_name = "kubectl ejob", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which cluster, and which namespace; as in kubectl.
#[derive(Debug, Group)]
pub(crate) struct Connection {
    /// The namespace; without it, that of the context
    #[arg(short, long, global = true)]
    pub(crate) namespace: Option<String>,
    /// The context of the kubeconfig; without it, the current one
    #[arg(long, global = true)]
    pub(crate) context: Option<String>,
    /// The kubeconfig; without it, what KUBECONFIG says
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask for a run of an errand, or for another one of a one-off
    Run(Run),
    /// Show how an ExtendedJob is doing
    Status {
        /// The ExtendedJob
        name: String,
    },
    /// Show the newest runs
    Runs {
        /// The ExtendedJob
        name: String,
        /// Draw them as bars on a time axis
        #[arg(long)]
        timeline: bool,
    },
    /// Show what the last run wrote, from where it is kept
    Output {
        /// The ExtendedJob
        name: String,
        /// One stream only
        #[arg(long, value_enum)]
        stream: Option<Stream>,
    },
    /// Say what it waits for, what would start it, and which pods match
    Why {
        /// The ExtendedJob
        name: String,
    },
    /// Print a script that completes commands
    Completion {
        /// For which shell
        shell: Shell,
    },
}

#[derive(Debug, Group)]
pub(crate) struct Run {
    /// The ExtendedJob
    pub(crate) name: String,
    /// Wait until the run is over, and end with its exit code
    #[arg(long)]
    pub(crate) wait: bool,
    /// Print what its pod writes, and wait until it is over
    #[arg(long)]
    pub(crate) logs: bool,
    /// Give up waiting after so long, such as 90s, 10m, 1h
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| "write a number and a unit, such as 90s".to_owned())?;
    let seconds = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("the unit is s, m or h".to_owned()),
    };
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn times_are_written_as_in_kubectl() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        assert!(duration("soon").is_err() && duration("3d").is_err());
    }
}
