//! What `/metrics` tells, and that documentation, rules and dashboard speak of nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use extendedjob_api::OutputStatus;
use extendedjob_decide::view::Trouble;

use super::{labels::*, *};

/// A metric as the text tells it.
#[derive(Debug, Default, PartialEq)]
struct Family {
    kind: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// The metrics of a text in the format of OpenMetrics, by their names (those of counters with `_total`); panics where the
/// text breaks its rules.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let text = text.strip_suffix("# EOF\n").expect("it ends so");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let (mut name, mut kind) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            assert!(help.ends_with('.'), "{help}");
            continue;
        }
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (of, is) = declared.split_once(' ').unwrap();
            let suffix = if is == "counter" { "_total" } else { "" };
            (name, kind) = (format!("{of}{suffix}"), is.to_owned());
            let before = families.insert(name.clone(), Family { kind: kind.clone(), ..Family::default() });
            assert_eq!(before, None, "{name} is declared twice");
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
        let (of, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        let parts: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(parts.iter().any(|part| of == format!("{name}{part}")), "{line} is no sample of {name}");
        let known = &mut families.get_mut(&name).unwrap().labels;
        for label in labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').unwrap();
            if label != "le" {
                known.entry(label.to_owned()).or_default().insert(value.trim_matches('"').to_owned());
            }
        }
    }
    families
}

