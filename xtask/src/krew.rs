//! `cargo xtask krew`: the manifest by which krew, the package manager of kubectl, installs the plugin.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::cargo::PLUGIN;
use crate::plugin_archive::{self, LICENSE, Platform};
use crate::process;

/// Make the manifest with which krew installs the plugin, of archives that are to be published
///
/// It is of these very archives: their hashes stand in it. See `cargo xtask plugin-archive`.
#[derive(Args)]
pub(crate) struct Krew {
    /// The version of the plugin, without a `v`
    #[arg(long)]
    version: String,

    /// Where the archives will be found: below this address, by their names
    #[arg(long, value_name = "URL")]
    base_url: String,

    /// The project's home page, which krew's own index asks for
    #[arg(long, value_name = "URL")]
    homepage: Option<String>,

    /// The archives
    #[arg(required = true, value_name = "ARCHIVE")]
    archives: Vec<PathBuf>,
}

impl Krew {
    pub(crate) fn run(&self) -> Result<()> {
        let archives: Vec<Archive> =
            self.archives.iter().map(|path| Archive::read(path)).collect::<Result<_>>()?;
        let release =
            Release { version: &self.version, base_url: &self.base_url, homepage: self.homepage.as_deref() };
        let text = serde_saphyr::to_string(&manifest(&release, &archives)?).context("write YAML")?;
        let path = process::project().join("target/krew/ejob.yaml");
        let folder = path.parent().unwrap_or(&path);
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        println!("{}", path.display());
        Ok(())
    }
}

/// What is published.
struct Release<'a> {
    version: &'a str,
    base_url: &'a str,
    homepage: Option<&'a str>,
}

/// What the manifest says of an archive.
struct Archive {
    name: String,
    sha256: String,
}

impl Archive {
    /// One that is not what it should be is not published.
    fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let bytes = fs::read(path).with_context(|| format!("read {shown}"))?;
        let names = plugin_archive::names(bytes.as_slice()).with_context(|| format!("unpack {shown}"))?;
        for needed in [PLUGIN, LICENSE] {
            if !names.iter().any(|name| name == needed) {
                bail!("{shown} holds no {needed}");
            }
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, sha256: HEXLOWER.encode(&Sha256::digest(&bytes)) })
    }
}

/// As krew reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Serialize)]
struct Metadata {
    name: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    homepage: Option<String>,
    short_description: &'static str,
    description: &'static str,
    platforms: Vec<Build>,
}

#[derive(Debug, Serialize)]
struct Build {
    selector: Selector,
    uri: String,
    sha256: String,
    bin: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    match_labels: Labels,
}

#[derive(Debug, Serialize)]
struct Labels {
    os: &'static str,
    arch: &'static str,
}

/// The manifest of a release with these archives, one for each platform.
fn manifest(release: &Release<'_>, archives: &[Archive]) -> Result<Manifest> {
    let base = release.base_url.trim_end_matches('/');
    let build = |platform: Platform| {
        let name = platform.archive(release.version);
        let found: Vec<&Archive> = archives.iter().filter(|archive| archive.name == name).collect();
        let [Archive { sha256, .. }] = found.as_slice() else {
            bail!("one archive is needed for each platform, and there are {} named {name}", found.len());
        };
        let match_labels = Labels { os: platform.os, arch: platform.arch };
        let (uri, sha256) = (format!("{base}/{name}"), sha256.clone());
        Ok(Build { selector: Selector { match_labels }, uri, sha256, bin: PLUGIN })
    };
    let platforms = Platform::ALL.into_iter().map(build).collect::<Result<Vec<_>>>()?;
    if platforms.len() < archives.len() {
        bail!("there are {} archives for {} platforms", archives.len(), platforms.len());
    }
    Ok(Manifest {
        api_version: "krew.googlecontainertools.github.com/v1alpha2",
        kind: "Plugin",
        metadata: Metadata { name: "ejob" },
        spec: Spec {
            version: format!("v{}", release.version),
            homepage: release.homepage.map(str::to_owned),
            short_description: "Run ExtendedJobs and see what they are at",
            description: "Asks for runs of ExtendedJobs, waits for them, and prints what they wrote. Shows which runs \
                          there were, how an ExtendedJob is, and why nothing runs. The cluster needs the operator of \
                          the resource extendedjobs.fissile.cloudfoundry.org.",
            platforms,
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RELEASE: Release<'_> =
        Release { version: "1.2.3", base_url: "https://example.com/v1.2.3/", homepage: None };

    fn archives() -> Vec<Archive> {
        let archive = |platform: Platform| Archive {
            name: platform.archive(RELEASE.version),
            sha256: format!("{}-{}", platform.os, platform.arch),
        };
        Platform::ALL.into_iter().map(archive).collect()
    }

    #[test]
    fn each_platform_gets_the_address_and_the_hash_of_its_own_archive() {
        let manifest =
            serde_json::to_value(manifest(&RELEASE, &archives()).expect("all are there")).expect("JSON");
        assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
        assert_eq!(
            (&manifest["metadata"]["name"], &manifest["spec"]["version"]),
            (&json!("ejob"), &json!("v1.2.3"))
        );
        assert_eq!(
            manifest["spec"]["platforms"][3],
            json!({
                "selector": { "matchLabels": { "os": "darwin", "arch": "arm64" } },
                "uri": "https://example.com/v1.2.3/kubectl-ejob_v1.2.3_darwin_arm64.tar.gz",
                "sha256": "darwin-arm64",
                "bin": "kubectl-ejob",
            })
        );
    }

    #[test]
    fn a_release_lacks_no_platform_and_has_none_twice_nor_an_archive_of_another_version() {
        let mut lacking = archives();
        let last = lacking.pop();
        assert!(manifest(&RELEASE, &lacking).is_err());
        let mut twice = archives();
        twice.extend(last);
        assert!(manifest(&RELEASE, &twice).is_err());
        let mut strange = archives();
        strange.push(Archive { name: "other.tar.gz".to_owned(), sha256: String::new() });
        assert!(manifest(&RELEASE, &strange).is_err());
        assert!(manifest(&Release { version: "1.2.4", ..RELEASE }, &archives()).is_err());
    }
}
