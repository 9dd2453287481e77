//! Builds images without a container engine, and pushes them to the cluster's registry. That is also the
//! mirror of docker.io for its pods.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};

use crate::command::run;
use crate::files::{make_folder, remove_folder};
use crate::layout::Layout;
use crate::namespaces;
use crate::network::REGISTRY;

/// Builds begun by this process.
static BUILDS: AtomicU32 = AtomicU32::new(0);

/// Builds `context_dir/Dockerfile` and pushes the image under its full name.
pub(crate) fn build_and_push(layout: &Layout, context_dir: &Path, image: &str) -> Result<()> {
    let target = format!("{REGISTRY}/{}", full_name(image)?);
    // A store for this build alone: builds side by side don't wait for each other, and none fills the disk.
    let count = BUILDS.fetch_add(1, Ordering::Relaxed);
    let store = layout.path(&format!("build/{}-{count}", std::process::id()));
    make_folder(&store)?;
    let built =
        buildah(layout, &store, &["build", "--isolation", "chroot", "--tag", &target], Some(context_dir))
            .with_context(|| format!("cannot build the image {image} from {}", context_dir.display()))
            .and_then(|()| {
                buildah(layout, &store, &["push", "--tls-verify=false", &target], None)
                    .with_context(|| format!("cannot push the image {image}"))
            });
    built.and(remove_folder(&store))
}

fn buildah(layout: &Layout, store: &Path, args: &[&str], context_dir: Option<&Path>) -> Result<()> {
    let folder = |name: &str| store.join(name).display().to_string();
    run(namespaces::enter_network(layout, "buildah")
        .args(["--storage-driver", "vfs", "--root", &folder("root"), "--runroot", &folder("run")])
        .args(args)
        .args(context_dir)
        .env("CONTAINERS_CONF", layout.path("config/containers.conf"))
        .env("CONTAINERS_REGISTRIES_CONF", layout.path("config/registries.conf"))
        .env("TMPDIR", store))
    .map(drop)
}

/// The name of an image as docker.io has it: `perl` is `library/perl:latest`.
fn full_name(image: &str) -> Result<String> {
    let local = [&format!("{REGISTRY}/"), "docker.io/"].iter().find_map(|host| image.strip_prefix(*host));
    let name = local.unwrap_or(image);
    ensure!(!name.contains('@'), "the image {image} is to be named by a tag, not by a digest");
    let (repository, tag) = name.split_once(':').unwrap_or((name, "latest"));
    ensure!(!repository.is_empty() && !tag.is_empty() && !tag.contains('/'), "{image:?} is no image's name");
    match repository.split_once('/') {
        None => Ok(format!("library/{repository}:{tag}")),
        Some((host, _)) if host.contains('.') => {
            bail!("the image {image} is of {host}, but the cluster's registry stands for docker.io only")
        }
        Some(_) => Ok(format!("{repository}:{tag}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_completed_as_pods_complete_it() {
        for (short, full) in [
            ("perl", "library/perl:latest"),
            ("perl:5", "library/perl:5"),
            ("team/tool", "team/tool:latest"),
            ("docker.io/team/tool:1.2", "team/tool:1.2"),
            ("docker.io/library/perl", "library/perl:latest"),
            ("127.0.0.1:5000/team/tool:dev", "team/tool:dev"),
        ] {
            assert_eq!(full_name(short).unwrap(), full, "{short}");
        }
    }

    #[test]
    fn an_image_that_no_pod_would_find_is_refused() {
        for bad in ["", "ghcr.io/team/tool", "localhost:1/a", "perl:", "a@sha256:00"] {
            assert!(full_name(bad).is_err(), "{bad}");
        }
    }
}
