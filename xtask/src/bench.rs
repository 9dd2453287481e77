//! `cargo xtask bench`: what the operator costs, beside the barest program that could do its work.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use local_cluster::Cluster;

use crate::cargo::{self, OPERATOR, Profile};
use crate::steps::Steps;
use crate::target::Target;
use crate::{install, process};

/// Measure speed, memory and growth, optimised as for release
///
/// Brings up a local cluster and measures one scenario after the other there, from latency to memory at rest, beside a bare
/// watcher in the same run where that can do the same. A table at the end says which targets were missed; it is a failure if any was.
#[derive(Args)]
pub(crate) struct Bench {
    /// The local cluster, made if it does not run
    #[arg(long, default_value = "bench")]
    name: String,

    /// Leave the cluster running; the next run uses it as it is
    #[arg(long)]
    keep: bool,

    /// How large the crowds are, in hundredths of those that the targets are about [default: 100]
    #[arg(long, value_name = "PERCENT")]
    size: Option<u32>,

    /// Only these scenarios; a name that is none is answered with all there are
    #[arg(long, value_delimiter = ',', value_name = "SCENARIO")]
    only: Vec<String>,

    /// Write the figures here as JSON, too
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        let cluster = Cluster::named(&self.name)?;
        let mut steps = Steps::begin();
        let result = self.on(&cluster, &mut steps);
        if !self.keep {
            steps.take("the local cluster is gone", || cluster.down())?;
        }
        result
    }

    fn on(&self, cluster: &Cluster, steps: &mut Steps) -> Result<()> {
        let target = &Target::Local(cluster.clone(), self.name.clone());
        steps.take(&format!("{target} is up"), || target.up())?;
        let image = steps.take("operator image", || install::provide_image(target, Profile::Release))?;
        steps.take("operator installed", || install::apply(target, &image))?;
        steps
            .take("measurements", || self.measure(cluster))
            .context("a target was missed, or the measuring went wrong")
    }

    /// The operator that is measured is a process of this machine; the installed one rests, and has brought its rights.
    fn measure(&self, cluster: &Cluster) -> Result<()> {
        let [operator, bench] = cargo::build(Profile::Release, [OPERATOR, "bench"])?;
        let mut command = cluster.exec(&bench.display().to_string());
        command.args(["--cluster", &self.name, "--operator"]).arg(operator);
        command.args(self.size.map(|size| format!("--size={size}")));
        command.args(self.only.iter().map(|scenario| format!("--only={scenario}")));
        if let Some(path) = &self.json {
            command.arg("--json").arg(path);
        }
        process::run(&mut command)
    }
}
