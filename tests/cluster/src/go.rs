//! Builds programs of others from source, once for each version: Go's module proxy is a way to get them that needs no
//! container engine.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::run;
use crate::files::{make_folder, remove_folder};
use crate::layout::cache;
use crate::lock;
use crate::progress::Progress;

/// A Go module of ours that pins the versions of programs.
pub(crate) struct Module {
    /// What is kept of it is called so.
    pub(crate) name: &'static str,
    /// Of its programs.
    pub(crate) version: &'static str,
    pub(crate) folder: &'static str,
    /// What is in its files.
    pub(crate) sources: &'static [&'static str],
    pub(crate) linker_flags: String,
    /// Build tags, with commas between them.
    pub(crate) tags: &'static str,
    /// The programs and their Go packages.
    pub(crate) programs: &'static [(&'static str, &'static str)],
}

impl Module {
    /// Builds what is not yet in the cache, and returns the folder of the programs.
    pub(crate) fn build(&self, progress: &Progress) -> Result<PathBuf> {
        let Self { name, version, programs, .. } = self;
        let folder = cache()?.join(format!("{name}-{version}-{:08x}", self.fingerprint()));
        let absent = || programs.iter().filter(|(program, _)| !folder.join(program).exists());
        if absent().next().is_none() {
            return Ok(folder);
        }
        make_folder(&folder)?;
        let _lock = lock::take(&folder.join("lock"), progress)?;
        let unfinished = folder.join("unfinished");
        remove_folder(&unfinished)?;
        make_folder(&unfinished)?;
        let absent: Vec<_> = absent().collect();
        for (index, (program, package)) in absent.iter().enumerate() {
            let note = if *program == "kube-apiserver" { ", which takes minutes the first time" } else { "" };
            progress.step(format!("building {program} {version} ({} of {}{note})", index + 1, absent.len()));
            self.build_one(package, &unfinished.join(program))
                .with_context(|| format!("cannot build {program}"))?;
            // Only now: a killed build leaves no half of a program behind.
            fs::rename(unfinished.join(program), folder.join(program))
                .with_context(|| format!("cannot put {program} in place"))?;
        }
        remove_folder(&unfinished)?;
        Ok(folder)
    }

    fn build_one(&self, package: &str, program: &Path) -> Result<()> {
        // Dies with this command: nobody wants the rest of a build of minutes when it is killed.
        run(Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "go", "build", "-trimpath", "-buildvcs=false"])
            .args(["-tags", self.tags, "-ldflags", &self.linker_flags, "-o"])
            .args([program, Path::new(package)])
            .current_dir(self.folder)
            .env("GOTMPDIR", program.parent().unwrap_or(program))
            .env("CGO_ENABLED", "0"))
        .map(drop)
    }

    /// Changes with anything that changes the programs.
    fn fingerprint(&self) -> u32 {
        let mut hasher = DefaultHasher::new();
        self.sources.iter().for_each(|source| source.hash(&mut hasher));
        self.linker_flags.hash(&mut hasher);
        if !self.tags.is_empty() {
            self.tags.hash(&mut hasher);
        }
        hasher.finish() as u32
    }
}

/// The version of a module that a go.mod asks for.
pub(crate) fn required<'a>(go_mod: &'a str, module: &str) -> Result<&'a str> {
    let required = go_mod.lines().find_map(|line| {
        let line = line.trim().trim_start_matches("require ");
        line.strip_prefix(module)?.strip_prefix(' ')?.split(' ').next()
    });
    required.with_context(|| format!("no version of {module} in the go.mod that is to require it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{containerd, kubernetes};

    #[test]
    fn the_version_is_the_one_of_the_go_module() {
        let required = |go_mod| required(go_mod, "k8s.io/kubernetes");
        assert_eq!(required("require k8s.io/kubernetes v1.2.3").unwrap(), "v1.2.3");
        assert_eq!(required("require (\n\tk8s.io/kubernetes v1.2.3 // indirect\n)").unwrap(), "v1.2.3");
        assert!(required("replace k8s.io/api => k8s.io/api v0.2.3").is_err());
        assert!(kubernetes::module().unwrap().version.starts_with("v1."));
        assert!(containerd::module().unwrap().version.starts_with("v2."));
    }
}
