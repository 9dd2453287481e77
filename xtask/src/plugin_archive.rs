//! `cargo xtask plugin-archive`: the plugin for kubectl as it is published, for the kind of machine that this is.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::cargo::{self, PLUGIN, Profile};
use crate::process;

/// Build the plugin for kubectl and pack it, for the kind of machine that this is
///
/// The archive holds the program and the licence. `cargo xtask krew` makes a manifest of the archives for all kinds of
/// machines; each is built on one of its kind.
#[derive(Args)]
pub(crate) struct PluginArchive {}

impl PluginArchive {
    pub(crate) fn run(&self) -> Result<()> {
        let platform = Platform::of_host(&cargo::host()?)?;
        let [plugin] = cargo::build(Profile::Release, [PLUGIN])?;
        let read = |path: &Path| fs::read(path).with_context(|| format!("read {}", path.display()));
        let (program, licence) = (read(&plugin)?, read(&process::project().join(LICENSE))?);
        let archive =
            pack(&[(PLUGIN, 0o755, &program), (LICENSE, 0o644, &licence)]).context("pack the plugin")?;
        let folder = process::project().join("target/plugin");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let path = folder.join(platform.archive(env!("CARGO_PKG_VERSION")));
        fs::write(&path, archive).with_context(|| format!("write {}", path.display()))?;
        println!("{}", path.display());
        Ok(())
    }
}

/// The name of the licence's file, in the project and in the archive.
pub(crate) const LICENSE: &str = "LICENSE";

/// A kind of machine, in the words of Go and so of krew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Platform {
    pub(crate) os: &'static str,
    pub(crate) arch: &'static str,
}

impl Platform {
    /// Those that the plugin is published for.
    pub(crate) const ALL: [Self; 4] = [
        Self { os: "linux", arch: "amd64" },
        Self { os: "linux", arch: "arm64" },
        Self { os: "darwin", arch: "amd64" },
        Self { os: "darwin", arch: "arm64" },
    ];

    /// The one that the compiler has this name for, such as `x86_64-unknown-linux-gnu`.
    fn of_host(host: &str) -> Result<Self> {
        let arch = match host.split('-').next() {
            Some("x86_64") => "amd64",
            Some("aarch64") => "arm64",
            _ => "",
        };
        let known = Self::ALL.into_iter().find(|known| known.arch == arch && host.contains(known.os));
        let Some(known) = known else { bail!("the plugin is not published for {host}") };
        Ok(known)
    }

    /// The name of its archive.
    pub(crate) fn archive(self, version: &str) -> String {
        format!("{PLUGIN}_v{version}_{}_{}.tar.gz", self.os, self.arch)
    }
}

/// A compressed archive of files with name and mode. The same files make the same bytes: there are no owners and times in
/// it.
fn pack(files: &[(&str, u32, &[u8])]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for (name, mode, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        archive.append_data(&mut header, name, *content)?;
    }
    let mut compressed = archive.into_inner()?;
    compressed.flush()?;
    Ok(compressed.finish()?)
}

/// The names of the files in such an archive.
pub(crate) fn names(archive: impl Read) -> Result<Vec<String>> {
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let mut names = Vec::new();
    for entry in archive.entries()? {
        names.push(entry?.path()?.to_string_lossy().into_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_holds_the_files_and_depends_on_nothing_else() {
        let files: &[(&str, u32, &[u8])] = &[(PLUGIN, 0o755, b"program"), (LICENSE, 0o644, b"licence")];
        let archive = pack(files).expect("it can be packed");
        assert_eq!(names(archive.as_slice()).expect("it can be read"), [PLUGIN, LICENSE]);
        assert_eq!(pack(files).expect("it can be packed"), archive);
    }

    #[test]
    fn a_machine_is_known_by_the_compilers_name_for_it() {
        let named = |host| Platform::of_host(host).ok().map(|platform| platform.archive("1.2.3"));
        let linux = "kubectl-ejob_v1.2.3_linux_amd64.tar.gz";
        assert_eq!(named("x86_64-unknown-linux-gnu").as_deref(), Some(linux));
        let mac = "kubectl-ejob_v1.2.3_darwin_arm64.tar.gz";
        assert_eq!(named("aarch64-apple-darwin").as_deref(), Some(mac));
        assert_eq!(named("riscv64gc-unknown-linux-gnu"), None);
        assert_eq!(named("x86_64-pc-windows-msvc"), None);
    }
}
