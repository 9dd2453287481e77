//! `cargo xtask storm`: crowds of pods, dying operators, and every Job counted.

use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use local_cluster::Cluster;

use crate::cargo::{self, OPERATOR, Profile};
use crate::steps::Steps;
use crate::target::Target;
use crate::{install, process};

/// The scenario for which time is made, which takes another C library than the one linked in.
const CLOCK: &str = "clock-is-set";

/// Everything at once.
const SOAK: &str = "soak";

/// Let it storm: many pods change at once while operators are killed, stopped and started
///
/// Brings up a local cluster, installs the operator, and does that in one scenario after the other. A table at
/// the end says how many Jobs there should be, how many there were, and how many were missing or double; it
/// is a failure if any was.
#[derive(Args)]
pub(crate) struct Storm {
    /// The local cluster, made if it does not run
    #[arg(long, default_value = "storm")]
    name: String,

    /// Leave the cluster running; the next run uses it as it is
    #[arg(long)]
    keep: bool,

    #[command(flatten)]
    load: Load,
}

/// What is handed on to the program that does it, whose defaults hold for what is left out.
#[derive(Args, Default)]
pub(crate) struct Load {
    /// Pods of a storm [default: 500, or 100 with --short]
    #[arg(long, value_name = "N")]
    pods: Option<u16>,

    /// How long leaders are killed one after the other [default: 2, or 20 seconds with --short]
    #[arg(long, value_name = "M")]
    minutes: Option<u64>,

    /// Small storms, and only those that take seconds
    #[arg(long)]
    short: bool,

    /// Only these scenarios; a name that is none is answered with all there are
    #[arg(long, value_delimiter = ',', value_name = "SCENARIO")]
    only: Vec<String>,

    /// Not the storms, but faults of what the operator lives on
    #[arg(skip)]
    faults: bool,
}

/// Let fail what the operator lives on: connections, the API server, etcd, its clock and disk, the objects of its runs,
/// and itself
///
/// As with `storm`, the table at the end says how many Jobs there should be, how many there were, and how many were missing
/// or double; which outputs were lost; and how long it took until all was made up for.
#[derive(Args)]
pub(crate) struct Faults {
    #[command(flatten)]
    storm: Storm,
}

impl Faults {
    pub(crate) fn run(mut self) -> Result<()> {
        self.storm.load.faults = true;
        self.storm.run()
    }
}

/// Let everything happen at once, for long: transitions, errands, changes of configuration, leaders that end
///
/// Each pass, of a minute, is a line of a table: how many Jobs there should be, how many there were, how many were missing or
/// double, and what the leader takes. It is a failure if any was.
#[derive(Args)]
pub(crate) struct Soak {
    /// The local cluster, made if it does not run
    #[arg(long, default_value = "soak")]
    name: String,

    /// Leave the cluster running; the next run uses it as it is
    #[arg(long)]
    keep: bool,

    /// For how long
    #[arg(long, value_name = "M", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=60))]
    minutes: u64,
}

impl Soak {
    pub(crate) fn run(self) -> Result<()> {
        let load = Load { minutes: Some(self.minutes), only: vec![SOAK.to_owned()], ..Load::default() };
        Storm { name: self.name, keep: self.keep, load }.run()
    }
}

impl Storm {
    pub(crate) fn run(&self) -> Result<()> {
        let cluster = Cluster::named(&self.name)?;
        let target = Target::Local(cluster.clone(), self.name.clone());
        let mut steps = Steps::begin();
        let result = self.on(&target, &mut steps);
        if !self.keep {
            steps.take(&format!("{target} is gone"), || cluster.down())?;
        }
        result
    }

    fn on(&self, target: &Target, steps: &mut Steps) -> Result<()> {
        steps.take(&format!("{target} is up"), || target.up())?;
        let image = steps.take("operator image", || install::provide_image(target, Profile::Dev))?;
        steps.take("operator installed", || install::apply(target, &image))?;
        let title = self.load.title();
        steps
            .take(title, || self.load.storm_on(&self.name))
            .with_context(|| format!("the {title} went wrong"))
    }
}

impl Load {
    /// Small ones, or all.
    pub(crate) fn of_test(all: bool) -> Self {
        Self { short: !all, ..Self::default() }
    }

    /// The faults, with few pods: most of the time is that of the fault.
    pub(crate) fn of_faults() -> Self {
        Self { short: true, faults: true, ..Self::default() }
    }

    fn title(&self) -> &'static str {
        match &self.only[..] {
            [only] if only == SOAK => SOAK,
            _ if self.faults => "faults",
            _ => "storms",
        }
    }

    /// Whether a scenario among them needs an operator that is linked dynamically.
    fn sets_the_clock(&self) -> bool {
        if self.only.is_empty() { self.faults } else { self.only.iter().any(|scenario| scenario == CLOCK) }
    }

    /// Lets it storm on a local cluster in which the operator is installed; it is installed and as it was
    /// afterwards. Fails if a Job was missing or double.
    pub(crate) fn storm_on(&self, cluster: &str) -> Result<()> {
        let [operator, storm] = cargo::build(Profile::Dev, [OPERATOR, "storm"])?;
        let mut command = Command::new(storm);
        command.args(["--cluster", cluster, "--operator"]).arg(operator);
        command.args(self.pods.map(|pods| format!("--pods={pods}")));
        command.args(self.minutes.map(|minutes| format!("--minutes={minutes}")));
        command.args(self.only.iter().map(|scenario| format!("--only={scenario}")));
        command.args(self.short.then_some("--short")).args(self.faults.then_some("--faults"));
        if self.sets_the_clock() {
            command.arg("--dynamic-operator").arg(cargo::build_dynamic_operator()?);
        }
        process::run(&mut command)
    }
}
