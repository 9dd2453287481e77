//! `cargo xtask test`: everything that has to hold before a change is good. CI runs this and nothing else.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

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
    /// local cluster itself, the larger model checks, all storms, the faults, an uninstallation, an operator for some
    /// namespaces, an upgrade, and tests on clusters with feature gates
    #[arg(long)]
    all: bool,

    /// Only these parts; storms are short unless all is asked for
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART", conflicts_with = "filter")]
    only: Vec<Part>,

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

/// What can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What needs no cluster, in minutes
    Checks,
    /// What needs no cluster of its own, and takes longer: alert rules, book, larger models
    LargeChecks,
    /// The end-to-end tests
    EndToEnd,
    /// The kustomizations, tried on the cluster
    Kustomize,
    /// The end-to-end tests of streams from the kubelet
    Kubelet,
    /// Bursts, and operators that die
    Storms,
    /// An uninstallation, and an installation after it
    Reinstall,
    /// An operator for some namespaces
    Scope,
    /// An upgrade
    Upgrade,
    /// Faults of what the operator lives on
    Faults,
    /// The end-to-end tests of streams from the API server
    Gates,
}

impl Part {
    /// Whether it is part of every run.
    fn is_quick(self) -> bool {
        use Part::{Checks, EndToEnd, Kubelet, Kustomize, Storms};
        matches!(self, Checks | EndToEnd | Kustomize | Kubelet | Storms)
    }

    /// Whether operators are killed and rights given for it: not on someone's cluster.
    fn is_rough(self) -> bool {
        !matches!(self, Self::Checks | Self::LargeChecks | Self::EndToEnd | Self::Kustomize)
    }

    /// Whether it happens on the one cluster that is made for all of these.
    fn is_on_cluster(self) -> bool {
        !matches!(self, Self::Checks | Self::LargeChecks | Self::Gates)
    }
}

impl Test {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let target = self.which.target("test")?;
        if let (Target::Existing { .. }, Some(part)) =
            (&target, self.only.iter().find(|part| part.is_rough()))
        {
            bail!("on a cluster that is not its own it does not do this part: {part:?}");
        }
        let mut report = Report::begin();
        if self.wants(Part::Checks) {
            without_cluster(&mut report);
        }
        if self.wants(Part::LargeChecks) {
            report.step("alert rules", monitoring::check);
            report.step("book", book::check);
            report.tests("tests of the local cluster itself", local_cluster_tests);
            report.tests("larger model checks", larger_models);
        }
        if Part::value_variants().iter().any(|part| part.is_on_cluster() && self.wants(*part)) {
            self.on_cluster(&target, &mut report);
        }
        if let (Target::Local(_, name), true) = (&target, self.wants(Part::Gates)) {
            ways::by_api(name, &mut report);
        }
        // The numbers are the last word, also of a failure.
        println!("\n{report}");
        Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn wants(&self, part: Part) -> bool {
        match (&self.only[..], &self.filter[..]) {
            ([], []) => self.all || part.is_quick(),
            ([], _) => matches!(part, Part::EndToEnd | Part::Kustomize),
            (only, _) => only.contains(&part),
        }
    }

    /// What needs a cluster with the operator.
    fn on_cluster(&self, target: &Target, report: &mut Report) {
        let image = report
            .step(&format!("{target} is up"), || target.up())
            .and_then(|()| report.step("operator image", || install::provide_image(target, Profile::Dev)))
            .filter(|image| report.step("operator installed", || self.install(target, image)).is_some());
        match image {
            Some(image) => {
                for part in Part::value_variants().iter().filter(|part| self.wants(**part)) {
                    self.part_on_cluster(*part, target, &image, report);
                }
            }
            None => dump::dump(target),
        }
        if let (Target::Local(cluster, _), false) = (target, self.keep) {
            report.step(&format!("{target} is gone"), || cluster.down());
        }
    }

    /// A part that fails does not keep the next ones from being done.
    fn part_on_cluster(&self, part: Part, target: &Target, image: &str, report: &mut Report) {
        let filter: Vec<&str> = self.filter.iter().map(String::as_str).collect();
        let done = match (part, target) {
            (Part::EndToEnd, _) => {
                report.tests("end-to-end tests", || ways::end_to_end(target, self.streams, &filter))
            }
            (Part::Kustomize, _) => report.step("kustomizations", || kustomize::check(target)),
            (Part::Kubelet, Target::Local(..)) => ways::by_kubelet(target, report),
            (Part::Storms, Target::Local(_, name)) => {
                report.step("storms", || storm::Load::of_test(self.all).storm_on(name))
            }
            (Part::Reinstall, Target::Local(..)) => reinstall::test(target, image, report),
            (Part::Scope, Target::Local(..)) => scope::test(target, image, report),
            (Part::Upgrade, Target::Local(_, name)) => upgrade::test(target, name, report),
            (Part::Faults, Target::Local(_, name)) => {
                report.step("faults", || storm::Load::of_faults().storm_on(name))
            }
            // Not on a cluster, or not on someone's.
            _ => Some(()),
        };
        if done.is_none() {
            dump::dump(target);
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
