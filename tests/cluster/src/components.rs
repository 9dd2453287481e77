//! What a cluster consists of: one list of programs, which `up`, `down`, `status` and the starting and
//! stopping of single components all walk.

use crate::layout::Layout;
use crate::network::{NODE, NODE_IP, POD_SUBNET, SERVICE_SUBNET};
use crate::probe::Probe;
use crate::settings::Settings;

/// A program that runs as long as the cluster.
#[derive(Debug)]
pub(crate) struct Component {
    pub(crate) name: &'static str,
    pub(crate) program: String,
    pub(crate) args: Vec<String>,
    pub(crate) place: Place,
    pub(crate) stage: Stage,
    pub(crate) ready: Probe,
}

/// Where a component runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the cluster's namespaces.
    Node,
    /// Beside everything else on this machine.
    Machine,
}

/// Components of one stage start side by side, and wait for all of the stage before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// What everything else talks to.
    Base,
    /// What gives up when there is no API server.
    Control,
}

/// The stages in their order.
pub(crate) const STAGES: [Stage; 2] = [Stage::Base, Stage::Control];

/// All components, in the order of their start.
pub(crate) fn components(layout: &Layout, settings: &Settings) -> Vec<Component> {
    let dir = layout.dir().display().to_string();
    let built = |program: &str| layout.bin().join(program).display().to_string();
    let words = |text: String| text.split_whitespace().map(String::from).collect::<Vec<_>>();
    let kubeconfig = |user: &str| format!("{dir}/config/{user}.kubeconfig");
    let socket = format!("{dir}/run/api.sock");
    let port = settings.port;
    vec![
        Component {
            name: "etcd",
            program: built("etcd"),
            // Without fsync: a machine that dies takes a test cluster with it anyway.
            args: words(format!(
                "--data-dir {dir}/etcd --unsafe-no-fsync --log-level warn
                 --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379
                 --listen-peer-urls http://127.0.0.1:2380"
            )),
            place: Place::Node,
            stage: Stage::Base,
            ready: Probe::Listens(2379),
        },
        Component {
            name: "kube-apiserver",
            program: built("kube-apiserver"),
            args: [
                words(format!(
                    "--v=1 --etcd-servers=http://127.0.0.1:2379 --advertise-address={NODE_IP}
                     --service-cluster-ip-range={SERVICE_SUBNET} --allow-privileged=true
                     --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction
                     --client-ca-file={dir}/pki/ca.crt
                     --tls-cert-file={dir}/pki/apiserver.crt --tls-private-key-file={dir}/pki/apiserver.key
                     --kubelet-certificate-authority={dir}/pki/ca.crt
                     --kubelet-client-certificate={dir}/pki/apiserver-to-kubelet.crt
                     --kubelet-client-key={dir}/pki/apiserver-to-kubelet.key
                     --kubelet-preferred-address-types=InternalIP
                     --service-account-issuer=https://kubernetes.default.svc
                     --service-account-key-file={dir}/pki/service-accounts.key
                     --service-account-signing-key-file={dir}/pki/service-accounts.key
                     --audit-policy-file={dir}/config/audit-policy.yaml
                     --audit-log-path={} --audit-log-maxsize=4096",
                    layout.audit_log().display()
                )),
                feature_gates(&settings.apiserver_feature_gates),
            ]
            .concat(),
            place: Place::Node,
            stage: Stage::Base,
            ready: Probe::kubectl("get --raw /readyz", "ok"),
        },
        Component {
            name: "containerd",
            program: layout.containerd().join("containerd").display().to_string(),
            args: words(format!("--config {dir}/config/containerd.toml --log-level warn")),
            place: Place::Node,
            stage: Stage::Base,
            ready: Probe::Answers { program: "ctr", args: words("version".to_owned()), with: "Server" },
        },
        Component {
            name: "registry",
            program: "docker-registry".to_owned(),
            args: words(format!("serve {dir}/config/registry.yaml")),
            place: Place::Node,
            stage: Stage::Base,
            ready: Probe::Listens(5000),
        },
        // A process is in one network only, but a socket in the file system is reached from any: these two
        // are the way from the machine's 127.0.0.1 to the API server.
        Component {
            name: "forward-inside",
            program: "socat".to_owned(),
            args: words(format!(
                "UNIX-LISTEN:{socket},fork,unlink-early,backlog=128 TCP:{NODE_IP}:6443,nodelay"
            )),
            place: Place::Node,
            stage: Stage::Base,
            ready: Probe::Answers { program: "test", args: vec!["-S".to_owned(), socket.clone()], with: "" },
        },
        Component {
            name: "forward-outside",
            program: "socat".to_owned(),
            args: words(format!(
                "TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,nodelay,fork,backlog=128 UNIX-CONNECT:{socket}"
            )),
            place: Place::Machine,
            stage: Stage::Base,
            ready: Probe::Listens(port),
        },
        Component {
            name: "kube-controller-manager",
            program: built("kube-controller-manager"),
            args: words(format!(
                "--v=1 --kubeconfig={} --leader-elect=false --use-service-account-credentials
                 --service-account-private-key-file={dir}/pki/service-accounts.key
                 --root-ca-file={dir}/pki/ca.crt --flex-volume-plugin-dir=/var/lib/kubelet/volume-plugins
                 --kube-api-qps=200 --kube-api-burst=400",
                kubeconfig("kube-controller-manager")
            )),
            place: Place::Node,
            stage: Stage::Control,
            // It makes what each pod in this namespace waits for.
            ready: Probe::kubectl(
                "get --namespace default serviceaccount/default configmap/kube-root-ca.crt",
                "kube-root-ca.crt",
            ),
        },
        Component {
            name: "kube-scheduler",
            program: built("kube-scheduler"),
            args: words(format!(
                "--v=1 --kubeconfig={} --leader-elect=false --kube-api-qps=200 --kube-api-burst=400",
                kubeconfig("kube-scheduler")
            )),
            place: Place::Node,
            stage: Stage::Control,
            ready: Probe::Listens(10259),
        },
        Component {
            name: "kube-proxy",
            program: built("kube-proxy"),
            args: words(format!(
                "--v=1 --kubeconfig={} --proxy-mode=nftables --cluster-cidr={POD_SUBNET}
                 --hostname-override={NODE} --conntrack-max-per-core=0",
                kubeconfig("kube-proxy")
            )),
            place: Place::Node,
            stage: Stage::Control,
            ready: Probe::Listens(10256),
        },
        Component {
            name: "kubelet",
            program: built("kubelet"),
            args: [
                words(format!(
                    "--v=1 --config={dir}/config/kubelet.yaml --kubeconfig={} --hostname-override={NODE}
                     --node-ip={NODE_IP}",
                    kubeconfig("node")
                )),
                feature_gates(&settings.kubelet_feature_gates),
            ]
            .concat(),
            place: Place::Node,
            stage: Stage::Control,
            // "True" alone: a node with taints, as a fresh one has, takes no pods yet.
            ready: Probe::kubectl(
                "get node node1 -o jsonpath=<{.status.conditions[?(@.type==\"Ready\")].status}{.spec.taints}>",
                "<True>",
            ),
        },
    ]
}

fn feature_gates(gates: &[String]) -> Vec<String> {
    if gates.is_empty() { Vec::new() } else { vec![format!("--feature-gates={}", gates.join(","))] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args_of(name: &str, settings: &Settings) -> Vec<String> {
        let mut all = components(&Layout::new("dev").unwrap(), settings);
        all.retain(|component| component.name == name);
        all.pop().unwrap().args
    }

    #[test]
    fn feature_gates_reach_only_whom_they_are_for() {
        let settings = Settings { apiserver_feature_gates: vec!["A=true".to_owned()], ..Settings::default() };
        let gates = "--feature-gates=A=true".to_owned();
        assert!(args_of("kube-apiserver", &settings).contains(&gates));
        assert!(!args_of("kubelet", &settings).contains(&gates));
    }

    #[test]
    fn names_are_unique_and_stages_in_order() {
        let all = components(&Layout::new("dev").unwrap(), &Settings::default());
        let mut names: Vec<_> = all.iter().map(|component| component.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        assert!(all.is_sorted_by_key(|component| component.stage));
    }
}
