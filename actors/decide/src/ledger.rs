//! What must outlive the operator of one ExtendedJob: runs that wait for their Job, from when on pods count, and
//! what its pods use.

use std::{collections::BTreeSet, io, sync::Arc};

use data_encoding::HEXLOWER;
use extendedjob_api::ExtendedJobSpec;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    config::Config,
    declared::Declared,
    packed,
    pod::{Pod, Version},
    references::Object,
    run::{By, Reason, Run},
    selector::Labels,
    transition::{Baseline, Transition},
};

/// The newest form of what is written. One that is newer than this program is not read.
const FORM: u32 = 2;

/// The form in which nothing is said of configuration: an operator of that time can go by it.
const WITHOUT_CONFIG: u32 = 1;

/// The ledger of one ExtendedJob.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// From where on pods count; `None` where no pods are of concern.
    pub baseline: Option<Baseline>,
    /// Of the trigger and the suspension for which that is so, see [`terms`].
    pub terms: String,
    /// What the pods of its Jobs use.
    pub config: Config,
    /// The runs that wait for their Job, in their order.
    pub pending: Vec<Run>,
    /// How many have written it, one after the other. Each one's first write differs by this from all
    /// before it: the API server takes a write that changes nothing for none, and gives the Secret no
    /// new resourceVersion, so that a late write of the one before would not be refused.
    pub writers: u64,
}

/// Why a ledger or a page of the book can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no compressed JSON of its form.
    #[error("it is corrupt: {0}")]
    Corrupt(#[from] io::Error),
    /// It was written by a newer operator.
    #[error("it has form {0}, and this operator knows only forms up to {FORM}")]
    Newer(u32),
    /// It is about a time that has not come, such as after a restore of the cluster.
    #[error("it is about resourceVersion {0}, and the cluster is only at {1}")]
    FromTheFuture(Version, Version),
}

#[derive(Serialize, Deserialize)]
struct Wire {
    form: u32,
    #[serde(default)]
    baseline: Option<Baseline>,
    #[serde(default)]
    terms: String,
    #[serde(default)]
    config: Config,
    #[serde(default)]
    pending: Vec<Pending>,
    #[serde(default)]
    writers: u64,
}

