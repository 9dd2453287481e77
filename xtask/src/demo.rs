//! `cargo xtask demo`: from nothing to digits of pi in a Secret, because a pod became ready.

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::cargo::Profile;
use crate::events::Events;
use crate::steps::Steps;
use crate::target::{Target, Which};
use crate::{dump, install, process};

/// Show the operator at work: a pod becomes ready, and digits of pi appear in a Secret
///
/// Makes a local Kubernetes, installs the operator, applies deploy/samples/pi.yaml, and creates the pod that it
/// waits for. Can be run again on a cluster that stands; the sample's objects are made anew. The cluster is
/// left running for you to go on by hand.
#[derive(Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    which: Which,
}

/// The ExtendedJob, and what goes with it.
const SAMPLE: &str = "deploy/samples/pi.yaml";
/// The pod that the ExtendedJob waits for.
const POD: &str = "deploy/samples/redis-pod.yaml";

impl Demo {
    pub(crate) fn run(&self) -> Result<()> {
        let target = self.which.target("demo")?;
        let mut steps = Steps::begin();
        let result = demonstrate(&target, &mut steps);
        if result.is_err() {
            dump::dump(&target);
        }
        println!("\n{steps}");
        result.with_context(|| format!("the demo on {target}"))?;
        how_to_go_on(&target);
        Ok(())
    }
}

fn demonstrate(target: &Target, steps: &mut Steps) -> Result<()> {
    steps.take(&format!("{target} is up"), || target.up())?;
    let image =
        steps.take("the operator's image is at hand", || install::provide_image(target, Profile::Release))?;
    steps.take("the operator is installed", || install::apply(target, &image))?;
    steps.take("there is an empty namespace", || make_namespace(target))?;
    let events = Events::follow(target, NAMESPACE)?;
    let result = run_sample(target, steps);
    events.end();
    result?;
    for args in RESULTS {
        target.show(args);
    }
    show_pi(target)
}

/// A namespace of the demo's own, so that it can start from nothing and leaves nothing in anyone's way.
const NAMESPACE: &str = "extendedjob-demo";
/// What the sample's objects are called.
const NAME: &str = "pi";
const SECRET: &str = "foosecret";
const KEY: &str = "pi.stdout";
const CONFIG_MAP: &str = "fooerrors";

/// What is shown at the end.
const RESULTS: [&[&str]; 4] = [
    &["get", "ejob", "--namespace", NAMESPACE],
    &["describe", "ejob", NAME, "--namespace", NAMESPACE],
    &["get", "jobs", "--namespace", NAMESPACE, "--show-labels"],
    &["get", "configmap", CONFIG_MAP, "--namespace", NAMESPACE, "--output=yaml"],
];

/// An empty namespace.
fn make_namespace(target: &Target) -> Result<()> {
    process::run(target.kubectl().args(["delete", "namespace", NAMESPACE, "--ignore-not-found"]))?;
    process::run(target.kubectl().args(["create", "namespace", NAMESPACE]))
}

/// The sample itself, as one would type it.
fn run_sample(target: &Target, steps: &mut Steps) -> Result<()> {
    let kubectl = |args: &[&str]| process::run(target.kubectl().args(["--namespace", NAMESPACE]).args(args));
    let jobs = format!("fissile.cloudfoundry.org/extendedjob={NAME}");
    let ejob = format!("extendedjob/{NAME}");
    let secret = format!("secret/{SECRET}");
    let errors = format!("configmap/{CONFIG_MAP}");
    let written = format!("--for=jsonpath={{.data.{}}}", KEY.replace('.', "\\."));
    steps.take("the ExtendedJob is applied", || kubectl(&["apply", "-f", SAMPLE]))?;
    steps.take("the pod that it waits for is created", || kubectl(&["apply", "-f", POD]))?;
    steps.take("the pod becomes ready", || {
        kubectl(&["wait", "--for=condition=Ready", "--timeout=120s", "-f", POD])
    })?;
    steps.take("a Job is there", || {
        kubectl(&["wait", "--for=create", "--timeout=30s", "jobs", "--selector", &jobs])
    })?;
    steps.take("the run is complete", || {
        kubectl(&["wait", "--for=condition=Complete", "--timeout=300s", &ejob])
    })?;
    steps.take("its output is in the Secret", || kubectl(&["wait", &written, "--timeout=30s", &secret]))?;
    steps.take("what it complained of, which is nothing, is in the ConfigMap", || {
        kubectl(&["wait", "--for=create", "--timeout=30s", &errors])
    })
}

/// Reads pi back from the Secret, and checks that it is pi.
fn show_pi(target: &Target) -> Result<()> {
    let template = format!("--output=go-template={{{{index .data \"{KEY}\" | base64decode}}}}");
    println!("\n$ kubectl get secret {SECRET} --namespace {NAMESPACE} '{template}'");
    let mut command = target.kubectl();
    command.args(["get", "secret", SECRET, "--namespace", NAMESPACE, &template]);
    let pi = process::output(&mut command)?;
    let digits: String = pi.chars().take(80).collect();
    ensure!(digits.starts_with("3.14159265358979"), "the Secret holds {digits:?}, which is not pi");
    println!("{digits}... ({} characters)", pi.trim_end().len());
    Ok(())
}

/// What to type next.
fn how_to_go_on(target: &Target) {
    println!("To go on by hand:");
    println!("  {}", target.shell_setup());
    println!("  kubectl get ejob pi -n {NAMESPACE} --watch       # in another terminal");
    println!("  kubectl delete -n {NAMESPACE} -f {POD}");
    println!("  kubectl apply -n {NAMESPACE} -f {POD}    # another pod, another Job");
    println!("  kubectl explain ejob.spec");
    println!("To take it down again:");
    match target {
        Target::Local(_, name) => println!("  cargo xtask cluster down --name {name}"),
        Target::Existing { .. } => {
            println!("  kubectl delete namespace {NAMESPACE}");
            println!("  {}", install::uninstall());
        }
    }
}
