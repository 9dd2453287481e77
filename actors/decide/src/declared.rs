//! What is known of an ExtendedJob: its identity, what the user asks for, what was last reported.

use extendedjob_api::{
    ExtendedJobSpec, ExtendedJobStatus, Mode, Output, Run, Streams, When, conditions::reasons, validate,
};
use jiff::Timestamp;

use crate::{
    output::{self, Wish},
    pod::Version,
    references::{self, Object, References},
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
    pub fn problem(&self, ways: &Ways) -> Option<Trouble> {
        if let Err(problems) = validate(&self.spec, &self.namespace) {
            let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
            return Some(Trouble { reason: reasons::INVALID_SPEC, message: words.join("; ") });
        }
        let Way { streams, obstacle } = ways.of(&self.spec);
        let trouble = self.wishes(streams).err()?;
        let why = obstacle.map(|obstacle| format!(" ({obstacle})")).unwrap_or_default();
        Some(Trouble { message: trouble.message + &why, ..trouble })
    }

    /// What is to become of the output of runs whose streams are told apart in this way; an error is one that only the
    /// user can end.
    pub fn wishes(&self, streams: Streams) -> Result<Vec<Wish>, Trouble> {
        self.spec
            .output
            .as_ref()
            .map_or(Ok(vec![]), |output| output::wishes(output, &self.namespace, streams))
    }

    /// What its pods use of ConfigMaps and Secrets, but for what its own output is written to: that would never be there
    /// for the first run, and another one for each next. (Of versioned output each run makes an object of its own.)
    #[must_use]
    pub fn references(&self) -> References {
        let template = serde_json::from_str(self.spec.template.get()).unwrap_or_default();
        let mut references = references::references(&template);
        let written = self.spec.output.iter().flat_map(Output::streams).filter(|(_, it)| !it.versioned);
        for (_, output) in written {
            if let Some(target) = output.target(&self.namespace).filter(|it| it.namespace == self.namespace) {
                references.remove(&Object { kind: target.kind, name: target.name });
            }
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
