//! What of a run's output is to be kept, and where.

use std::collections::BTreeMap;

use extendedjob_api::{
    Format, Origin, Output, OutputKey, Placeholder, Stream, StreamOutput, Streams, Target,
    conditions::reasons,
};

use crate::{
    attempts::{AttemptEnd, UNSEEN_INDEXES},
    job::Job,
    view::Trouble,
    wrap,
};

/// One object, and what goes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The object; with `versioned`, what its name begins with.
    pub target: Target,
    /// What is read of each container: one stream, or both where they are told apart.
    pub sources: Vec<Source>,
    /// How they are told apart.
    pub streams: Streams,
    /// The other stream goes to another object: a log with both is for neither.
    pub has_other: bool,
    /// Whether what is there is replaced.
    pub overwrite: bool,
    /// Whether failed attempts count.
    pub write_on_failure: bool,
    /// How many bytes a key may have at most.
    pub limit: Option<usize>,
    /// Whether each run makes a new object.
    pub versioned: bool,
    /// Labels of the object.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the object.
    pub annotations: BTreeMap<String, String>,
}

/// What of a container is read, and how it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What it stands for.
    pub stream: Stream,
    /// The key that the user wants.
    key: Option<OutputKey>,
    /// What it holds.
    pub format: Format,
}

/// What one container wrote in one attempt, and the key for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The container that wrote it.
    pub container: String,
    /// What it stands for.
    pub stream: Stream,
    /// What it holds.
    pub format: Format,
    /// The container in whose log it stands.
    pub log: String,
    /// How streams are told apart.
    pub streams: Streams,
    /// The key; of a JSON object each field has its own.
    pub key: String,
}

/// What is wished of the output of runs whose streams are told apart in this way: nothing, if nothing is, or not in the
/// form that the schema asks for. The trouble is one that only the user can end.
pub fn wishes(output: &Output, namespace: &str, streams: Streams) -> Result<Vec<Wish>, Trouble> {
    let wish = |output: &StreamOutput, stream: Stream| {
        let source = Source { stream, key: output.output_key(), format: output.format };
        Some(Wish {
            target: output.target(namespace)?,
            sources: vec![source],
            streams,
            has_other: false,
            overwrite: output.overwrite,
            write_on_failure: output.write_on_failure,
            limit: output.limit_bytes().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            versioned: output.versioned,
            labels: output.labels.clone(),
            annotations: output.annotations.clone(),
        })
    };
    let is_apart = streams != Streams::Merged;
    match (&output.stdout, &output.stderr) {
        (Some(stdout), Some(stderr)) if is_apart => {
            let (stdout, stderr) = (wish(stdout, Stream::Stdout), wish(stderr, Stream::Stderr));
            Ok(match (stdout, stderr) {
                (Some(mut one), Some(other)) if one.target == other.target => {
                    one.sources.extend(other.sources);
                    vec![one]
                }
                both => {
                    let both = [both.0, both.1].into_iter().flatten();
                    both.map(|wish| Wish { has_other: true, ..wish }).collect()
                }
            })
        }
        (Some(stdout), Some(stderr)) => {
            let (target, other) = (stdout.target(namespace), stderr.target(namespace));
            if let (Some(target), Some(other)) = (&target, &other)
                && target != other
            {
                return Err(not_separable(target, other));
            }
            Ok(wish(stdout, Stream::Log).into_iter().collect())
        }
        (Some(stdout), None) => Ok(wish(stdout, Stream::Stdout).into_iter().collect()),
        (None, Some(stderr)) => Ok(wish(stderr, Stream::Stderr).into_iter().collect()),
        (None, None) => Ok(vec![]),
    }
}

fn not_separable(stdout: &Target, stderr: &Target) -> Trouble {
    let message = format!(
        "stdout is to go to {stdout} and stderr to {stderr}, but the log of a container holds both, and they can't be \
         told apart: name one object for both, or only one of the streams, which then is the whole log"
    );
    Trouble { reason: reasons::STREAMS_NOT_SEPARABLE, message }
}

impl Wish {
    /// The same for an attempt whose streams could not be told apart in the way that was fixed: `None` if its log, with
    /// both of them, is not for this object, or if that can't be (what was built into its pod is there).
    #[must_use]
    pub fn merged(&self) -> Option<Self> {
        let first = self.sources.first()?;
        let may_fail = matches!(self.streams, Streams::Kubelet | Streams::Api);
        if !may_fail || self.has_other || self.sources.iter().any(|source| source.format == Format::Json) {
            return None;
        }
        let stream = if self.sources.len() > 1 { Stream::Log } else { first.stream };
        let sources = vec![Source { stream, ..first.clone() }];
        Some(Self { sources, streams: Streams::Merged, ..self.clone() })
    }

