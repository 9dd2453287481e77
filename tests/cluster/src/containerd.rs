//! containerd, with its shim and its client. Not Debian's, which is older than the kubelet by years, and which was seen to
//! lose what a container prints right before its end.

use anyhow::Result;

use crate::go::{Module, required};

/// The folder of the Go module that pins its version.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/containerd");
const GO_MOD: &str = include_str!("../containerd/go.mod");
const GO_SUM: &str = include_str!("../containerd/go.sum");
/// Its name as a Go module.
const NAME: &str = "github.com/containerd/containerd/v2";

const PROGRAMS: &[(&str, &str)] = &[
    ("containerd", "github.com/containerd/containerd/v2/cmd/containerd"),
    ("containerd-shim-runc-v2", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"),
    ("ctr", "github.com/containerd/containerd/v2/cmd/ctr"),
];

/// The module.
pub(crate) fn module() -> Result<Module> {
    let version = required(GO_MOD, NAME)?;
    Ok(Module {
        name: "containerd",
        version,
        folder: MODULE,
        sources: &[GO_MOD, GO_SUM],
        linker_flags: format!("-s -w -X {NAME}/version.Version={version}"),
        // They need headers or programs that no cluster here needs.
        tags: "no_btrfs,no_devmapper,no_zfs",
        programs: PROGRAMS,
    })
}
