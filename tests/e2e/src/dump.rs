//! What someone who looks into a failed test would ask kubectl first. Never a Secret's content.

use crate::{Kubectl, Namespace, Operator};

const QUESTIONS: [&[&str]; 4] = [
    &["get", "extendedjobs", "--output=yaml"],
    &["get", "jobs,pods", "--output=wide", "--show-labels"],
    &["get", "events", "--sort-by=.metadata.creationTimestamp"],
    &["get", "configmaps,secrets", "--output=name"],
];

/// Prints the state of the test's namespaces, and the newest lines of the operator's log.
pub(crate) fn print(namespace: &Namespace) {
    let family = namespace.family().unwrap_or_else(|_| vec![namespace.name.clone()]);
    for name in family {
        let kubectl = Kubectl::in_namespace(&name);
        for question in QUESTIONS {
            section(&format!("{name}: kubectl {}", question.join(" ")), kubectl.run(question));
        }
    }
    section("the operator's pods", Operator::pods_in_words());
    section("the operator's log", Operator::log_tail());
}

fn section(title: &str, answer: anyhow::Result<String>) {
    match answer {
        Ok(text) => eprintln!("=== {title}\n{}\n", text.trim_end()),
        Err(error) => eprintln!("=== {title}\n{error:#}\n"),
    }
}
