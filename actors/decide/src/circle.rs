//! ExtendedJobs that feed each other: what one writes, another one uses, and so on back to the first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use extendedjob_api::{Output, Target};

use crate::declared::Declared;

/// One way round: who writes what.
type Link<'a> = (&'a Declared, Target);

/// In words, the shortest circle by which the ExtendedJob of this UID has itself started again, if there is one.
///
/// Only those count that start again when what they use changes, and write something. One that writes what it uses itself does not: see
/// [`Declared::references`].
#[must_use]
pub fn circle<'a>(all: impl Iterator<Item = &'a Declared>, uid: &str) -> Option<String> {
    let is_link =
        |declared: &&Declared| declared.spec.update_on_config_change && declared.spec.output.is_some();
    let restarting: Vec<&Declared> = all.filter(is_link).collect();
    let first = *restarting.iter().find(|declared| declared.uid == uid)?;
    let users = users(&restarting);
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut ways: VecDeque<Vec<Link<'_>>> = VecDeque::from([vec![]]);
    while let Some(way) = ways.pop_front() {
        let last = match way.last() {
            Some((_, target)) => users.get(target).into_iter().flatten().copied().collect(),
            None => vec![first],
        };
        for writer in last {
            if !way.is_empty() && writer.uid == uid {
                return Some(words(&way));
            }
            if reached.insert(&writer.uid) {
                ways.extend(targets(writer).map(|target| {
                    let mut further = way.clone();
                    further.push((writer, target));
                    further
                }));
            }
        }
    }
    None
}

/// Who uses what.
fn users<'a>(all: &[&'a Declared]) -> BTreeMap<Target, Vec<&'a Declared>> {
    let mut users: BTreeMap<Target, Vec<&Declared>> = BTreeMap::new();
    for declared in all {
        for object in declared.references().into_keys() {
            let target =
                Target { kind: object.kind, namespace: declared.namespace.clone(), name: object.name };
            users.entry(target).or_default().push(declared);
        }
    }
    users
}

/// What it writes. Of versioned output each run makes an object of its own.
fn targets(declared: &Declared) -> impl Iterator<Item = Target> {
    let streams = declared.spec.output.iter().flat_map(Output::streams).filter(|(_, it)| !it.versioned);
    let targets: BTreeSet<Target> =
        streams.filter_map(|(_, stream)| stream.target(&declared.namespace)).collect();
    targets.into_iter()
}

fn words(way: &[Link<'_>]) -> String {
    let written = way
        .iter()
        .map(|(writer, target)| format!("ExtendedJob {}/{} writes {target}", writer.namespace, writer.name));
    let written: Vec<String> = written.collect();
    format!("They feed each other: {}, which the first one uses", written.join(", which the next one uses; "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::declared;

    /// One that uses and writes these ConfigMaps.
    fn one(name: &str, uses: &[&str], writes: &[&str]) -> Declared {
        let volume = |name: &&str| json!({ "name": name, "configMap": { "name": name } });
        let volumes: Vec<Value> = uses.iter().map(volume).collect();
        let mut output = json!({});
        for (stream, target) in ["stdout", "stderr"].iter().zip(writes) {
            output[stream] = json!({ "configRef": target });
        }
        let template = json!({ "spec": { "template": { "spec": { "volumes": volumes } } } });
        let spec = json!({
            "run": "once", "updateOnConfigChange": true, "output": output, "template": template,
        });
        let spec = serde_json::from_str(&spec.to_string()).unwrap();
        Declared { uid: name.into(), name: name.into(), spec, ..declared() }
    }

    fn found(all: &[Declared], uid: &str) -> Option<String> {
        circle(all.iter(), uid)
    }

    #[test]
    fn two_that_feed_each_other_are_named_with_what_they_write() {
        let all = [one("a", &["y"], &["x"]), one("b", &["x"], &["y"]), one("c", &["x"], &["z"])];
        let told = "They feed each other: ExtendedJob ns/a writes ConfigMap ns/x, which the next one uses; \
                    ExtendedJob ns/b writes ConfigMap ns/y, which the first one uses";
        assert_eq!(found(&all, "a").as_deref(), Some(told));
        assert!(
            found(&all, "b").is_some_and(|told| told.contains("ns/b writes ConfigMap ns/y, which the next"))
        );
        assert_eq!(found(&all, "c"), None, "it is fed, and feeds nobody");
    }

    #[test]
    fn the_shortest_way_round_is_told() {
        let all = [
            one("a", &["w", "z"], &["x"]),
            one("b", &["x"], &["y"]),
            one("c", &["y"], &["z"]),
            one("d", &["x"], &["other", "w"]),
        ];
        let told = found(&all, "a").unwrap();
        assert!(told.contains("ns/d writes ConfigMap ns/w") && !told.contains("ns/b"), "{told}");
    }

    #[test]
    fn what_does_not_start_again_closes_no_circle() {
        let mut all = [one("a", &["y"], &["x"]), one("b", &["x"], &["y"])];
        all[1].spec.update_on_config_change = false;
        assert_eq!(found(&all, "a"), None);
        let itself = [one("a", &["x"], &["x"])];
        assert_eq!(found(&itself, "a"), None);
        let elsewhere = [one("a", &["y"], &["other/x"]), one("b", &["x"], &["y"])];
        assert_eq!(found(&elsewhere, "a"), None);
    }

    #[test]
    fn each_version_of_an_output_is_another_object() {
        let mut all = [one("a", &["y"], &["x"]), one("b", &["x"], &["y"])];
        let output = all[0].spec.output.as_mut().unwrap();
        output.stdout.as_mut().unwrap().versioned = true;
        assert_eq!(found(&all, "a"), None);
    }
}
