//! What is known of an ExtendedJob: its identity, what the user asks for, what was last reported.

use std::collections::BTreeSet;

use extendedjob_api::{
    ExtendedJobSpec, ExtendedJobStatus, Mode, Output, Run, StreamOutput, Streams, Target, When,
    conditions::reasons, validate,
};
use jiff::Timestamp;

use crate::{
    output::{self, Wish},
    pod::Version,
    references::{self, Object, References},
    scope::{Scope, serves},
    streams::{Way, Ways},
    view::Trouble,
};

/// An ExtendedJob as the API server holds it.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The object's UID.
    pub uid: String,
    /// The object's name.
    pub name: String,
    /// The object's namespace.
    pub namespace: String,
    /// The version to give as precondition of a status write.
    pub resource_version: String,
    /// Raised by the API server at each edit of the spec.
    pub generation: i64,
    /// When the API server created it, in whole seconds.
    pub created: Timestamp,
    /// It has a deletionTimestamp: no run starts any more.
    pub deleting: bool,
    /// See [`extendedjob_api::names::RUN_REQUESTED_AT`].
    pub requested_at: Option<String>,
    /// See [`extendedjob_api::names::RESET`].
    pub reset: Option<i64>,
    /// Who has set `run`: the field manager.
    pub run_manager: Option<String>,
    /// What the user asks for.
    pub spec: ExtendedJobSpec,
    /// What was last reported.
    pub status: ExtendedJobStatus,
}

impl Declared {
    /// Whether another one was read later. Versions are numbers, as Kubernetes promises (KEP-5504).
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        let number = |version: &str| version.parse::<Version>().ok();
        number(&self.resource_version) < number(&other.resource_version)
    }

    /// What is wrong with the spec, so that nothing may start: the rules that it breaks, if it was stored under an
    /// older schema; or what only the operator can know.
    #[must_use]
    pub fn problem(&self, ways: &Ways, served: &BTreeSet<Scope>) -> Option<Trouble> {
        if let Err(problems) = validate(&self.spec, &self.namespace) {
            let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
            return Some(Trouble { reason: reasons::INVALID_SPEC, message: words.join("; ") });
        }
        let Way { streams, obstacle } = ways.of(&self.spec);
        let trouble = self.wishes(streams, served).err()?;
        let why = obstacle.map(|obstacle| format!(" ({obstacle})")).unwrap_or_default();
        Some(Trouble { message: trouble.message + &why, ..trouble })
    }

    /// What is to become of the output of runs whose streams are told apart in this way; an error is one that only the
    /// user can end.
    pub fn wishes(&self, streams: Streams, served: &BTreeSet<Scope>) -> Result<Vec<Wish>, Trouble> {
        let mut targets = targets(&self.spec, &self.namespace);
        if let Some((_, target)) = targets.find(|(_, target)| !serves(served, &target.namespace)) {
            let namespace = &target.namespace;
            let message = format!(
                "output is to go to {target}, and this operator is not for namespace {namespace}: name an object elsewhere"
            );
            return Err(Trouble { reason: reasons::TARGET_NOT_SERVED, message });
        }
        self.spec
            .output
            .as_ref()
            .map_or(Ok(vec![]), |output| output::wishes(output, &self.namespace, streams))
    }

    /// What its pods use of ConfigMaps and Secrets, but for what its own output is written to: that would never be there
    /// for the first run, and another one for each next. (Of versioned output each run makes an object of its own.)
    #[must_use]
    pub fn references(&self) -> References {
        let mut references = of_template(&self.spec);
        for object in written(&self.spec, &self.namespace) {
            references.remove(&object);
        }
        references
    }

    /// What starts its runs; `None` where the spec says neither, which the schema refuses.
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        match (&self.spec.triggers, self.spec.run) {
            (Some(triggers), None) => Some(match triggers.when {
                When::Created => Mode::Created,
                When::Ready => Mode::Ready,
                When::NotReady => Mode::NotReady,
                When::Deleted => Mode::Deleted,
            }),
            (None, Some(Run::Once)) => Some(Mode::Once),
            (None, Some(Run::Manually | Run::Now)) => Some(Mode::Errand),
            _ => None,
        }
    }
}

