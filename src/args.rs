//! What the operator can be told when it is started.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use extendedjob_actors::{KubeletOptions, Limit, Limits, Streams, Ways, Wrapper};
use extendedjob_api::is_dns_label;

/// Runs native Jobs when something interesting happens to a pod, and stores what they wrote.
///
/// Inside a cluster it uses the pod's service account; outside, a kubeconfig.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Args {
    /// The kubeconfig to use outside a cluster; without it, what KUBECONFIG names
    #[arg(long, env = "EXTENDEDJOB_KUBECONFIG", value_name = "PATH")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The kubeconfig's context to use; without it, its current one
    #[arg(long, env = "EXTENDEDJOB_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// The namespaces whose ExtendedJobs and pods to care for; without it, all. It then needs no right in others, and
    /// output can't go to them. For each of them it leads, or stands by, by itself
    #[arg(long, env = "EXTENDEDJOB_NAMESPACES", value_name = "NAMESPACE", value_delimiter = ',',
        value_parser = namespace)]
    pub(crate) namespaces: Vec<String>,

    /// Where to answer /livez, /readyz and /metrics
    #[arg(long, env = "EXTENDEDJOB_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub(crate) listen: SocketAddr,

    /// Where to answer /log-filter, by which what is logged can be changed: an address of this host alone
    #[arg(long, env = "EXTENDEDJOB_ADMIN_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8081",
        value_parser = loopback)]
    pub(crate) admin_listen: SocketAddr,

    /// The namespace of the Lease by which operators agree on who leads, and of what they keep for each other;
    /// without it, their own
    #[arg(long, env = "EXTENDEDJOB_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub(crate) lease_namespace: Option<String>,

    /// The name of that Lease. With --namespaces there is one for each, and `.` and the namespace are added
    #[arg(long, env = "EXTENDEDJOB_LEASE_NAME", value_name = "NAME", default_value = "extendedjob-operator")]
    pub(crate) lease_name: String,

    /// How many runs one pod may start at once
    #[arg(long, env = "EXTENDEDJOB_POD_BURST", value_name = "RUNS", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pod_burst: u32,

    /// After how many seconds a pod that started so many may start one more
    #[arg(long, env = "EXTENDEDJOB_POD_PERIOD", value_name = "SECONDS", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pod_period: u32,

    /// How many runs one ExtendedJob may start at once
    #[arg(long, env = "EXTENDEDJOB_BURST", value_name = "RUNS", default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) burst: u32,

    /// After how many seconds an ExtendedJob that started so many may start one more
    #[arg(long, env = "EXTENDEDJOB_PERIOD", value_name = "SECONDS", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) period: u32,

    /// How many requests for runs of one ExtendedJob are accepted at once
    #[arg(long, env = "EXTENDEDJOB_REQUEST_BURST", value_name = "RUNS", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) request_burst: u32,

    /// After how many seconds one more request is accepted then
    #[arg(long, env = "EXTENDEDJOB_REQUEST_PERIOD", value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) request_period: u32,

    /// How often runs of one ExtendedJob start again at once, because what their pods use has changed
    #[arg(long, env = "EXTENDEDJOB_RESTART_BURST", value_name = "TIMES", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) restart_burst: u32,

    /// After how many seconds they may start again once more then
    #[arg(long, env = "EXTENDEDJOB_RESTART_PERIOD", value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) restart_period: u32,

    /// For how many minutes the output of an attempt that ended is tried to be written; only the cleanup of its Job
    /// waits for that
    #[arg(long, env = "EXTENDEDJOB_OUTPUT_PATIENCE", value_name = "MINUTES", default_value_t = 24 * 60)]
    pub(crate) output_patience: u32,

    /// Where to keep the newest part of logs that are followed, if they are long
    #[arg(
        long,
        env = "EXTENDEDJOB_SPOOL_FOLDER",
        value_name = "PATH",
        default_value = "/tmp/extendedjob-spool"
    )]
    pub(crate) spool_folder: PathBuf,

    /// How many mebibytes may lie there; a log for which there is no room is read when it ends
    #[arg(long, env = "EXTENDEDJOB_SPOOL_LIMIT_MIB", value_name = "MEBIBYTES", default_value_t = 256,
        value_parser = clap::value_parser!(u64).range(..1 << 20))]
    pub(crate) spool_limit_mib: u64,

    /// How standard error is told apart from standard output
    #[arg(long, env = "EXTENDEDJOB_STREAMS", value_enum, default_value_t = StreamsSetting::Auto)]
    pub(crate) streams: StreamsSetting,

    /// The port of kubelets, from which log files on nodes are read
    #[arg(long, env = "EXTENDEDJOB_KUBELET_PORT", value_name = "PORT", default_value_t = 10250)]
    pub(crate) kubelet_port: u16,

    /// The service account in whose name kubelets are asked, in the namespace of the Lease: it needs no right but to get
    /// nodes/log, and the operator those to get it and to create tokens of it
    #[arg(
        long,
        env = "EXTENDEDJOB_KUBELET_ACCOUNT",
        value_name = "NAME",
        default_value = "extendedjob-kubelet-logs"
    )]
    pub(crate) kubelet_account: String,

    /// Read them also from kubelets whose certificate is not signed by the cluster's CA: whoever answers in the place of
    /// one is believed, and gets a token of that account
    #[arg(long, env = "EXTENDEDJOB_KUBELET_SKIP_TLS_VERIFY")]
    pub(crate) kubelet_skip_tls_verify: bool,

    /// The image with the program that tells them apart within a pod: that of the operator
    #[arg(long, env = "EXTENDEDJOB_WRAPPER_IMAGE", value_name = "IMAGE")]
    pub(crate) wrapper_image: Option<String>,

    /// Secrets with which that image is pulled, in the namespace of each Job
    #[arg(
        long,
        env = "EXTENDEDJOB_WRAPPER_PULL_SECRETS",
        value_name = "NAME",
        value_delimiter = ',',
        requires = "wrapper_image"
    )]
    pub(crate) wrapper_pull_secrets: Vec<String>,

    /// How to write the log, to standard error
    #[arg(long, env = "EXTENDEDJOB_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// What to log: a level, or levels by module such as `info,extendedjob_actors=debug`
    #[arg(long, env = "EXTENDEDJOB_LOG_FILTER", value_name = "FILTER", default_value = "info")]
    pub(crate) log_filter: String,
}

