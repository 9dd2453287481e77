//! By which way the two streams of a run's containers are told apart. It is fixed when the Job is built: what its pods need
//! for it can't be added to them later.

use extendedjob_api::{ExtendedJobSpec, Output, Streams};
use serde_json::Value;

use crate::wrap::{self, Wrapper};

/// The ways that there are on this cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Within the pod.
    pub wrapper: Option<Wrapper>,
}

/// The way of one ExtendedJob's runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The way.
    pub streams: Streams,
    /// Where there is none: why not.
    pub obstacle: Option<String>,
}

impl Ways {
    /// The first that can be gone for this spec.
    #[must_use]
    pub fn of(&self, spec: &ExtendedJobSpec) -> Way {
        let template: Value = serde_json::from_str(spec.template.get()).unwrap_or_default();
        self.of_pod(spec.output.as_ref(), &template["spec"]["template"]["spec"])
    }

    /// The first that can be gone for a pod spec. Without output none is needed.
    pub(crate) fn of_pod(&self, output: Option<&Output>, pod: &Value) -> Way {
        let merged = |obstacle: Option<String>| Way { streams: Streams::Merged, obstacle };
        if !output.is_some_and(|output| output.separate) {
            return merged(None);
        }
        if self.wrapper.is_none() {
            return merged(Some("the operator was installed without a way to tell them apart".to_owned()));
        }
        match wrap::obstacle(pod) {
            Some(obstacle) => merged(Some(obstacle.to_string())),
            None => Way { streams: Streams::Wrapped, obstacle: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn way(output: Value, pod: Value, is_installed: bool) -> Way {
        let template = json!({ "spec": { "template": { "spec": pod } } });
        let spec = json!({ "run": "once", "output": output, "template": template }).to_string();
        let wrapper = Wrapper { image: "i".into(), pull_secrets: vec![] };
        Ways { wrapper: Some(wrapper).filter(|_| is_installed) }.of(&serde_json::from_str(&spec).unwrap())
    }

    #[test]
    fn a_pod_is_wrapped_if_it_can_be_and_nobody_wants_it_otherwise() {
        let output = json!({ "stdout": { "configRef": "out" } });
        let pod = json!({ "restartPolicy": "Never", "containers": [{ "name": "main", "command": ["x"] }] });
        let mut without_command = pod.clone();
        without_command["containers"][0]["command"] = json!(null);
        let mut merged = output.clone();
        merged["separate"] = json!(false);
        let table = [
            (&output, &pod, true, Streams::Wrapped, ""),
            (&output, &pod, false, Streams::Merged, "installed without"),
            (&output, &without_command, true, Streams::Merged, "states no command"),
            (&merged, &pod, true, Streams::Merged, ""),
        ];
        for (output, pod, is_installed, streams, told) in table {
            let way = way(output.clone(), pod.clone(), is_installed);
            assert_eq!(way.streams, streams);
            assert!(way.obstacle.unwrap_or_default().contains(told), "{told}");
        }
    }
}
