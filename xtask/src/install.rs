//! `cargo xtask install`: the operator, in a cluster, from the files in deploy/.

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cargo::{OPERATOR, Profile};
use crate::target::{Target, Which};
use crate::{dump, image, process};

/// The namespace of the operator, and the name of its Deployment, as in deploy/operator.yaml.
pub(crate) const NAMESPACE: &str = "extendedjob-operator";

/// The files to apply, in this order: the operator's watches need the resource, and nothing may be created
/// before the policy that says who may.
const MANIFESTS: [&str; 3] = ["deploy/crd.yaml", "deploy/policy.yaml", "deploy/operator.yaml"];

/// How it is taken away again. The operator goes first, so that it sees nothing of the rest.
pub(crate) const UNINSTALL: &str =
    "kubectl delete -f deploy/operator.yaml -f deploy/policy.yaml -f deploy/crd.yaml";

/// The lines of deploy/operator.yaml that stand for the image: of the operator, and of what it puts into pods.
const IMAGE_LINES: [&str; 2] = ["image: extendedjob-operator\n", "value: extendedjob-operator\n"];

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
        println!("\n{image} runs in {target}, namespace {NAMESPACE}, from {}.", MANIFESTS.join(", "));
        println!("To use it:          {}", target.shell_setup());
        println!(
            "Its log:            kubectl logs -n {NAMESPACE} -l app.kubernetes.io/name={OPERATOR} --prefix -f"
        );
        println!("To uninstall:       {UNINSTALL}");
        println!("                    (ExtendedJobs and their Jobs go with it; written outputs stay)");
        Ok(())
    }
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

/// Applies the manifests with this image and waits until the operator is ready.
pub(crate) fn apply(target: &Target, image: &str) -> Result<()> {
    for path in MANIFESTS {
        let manifest = manifest(path, image)?;
        process::feed(target.kubectl().args(["apply", "-f", "-"]), &manifest)
            .with_context(|| format!("apply {path} to {target}"))?;
    }
    let crd = "customresourcedefinition/extendedjobs.fissile.cloudfoundry.org";
    process::run(target.kubectl().args(["wait", "--for=condition=Established", "--timeout=30s", crd]))?;
    rollout(target)
}

/// The text of a manifest, with this image in it.
fn manifest(path: &str, image: &str) -> Result<String> {
    let text = fs::read_to_string(process::project().join(path)).with_context(|| format!("read {path}"))?;
    if path != "deploy/operator.yaml" {
        return Ok(text);
    }
    let mut replaced = text;
    for line in IMAGE_LINES {
        if replaced.matches(line).count() != 1 {
            bail!("{path} must hold the line `{}` exactly once, to stand for the image", line.trim());
        }
        replaced = replaced.replace(line, &line.replace(OPERATOR, image));
    }
    Ok(replaced)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_put_into_the_manifest_of_the_operator() {
        let text = manifest("deploy/operator.yaml", "registry/operator:1").expect("the manifest is readable");
        assert!(text.contains("          image: registry/operator:1\n"));
        assert!(text.contains("              value: registry/operator:1\n"));
    }
}