/// All metrics, as they are told by an operator that has asked for something.
fn told() -> BTreeMap<String, Family> {
    let metrics = Metrics::default();
    metrics.requests().count("list", Some(200));
    metrics.requests().count("create", None);
    metrics.leading(&Scope::Cluster, None);
    metrics.refused(&Scope::Cluster);
    parse(&metrics.text().unwrap())
}

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn each_metric_is_documented_with_its_type_and_labels() {
    let document = file("docs/src/operations/metrics.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut documented = BTreeMap::new();
    for row in rows {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let [name, kind, labels, _, ""] = columns[..] else { panic!("{row}") };
        // Each is named in the beginning of its part; its values follow.
        let labels = labels.split("; ").filter_map(|label| label.strip_prefix('`')?.split('`').next());
        let labels: BTreeSet<String> = labels.map(str::to_owned).collect();
        documented.insert(name.trim_end_matches('`').to_owned(), (kind.to_owned(), labels));
    }
    let told = told()
        .into_iter()
        .map(|(name, Family { kind, labels })| (name, (kind, labels.into_keys().collect())));
    assert_eq!(documented, told.collect());
}

#[test]
fn each_value_of_a_label_is_documented() {
    let document = file("docs/src/operations/metrics.md");
    for (name, Family { labels, .. }) in
        told().iter().filter(|(name, _)| *name != "extendedjob_api_requests_total")
    {
        for value in labels.values().flatten() {
            assert!(document.contains(&format!("`{value}`")), "{value} of {name}");
        }
    }
}

#[test]
fn all_series_but_those_of_requests_are_there_from_the_start() {
    let labels = |name: &str| told().remove(name).unwrap().labels;
    let of = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(
        labels("extendedjob_transitions_total")["when"],
        of(&["created", "ready", "notready", "deleted"])
    );
    let modes = of(&["created", "ready", "notready", "deleted", "once", "errand"]);
    assert_eq!(labels("extendedjob_runs_started_total")["mode"], modes);
    let ended = labels("extendedjob_runs_ended_total");
    assert_eq!(ended["mode"], modes);
    assert_eq!(ended["result"], of(&["Succeeded", "Failed", "Replaced", "Deleted"]));
    assert_eq!(labels("extendedjob_brakes_open")["brake"], of(&["pod", "all", "requests", "restarts"]));
}

#[test]
fn whatever_happens_no_label_gets_another_value() {
    let (metrics, before) = (Metrics::default(), told());
    for when in WHENS {
        metrics.transition(*when);
    }
    for mode in MODES {
        metrics.run_started(*mode);
        RESULTS.iter().for_each(|result| metrics.run_ended(*mode, *result));
        metrics.run_ended(*mode, RunResult::Running);
    }
    let trouble = |reason| Some(Trouble { reason, message: "of ns/name".into() });
    let odd = Settled { trouble: trouble("Odd"), ..Settled::default() };
    metrics.output(&odd, false);
    Brake::ALL.iter().for_each(|brake| metrics.brake_opens(*brake));
    for panicked in [true, false] {
        Kind::ALL.iter().for_each(|kind| metrics.actor_restarts(*kind, panicked));
    }
    metrics.requests().count("list", Some(200));
    metrics.requests().count("create", None);
    metrics.leading(&Scope::Cluster, Some(3));
    metrics.refused(&Scope::Cluster).set(1);
    let text = metrics.text().unwrap();
    assert_eq!(parse(&text), before);
    for (name, more) in [("transitions", "when=\"ready\""), ("output_failures", "reason=\"other\"")] {
        assert!(text.contains(&format!("extendedjob_{name}_total{{{more}}} 1\n")), "{text}");
    }
}

#[test]
fn latency_is_counted_in_its_bucket() {
    let metrics = Metrics::default();
    metrics.triggered(Duration::from_micros(3500));
    metrics.triggered(Duration::from_secs(90));
    let text = metrics.text().unwrap();
    let bucket = |le: &str| {
        let begin = format!("extendedjob_trigger_latency_seconds_bucket{{le=\"{le}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&begin)).unwrap_or_else(|| panic!("{le}: {text}"))
    };
    assert_eq!(["0.001", "0.002", "0.004", "65.536", "+Inf"].map(bucket), ["0", "0", "1", "1", "2"]);
    assert!(text.contains("extendedjob_trigger_latency_seconds_sum 90.0035\n"), "{text}");
}

#[test]
fn output_is_counted_when_its_fate_is_sealed() {
    let output = |stream, result, bytes_seen, bytes_kept| OutputStatus {
        stream,
        target: "ConfigMap ns/out".into(),
        key: format!("{stream:?}"),
        bytes_seen,
        bytes_kept,
        possibly_rotated: false,
        merged: false,
        result,
    };
    let metrics = Metrics::default();
    let trouble = |reason| Some(Trouble { reason, message: String::new() });
    let settled = Settled {
        outputs: vec![
            output(Stream::Stdout, OutputResult::Written, 100, 40),
            output(Stream::Stderr, OutputResult::Failed, 7, 0),
        ],
        trouble: trouble("TargetFull"),
        ..Settled::default()
    };
    metrics.output(&settled, false);
    let counts = |lines: &[&str]| {
        let text = metrics.text().unwrap();
        for line in lines {
            assert!(text.contains(&format!("extendedjob_{line}\n")), "{line}: {text}");
        }
    };
    counts(&["output_failures_total{reason=\"TargetFull\"} 1", "outputs_total{result=\"Written\"} 0"]);
    metrics.output(&Settled { trouble: trouble("OutputGivenUp"), ..settled }, true);
    counts(&[
        "outputs_total{result=\"Written\"} 1",
        "outputs_total{result=\"GivenUp\"} 1",
        "outputs_total{result=\"Failed\"} 0",
        "output_bytes_total{stream=\"stdout\"} 40",
        "outputs_cut_total{stream=\"stdout\"} 1",
        "output_bytes_total{stream=\"stderr\"} 0",
    ]);
}

#[test]
fn each_operator_of_a_process_leads_by_itself_and_a_standby_has_no_term() {
    let metrics = Metrics::default();
    let [a, b] = ["a", "b"].map(|namespace| Scope::Namespace(namespace.into()));
    let mut refused = metrics.refused(&b);
    let assert = |lines: [&str; 3]| {
        let text = metrics.text().unwrap();
        for line in lines {
            assert!(text.contains(&format!("extendedjob_{line}\n")), "{line}: {text}");
        }
    };
    metrics.leading(&a, Some(7));
    metrics.leading(&b, None);
    refused.set(1);
    assert(["leader{watched=\"a\"} 1", "term{watched=\"a\"} 7", "leader{watched=\"b\"} 0"]);
    assert!(metrics.are_refused(&b) && !metrics.are_refused(&a));
    metrics.leading(&a, None);
    drop(refused);
    assert(["leader{watched=\"a\"} 0", "term{watched=\"a\"} 0", "watches_refused{watched=\"b\"} 0"]);
}

/// The metrics that an expression of Prometheus speaks of, without what belongs to histograms.
fn named(text: &str) -> BTreeSet<String> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_word(letter));
    let metrics = words.filter(|word| {
        let is_ours = word.starts_with("extendedjob_") && word.len() > "extendedjob_".len();
        is_ours || word.starts_with("process_")
    });
    let whole = |word: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        parts.iter().find_map(|part| word.strip_suffix(part)).unwrap_or(word).to_owned()
    };
    metrics.map(whole).collect()
}

#[test]
fn rules_speak_of_metrics_that_there_are() {
    let told: BTreeSet<String> = told().into_keys().collect();
    for path in ["deploy/monitoring/rules.yaml", "deploy/monitoring/rules-test.yaml"] {
        let named = named(&file(path));
        assert!(named.len() > 5, "{path}: {named:?}");
        assert_eq!(named.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new(), "{path}");
    }
}

#[test]
fn the_dashboard_shows_each_metric_and_no_other() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&file("deploy/monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let shown: BTreeSet<String> =
        targets.flat_map(|target| named(target["expr"].as_str().unwrap())).collect();
    assert_eq!(shown, told().into_keys().collect());
    let rows = panels.iter().filter(|panel| panel["type"] == "row").map(|row| row["title"].as_str().unwrap());
    let rows: Vec<&str> = rows.collect();
    assert_eq!(rows, ["Overview", "Runs", "Latency", "Output", "API", "Operator"]);
}
