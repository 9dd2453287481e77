//! Where an operator looks.

use std::{collections::BTreeSet, sync::Arc};

/// The namespaces whose ExtendedJobs, pods and Jobs are an operator's business.
///
/// Never several: what the watches of two namespaces tell has no order, and one that is deleted, or where rights are taken
/// away, would hold up the other. For several there are several operators, each with a Lease of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All of the cluster.
    #[default]
    Cluster,
    /// This one: no right is needed anywhere else.
    Namespace(Arc<str>),
}

impl Scope {
    /// Those of the operators for these namespaces; none means one for all of the cluster.
    #[must_use]
    pub fn of_each(namespaces: &[String]) -> BTreeSet<Self> {
        if namespaces.is_empty() {
            return BTreeSet::from([Self::Cluster]);
        }
        namespaces.iter().map(|namespace| Self::Namespace(namespace.as_str().into())).collect()
    }

    /// The namespace, if it is one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Cluster => None,
            Self::Namespace(namespace) => Some(namespace),
        }
    }

    /// What belongs to this operator alone, after what its kind is called.
    #[must_use]
    pub fn name(&self, kind: &str) -> String {
        match self {
            Self::Cluster => kind.to_owned(),
            // Neither is a namespace called so nor, with a dot in it, anything that is named after a release.
            Self::Namespace(namespace) => format!("{kind}.{namespace}"),
        }
    }
}

/// Whether one of the operators of a process is for this namespace.
#[must_use]
pub fn serves(served: &BTreeSet<Scope>, namespace: &str) -> bool {
    served.iter().any(|scope| scope.namespace().is_none_or(|only| only == namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_operator_for_each_namespace_or_one_for_the_cluster() {
        let names = |names: &[&str]| -> Vec<String> {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            Scope::of_each(&names).iter().map(|scope| scope.name("lease")).collect()
        };
        assert_eq!(names(&[]), ["lease"]);
        assert_eq!(names(&["b", "a", "b"]), ["lease.a", "lease.b"]);
    }
}
