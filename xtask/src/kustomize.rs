//! The kustomizations in deploy/kustomize, as kubectl builds them and the API server takes them.

use anyhow::{Context, Result};

use crate::target::Target;
use crate::{install, process};

/// Those that users apply; the base is part of the example.
const FOLDERS: [&str; 2] = ["deploy/kustomize/example", "deploy/kustomize/kubelet-logs"];

/// Fails unless the API server would take what each of them makes. Nothing is changed; the namespace of the operator has
/// to be there.
pub(crate) fn check(target: &Target) -> Result<()> {
    for folder in FOLDERS {
        let mut kubectl = target.kubectl();
        kubectl.arg("kustomize").arg(process::project().join(folder));
        let manifests = process::output(&mut kubectl)?;
        let mut apply = install::server_side_apply(target);
        process::feed(apply.arg("--dry-run=server"), &manifests)
            .with_context(|| format!("apply {folder}"))?;
    }
    Ok(())
}
