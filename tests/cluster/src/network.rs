//! The cluster's network: a namespace of its own, in which all components and pods are. Nothing of it is
//! seen on the machine, several clusters use the same addresses side by side, and nothing has a way out.

use anyhow::{Context, Result};

use crate::command::run;
use crate::layout::Layout;
use crate::namespaces;

pub(crate) const NODE: &str = "node1";
pub(crate) const NODE_IP: &str = "10.100.0.1";
pub(crate) const API_ADDRESS: &str = "https://10.100.0.1:6443";
pub(crate) const SERVICE_SUBNET: &str = "10.96.0.0/16";
/// The API server's own service.
pub(crate) const SERVICE_IP: &str = "10.96.0.1";
/// Wide enough for the kubelet's `maxPods` and as many that have just ended.
pub(crate) const POD_SUBNET: &str = "10.244.0.0/22";
/// The cluster's registry, as seen from inside.
pub(crate) const REGISTRY: &str = "127.0.0.1:5000";

/// A bridge without members stands for the network card: not every kernel has the device type "dummy".
/// Components look for the default route to learn the node's address, and the node forwards the packets of
/// its pods.
const SCRIPT: &str = r#"
ip link set lo up
ip link add eth0 type bridge
ip address add "$1/24" dev eth0
ip link set eth0 up
ip route add default dev eth0
echo 1 > /proc/sys/net/ipv4/ip_forward
"#;

/// Makes the namespace with the node's address in it.
pub(crate) fn make(layout: &Layout) -> Result<()> {
    let mut command = namespaces::make(layout, "net")?;
    command.args(["sh", "-ec", SCRIPT, "sh", NODE_IP]);
    run(&mut command).context("cannot make the cluster's network").map(drop)
}