    /// What an attempt has left. Of one that nobody saw that is all that it may have left. Containers that someone has
    /// added to the pod are none of the user's.
    #[must_use]
    pub fn pieces(&self, job: &Job, attempt: &AttemptEnd) -> Vec<Piece> {
        let indexes: Vec<Option<u32>> = match job.indexes {
            Some(count) if attempt.is_unseen() && attempt.index.is_none() && self.differs_by_index() => {
                (0..count.min(UNSEEN_INDEXES)).map(Some).collect()
            }
            _ => vec![attempt.index],
        };
        let has_left = |container: &String| {
            attempt.is_unseen() || attempt.logs.iter().any(|log| log.container == *container)
        };
        let containers = job.containers.iter().enumerate().filter(|(_, container)| has_left(container));
        let of_container = |(place, container): (usize, &String)| {
            let pieces = indexes.iter().flat_map(move |index| {
                self.sources.iter().map(move |source| self.piece(source, job, (place, container), *index))
            });
            pieces.collect::<Vec<_>>()
        };
        containers.flat_map(of_container).collect()
    }

    fn piece(
        &self,
        source: &Source,
        job: &Job,
        (place, container): (usize, &str),
        index: Option<u32>,
    ) -> Piece {
        let Source { stream, key, format } = source;
        let pod = job.pod_name.as_deref().unwrap_or_default();
        let usual = || OutputKey::usual(job.indexes.is_some());
        let key = key.clone().unwrap_or_else(usual).fill(Origin { pod, container, stream: *stream, index });
        let log = match (self.streams, stream) {
            (Streams::Wrapped, Stream::Stderr) => wrap::drain_of(place),
            _ => container.to_owned(),
        };
        let (container, streams) = (container.to_owned(), self.streams);
        Piece { container, stream: *stream, format: *format, log, streams, key }
    }

    /// Among how many keys the object is divided; `None` where each affected pod has keys of its own.
    #[must_use]
    pub fn share(&self, job: &Job) -> Option<usize> {
        let is_of_pod = |key: &OutputKey| key.holds(Placeholder::Pod);
        if self.keys().any(is_of_pod) {
            return None;
        }
        let indexes = job.indexes.filter(|_| self.differs_by_index()).unwrap_or(1);
        let of_index = job.containers.len() * self.sources.len();
        Some(of_index * usize::try_from(indexes).unwrap_or(usize::MAX))
    }

    /// The keys that the user wants.
    fn keys(&self) -> impl Iterator<Item = &OutputKey> {
        self.sources.iter().filter_map(|source| source.key.as_ref())
    }

    fn differs_by_index(&self) -> bool {
        self.keys().count() < self.sources.len() || self.keys().any(|key| key.holds(Placeholder::Index))
    }

    /// Whether an attempt's output is wished at all.
    #[must_use]
    pub fn is_for(&self, succeeded: bool) -> bool {
        succeeded || self.write_on_failure
    }
}

