//! What was decided when the cluster was made, kept in its folder for the commands that come later.

use std::fs;
use std::net::TcpListener;

use anyhow::{Context, Result, ensure};

use crate::Options;
use crate::layout::Layout;

/// The settings of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where the forwarder listens on the machine's 127.0.0.1.
    pub(crate) port: u16,
    pub(crate) apiserver_feature_gates: Vec<String>,
    pub(crate) kubelet_feature_gates: Vec<String>,
}

impl Settings {
    /// Settings for a new cluster of these options, with a port that is free now.
    pub(crate) fn decide(options: &Options) -> Result<Self> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        Ok(Self {
            port: free.context("cannot find a free port on 127.0.0.1")?.port(),
            apiserver_feature_gates: checked(&options.apiserver_feature_gates)?,
            kubelet_feature_gates: checked(&options.kubelet_feature_gates)?,
        })
    }

    /// Whether a cluster of these settings does for one who asks for these options. Who asks for no gates
    /// takes any.
    pub(crate) fn suit(&self, options: &Options) -> Result<bool> {
        let suits = |have: &[String], wanted: &[String]| -> Result<bool> {
            Ok(wanted.is_empty() || have == checked(wanted)?)
        };
        Ok(suits(&self.apiserver_feature_gates, &options.apiserver_feature_gates)?
            && suits(&self.kubelet_feature_gates, &options.kubelet_feature_gates)?)
    }

    pub(crate) fn read(layout: &Layout) -> Result<Self> {
        let path = layout.path("settings");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    pub(crate) fn write(&self, layout: &Layout) -> Result<()> {
        let path = layout.path("settings");
        fs::write(&path, self.text()).with_context(|| format!("cannot write {}", path.display()))
    }

    fn text(&self) -> String {
        format!(
            "port={}\napiserver-feature-gates={}\nkubelet-feature-gates={}\n",
            self.port,
            self.apiserver_feature_gates.join(","),
            self.kubelet_feature_gates.join(",")
        )
    }

    fn parse(text: &str) -> Result<Self> {
        let value = |key: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            found.with_context(|| format!("no {key}"))
        };
        let gates = |key| {
            value(key)
                .map(|gates| gates.split(',').filter(|gate| !gate.is_empty()).map(String::from).collect())
        };
        Ok(Self {
            port: value("port")?.parse().context("the port is no number")?,
            apiserver_feature_gates: gates("apiserver-feature-gates")?,
            kubelet_feature_gates: gates("kubelet-feature-gates")?,
        })
    }
}

/// The gates in an order of their own, each seen to be `Name=true` or `Name=false`.
fn checked(gates: &[String]) -> Result<Vec<String>> {
    let mut gates = gates.to_vec();
    gates.sort();
    gates.dedup();
    for gate in &gates {
        let fits = gate.split_once('=').is_some_and(|(name, value)| {
            !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric())
                && matches!(value, "true" | "false")
        });
        ensure!(fits, "{gate:?} is no feature gate: write Name=true or Name=false");
    }
    Ok(gates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(gates: &[&str]) -> Options {
        Options {
            apiserver_feature_gates: gates.iter().map(|gate| gate.to_string()).collect(),
            ..Options::default()
        }
    }

    #[test]
    fn settings_are_read_as_they_were_written() {
        let mut settings = Settings::decide(&asking(&["B=false", "A=true"])).unwrap();
        assert_eq!(settings.apiserver_feature_gates, ["A=true", "B=false"]);
        assert_eq!(Settings::parse(&settings.text()).unwrap(), settings);
        settings.apiserver_feature_gates.clear();
        assert_eq!(Settings::parse(&settings.text()).unwrap(), settings);
    }

    #[test]
    fn a_gate_without_true_or_false_is_refused() {
        for bad in ["A", "A=1", "=true", "A=true,B=true", "A B=true"] {
            assert!(Settings::decide(&asking(&[bad])).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cluster_does_for_the_same_gates_in_any_order_and_for_none() {
        let settings = Settings::decide(&asking(&["B=false", "A=true"])).unwrap();
        assert!(settings.suit(&asking(&["A=true", "B=false"])).unwrap());
        assert!(settings.suit(&asking(&[])).unwrap());
        assert!(!settings.suit(&asking(&["A=true"])).unwrap());
    }
}
