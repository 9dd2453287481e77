//! Where everything of one cluster is: its folder, and the names it has in the kernel.
//!
//! A cluster can be found and removed by its name alone, whatever state a killed program left it in.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The folder of all clusters' folders.
const ROOT: &str = "/var/lib/extendedjob-cluster";
const GROUP_PREFIX: &str = "extendedjob-";
/// Longer ones would not fit into the path of a socket.
const LONGEST_NAME: usize = 40;

/// The places of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    name: String,
}

impl Layout {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let fits = !name.is_empty()
            && name.len() <= LONGEST_NAME
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !name.starts_with('-');
        ensure!(
            fits,
            "{name:?} cannot be a cluster's name: use at most {LONGEST_NAME} of a-z, 0-9 and -, not - at first"
        );
        Ok(Self { name: name.to_owned() })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name of its control groups and of its kubeconfig's context.
    pub(crate) fn group(&self) -> String {
        format!("{GROUP_PREFIX}{}", self.name)
    }

    pub(crate) fn root() -> &'static Path {
        Path::new(ROOT)
    }

    pub(crate) fn dir(&self) -> PathBuf {
        Self::root().join(&self.name)
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir().join(below)
    }

    /// Held while the cluster is made or removed. Beside the folder, which is removed.
    pub(crate) fn lock(&self) -> PathBuf {
        Self::root().join(format!("{}.lock", self.name))
    }

    pub(crate) fn log(&self, component: &str) -> PathBuf {
        self.path("logs").join(format!("{component}.log"))
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.path("logs/audit.log")
    }

    pub(crate) fn pid_file(&self, component: &str) -> PathBuf {
        self.path("run").join(format!("{component}.pid"))
    }

    /// A link to the folder of the built programs of Kubernetes.
    pub(crate) fn bin(&self) -> PathBuf {
        self.path("bin")
    }

    /// The same of containerd.
    pub(crate) fn containerd(&self) -> PathBuf {
        self.path("containerd")
    }

    /// The kubeconfig that goes through the forwarder.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// The kubeconfig for processes inside the cluster's network.
    pub(crate) fn inside_kubeconfig(&self) -> PathBuf {
        self.path("config/inside.kubeconfig")
    }

    /// What kubectl remembers of the API. It takes servers of the same address for the same, as all
    /// clusters' are from inside.
    pub(crate) fn kubectl_cache(&self) -> PathBuf {
        self.path("kubectl-cache")
    }

    /// There once `up` has reached its end.
    pub(crate) fn complete(&self) -> PathBuf {
        self.path("complete")
    }

    /// Where the namespaces are kept, each by a mount of it.
    pub(crate) fn namespaces(&self) -> PathBuf {
        self.path("namespaces")
    }

    pub(crate) fn network_namespace(&self) -> PathBuf {
        self.namespaces().join("net")
    }

    pub(crate) fn mount_namespace(&self) -> PathBuf {
        self.namespaces().join("mount")
    }
}

/// Where built programs and images are kept between clusters.
pub fn cache() -> Result<PathBuf> {
    if let Some(cache) = std::env::var_os("EXTENDEDJOB_CACHE") {
        return std::path::absolute(cache).context("cannot make EXTENDEDJOB_CACHE an absolute path");
    }
    let home = std::env::home_dir().context("neither EXTENDEDJOB_CACHE nor HOME is set")?;
    Ok(home.join(".cache/extendedjob"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_in_paths_and_in_the_kernel() {
        for good in ["dev", "e2e-1", "0"] {
            assert!(Layout::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a/b", "..", "A", "a b", &"x".repeat(LONGEST_NAME + 1)] {
            assert!(Layout::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sockets_of_the_longest_name_have_a_path_short_enough() {
        let layout = Layout::new(&"x".repeat(LONGEST_NAME)).unwrap();
        assert!(layout.path("node/run/containerd/containerd.sock").as_os_str().len() < 108);
    }
}
