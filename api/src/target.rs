//! The ConfigMap or Secret that output goes to.

use std::fmt;

/// One ConfigMap or Secret, by its full name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Which of the two it is.
    pub kind: TargetKind,
    /// The namespace it is in.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

/// The kinds of object that can hold output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    /// A `v1` ConfigMap.
    ConfigMap,
    /// A `v1` Secret.
    Secret,
}

impl Target {
    /// Reads `namespace/name`, or a bare `name` in `own_namespace`; `None` for anything else.
    pub(crate) fn parse(kind: TargetKind, reference: &str, own_namespace: &str) -> Option<Self> {
        let (namespace, name) = reference.split_once('/').unwrap_or((own_namespace, reference));
        if namespace.is_empty() || name.is_empty() || name.contains('/') {
            return None;
        }
        Some(Self { kind, namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        })
    }
}
