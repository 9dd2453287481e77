//! Which pods an ExtendedJob is about: a native label selector, compiled once.

use std::collections::BTreeMap;

use extendedjob_api::{Operator, Requirement, Selector as Declared};

/// Labels as Kubernetes keeps them.
pub type Labels = BTreeMap<String, String>;

/// A compiled selector. The default one matches every pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    equal: Vec<(String, String)>,
    expressions: Vec<Requirement>,
}

/// Where a selector stands in an index of labels, so that a pod event costs only the selectors
/// that it can match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexTerms {
    /// No label tells in advance; every pod of the namespace must be tried.
    Every,
    /// Only pods that bear one of these labels can match.
    AnyOf(Vec<(String, String)>),
}

impl Selector {
    /// Compiles what the user declared; no selector means every pod.
    #[must_use]
    pub fn new(declared: Option<&Declared>) -> Self {
        let Some(declared) = declared else { return Self::default() };
        Self {
            equal: declared.match_labels.clone().into_iter().collect(),
            expressions: declared.match_expressions.clone(),
        }
    }

    /// Whether all requirements hold for these labels.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.equal.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.expressions.iter().all(|requirement| holds(requirement, labels))
    }

    /// The labels under which to look this selector up.
    #[must_use]
    pub fn index_terms(&self) -> IndexTerms {
        if let Some(pair) = self.equal.first() {
            return IndexTerms::AnyOf(vec![pair.clone()]);
        }
        self.expressions.iter().find(|requirement| requirement.operator == Operator::In).map_or(
            IndexTerms::Every,
            |requirement| {
                IndexTerms::AnyOf(
                    requirement.values.iter().map(|value| (requirement.key.clone(), value.clone())).collect(),
                )
            },
        )
    }
}

/// The native meaning of the operators: `NotIn` also holds where the label is absent
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>).
fn holds(requirement: &Requirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    match requirement.operator {
        Operator::In => value.is_some_and(|value| requirement.values.contains(value)),
        Operator::NotIn => value.is_none_or(|value| !requirement.values.contains(value)),
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn expression(key: &str, operator: Operator, values: &[&str]) -> Requirement {
        Requirement { key: key.into(), operator, values: values.iter().map(|&value| value.into()).collect() }
    }

    fn selecting(pairs: &[(&str, &str)], expressions: &[Requirement]) -> Selector {
        Selector::new(Some(&Declared {
            match_labels: labels(pairs),
            match_expressions: expressions.to_vec(),
        }))
    }

    #[test]
    fn no_selector_matches_every_pod() {
        assert!(Selector::new(None).matches(&labels(&[])));
        assert!(Selector::new(None).matches(&labels(&[("a", "b")])));
    }

    #[test]
    fn each_operator_means_what_it_means_natively() {
        use Operator::{DoesNotExist, Exists, In, NotIn};
        let table = [
            (In, vec!["cache", "db"], Some("cache"), true),
            (In, vec!["cache"], Some("web"), false),
            (In, vec!["cache"], None, false),
            (NotIn, vec!["dev"], Some("prod"), true),
            (NotIn, vec!["dev"], Some("dev"), false),
            (NotIn, vec!["dev"], None, true),
            (Exists, vec![], Some(""), true),
            (Exists, vec![], None, false),
            (DoesNotExist, vec![], None, true),
            (DoesNotExist, vec![], Some("x"), false),
        ];
        for (operator, values, tier, expected) in table {
            let selector = selecting(&[], &[expression("tier", operator, &values)]);
            let labels = tier.map_or_else(Labels::new, |tier| labels(&[("tier", tier)]));
            assert_eq!(selector.matches(&labels), expected, "{operator:?} {values:?} against {tier:?}");
        }
    }

    #[test]
    fn all_parts_must_match() {
        let selector = selecting(&[("component", "redis")], &[expression("env", Operator::NotIn, &["dev"])]);
        assert!(selector.matches(&labels(&[("component", "redis")])));
        assert!(!selector.matches(&labels(&[("component", "redis"), ("env", "dev")])));
        assert!(!selector.matches(&labels(&[("env", "prod")])));
    }

    fn any_labels() -> impl Strategy<Value = Labels> {
        proptest::collection::btree_map("[ab]", "[xyz]", 0..3)
    }

    fn any_requirement() -> impl Strategy<Value = Requirement> {
        use Operator::{DoesNotExist, Exists, In, NotIn};
        (
            "[ab]",
            prop_oneof![Just(In), Just(NotIn), Just(Exists), Just(DoesNotExist)],
            proptest::collection::vec("[xyz]", 1..3),
        )
            .prop_map(|(key, operator, values)| Requirement { key, operator, values })
    }

    proptest! {
        /// The index never hides a pod from a selector that matches it.
        #[test]
        fn a_match_is_found_through_the_index(
            equal in any_labels(),
            expressions in proptest::collection::vec(any_requirement(), 0..3),
            pod in any_labels(),
        ) {
            let selector = Selector::new(Some(&Declared { match_labels: equal, match_expressions: expressions }));
            if let (true, IndexTerms::AnyOf(terms)) = (selector.matches(&pod), selector.index_terms()) {
                prop_assert!(terms.iter().any(|(key, value)| pod.get(key) == Some(value)));
            }
        }
    }
}
