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

#[cfg(test)]
mod tests {
    use crate::StreamOutput;

    fn secret(reference: &str) -> StreamOutput {
        StreamOutput { secret_ref: Some(reference.to_owned()), ..StreamOutput::default() }
    }

    #[test]
    fn a_bare_name_means_the_own_namespace() {
        let target = secret("foosecret").target("mine").unwrap();
        assert_eq!(target.to_string(), "Secret mine/foosecret");
    }

    #[test]
    fn a_namespace_before_the_slash_counts() {
        let stream = StreamOutput { config_ref: Some("other/foo".to_owned()), ..StreamOutput::default() };
        let target = stream.target("mine").unwrap();
        assert_eq!(target.to_string(), "ConfigMap other/foo");
    }

    #[test]
    fn one_name_is_two_targets_as_configmap_and_as_secret() {
        let config_map = StreamOutput { config_ref: Some("foo".to_owned()), ..StreamOutput::default() };
        assert_ne!(config_map.target("mine"), secret("foo").target("mine"));
    }

    #[test]
    fn what_names_no_object_or_two_is_no_target() {
        for reference in ["", "/", "a/", "/b", "a/b/c"] {
            assert_eq!(secret(reference).target("mine"), None, "{reference:?}");
        }
        assert_eq!(StreamOutput::default().target("mine"), None);
        let two = StreamOutput { config_ref: Some("a".to_owned()), ..secret("b") };
        assert_eq!(two.target("mine"), None);
    }
}
