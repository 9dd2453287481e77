//! What `status` says.

use std::fmt;
use std::path::PathBuf;

/// What of a cluster runs, and where its files are.
#[derive(Clone, Debug)]
pub struct Status {
    /// The cluster's name.
    pub name: String,
    /// Whether it was made and not removed since, be it wholly or in part.
    pub exists: bool,
    /// Whether it was made wholly, all components run, and the API server is ready.
    pub is_up: bool,
    /// All components in the order of their start.
    pub components: Vec<ComponentStatus>,
    /// Paths to know, each with what it is.
    pub paths: Vec<(&'static str, PathBuf)>,
}

/// One component.
#[derive(Clone, Debug)]
pub struct ComponentStatus {
    /// Such as `kube-apiserver`.
    pub name: &'static str,
    /// Its process, if it runs.
    pub pid: Option<i32>,
    /// Its output.
    pub log: PathBuf,
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.exists {
            return write!(out, "There is no cluster {}.", self.name);
        }
        let state = if self.is_up { "is up" } else { "is not up" };
        writeln!(out, "The cluster {} {state}.\n", self.name)?;
        for component in &self.components {
            let pid = component.pid.map_or("stopped".to_owned(), |pid| pid.to_string());
            writeln!(out, "  {:<24} {pid:<8} {}", component.name, component.log.display())?;
        }
        for (what, path) in &self.paths {
            write!(out, "\n  {what:<24} {}", path.display())?;
        }
        Ok(())
    }
}
