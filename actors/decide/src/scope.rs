//! Which namespaces an operator is for, and the parts in which it watches them.

use std::{collections::BTreeSet, sync::Arc};

/// What one watch is on: one namespace; `None`: all of them.
pub type Part = Option<Arc<str>>;

/// Whether a part holds this namespace.
#[must_use]
pub fn holds(part: &Part, namespace: &str) -> bool {
    part.as_deref().is_none_or(|only| only == namespace)
}

/// The namespaces whose ExtendedJobs, pods and Jobs are an operator's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of the cluster.
    #[default]
    Cluster,
    /// These: it needs no right anywhere else.
    Namespaces(BTreeSet<Arc<str>>),
}

impl Scope {
    /// These namespaces; none means all.
    #[must_use]
    pub fn of(namespaces: &[String]) -> Self {
        if namespaces.is_empty() {
            return Self::Cluster;
        }
        Self::Namespaces(namespaces.iter().map(|namespace| namespace.as_str().into()).collect())
    }

    /// What is watched, each by itself.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        let (all, some) = match self {
            Self::Cluster => (Some(None), None),
            Self::Namespaces(namespaces) => (None, Some(namespaces)),
        };
        all.into_iter().chain(some.into_iter().flatten().cloned().map(Some))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_namespace_is_watched_once_and_the_cluster_as_a_whole() {
        let parts = |names: &[&str]| -> Vec<Part> {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            Scope::of(&names).parts().collect()
        };
        assert_eq!(parts(&[]), [None]);
        assert_eq!(parts(&["b", "a", "b"]), [Some("a".into()), Some("b".into())]);
    }

    #[test]
    fn a_part_holds_its_own_namespace_and_the_cluster_all() {
        assert!(holds(&None, "a") && holds(&Some("a".into()), "a"));
        assert!(!holds(&Some("a".into()), "b"));
    }
}
