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
    /// Ask for a run of an errand, by setting `run` to `now`, or for another one of a one-off, by the annotation
    /// run-requested-at. During an errand's run it means that run
    Run(Run),
    /// Show how an ExtendedJob is doing
    Status {
        /// The ExtendedJob
        #[arg(value_parser = name)]
        name: String,
    },
    /// Show the newest runs
    Runs {
        /// The ExtendedJob
        #[arg(value_parser = name)]
        name: String,
        /// Draw them as bars on a time axis
        #[arg(long)]
        timeline: bool,
    },
    /// Show what the last run wrote, from where it is kept
    Output {
        /// The ExtendedJob
        #[arg(value_parser = name)]
        name: String,
        /// One stream only
        #[arg(long, value_enum)]
        stream: Option<Stream>,
        /// What the run that made this version wrote, of versioned output
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
        version: Option<u64>,
    },
    /// Say what it waits for, what would start it, and which pods match
    Why {
        /// The ExtendedJob
        #[arg(value_parser = name)]
        name: String,
    },
    /// Print a script that completes commands
    Completion {
        /// For which shell
        shell: Shell,
    },
}

#[derive(Debug, Group)]
#[group(multiple = true)]
pub(crate) struct Run {
    /// The ExtendedJob
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// Wait until the run is over, and end with its exit code
    #[arg(long)]
    pub(crate) wait: bool,
    /// Print what its pods write, and wait until it is over
    #[arg(long)]
    pub(crate) logs: bool,
    /// Give up waiting after so long, such as 90s, 10m, 1h; waits
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// A name, perhaps with the kind before it as kubectl prints it.
fn name(text: &str) -> Result<String, String> {
    let kinds = ["ejob/", "extendedjob/", "extendedjobs/", "extendedjob.fissile.cloudfoundry.org/"];
    let name = kinds.iter().find_map(|kind| text.strip_prefix(kind)).unwrap_or(text);
    if name.is_empty() || name.contains('/') {
        return Err("write the name of an ExtendedJob".to_owned());
    }
    Ok(name.to_owned())
}

/// A duration as in kubectl, such as `1h30m`, `1.5s` or `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write numbers and units (h, m, s, ms), such as 90s or 1h30m".to_owned();
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?);
        let end = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let seconds = match &behind[..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        (rest, sum) = (&behind[end..], sum + number * seconds);
    }
    let given = Duration::try_from_secs_f64(sum).map_err(|_| wrong())?;
    if given.is_zero() { Err(wrong()) } else { Ok(given) }
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
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("1.5s"), duration("1500ms"));
        for wrong in ["soon", "3d", "5", "", "0s", "-3s", "99999999999999999999999h", "s", "infs"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_may_bear_its_kind() {
        assert_eq!(name("ejob/a"), Ok("a".to_owned()));
        assert_eq!(name("a"), Ok("a".to_owned()));
        assert!(name("").is_err() && name("pods/a").is_err() && name("ejob/").is_err());
    }
}
