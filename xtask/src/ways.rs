//! The end-to-end tests, and the way on which the operator tells streams apart while they run.

use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;
use local_cluster::{Cluster, Options};

use crate::cargo::{Profile, build_plugin, compiling};
use crate::libtest::{self, Count};
use crate::report::Report;
use crate::target::Target;
use crate::{chart, dump, install, process};

/// A way that the operator can be set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// Within the pod
    Wrapper,
    /// From the kubelet, with the right to read its logs
    Kubelet,
    /// From the API server, in a cluster that was made with the feature gate PodLogsQuerySplitStreams=true
    Api,
}

/// By it the API server takes a question for one stream, and a kubelet answers it.
const GATE: &str = "PodLogsQuerySplitStreams=true";

/// Modules of tests for all ways, and for all but the wrapper's.
const BESIDE_THE_POD: [&str; 2] = ["streams::", "unwrapped::"];

/// A module of tests for a node that does not do what its API server was asked for.
const UNSEPARATED: &str = "unseparated::";

impl Way {
    /// The operator's word for it.
    fn setting(self) -> &'static str {
        match self {
            Self::Wrapper => "wrapper",
            Self::Kubelet => "kubelet",
            Self::Api => "api",
        }
    }

    /// The status' word for it.
    fn streams(self) -> &'static str {
        match self {
            Self::Wrapper => "Wrapped",
            Self::Kubelet => "Kubelet",
            Self::Api => "Api",
        }
    }

    /// Modules of tests that another way is needed for.
    fn not_for_it(self) -> &'static [&'static str] {
        match self {
            Self::Wrapper => &["unwrapped::", "kubelet::", UNSEPARATED],
            Self::Kubelet => &["wrapper::", UNSEPARATED],
            Self::Api => &["wrapper::", "kubelet::"],
        }
    }
}

/// Sets the operator to this way, or leaves the choice to it, as it is when it has just been installed: then it has no
/// right to ask kubelets either. Waits until it is ready.
pub(crate) fn choose(target: &Target, way: Option<Way>) -> Result<()> {
    let right = chart::render(chart::DEFAULT, &chart::KUBELET_LOGS_ALONE)?;
    let mut give_or_take = match way {
        Some(Way::Kubelet) => install::server_side_apply(target),
        _ => deletion(target),
    };
    process::feed(&mut give_or_take, &right)?;
    let setting = match way {
        Some(way) => format!("EXTENDEDJOB_STREAMS={}", way.setting()),
        None => "EXTENDEDJOB_STREAMS-".to_owned(),
    };
    let deployment = format!("deployment/{}", install::NAMESPACE);
    let set = ["set", "env", "--namespace", install::NAMESPACE, &deployment, &setting];
    process::run(target.kubectl().args(set))?;
    install::rollout(target)
}

/// Takes manifests from stdin, of objects that may be gone already.
fn deletion(target: &Target) -> Command {
    let mut kubectl = target.kubectl();
    kubectl.args(["delete", "--ignore-not-found", "--filename=-"]);
    kubectl
}

/// The tests that see the operator from outside, with kubectl: those whose names hold one of these, or all, as far as
/// they are for this way. What the operator chooses where it is left to it is the wrapper.
pub(crate) fn end_to_end(target: &Target, way: Option<Way>, filter: &[&str]) -> Result<Command> {
    let way = way.unwrap_or(Way::Wrapper);
    let mut command = compiling("test")?;
    // More than there are cores: these tests mostly wait, for pods and for their turn to disturb the operator.
    command.args(["--package", "e2e", "--", "--test-threads=10"]).args(filter);
    command.args(way.not_for_it().iter().flat_map(|module| ["--skip", module]));
    command.env("EXTENDEDJOB_KUBECONFIG", target.kubeconfig()?).env("EXTENDEDJOB_CONTEXT", target.context());
    command.env("EXTENDEDJOB_PLUGIN", build_plugin()?).env("EXTENDEDJOB_TEST_STREAMS", way.streams());
    if let Target::Local(_, name) = target {
        // Only here can tests kill containers and stop parts of the control plane.
        command.env("EXTENDEDJOB_CLUSTER", name);
    }
    Ok(command)
}

/// Tests of streams by way of the kubelet. The operator is afterwards as it was.
pub(crate) fn by_kubelet(target: &Target, report: &mut Report) -> Option<()> {
    let way = Some(Way::Kubelet);
    report.counted("end-to-end tests of streams from the kubelet", |count| {
        choose(target, way)?;
        let modules = [&BESIDE_THE_POD[..], &["kubelet::", "evicted", "formats::"]].concat();
        let tested = libtest::run(&mut end_to_end(target, way, &modules)?, count);
        // Also where something went wrong; that is then what is told.
        let restored = choose(target, None);
        tested.and(restored)
    })
}

/// Tests of streams by way of the API server, on clusters of their own, named after this one: the gate can't be opened
/// on one that runs.
pub(crate) fn by_api(name: &str, report: &mut Report) {
    let gates = || vec![GATE.to_owned()];
    let everywhere = Options {
        name: format!("{name}-gates"),
        apiserver_feature_gates: gates(),
        kubelet_feature_gates: gates(),
    };
    let apiserver_alone = Options {
        name: format!("{name}-gate-apiserver"),
        apiserver_feature_gates: gates(),
        kubelet_feature_gates: vec![],
    };
    report.counted("end-to-end tests of streams from the API server", |count| {
        on_gated(&everywhere, &BESIDE_THE_POD, count)
    });
    report.counted("end-to-end tests of a node that does not separate streams", |count| {
        on_gated(&apiserver_alone, &[UNSEPARATED], count)
    });
}

/// Makes the cluster, tests the operator there, and removes it.
fn on_gated(options: &Options, modules: &[&str], count: &mut Count) -> Result<()> {
    let cluster = Cluster::named(&options.name)?;
    let target = Target::Local(cluster.clone(), options.name.clone());
    let way = Some(Way::Api);
    let mut test = || {
        Cluster::up(options)?;
        install::apply(&target, &install::provide_image(&target, Profile::Dev)?)?;
        choose(&target, way)?;
        libtest::run(&mut end_to_end(&target, way, modules)?, count)
    };
    let tested = test().inspect_err(|_| dump::dump(&target));
    // Also of one that went wrong; its own failure is then the one to be told.
    let removed = cluster.down();
    tested.and(removed)
}