#[derive(Serialize, Deserialize)]
struct Pending {
    #[serde(flatten)]
    of: Of,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    changed: BTreeSet<Object>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Of {
    Pod { pod: Facts, transition: Transition },
    Request { request: i64 },
}

/// What a Job is told of its pod.
#[derive(Serialize, Deserialize)]
struct Facts {
    uid: String,
    name: String,
    labels: Labels,
    ip: Option<String>,
    node: Option<String>,
}

/// What decides whether a transition counts, as one text: an edit of it takes the present state of
/// pods as the baseline.
#[must_use]
pub fn terms(spec: &ExtendedJobSpec) -> String {
    let terms = json!([spec.triggers, spec.suspend]);
    HEXLOWER.encode(&Sha256::digest(terms.to_string())[..16])
}

impl Ledger {
    /// Its bytes, for a Secret.
    ///
    /// # Errors
    /// None but those of a compressor that writes to memory.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let pending = self.pending.iter().map(|run| Pending {
            of: match &run.reason {
                Reason::Pod { pod, transition } => {
                    let Pod { uid, name, labels, ip, node, .. } = Pod::clone(pod);
                    Of::Pod { pod: Facts { uid, name, labels, ip, node }, transition: transition.clone() }
                }
                Reason::Request { number, .. } => Of::Request { request: *number },
            },
            changed: run.changed.clone(),
        });
        packed::pack(&Wire {
            form: if self.config == Config::default() { WITHOUT_CONFIG } else { FORM },
            baseline: self.baseline,
            terms: self.terms.clone(),
            config: self.config.but_for(&self.pending),
            pending: pending.collect(),
            writers: self.writers,
        })
    }

    /// The ledger of `declared`.
    ///
    /// # Errors
    /// It is not a ledger that this program can go by.
    pub fn decode(bytes: &[u8], declared: &Declared) -> Result<Self, Unreadable> {
        let Wire { form, baseline, terms, config, pending, writers } = packed::unpack(bytes)?;
        if form > FORM {
            return Err(Unreadable::Newer(form));
        }
        if baseline.is_none() && declared.spec.triggers.is_some() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the baseline is missing").into());
        }
        let pending = pending.into_iter().map(|Pending { of, changed }| {
            let reason = match of {
                Of::Pod { pod: Facts { uid, name, labels, ip, node }, transition } => {
                    let namespace = declared.namespace.clone();
                    let pod = Pod { uid, name, namespace, labels, ip, node, ..Pod::default() };
                    Reason::Pod { pod: Arc::new(pod), transition }
                }
                Of::Request { request } => Reason::Request { number: request, by: By::Someone },
            };
            let run = Run::new(declared, reason).under(declared, config.revision);
            Run { changed, ..run }
        });
        let pending: Vec<Run> = pending.collect();
        let config = config.with(&pending);
        Ok(Self { baseline, terms, config, pending, writers })
    }

    /// That it is of a cluster that is at `now`.
    ///
    /// # Errors
    /// It is from a time to come: the cluster was restored, the ledger not with it.
    pub fn is_of(&self, now: Version) -> Result<(), Unreadable> {
        match self.baseline {
            Some(Baseline { version, .. }) if version > now => Err(Unreadable::FromTheFuture(version, now)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use extendedjob_api::TargetKind;
    use mangled::mangled;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fixtures::{at, declared, pod},
        pod::Status,
    };

    fn ledger() -> Ledger {
        let when = extendedjob_api::When::Ready;
        let runs = (0..3).map(|n| {
            let pod = pod().labelled("tier", "cache");
            let transition = Transition { when, status: Status::True, time: Some(at(1)), n };
            Run::for_transition(&declared(), Arc::new(pod), transition)
        });
        Ledger {
            baseline: Some(Baseline { version: 7, since: Some(at(0)) }),
            terms: terms(&declared().spec),
            config: Config::default(),
            pending: runs.collect(),
            writers: 3,
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let read = Ledger::decode(&ledger().encode().unwrap(), &declared()).unwrap();
        let jobs = |ledger: &Ledger| ledger.pending.iter().map(|run| run.job.clone()).collect::<Vec<_>>();
        assert_eq!(jobs(&read), jobs(&ledger()));
        let pod = read.pending[0].reason.pod().unwrap();
        assert_eq!((pod.name.as_str(), pod.labels.get("tier").map(String::as_str)), ("pod1", Some("cache")));
        assert_eq!(Ledger { pending: vec![], ..read }, Ledger { pending: vec![], ..ledger() });
    }

    #[test]
    fn what_is_to_start_again_is_read_again_under_its_revision() {
        let object = Object { kind: TargetKind::ConfigMap, name: "app".into() };
        let changed = BTreeSet::from([object]);
        let under = |run: Run| Run { changed: changed.clone(), ..run.under(&declared(), 4) };
        let asked = Run::for_request(&declared(), 2, By::Someone);
        let pending = ledger().pending.into_iter().chain([asked]).map(under).collect();
        let config = Config { revision: 4, ..Config::default() };
        let written = Ledger { config, pending, ..ledger() };
        let read = Ledger::decode(&written.encode().unwrap(), &declared()).unwrap();
        let told = |ledger: &Ledger| -> Vec<_> {
            ledger
                .pending
                .iter()
                .map(|run| (run.job.clone(), run.root.clone(), run.changed.clone()))
                .collect()
        };
        assert_eq!((told(&read), read.config), (told(&written), written.config));
    }

    #[test]
    fn a_ledger_that_tells_of_no_configuration_can_be_read_by_an_older_operator() {
        let form = |ledger: &Ledger| {
            let wire: serde_json::Value = packed::unpack(&ledger.encode().unwrap()).unwrap();
            wire["form"].clone()
        };
        assert_eq!(form(&ledger()), 1);
        assert_eq!(form(&Ledger { config: Config { revision: 1, ..Config::default() }, ..ledger() }), 2);
    }

    #[test]
    fn where_pods_are_of_concern_a_ledger_without_baseline_is_not_read() {
        let bytes = Ledger { baseline: None, ..ledger() }.encode().unwrap();
        assert!(matches!(Ledger::decode(&bytes, &declared()), Err(Unreadable::Corrupt(_))));
        let mut errand = declared();
        errand.spec.triggers = None;
        assert!(Ledger::decode(&bytes, &errand).is_ok());
    }

    #[test]
    fn what_an_edit_changes_is_in_the_terms_only_if_it_decides_what_counts() {
        let before = declared().spec;
        let mut after = before.clone();
        after.max_concurrent_runs = Some(1);
        assert_eq!(terms(&before), terms(&after));
        after.suspend = true;
        assert_ne!(terms(&before), terms(&after));
    }

    #[test]
    fn a_ledger_of_a_newer_form_or_a_time_to_come_is_not_read() {
        let newer = packed::pack(&json!({ "form": 3, "baseline": "of another kind" })).unwrap();
        // A newer form may hold anything; that it is newer is told all the same where it can be.
        assert!(Ledger::decode(&newer, &declared()).is_err());
        let newer = packed::pack(&json!({ "form": 3 })).unwrap();
        assert!(matches!(Ledger::decode(&newer, &declared()), Err(Unreadable::Newer(3))));
        assert!(ledger().is_of(7).is_ok());
        assert!(matches!(ledger().is_of(6), Err(Unreadable::FromTheFuture(7, 6))));
    }

    proptest! {
        /// A damaged ledger is refused, or read as what was written; never as something else.
        #[test]
        fn damage_is_noticed(at in 0..1000usize, bit in 0..8u8, cut in any::<bool>()) {
            let whole = ledger().encode().unwrap();
            let mut damaged = whole.clone();
            let at = at % damaged.len();
            if cut { damaged.truncate(at) } else { damaged[at] ^= 1 << bit }
            if let Ok(read) = Ledger::decode(&damaged, &declared()) {
                prop_assert_eq!(read.encode().unwrap(), whole);
            }
        }

        /// What someone has made of a ledger is refused, or read as a ledger that can be written again.
        #[test]
        fn no_ledger_makes_it_panic(wire in mangled(wire())) {
            if let Ok(read) = Ledger::decode(&packed::pack(&wire).unwrap(), &declared()) {
                prop_assert!(read.baseline.is_some());
                let again = Ledger::decode(&read.encode().unwrap(), &declared()).unwrap();
                prop_assert_eq!(again.pending.len(), read.pending.len());
            }
        }
    }

    /// With all that a ledger may hold.
    fn wire() -> serde_json::Value {
        let object = Object { kind: TargetKind::ConfigMap, name: "app".into() };
        let asked = Run::for_request(&declared(), 2, By::Someone);
        let again = Run { changed: BTreeSet::from([object]), ..asked.under(&declared(), 4) };
        let pending = ledger().pending.into_iter().chain([again]).collect();
        let config = Config { revision: 4, ..Config::default() };
        packed::unpack(&Ledger { config, pending, ..ledger() }.encode().unwrap()).unwrap()
    }
}
