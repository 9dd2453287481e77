//! The operator's image: `cargo xtask image`, and what `install`, `demo` and `test` do on the way.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::cargo::{self, OPERATOR, Profile, STREAMS};
use crate::process;

/// Build the operator and lay it beside its Dockerfile, for the image builder and registry of your choice
#[derive(Args)]
pub(crate) struct Image {
    /// How to compile the operator
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
}

impl Image {
    pub(crate) fn run(&self) -> Result<()> {
        let context = stage(self.profile)?;
        let (folder, tag) = (context.folder.display(), &context.tag);
        println!("The operator stands ready in {folder}. To go on, with your registry for REGISTRY:");
        println!("  docker build -t REGISTRY/{OPERATOR}:{tag} {folder}");
        println!("  docker push REGISTRY/{OPERATOR}:{tag}");
        println!("  cargo xtask install --context CONTEXT --image REGISTRY/{OPERATOR}:{tag}");
        Ok(())
    }
}

/// The image's description for binaries that are there already.
const DOCKERFILE: &str = "xtask/image/Dockerfile";

/// A folder with all that goes into the image.
pub(crate) struct BuildContext {
    /// Where it is.
    pub(crate) folder: PathBuf,
    /// A name for exactly this content, so that a changed operator is another image and rolls out, and an
    /// unchanged one is not.
    pub(crate) tag: String,
}

/// Builds the operator and lays out the folder to build the image from.
pub(crate) fn stage(profile: Profile) -> Result<BuildContext> {
    let [operator, streams] = cargo::build(profile, [OPERATOR, STREAMS])?;
    let folder = process::project().join("target/image").join(profile.name());
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let dockerfile = process::project().join(DOCKERFILE);
    let mut hash = Sha256::new();
    for (from, name) in [(dockerfile, "Dockerfile"), (operator, OPERATOR), (streams, STREAMS)] {
        let to = folder.join(name);
        fs::copy(&from, &to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
        hash.update(fs::read(&to).with_context(|| format!("read {}", to.display()))?);
    }
    // 48 bits tell apart what one cluster will ever see.
    let tag = HEXLOWER.encode(&hash.finalize()).chars().take(12).collect();
    Ok(BuildContext { folder, tag })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an image is made of after its last FROM, wherever its binaries come from.
    fn image(dockerfile: &str) -> Vec<String> {
        let text =
            fs::read_to_string(process::project().join(dockerfile)).expect("the Dockerfile is readable");
        let (_, image) = text.rsplit_once("\nFROM ").expect("it is made from something");
        let instructions = image
            .lines()
            .filter(|line| ["COPY", "USER", "EXPO", "ENTR"].iter().any(|it| line.starts_with(it)));
        instructions.map(|line| line.replace("--from=build /image/", "")).collect()
    }

    #[test]
    fn users_build_the_image_that_is_tested() {
        let tested = image(DOCKERFILE);
        assert_eq!(tested.len(), 5);
        assert_eq!(image("deploy/Dockerfile"), tested);
    }
}
