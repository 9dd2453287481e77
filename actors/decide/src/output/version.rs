//! Objects that are made anew for each run: `<name>-v1`, `<name>-v2` and so on.

use std::collections::BTreeMap;

use extendedjob_api::{Target, names};

use super::{Attempt, Present};

/// One such object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub number: u64,
    /// What is known of it: not its values.
    pub present: Present,
}

impl Version {
    /// Whether it is that of the Job of this attempt.
    #[must_use]
    pub fn is_of(&self, attempt: &Attempt) -> bool {
        let same = |it: &super::Record| it.job == attempt.job && it.extended_job == attempt.extended_job;
        self.present.records().any(|record| same(&record))
    }
}

/// The labels of one.
#[must_use]
pub fn labels(base: &Target, number: u64) -> BTreeMap<String, String> {
    [
        (names::VERSIONED_OUTPUT.to_owned(), names::label_value(&base.name)),
        (names::OUTPUT_VERSION.to_owned(), number.to_string()),
    ]
    .into()
}

/// What selects all of them.
#[must_use]
pub fn selector(base: &Target) -> String {
    format!("{}={}", names::VERSIONED_OUTPUT, names::label_value(&base.name))
}

/// The number behind those that are there.
#[must_use]
pub fn next(there: &[Version]) -> u64 {
    there.iter().map(|version| version.number).max().unwrap_or_default() + 1
}

/// The object with this number.
#[must_use]
pub fn version(base: &Target, number: u64) -> Target {
    Target { name: format!("{}-v{number}", base.name), ..base.clone() }
}

#[cfg(test)]
mod tests {
    use extendedjob_api::TargetKind;

    use super::*;

    #[test]
    fn a_number_is_behind_all_that_are_there_also_where_some_are_missing() {
        let base = Target { kind: TargetKind::Secret, namespace: "ns".into(), name: "out".into() };
        let there = |numbers: &[u64]| -> Vec<Version> {
            numbers.iter().map(|&number| Version { number, present: Present::default() }).collect()
        };
        assert_eq!((next(&[]), next(&there(&[2, 10, 9]))), (1, 11));
        assert_eq!(version(&base, 11).name, "out-v11");
    }
}
