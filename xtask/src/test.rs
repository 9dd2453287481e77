//! `cargo xtask test`: everything that has to hold before a change is good. CI runs this and nothing else.

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::cargo::{Profile, build_plugin, cargo, compiling};
use crate::libtest::{self, Count};
use crate::steps::Steps;
use crate::target::{Target, Which};
use crate::{deny, dump, generate, install, process, storm};

/// Run all checks and tests, those on a real Kubernetes too
///
/// Checks formatting, lints, unit and property tests and generated files, then installs the operator in a
/// local Kubernetes and runs the end-to-end tests against it. A step that fails does not keep the others from
/// running, unless they need it. A table of all steps and the number of tests stand at the end.
#[derive(Args)]
pub(crate) struct Test {
    #[command(flatten)]
    which: Which,

    /// Do also what takes too long for every run: licences and sources of dependencies, the tests of the local
    /// cluster itself, the larger model checks, and all storms
    #[arg(long)]
    all: bool,

    /// Leave the local cluster running; the next run uses it as it is
    #[arg(long, conflicts_with = "context")]
    keep: bool,

    /// Run only the end-to-end tests whose names hold this, and nothing that needs no cluster
    #[arg(last = true, value_name = "FILTER")]
    filter: Vec<String>,
}

impl Test {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let target = self.which.target("test")?;
        let mut report = Report { steps: Steps::begin(), count: Count::default() };
        if self.filter.is_empty() {
            without_cluster(&mut report);
        }
        if self.all {
            report.step("dependencies", deny::check);
            report.tests("tests of the local cluster itself", local_cluster_tests);
            report.tests("larger model checks", larger_models);
        }
        self.on_cluster(&target, &mut report);
        let Count { passed, failed } = report.count;
        println!("\n{}\n{passed} passed, {failed} failed", report.steps);
        // The numbers are the last word, also of a failure.
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// What needs a cluster, each step only if the one before it went well.
    fn on_cluster(&self, target: &Target, report: &mut Report) {
        let tested = report
            .step(&format!("{target} is up"), || target.up())
            .and_then(|()| report.step("operator image", || install::provide_image(target, Profile::Dev)))
            .and_then(|image| report.step("operator installed", || install::apply(target, &image)))
            .and_then(|()| report.tests("end-to-end tests", || end_to_end(target, &self.filter)))
            .and_then(|()| self.storm(target, report));
        if tested.is_none() {
            dump::dump(target);
        }
        if let (Target::Local(cluster, _), false) = (target, self.keep) {
            report.step(&format!("{target} is gone"), || cluster.down());
        }
    }
}

impl Test {
    /// Kills operators in the midst of many changes, where they can be killed.
    fn storm(&self, target: &Target, report: &mut Report) -> Option<()> {
        let Target::Local(_, name) = target else { return Some(()) };
        if !self.filter.is_empty() {
            return Some(());
        }
        report.step("storms", || storm::Load::of_test(self.all).storm_on(name))
    }
}

/// What can be said without a cluster.
fn without_cluster(report: &mut Report) {
    report.step("formatting", || process::run(cargo("fmt").args(["--all", "--check"])));
    report.step("lints", || {
        process::run(compiling("clippy")?.args(["--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    report.tests("unit and property tests", || compiling("test"));
    report.step("generated files", generate::check);
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

/// The tests that see the operator from outside, with kubectl.
fn end_to_end(target: &Target, filter: &[String]) -> Result<Command> {
    let mut command = compiling("test")?;
    // More than there are cores: these tests mostly wait.
    command.args(["--package", "e2e", "--", "--test-threads=6"]).args(filter);
    command.env("EXTENDEDJOB_KUBECONFIG", target.kubeconfig()?).env("EXTENDEDJOB_CONTEXT", target.context());
    command.env("EXTENDEDJOB_PLUGIN", build_plugin()?);
    if let Target::Local(_, name) = target {
        // Only here can tests kill containers and stop parts of the control plane.
        command.env("EXTENDEDJOB_CLUSTER", name);
    }
    Ok(command)
}

/// The steps, and the tests within them.
struct Report {
    steps: Steps,
    count: Count,
}

impl Report {
    /// Takes a step that counts as one failure if it fails, and not at all if it does not.
    fn step<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Option<T> {
        let result = self.steps.attempt(name, step);
        self.count.failed += usize::from(result.is_none());
        result
    }

    /// Runs tests, which count each for itself.
    fn tests(&mut self, name: &str, command: impl FnOnce() -> Result<Command>) -> Option<()> {
        let Self { steps, count } = self;
        steps.attempt(name, || libtest::run(&mut command()?, count))
    }
}
