//! The images every cluster has: the pods' sandbox, and `busybox` and `perl` made of this machine's own
//! packages, so that manifests which name them work without a way to docker.io.
//!
//! They are built once. What the registry then holds is kept, and copied into each new cluster.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::run;
use crate::files::{copy, make_folder, remove_folder};
use crate::layout::{Layout, cache};
use crate::progress::Progress;
use crate::{lock, registry};

/// Count up when the images of this file change: kept ones are then built anew.
const EDITION: u32 = 1;
const DOCKERFILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/images");

/// Puts the kept images, if there are any, where the registry will find them.
pub(crate) fn restore(layout: &Layout) -> Result<()> {
    let registry = layout.path("registry");
    let kept = kept()?;
    if kept.exists() { copy(&kept, &registry) } else { make_folder(&registry) }
}

/// Builds and pushes the images unless they were restored, and keeps them for later clusters.
pub(crate) fn build_missing(layout: &Layout, progress: &Progress) -> Result<()> {
    let kept = kept()?;
    if kept.exists() {
        return Ok(());
    }
    let contexts = layout.path("contexts");
    for (image, fill) in [
        ("pause", fill_pause as fn(&Layout, &Path) -> Result<()>),
        ("busybox", fill_busybox),
        ("perl", fill_perl),
    ] {
        progress.step(format!("building the image {image}"));
        let context = contexts.join(image);
        make_folder(&context)?;
        fs::copy(Path::new(DOCKERFILES).join(image).join("Dockerfile"), context.join("Dockerfile"))
            .with_context(|| format!("cannot copy the Dockerfile of {image}"))?;
        fill(layout, &context).with_context(|| format!("cannot gather the files of the image {image}"))?;
        registry::build_and_push(layout, &context, image)?;
    }
    remove_folder(&contexts)?;
    keep(layout, &kept, progress)
}

fn keep(layout: &Layout, kept: &Path, progress: &Progress) -> Result<()> {
    let _lock = lock::take(&kept.with_extension("lock"), progress)?;
    if kept.exists() {
        return Ok(());
    }
    // Under another name until it is whole.
    let unfinished = kept.with_extension("unfinished");
    remove_folder(&unfinished)?;
    copy(&layout.path("registry"), &unfinished)?;
    fs::rename(&unfinished, kept).with_context(|| format!("cannot put {} in place", kept.display()))
}

/// The folder of the images of these very packages.
fn kept() -> Result<PathBuf> {
    let packages = ["busybox-static", "perl-base", "libmath-bigint-perl", "libc6"];
    let versions = run(Command::new("dpkg-query").arg("--show").args(packages))
        .context("cannot ask for the versions of the packages that images are made of")?;
    let mut hasher = DefaultHasher::new();
    (EDITION, versions).hash(&mut hasher);
    Ok(cache()?.join(format!("images-{:08x}", hasher.finish() as u32)))
}

fn fill_pause(layout: &Layout, context: &Path) -> Result<()> {
    copy(&layout.bin().join("pause"), &context.join("pause"))
}

/// A shell and the usual tools, each a link to the one program.
fn fill_busybox(_: &Layout, context: &Path) -> Result<()> {
    let root = context.join("rootfs");
    fill_base(&root)
}

/// Perl with all its modules and their libraries, beside what busybox has.
fn fill_perl(_: &Layout, context: &Path) -> Result<()> {
    let root = context.join("rootfs");
    fill_base(&root)?;
    let perl = run(Command::new("perl").args(["-e", "print join qq(\\n), $^X, grep { m(^/) && -d } @INC"]))?;
    let (program, modules) = perl.split_once('\n').context("perl does not say where it is")?;
    let modules: Vec<&str> = modules.lines().collect();
    let compiled = run(Command::new("find").arg("-L").args(&modules).args(["-name", "*.so"]))?;
    let linked = run(Command::new("ldd").arg(program).args(compiled.lines()))?;
    let libraries: BTreeSet<&str> = linked
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .collect();
    run(Command::new("cp")
        .args(["--recursive", "--dereference", "--parents", "--target-directory"])
        .arg(&root)
        .arg(program)
        .args(modules)
        .args(libraries.iter().filter(|library| !library.ends_with(':'))))
    .map(drop)
}

fn fill_base(root: &Path) -> Result<()> {
    for folder in
        ["bin", "etc", "home", "root", "tmp", "usr/bin", "usr/sbin", "var/log", "proc", "sys", "dev"]
    {
        make_folder(&root.join(folder))?;
    }
    let open = fs::Permissions::from_mode(0o1777);
    fs::set_permissions(root.join("tmp"), open).context("cannot open /tmp to all")?;
    let files = [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/sh\n"),
        ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        ("etc/nsswitch.conf", "hosts: files dns\n"),
    ];
    for (path, text) in files {
        fs::write(root.join(path), text).with_context(|| format!("cannot write {path}"))?;
    }
    let busybox = run(Command::new("sh").args(["-c", "command -v busybox"]))?;
    copy(Path::new(busybox.trim()), &root.join("bin/busybox"))?;
    for applet in run(Command::new("busybox").arg("--list"))?.lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).with_context(|| format!("cannot link {applet}"))?;
    }
    Ok(())
}
