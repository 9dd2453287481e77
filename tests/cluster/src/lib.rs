//! A real Kubernetes on this machine, for tests and the demo: API server, etcd, controller manager,
//! scheduler, kube-proxy, kubelet and containerd, in a network and a view of the file system of their own.
//!
//! No container engine and no way to a registry of images is needed: Kubernetes is built from source by way
//! of Go's module proxy, the rest are Debian packages, and images are made of this machine's own files. As
//! nothing is shared with the machine, several clusters stand side by side, and nothing is left of one that
//! is taken down, or that was killed in the making.
//!
//! `packages, kubernetes → certs, kubeconfig → network, mounts, cgroups → components → images`: [`Cluster::up`]
//! goes along this line, and a sweep that relies on names alone undoes it.

mod certs;
mod cgroups;
mod cluster;
mod command;
mod components;
mod containerd;
mod etcd;
mod files;
mod go;
mod images;
mod kubeconfig;
mod kubernetes;
mod layout;
mod lock;
mod mounts;
mod namespaces;
mod network;
mod packages;
mod probe;
mod process;
mod progress;
mod registry;
mod requirements;
mod settings;
mod status;
mod sweep;
mod up;

pub use cluster::{Cluster, Options};
pub use kubernetes::MODULE as KUBERNETES_MODULE;
pub use layout::cache;
pub use status::{ComponentStatus, Status};