/// Nobody but who is on this host, or in this pod, is to reach it.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|error| format!("{error}"))?;
    let is_loopback = address.ip().is_loopback();
    is_loopback.then_some(address).ok_or_else(|| "not a loopback address, such as 127.0.0.1:8081".to_owned())
}

impl Args {
    /// When the brakes open, and how long what fails is tried again.
    pub(crate) fn limits(&self) -> Limits {
        let limit = |burst, seconds: u32| Limit { burst, every: Duration::from_secs(seconds.into()) };
        Limits {
            pod: limit(self.pod_burst, self.pod_period),
            all: limit(self.burst, self.period),
            requests: limit(self.request_burst, self.request_period),
            restarts: limit(self.restart_burst, self.restart_period),
            output_patience: Duration::from_secs(60 * u64::from(self.output_patience)),
        }
    }

    /// How kubelets are spoken to, in the name of an account of this namespace.
    pub(crate) fn kubelets(&self, namespace: &str) -> KubeletOptions {
        KubeletOptions {
            port: self.kubelet_port,
            skip_tls_verify: self.kubelet_skip_tls_verify,
            namespace: namespace.to_owned(),
            account: self.kubelet_account.clone(),
        }
    }

    /// How streams can be told apart.
    pub(crate) fn ways(&self) -> Ways {
        let pull_secrets = self.wrapper_pull_secrets.clone();
        let wrapper = self.wrapper_image.clone().map(|image| Wrapper { image, pull_secrets });
        let setting = match self.streams {
            StreamsSetting::Auto => Streams::Auto,
            StreamsSetting::Kubelet => Streams::Kubelet,
            StreamsSetting::Wrapper => Streams::Wrapper,
            StreamsSetting::Api => Streams::Api,
            StreamsSetting::Off => Streams::Off,
        };
        Ways { setting, wrapper, kubelet: false }
    }
}

/// The name of a namespace: a DNS label of at most 63 characters.
fn namespace(name: &str) -> Result<String, String> {
    match is_dns_label(name) && name.len() <= 63 {
        true => Ok(name.to_owned()),
        false => Err("no namespace can have this name".to_owned()),
    }
}

/// How standard error is told apart from standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StreamsSetting {
    /// From log files on nodes, if there is an account that may read those; else within the pod, where that can be done
    Auto,
    /// From log files on nodes, and in no other way
    Kubelet,
    /// Within the pod, and in no other way
    Wrapper,
    /// By the API server, if its feature gate PodLogsQuerySplitStreams is on, and that of each kubelet
    Api,
    /// Not at all: the log of a container holds both
    Off,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_log_listens_on_loopback_alone() {
        for address in ["127.0.0.1:8081", "[::1]:8081", "127.0.0.1:0"] {
            assert!(loopback(address).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:8081", "[::]:8081", "10.0.0.1:8081", "localhost"] {
            assert!(loopback(address).is_err(), "{address}");
        }
    }
}
