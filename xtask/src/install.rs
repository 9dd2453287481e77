//! `cargo xtask install`: the operator, in a cluster, from the chart in deploy/.
//!
//! Helm renders, and kubectl applies. A release that helm keeps itself is locked when the command that works on it is
//! killed, until someone rolls it back. Here each install is the whole of it, may be killed and done again, takes over what
//! was installed in whatever way, and takes back what tests have set. It is also what deploy/install.yaml offers to users.

use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo::{OPERATOR, Profile};
use crate::target::{Target, Which};
use crate::{chart, dump, image, process};

/// The namespace of the operator, and the name of its Deployment.
pub(crate) const NAMESPACE: &str = chart::DEFAULT.namespace;

/// How it is taken away again, in the project's folder. The operator goes first, so that it sees nothing of the rest.
pub(crate) const UNINSTALL: [&[&str]; 2] = [
    &["delete", "namespace", NAMESPACE],
    &["delete", "--ignore-not-found", "--filename=deploy/install.yaml"],
];

/// Install the operator, or bring an installed one up to date
///
/// A local cluster gets an image that is built here; for an existing one, push an image and name it, see
/// `cargo xtask image`.
#[derive(Args)]
pub(crate) struct Install {
    #[command(flatten)]
    which: Which,

    /// How to compile the operator for a local cluster
    #[arg(long, value_enum, default_value = "release", conflicts_with = "context")]
    profile: Profile,
}

impl Install {
    pub(crate) fn run(&self) -> Result<()> {
        let target = self.which.target("demo")?;
        target.up()?;
        let image = provide_image(&target, self.profile)?;
        apply(&target, &image).inspect_err(|_| dump::dump(&target))?;
        println!("\n{image} runs in {target}, namespace {NAMESPACE}, from {}.", chart::CHART);
        println!("To use it:          {}", target.shell_setup());
        println!(
            "Its log:            kubectl logs -n {NAMESPACE} -l app.kubernetes.io/name={OPERATOR} --prefix -f"
        );
        println!("To uninstall:       {}", uninstall());
        println!("                    (ExtendedJobs and their Jobs go with it; written outputs stay)");
        Ok(())
    }
}

/// The commands of [`UNINSTALL`], for a shell.
pub(crate) fn uninstall() -> String {
    UNINSTALL.map(|command| format!("kubectl {}", command.join(" "))).join(" && ")
}

/// The image for this cluster: built here and pushed, if it is one of this machine; else the one that the
/// user named.
pub(crate) fn provide_image(target: &Target, profile: Profile) -> Result<String> {
    match target {
        Target::Existing { image, .. } => Ok(image.clone()),
        Target::Local(cluster, _) => {
            let context = image::stage(profile)?;
            let image = format!("{OPERATOR}:{}", context.tag);
            cluster.build_image(&context.folder, &image)?;
            Ok(image)
        }
    }
}

/// Applies what the chart makes of this image, and waits until the operator is ready.
pub(crate) fn apply(target: &Target, image: &str) -> Result<()> {
    let mut flags = chart::image_arguments(image);
    flags.push(chart::WITH_NAMESPACE.to_owned());
    let manifests = chart::render(chart::DEFAULT, &flags)?;
    process::feed(&mut server_side_apply(target), &manifests)
        .with_context(|| format!("apply what {} makes to {target}", chart::CHART))?;
    let crd = "customresourcedefinition/extendedjobs.fissile.cloudfoundry.org";
    process::run(target.kubectl().args(["wait", "--for=condition=Established", "--timeout=30s", crd]))?;
    rollout(target)
}

/// Takes manifests from stdin. What someone has set on an object, such as a number of replicas, is taken back.
pub(crate) fn server_side_apply(target: &Target) -> Command {
    let mut kubectl = target.kubectl();
    kubectl.args(["apply", "--server-side", "--force-conflicts", "--filename=-"]);
    kubectl
}

/// Prints the pods that are about to go.
const LEAVING: &str = "--output=go-template={{range .items}}{{if .metadata.deletionTimestamp}}pod/{{.metadata.name}} {{end}}{{end}}";

/// Waits until the present operator is ready and no older one is left.
pub(crate) fn rollout(target: &Target) -> Result<()> {
    let deployment = format!("deployment/{NAMESPACE}");
    let args = ["rollout", "status", "--namespace", NAMESPACE, "--timeout=120s", &deployment];
    process::run(target.kubectl().args(args)).context("the operator did not become ready")?;
    // One that is asked to end may still lead for a moment.
    let pods = process::output(target.kubectl().args(["get", "pods", "--namespace", NAMESPACE, LEAVING]))?;
    let leaving: Vec<&str> = pods.split_whitespace().collect();
    if leaving.is_empty() {
        return Ok(());
    }
    let gone = ["wait", "--for=delete", "--namespace", NAMESPACE, "--timeout=60s"];
    process::run(target.kubectl().args(gone).args(leaving)).context("the operator before did not end")
}
