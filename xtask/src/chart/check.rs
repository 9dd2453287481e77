//! The chart under several values, as helm and the API's schemas see it, without a cluster.
//!
//! The schemas are checked by kubeconform and not by an API server's dry run: it names all that is wrong at once, also for
//! namespaces that no cluster has, and needs no cluster, so that a mistake shows before one is made. What only an API
//! server can tell, such as whether it takes the expressions of the policies, shows when the operator is installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::{CHART, DEFAULT, Release, facts, render};
use crate::{go, process, schemas};

/// Files of values, each one a case.
const GOOD: &str = "deploy/chart/ci";

/// Likewise, of values that are refused; the first line of each says with which words.
const REFUSED: &str = "deploy/chart/ci/refused";

/// How that line begins.
const EXPECTED: &str = "# refused: ";

/// Kinds that are not Kubernetes' own, and whose schemas can't be had without a network.
const FOREIGN: &str = "ServiceMonitor,PrometheusRule";

/// Two releases of one cluster, each for its own namespace.
const SIDE_BY_SIDE: [Release; 2] =
    [Release { name: "ejobs", namespace: "team-a" }, Release { name: "ejobs", namespace: "team-b" }];

/// Fails at the first case that is not as it should be.
pub(crate) fn check() -> Result<()> {
    let schemas = schemas::write()?;
    for case in cases(GOOD)? {
        good(&case, &schemas).with_context(|| format!("the chart with {}", shown(&case)))?;
    }
    for case in cases(REFUSED)? {
        refused(&case).with_context(|| format!("the chart with {}", shown(&case)))?;
    }
    side_by_side()
}

fn good(values: &Path, schemas: &str) -> Result<()> {
    let values = format!("--values={}", values.display());
    let mut helm = go::HELM.command()?;
    process::run(helm.current_dir(process::project()).args(["lint", "--strict", "--quiet", CHART, &values]))?;
    let rendered = render(DEFAULT, &[values])?;
    report(&facts::faults(&facts::objects(&rendered)?))?;
    let mut kubeconform = go::KUBECONFORM.command()?;
    kubeconform.args(["-strict", "-summary", "-skip", FOREIGN, "-schema-location", schemas, "-"]);
    process::feed(&mut kubeconform, &rendered)
}

fn refused(values: &Path) -> Result<()> {
    let text = fs::read_to_string(values).context("read it")?;
    let first = text.lines().next().and_then(|line| line.strip_prefix(EXPECTED));
    let expected = first.with_context(|| format!("its first line does not begin with {EXPECTED:?}"))?;
    match render(DEFAULT, &[format!("--values={}", values.display())]) {
        Ok(_) => bail!("is not refused"),
        Err(error) => {
            let told = format!("{error:#}");
            ensure!(told.contains(expected), "is refused in other words than {expected:?}: {told}");
            Ok(())
        }
    }
}

fn side_by_side() -> Result<()> {
    let of = |release, flags| facts::objects(&render(release, &["--set=watch.mode=namespace", flags])?);
    let [one, other] = SIDE_BY_SIDE;
    let (one, other) = (of(one, "--set=shared.install=true")?, of(other, "--set=shared.install=false")?);
    report(&facts::collisions(&one, &other)).context("two releases side by side")
}

fn report(faults: &[String]) -> Result<()> {
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// The files of values in a folder, by name.
fn cases(folder: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(process::project().join(folder)).with_context(|| format!("list {folder}"))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut paths = paths.with_context(|| format!("list {folder}"))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    ensure!(!paths.is_empty(), "{folder} holds no values");
    Ok(paths)
}

fn shown(path: &Path) -> std::path::Display<'_> {
    path.strip_prefix(process::project()).unwrap_or(path).display()
}
