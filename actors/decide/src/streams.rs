//! By which way the two streams of a run's containers are told apart. It is fixed when the Job is built: what its pods need
//! for it can't be added to them later.

use extendedjob_api::{ExtendedJobSpec, Output, Streams};
use jiff::Timestamp;
use serde_json::Value;

use crate::wrap::{self, Wrapper};

/// The ways that there are on this cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Which of them are wanted.
    pub setting: Setting,
    /// Within the pod.
    pub wrapper: Option<Wrapper>,
    /// Kubelets let the operator read the log files of their nodes.
    pub kubelet: bool,
}

/// Which way is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Setting {
    /// That of the kubelet where it is open, else within the pod.
    #[default]
    Auto,
    /// None but that of the kubelet.
    Kubelet,
    /// None but that within the pod.
    Wrapper,
    /// By the API server, on whose word alone it is that it can.
    Api,
    /// None.
    Off,
}

/// The way of one ExtendedJob's runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The way.
    pub streams: Streams,
    /// Where there is none: why not, and what would help.
    pub obstacle: Option<String>,
}

const NODE_LOGS: &str = "let them be read from kubelets (the chart's value kubeletLogs.enabled)";

impl Ways {
    /// Whether they change when the operator is given the right to read log files on nodes, or is deprived of it.
    #[must_use]
    pub fn depend_on_node_logs(&self) -> bool {
        matches!(self.setting, Setting::Auto | Setting::Kubelet)
    }

    /// The first that can be gone for this spec.
    #[must_use]
    pub fn of(&self, spec: &ExtendedJobSpec) -> Way {
        let template: Value = serde_json::from_str(spec.template.get()).unwrap_or_default();
        self.of_pod(spec.output.as_ref(), &template["spec"]["template"]["spec"])
    }

    /// The first that can be gone for a pod spec. Without output none is needed.
    pub(crate) fn of_pod(&self, output: Option<&Output>, pod: &Value) -> Way {
        if !output.is_some_and(|output| output.separate) {
            return Way { streams: Streams::Merged, obstacle: None };
        }
        match self.first(pod) {
            Ok(streams) => Way { streams, obstacle: None },
            Err(obstacle) => Way { streams: Streams::Merged, obstacle: Some(obstacle) },
        }
    }

    fn first(&self, pod: &Value) -> Result<Streams, String> {
        if let Some(obstacle) = wrap::terminal(pod) {
            return Err(obstacle.to_string());
        }
        match self.setting {
            Setting::Auto | Setting::Kubelet if self.kubelet => Ok(Streams::Kubelet),
            Setting::Auto | Setting::Wrapper => self.wrapped(pod),
            Setting::Kubelet => Err(format!("nobody may read them from kubelets: {NODE_LOGS}")),
            Setting::Api => Ok(Streams::Api),
            Setting::Off => {
                Err("the operator was started with --streams off (EXTENDEDJOB_STREAMS)".to_owned())
            }
        }
    }

    fn wrapped(&self, pod: &Value) -> Result<Streams, String> {
        if self.wrapper.is_none() {
            return Err(format!(
                "the operator was installed without the image of a wrapper: name one, or {NODE_LOGS}"
            ));
        }
        wrap::obstacle(pod)
            .map_or(Ok(Streams::Wrapped), |obstacle| Err(format!("{obstacle}, or {NODE_LOGS}")))
    }
}

/// What a node says when it is asked for one stream of a log, then for the other, and for the first one again, from the
/// begin: that, with the stamp of its first line.
///
/// One that can't tell them apart answers with the whole log, and so the same to both. By the text alone that could be said
/// of a program, too, that writes the same to both; not by the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// There is nothing yet.
    Nothing,
    /// Each is one stream.
    Apart,
    /// Each is the whole log.
    Merged,
    /// The log has begun or was rotated in between: ask again.
    Unclear,
    /// They are no lines of a log, but words of the kubelet's own.
    NoLog,
}

impl Answers {
    /// What they mean.
    #[must_use]
    pub fn judge(first: &[u8], other: &[u8], again: &[u8]) -> Self {
        if first != again {
            return Self::Unclear;
        }
        if first.is_empty() && other.is_empty() {
            return Self::Nothing;
        }
        // The first line of a log has its stamp, of whichever stream it is.
        if !begins_with_stamp(first) && !begins_with_stamp(other) {
            return Self::NoLog;
        }
        if first == other { Self::Merged } else { Self::Apart }
    }
}

/// Whether a refusal is one of the question for a stream: by the API server, or by a kubelet behind one that has passed it
/// on. (Older ones of either heed it not at all.)
#[must_use]
pub fn is_unknown(refusal: &str) -> bool {
    ["stream: Forbidden", "return the given log stream"].iter().any(|words| refusal.contains(words))
}

