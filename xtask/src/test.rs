//! `cargo xtask test`: everything that has to hold before a change is good. CI runs this and nothing else.

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::cargo::{Profile, cargo, compiling};
use crate::report::Report;
use crate::target::{Target, Which};
use crate::ways::{self, Way};
use crate::{
    argocd, book, chart, deny, dump, generate, install, kustomize, monitoring, process, reinstall, scope,
    storm, upgrade,
};

/// Run all checks and tests, those on a real Kubernetes too
///
/// Checks formatting, lints, unit and property tests, dependencies, generated files and the chart, then installs the operator in a
/// local Kubernetes and runs the end-to-end tests against it. A step that fails does not keep the others from
/// running, unless they need it. A table of all steps and the number of tests stand at the end.
#[derive(Args)]
pub(crate) struct Test {
    #[command(flatten)]
    which: Which,

    /// Do also what takes too long for every run: the book, the alert rules, the tests of the
    /// local cluster itself, the larger model checks, all storms, an uninstallation, an operator for some
    /// namespaces, an upgrade, and tests on clusters with feature gates
    #[arg(long)]
    all: bool,

    /// Leave the local cluster running; the next run uses it as it is
    #[arg(long, conflicts_with = "context")]
    keep: bool,

    /// Let the operator tell streams apart in this way, and leave it so, as far as the cluster stays
    #[arg(long, value_enum, value_name = "WAY", requires = "filter")]
    streams: Option<Way>,

    /// Run only the end-to-end tests whose names hold this, and nothing that needs no cluster
    #[arg(last = true, value_name = "FILTER")]
    filter: Vec<String>,
}

impl Test {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let target = self.which.target("test")?;
        let mut report = Report::begin();
        if self.filter.is_empty() {
            without_cluster(&mut report);
        }
        if self.all {
            report.step("alert rules", monitoring::check);
            report.step("book", book::check);
            report.tests("tests of the local cluster itself", local_cluster_tests);
            report.tests("larger model checks", larger_models);
        }
        self.on_cluster(&target, &mut report);
        if let (Target::Local(_, name), true) = (&target, self.all && self.filter.is_empty()) {
            ways::by_api(name, &mut report);
        }
        // The numbers are the last word, also of a failure.
        println!("\n{report}");
        Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// What needs a cluster, each step only if the one before it went well.
    fn on_cluster(&self, target: &Target, report: &mut Report) {
        let filter: Vec<&str> = self.filter.iter().map(String::as_str).collect();
        let tested = report
            .step(&format!("{target} is up"), || target.up())
            .and_then(|()| report.step("operator image", || install::provide_image(target, Profile::Dev)))
            .and_then(|image| {
                report.step("operator installed", || self.install(target, &image))?;
                report.tests("end-to-end tests", || ways::end_to_end(target, self.streams, &filter))?;
                report.step("kustomizations", || kustomize::check(target))?;
                self.on_own_cluster(target, &image, report)
            });
        if tested.is_none() {
            dump::dump(target);
        }
        if let (Target::Local(cluster, _), false) = (target, self.keep) {
            report.step(&format!("{target} is gone"), || cluster.down());
        }
    }

    fn install(&self, target: &Target, image: &str) -> Result<()> {
        install::apply(target, image)?;
        match (target, self.streams) {
            // Someone's cluster is as they want it, unless they say so.
            (Target::Existing { .. }, None) => Ok(()),
            // A cluster that was kept may be set to another way.
            (_, way) => ways::choose(target, way),
        }
    }

    /// What is done only where operators may be killed and rights given.
    fn on_own_cluster(&self, target: &Target, image: &str, report: &mut Report) -> Option<()> {
        let Target::Local(_, name) = target else { return Some(()) };
        if !self.filter.is_empty() {
            return Some(());
        }
        ways::by_kubelet(target, report)?;
        report.step("storms", || storm::Load::of_test(self.all).storm_on(name))?;
        if !self.all {
            return Some(());
        }
        reinstall::test(target, image, report)?;
        scope::test(target, image, report)?;
        upgrade::test(target, name, report)
    }
}

/// What can be said without a cluster.
fn without_cluster(report: &mut Report) {
    report.step("formatting", || process::run(cargo("fmt").args(["--all", "--check"])));
    report.step("lints", || {
        process::run(compiling("clippy")?.args(["--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    report.tests("unit and property tests", || compiling("test"));
    report.step("dependencies", deny::check);
    report.step("generated files", generate::check);
    report.step("chart", chart::check::check);
    report.step("flags in the chart", chart::flags::check);
    report.step("scripts for Argo CD", argocd::check);
}

/// The tests that make and remove clusters of their own.
fn local_cluster_tests() -> Result<Command> {
    let mut command = compiling("test")?;
    command.args(["--package", "local-cluster", "--", "--ignored"]);
    Ok(command)
}

/// The explorations that take minutes, one after the other: each needs gigabytes of memory.
fn larger_models() -> Result<Command> {
    let mut command = compiling("test")?;
    let model = ["--package", "extendedjob-decide", "--test", "model"];
    command.args(model).args(["--", "--ignored", "--test-threads=1"]);
    Ok(command)
}
