//! The log files of a container, read straight from the kubelet of its node: in them each line says of which stream it
//! is, which the pod log API does not tell.
//!
//! The kubelet serves `/var/log` as files and folders (`/logs/`, to whoever may get `nodes/log`). A run of a container
//! writes one file, `<n>.log`, where `n` says how often the container had been started before. When that has grown
//! long, the kubelet renames it to `<n>.log.<time>`, and the runtime begins a new one; at the next turn the renamed one
//! is compressed to `<n>.log.<time>.gz`, and the oldest are removed.

mod account;
mod client;
mod files;
mod folder;
mod packed;
mod reached;
#[cfg(test)]
mod stand_in;

use std::{fmt, time::Duration};

use extendedjob_decide::fault::Class;

pub(crate) use self::files::LogFiles;
pub use self::{
    account::AccountError,
    client::{KubeletOptions, Kubelets},
};
use crate::cluster::fault::chain;

/// Where the log files of one run of one container lie.
#[derive(Clone, Debug)]
pub(crate) struct LogPlace {
    /// The IP address of the node.
    pub(crate) address: String,
    pub(crate) node: String,
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) uid: String,
    pub(crate) container: String,
    /// How often the container had been started before.
    pub(crate) restart: u32,
}

impl LogPlace {
    /// The name of the file that the container writes.
    fn growing(&self) -> String {
        format!("{}.log", self.restart)
    }

    /// The address of a file, or without a name that of the folder.
    fn url(&self, port: u16, file: &str) -> String {
        let Self { address, namespace, pod, uid, container, .. } = self;
        let host = if address.contains(':') { format!("[{address}]") } else { address.clone() };
        format!("https://{host}:{port}/logs/pods/{namespace}_{pod}_{uid}/{container}/{file}")
    }
}

/// Whose log it is, for who has to look why it could not be read.
impl fmt::Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, namespace, pod, container, .. } = self;
        write!(f, "the log of container {container} of pod {namespace}/{pod} from the kubelet of node {node}")
    }
}

/// Why the log files of a container could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KubeletError {
    /// No connection, or none that can be trusted.
    #[error("can't ask for {0}: {cause}", cause = chain(.1))]
    Unreachable(Box<LogPlace>, #[source] kube::Error),
    /// It did not answer a moment ago.
    #[error("can't ask for {0}: it did not answer just now")]
    JustSilent(Box<LogPlace>),
    /// Whoever answered need not be the kubelet.
    #[error("can't ask for {0}: its certificate is not signed by the cluster's CA (let it ask for one: \
             serverTLSBootstrap; or --kubelet-skip-tls-verify): {cause}", cause = chain(.1))]
    Untrusted(Box<LogPlace>, #[source] kube::Error),
    /// In whose name to ask.
    #[error("can't ask for {0}: {1}")]
    Account(Box<LogPlace>, #[source] AccountError),
    /// Nothing came back in time.
    #[error("can't ask for {0}: no answer within {1:?}")]
    NoAnswer(Box<LogPlace>, Duration),
    /// The kubelet does not let the operator, or nobody.
    #[error("may not read {0} (HTTP {1}): {remedy}", remedy = remedy(*.1))]
    Refused(Box<LogPlace>, u16),
    /// Neither the file nor any of its rotations.
    #[error("can't find {0}")]
    NotThere(Box<LogPlace>),
    /// An answer that says nothing about the file.
    #[error("can't read {0}: HTTP {1}")]
    Status(Box<LogPlace>, u16),
    /// The connection ended within an answer.
    #[error("reading {0} broke off: {cause}", cause = chain(.1))]
    BrokeOff(Box<LogPlace>, #[source] kube::Error),
    /// Nothing more of an answer came in time.
    #[error("reading {0} broke off: nothing came for {1:?}")]
    Silent(Box<LogPlace>, Duration),
    /// A list of files that is none.
    #[error("can't understand the list of files for {0}")]
    List(Box<LogPlace>),
    /// Each file was another one by the time it was asked for.
    #[error("can't read {0}: its files are moved faster than they are read")]
    Unsteady(Box<LogPlace>),
}

impl KubeletError {
    /// What kind of trouble it is.
    #[must_use]
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::NotThere(_) => Class::NotFound,
            Self::Refused(..) | Self::Untrusted(..) => Class::Refused,
            // Its account was taken away.
            Self::Account(_, error) if error.is_refusal() => Class::Refused,
            _ => Class::Transient,
        }
    }
}

/// What helps where the kubelet refuses.
fn remedy(code: u16) -> &'static str {
    match code {
        405 => "that kubelet serves no files (enableSystemLogHandler)",
        401 => "that kubelet does not know the account in whose name it is asked",
        _ => "the account in whose name it is asked needs get on nodes/log",
    }
}

#[cfg(test)]
mod tests {
    use super::{stand_in::place, *};

    #[test]
    fn an_address_of_version_six_stands_in_brackets() {
        let place = LogPlace { address: "fd00::1".into(), restart: 2, ..place() };
        let url = "https://[fd00::1]:10250/logs/pods/ns_p_uid/c/2.log";
        assert_eq!(place.url(10250, &place.growing()), url);
    }

    #[test]
    fn an_error_tells_node_container_and_remedy() {
        let refused = KubeletError::Refused(Box::new(place()), 403);
        let text = "may not read the log of container c of pod ns/p from the kubelet of node n (HTTP 403): \
                    the account in whose name it is asked needs get on nodes/log";
        assert_eq!((refused.to_string().as_str(), refused.class()), (text, Class::Refused));
    }
}