fn begins_with_stamp(text: &[u8]) -> bool {
    let stamp = text.split(|&byte| byte == b' ').next().and_then(|stamp| std::str::from_utf8(stamp).ok());
    stamp.is_some_and(|stamp| stamp.parse::<Timestamp>().is_ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ways(setting: Setting, wrapper: bool, kubelet: bool) -> Ways {
        let image = Wrapper { image: "i".into(), pull_secrets: vec![] };
        Ways { setting, wrapper: Some(image).filter(|_| wrapper), kubelet }
    }

    #[test]
    fn the_first_way_that_is_there_is_gone() {
        use Setting::{Api, Auto, Kubelet, Off, Wrapper};
        let output = json!({ "stdout": { "configRef": "out" } });
        let merged = json!({ "stdout": { "configRef": "out" }, "separate": false });
        let main = json!({ "name": "main", "command": ["x"] });
        let image_alone = json!({ "name": "main" });
        let terminal = json!({ "name": "main", "command": ["x"], "tty": true });
        let table = [
            (ways(Auto, true, true), &output, &main, Streams::Kubelet, ""),
            (ways(Auto, true, false), &output, &main, Streams::Wrapped, ""),
            (ways(Auto, false, false), &output, &main, Streams::Merged, "installed without"),
            (ways(Auto, true, false), &output, &image_alone, Streams::Merged, "states no command"),
            (
                ways(Auto, true, false),
                &output,
                &image_alone,
                Streams::Merged,
                "or let them be read from kubelets",
            ),
            (ways(Auto, true, true), &output, &image_alone, Streams::Kubelet, ""),
            (ways(Auto, true, true), &output, &terminal, Streams::Merged, "has tty: true"),
            (ways(Auto, true, true), &merged, &main, Streams::Merged, ""),
            (ways(Kubelet, true, false), &output, &main, Streams::Merged, "nobody may read them"),
            (ways(Kubelet, true, true), &output, &main, Streams::Kubelet, ""),
            (ways(Wrapper, true, true), &output, &main, Streams::Wrapped, ""),
            (ways(Api, true, true), &output, &image_alone, Streams::Api, ""),
            (ways(Api, true, true), &output, &terminal, Streams::Merged, "has tty: true"),
            (ways(Off, true, true), &output, &main, Streams::Merged, "--streams off"),
        ];
        for (ways, output, container, streams, told) in table {
            let template = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
            let spec = json!({ "run": "once", "output": output, "template": template }).to_string();
            let way = ways.of(&serde_json::from_str(&spec).unwrap());
            assert_eq!(way.streams, streams, "{ways:?}");
            let obstacle = way.obstacle.unwrap_or_default();
            assert!(obstacle.contains(told) && obstacle.is_empty() == told.is_empty(), "{obstacle}");
        }
    }

    #[test]
    fn a_refusal_of_the_question_is_told_from_that_of_a_log() {
        let table = [
            ("PodLogOptions \"p\" is invalid: stream: Forbidden: may not be specified", true),
            (
                "unable to return the given log stream: \"Stdout\". Please enable PodLogsQuerySplitStreams",
                true,
            ),
            ("container \"stream\" in pod \"p\" is waiting to start: ContainerCreating", false),
            ("previous terminated container \"main\" in pod \"p\" not found", false),
        ];
        for (refusal, expected) in table {
            assert_eq!(is_unknown(refusal), expected, "{refusal}");
        }
    }

    #[test]
    fn a_node_that_answers_both_questions_alike_has_understood_neither() {
        const OUT: &str = "2026-01-01T00:00:01.000000001Z same";
        const ERR: &str = "2026-01-01T00:00:01.000000002Z same";
        let table = [
            ([OUT, ERR, OUT], Answers::Apart),
            ([OUT, OUT, OUT], Answers::Merged),
            ([OUT, "", OUT], Answers::Apart),
            (["", ERR, ""], Answers::Apart),
            // After a part of a line.
            ([OUT, "same", OUT], Answers::Apart),
            (["", "", ""], Answers::Nothing),
            (["", ERR, ERR], Answers::Unclear),
            (["", "", OUT], Answers::Unclear),
            ([OUT, ERR, ERR], Answers::Unclear),
            (["unable to retrieve", "unable to retrieve", "unable to retrieve"], Answers::NoLog),
        ];
        for ([first, other, again], expected) in table {
            let found = Answers::judge(first.as_bytes(), other.as_bytes(), again.as_bytes());
            assert_eq!(found, expected, "{first:?}, {other:?}, {again:?}");
        }
    }
}
