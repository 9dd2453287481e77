//! How one sees that a component is ready.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::layout::Layout;
use crate::namespaces;

/// A question that a ready component answers.
#[derive(Debug)]
pub(crate) enum Probe {
    /// Something listens on this TCP port in the component's network.
    Listens(u16),
    /// This program, run on the node, succeeds and says this.
    Answers { program: &'static str, args: Vec<String>, with: &'static str },
}

impl Probe {
    /// A question to the API server.
    pub(crate) fn kubectl(args: &str, with: &'static str) -> Self {
        Self::Answers { program: "kubectl", args: args.split(' ').map(String::from).collect(), with }
    }

    /// Asks once, about the component that is process `pid`.
    pub(crate) fn succeeds(&self, layout: &Layout, pid: i32) -> bool {
        match self {
            Self::Listens(port) => ["tcp", "tcp6"].iter().any(|table| {
                let sockets = fs::read_to_string(format!("/proc/{pid}/net/{table}"));
                sockets.is_ok_and(|sockets| listens(&sockets, *port))
            }),
            Self::Answers { program, args, with } => {
                let built = [layout.bin(), layout.containerd()].map(|folder| folder.join(program));
                let built = built.iter().find(|built| built.exists());
                let program = built.map_or(Path::new(program), PathBuf::as_path);
                let output = quiet(namespaces::enter_node(layout, program).args(args))
                    .env("KUBECONFIG", layout.inside_kubeconfig())
                    .env("KUBECACHEDIR", layout.kubectl_cache())
                    .output();
                output.is_ok_and(|output| {
                    output.status.success() && String::from_utf8_lossy(&output.stdout).contains(with)
                })
            }
        }
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stderr(Stdio::null())
}

/// Whether the kernel's table of sockets, as in /proc/net/tcp, has one that listens on this port.
fn listens(table: &str, port: u16) -> bool {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&suffix)) && fields.nth(1) == Some(LISTEN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
        \x20  0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1\n\
        \x20  1: 0100007F:C350 0100007F:1389 01 00000000:00000000 00:00000000 00000000     0        0 2\n";

    #[test]
    fn only_a_listening_socket_of_the_port_counts() {
        assert!(listens(TABLE, 5000));
        assert!(!listens(TABLE, 50000), "connected, not listening");
        assert!(!listens(TABLE, 5001), "the port of the other side");
        assert!(!listens("", 5000));
    }
}