impl Piece {
    /// What of that log is read: one stream, or all of it.
    #[must_use]
    pub fn part(&self) -> Stream {
        match self.streams {
            Streams::Kubelet | Streams::Api => self.stream,
            Streams::Merged | Streams::Wrapped => Stream::Log,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::attempts::LogId;

    fn output(output: Value) -> Output {
        serde_json::from_str(&output.to_string()).unwrap()
    }

    fn merged(value: Value) -> Result<Vec<Wish>, Trouble> {
        wishes(&output(value), "ns", Streams::Merged)
    }

    /// The wish of this stdout, in namespace `ns`.
    pub(in super::super) fn wish_to(stdout: Value) -> Wish {
        merged(json!({ "stdout": stdout })).unwrap().remove(0)
    }

    fn job(containers: &[&str], indexes: Option<u32>) -> Job {
        let containers = containers.iter().map(|&name| name.to_owned()).collect();
        Job { containers, indexes, pod_name: Some("redis-0".into()), ..Job::default() }
    }

    fn attempt(containers: &[&str], index: Option<u32>) -> AttemptEnd {
        let log = |&name: &&str| LogId { pod: "uid".into(), container: name.to_owned(), restart: 0 };
        let logs = containers.iter().map(log).collect();
        AttemptEnd { id: "p".into(), logs, ..AttemptEnd::unseen(index, true, None) }
    }

    fn keys(wish: &Wish, job: &Job, attempt: &AttemptEnd) -> Vec<String> {
        wish.pieces(job, attempt).into_iter().map(|piece| piece.key).collect()
    }

    #[test]
    fn one_stream_alone_has_its_own_name_and_both_are_the_log() {
        let to = |name: &str| json!({ "configRef": name });
        let key = |value: Value| {
            let wish = merged(value).unwrap().remove(0);
            keys(&wish, &job(&["c"], None), &attempt(&["c"], None)).remove(0)
        };
        assert_eq!(key(json!({ "stdout": to("a") })), "c.stdout");
        assert_eq!(key(json!({ "stderr": to("a") })), "c.stderr");
        assert_eq!(key(json!({ "stdout": to("a"), "stderr": to("ns/a") })), "c.log");
        let named = json!({ "configRef": "a", "key": "all.{stream}" });
        assert_eq!(key(json!({ "stdout": named, "stderr": to("a") })), "all.log");
    }

    #[test]
    fn two_objects_are_refused_with_a_remedy() {
        let both = json!({ "stdout": { "configRef": "a" }, "stderr": { "secretRef": "a" } });
        let trouble = merged(both).unwrap_err();
        assert_eq!(trouble.reason, "StreamsNotSeparable");
        assert!(trouble.message.contains("ConfigMap ns/a") && trouble.message.contains("Secret ns/a"));
    }

    #[test]
    fn streams_that_are_told_apart_go_to_one_object_or_two() {
        let apart = |value: Value| wishes(&output(value), "ns", Streams::Wrapped).unwrap();
        let pieces = |wish: &Wish| -> Vec<(String, String)> {
            let pieces = wish.pieces(&job(&["l", "r"], None), &attempt(&["l", "r"], None));
            pieces.into_iter().map(|piece| (piece.key, piece.log)).collect()
        };
        let pair = |key: &str, log: &str| (key.to_owned(), log.to_owned());
        let two = apart(json!({ "stdout": { "secretRef": "a" }, "stderr": { "configRef": "a" } }));
        assert_eq!(two.len(), 2);
        assert_eq!(pieces(&two[0]), [pair("l.stdout", "l"), pair("r.stdout", "r")]);
        let drains = [pair("l.stderr", "extendedjob-stderr-0"), pair("r.stderr", "extendedjob-stderr-1")];
        assert_eq!(pieces(&two[1]), drains);
        let one = apart(json!({ "stdout": { "configRef": "a" }, "stderr": { "configRef": "ns/a" } }));
        assert_eq!((one.len(), pieces(&one[0]).len()), (1, 4));
        assert_eq!(one[0].share(&job(&["l", "r"], None)), Some(4));
    }

    #[test]
    fn where_they_turn_out_not_to_be_apart_the_log_is_for_an_object_that_gets_both_or_for_one_stream_alone() {
        let merged = |value: Value| {
            let wishes = wishes(&output(value), "ns", Streams::Api).unwrap();
            let pieces = wishes[0].merged()?.pieces(&job(&["c"], None), &attempt(&["c"], None));
            Some(pieces.into_iter().map(|piece| (piece.part(), piece.key)).collect::<Vec<_>>())
        };
        let log = |key: &str| Some(vec![(Stream::Log, key.to_owned())]);
        let to = |name: &str| json!({ "configRef": name });
        assert_eq!(merged(json!({ "stdout": to("a"), "stderr": to("a") })), log("c.log"));
        assert_eq!(merged(json!({ "stderr": to("a") })), log("c.stderr"));
        assert_eq!(merged(json!({ "stdout": to("a"), "stderr": to("b") })), None);
        assert_eq!(merged(json!({ "stdout": { "configRef": "a", "format": "json" } })), None);
    }

    #[test]
    fn each_container_and_each_index_has_its_key() {
        let plain = wish_to(json!({ "configRef": "a" }));
        let (left, both) = (attempt(&["l", "r"], None), job(&["l", "r"], None));
        assert_eq!(keys(&plain, &both, &left), ["l.stdout", "r.stdout"]);
        assert_eq!(keys(&plain, &job(&["c"], Some(3)), &attempt(&["c"], Some(2))), ["c.2.stdout"]);
        let named = wish_to(json!({ "configRef": "a", "key": "{pod}-{container}" }));
        assert_eq!(keys(&named, &both, &left), ["redis-0-l", "redis-0-r"]);
        let unseen = |index| keys(&plain, &job(&["c"], Some(2)), &AttemptEnd::unseen(index, true, None));
        assert_eq!(unseen(None), ["c.0.stdout", "c.1.stdout"]);
        assert_eq!(unseen(Some(1)), ["c.1.stdout"]);
    }

    #[test]
    fn what_others_have_added_to_a_pod_has_no_key() {
        let named = wish_to(json!({ "configRef": "a", "key": "result" }));
        assert_eq!(named.pieces(&job(&["c"], None), &attempt(&["c", "mesh"], None)).len(), 1);
    }

    #[test]
    fn an_object_is_shared_by_all_keys_that_a_job_has_there() {
        let plain = wish_to(json!({ "configRef": "a" }));
        assert_eq!(plain.share(&job(&["l", "r"], None)), Some(2));
        assert_eq!(plain.share(&job(&["l", "r"], Some(5))), Some(10));
        let one = wish_to(json!({ "configRef": "a", "key": "{container}" }));
        assert_eq!(one.share(&job(&["l", "r"], Some(5))), Some(2));
        assert_eq!(wish_to(json!({ "configRef": "a", "key": "{pod}" })).share(&job(&["c"], None)), None);
    }
}
