//! An operator for some namespaces only, installed by helm as users install it, and tested there.

use std::process::Command;

use anyhow::{Context, Result};

use crate::chart::{self, CHART, Release};
use crate::libtest::{self, Count};
use crate::report::Report;
use crate::target::Target;
use crate::{dump, go, install, process, ways};

/// In the first of the namespaces that it watches.
const RELEASE: Release = Release { name: "extendedjob-operator", namespace: "narrow-a" };

/// The user that it is to the API server.
const ACCOUNT: &str = "system:serviceaccount:narrow-a:extendedjob-operator";

/// Namespaces that are there for it, beside its own.
const OTHERS: [&str; 1] = ["narrow-b"];

/// What helm is told, and what is watched then.
const MODES: [(&[&str], &str); 2] = [
    (&["--set=watch.mode=namespaces", "--set=watch.namespaces={narrow-a,narrow-b}"], "narrow-a,narrow-b"),
    (&["--set=watch.mode=namespace"], "narrow-a"),
];

/// What is part of the release for all namespaces, which rests meanwhile.
const NOT_ITS_OWN: &str = "--set=shared.install=false";

/// A module of tests.
const TESTS: &str = "scope::";

/// Tests each mode, on a cluster where the operator for all namespaces is installed; it is so again afterwards.
pub(crate) fn test(target: &Target, image: &str, report: &mut Report) -> Option<()> {
    report.counted("end-to-end tests of an operator for some namespaces", |count| {
        let tested = rest(target)
            .and_then(|()| MODES.iter().try_for_each(|mode| in_mode(target, image, *mode, count)))
            .inspect_err(|_| dump::dump(target));
        // Also where something went wrong; that is then what is told.
        let restored = install::apply(target, image);
        tested.and(restored)
    })
}

/// No operator may look at the same namespaces, and the chart refuses to be installed beside the rights to do so.
fn rest(target: &Target) -> Result<()> {
    let rights = ["delete", "clusterrole,clusterrolebinding", install::NAMESPACE];
    process::run(target.kubectl().args(rights))?;
    let deployment = format!("deployment/{}", install::NAMESPACE);
    let none = ["scale", "--namespace", install::NAMESPACE, "--replicas=0", &deployment];
    process::run(target.kubectl().args(none))?;
    let gone = ["wait", "--for=delete", "--namespace", install::NAMESPACE, "--timeout=60s", "--all", "pods"];
    process::run(target.kubectl().args(gone)).context("the operator for all namespaces did not end")
}

fn in_mode(target: &Target, image: &str, (flags, watched): (&[&str], &str), count: &mut Count) -> Result<()> {
    for namespace in OTHERS {
        process::run(target.kubectl().args(["create", "namespace", namespace]))?;
    }
    let mut upgrade = helm(target, "upgrade")?;
    upgrade.args([CHART, "--install", "--create-namespace", "--wait", "--timeout=2m", NOT_ITS_OWN]);
    process::run(upgrade.args(chart::image_arguments(image)).args(flags))?;
    let mut tests = ways::end_to_end(target, None, &[TESTS])?;
    tests.arg("--ignored").env("EXTENDEDJOB_TEST_WATCHED", watched).env("EXTENDEDJOB_TEST_ACCOUNT", ACCOUNT);
    let tested = libtest::run(&mut tests, count);
    process::run(helm(target, "uninstall")?.args(["--wait", "--timeout=2m"]))?;
    let gone = ["delete", "namespaces", RELEASE.namespace, "--timeout=90s"];
    process::run(target.kubectl().args(gone).args(OTHERS))?;
    tested
}

/// On the release, in this cluster.
fn helm(target: &Target, subcommand: &str) -> Result<Command> {
    let mut helm = go::HELM.command()?;
    helm.current_dir(process::project()).arg(subcommand).arg(RELEASE.name);
    helm.arg("--kubeconfig").arg(target.kubeconfig()?).args(["--kube-context", &target.context()]);
    helm.args(["--namespace", RELEASE.namespace]);
    Ok(helm)
}