fn of_template(spec: &ExtendedJobSpec) -> References {
    references::references(&serde_json::from_str(spec.template.get()).unwrap_or_default())
}

/// The objects in its own namespace that an ExtendedJob writes.
fn written<'a>(spec: &'a ExtendedJobSpec, namespace: &'a str) -> impl Iterator<Item = Object> {
    let of_name = targets(spec, namespace).filter(|(stream, _)| !stream.versioned);
    let own = of_name.filter(move |(_, target)| target.namespace == namespace);
    own.map(|(_, target)| Object { kind: target.kind, name: target.name })
}

/// Where its output goes, in whatever namespace.
fn targets<'a>(
    spec: &'a ExtendedJobSpec,
    namespace: &'a str,
) -> impl Iterator<Item = (&'a StreamOutput, Target)> {
    let streams = spec.output.iter().flat_map(Output::streams);
    streams.filter_map(move |(_, stream)| Some((stream, stream.target(namespace)?)))
}

/// Which ConfigMaps and Secrets have runs start again, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Those whose changes count.
    pub used: Vec<String>,
    /// Those that the template names as well, and that its own output is written to.
    pub written: Vec<String>,
}

impl Used {
    /// Those of an ExtendedJob in this namespace.
    #[must_use]
    pub fn by(spec: &ExtendedJobSpec, namespace: &str) -> Self {
        let own: BTreeSet<Object> = written(spec, namespace).collect();
        let all = of_template(spec).into_keys();
        let (written, used): (Vec<_>, Vec<_>) = all.partition(|object| own.contains(object));
        let words = |objects: Vec<Object>| objects.iter().map(ToString::to_string).collect();
        Self { used: words(used), written: words(written) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::declared;

    /// One whose pods use the ConfigMaps `a` and `b`, and that writes `b`.
    fn writing(versioned: bool) -> Declared {
        let volumes = ["a", "b"].map(|name| json!({ "name": name, "configMap": { "name": name } }));
        let spec = json!({
            "run": "once", "output": { "stdout": { "configRef": "b", "versioned": versioned } },
            "template": { "spec": { "template": { "spec": { "volumes": volumes } } } },
        });
        Declared { spec: serde_json::from_str(&spec.to_string()).unwrap(), ..declared() }
    }

    #[test]
    fn output_goes_only_where_an_operator_of_the_process_is() {
        let to = |target: &str| {
            let spec = json!({
                "run": "once", "output": { "stdout": { "configRef": target } },
                "template": { "spec": { "template": { "spec": {} } } },
            });
            Declared { spec: serde_json::from_str(&spec.to_string()).unwrap(), ..declared() }
        };
        let namespaces = |names: &[&str]| -> BTreeSet<Scope> {
            Scope::of_each(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        };
        for (target, served, is_served) in [
            ("out", &[][..], true),
            ("b/out", &[], true),
            ("out", &["ns", "b"], true),
            ("b/out", &["ns", "b"], true),
            ("c/out", &["ns", "b"], false),
        ] {
            let (declared, served) = (to(target), namespaces(served));
            let reason = declared.problem(&Ways::default(), &served).map(|trouble| trouble.reason);
            assert_eq!(reason, (!is_served).then_some(reasons::TARGET_NOT_SERVED), "{target}");
            assert_eq!(declared.wishes(Streams::Merged, &served).is_ok(), is_served, "{target}");
        }
    }

    #[test]
    fn what_it_writes_itself_is_no_reference_unless_each_run_writes_an_object_of_its_own() {
        for (versioned, used, written) in [
            (false, &["ConfigMap/a"][..], &["ConfigMap/b"][..]),
            (true, &["ConfigMap/a", "ConfigMap/b"], &[]),
        ] {
            let declared = writing(versioned);
            let references: Vec<String> = declared.references().keys().map(ToString::to_string).collect();
            assert_eq!(references, used);
            let told = Used::by(&declared.spec, "ns");
            assert_eq!(told.used, used);
            assert_eq!(told.written, written);
        }
    }
}
