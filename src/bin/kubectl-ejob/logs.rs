//! What the pods of a Job write, while they write it.

use std::collections::BTreeSet;

use anyhow::Result;
use extendedjob_actors::{Boundary, is_drain};
use futures::{AsyncBufReadExt, future::join_all};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::LogParams};

use crate::{cluster::Cluster, text::Stream};

/// Prints the logs of those pods of the Job of this name, of the ExtendedJob with this UID, that have started and were
/// not followed yet, each until it ends. Fails if nobody reads on.
pub(crate) async fn follow(
    cluster: &Cluster,
    uid: &str,
    job: &str,
    followed: &mut BTreeSet<String>,
) -> Result<()> {
    let pods = match cluster.pods(&format!("batch.kubernetes.io/job-name={job}")).await {
        Ok(pods) => pods,
        Err(error) => {
            eprintln!("{error:#}");
            return Ok(());
        }
    };
    let boundary = Boundary::of(uid, job);
    let mut logs = vec![];
    for pod in pods.iter().filter(|pod| has_started(pod)) {
        let Some(name) = pod.metadata.name.clone().filter(|name| followed.insert(name.clone())) else {
            continue;
        };
        let Some(spec) = &pod.spec else { continue };
        for container in &spec.containers {
            let prefix =
                if spec.containers.len() > 1 { format!("[{}] ", container.name) } else { String::new() };
            // Its command begins with the pipe of its drain; others may have put containers before it.
            let command = container.command.iter().flatten();
            let drain = command.filter_map(|part| part.rsplit('/').next()).find(|part| is_drain(part));
            let streams = [(Stream::Stdout, Some(container.name.as_str())), (Stream::Stderr, drain)];
            for (stream, log) in streams {
                let lines = Lines { prefix: prefix.clone(), stream, marks: Marks::of(&boundary) };
                logs.extend(log.map(|log| print(cluster, name.clone(), log.to_owned(), lines)));
            }
        }
    }
    join_all(logs).await.into_iter().collect()
}

fn has_started(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Running" | "Succeeded" | "Failed"))
}

/// How the lines of a log are printed.
struct Lines {
    /// Before each of them, for those of several containers come as they are written.
    prefix: String,
    stream: Stream,
    marks: Marks,
}

impl Lines {
    fn print(&self, line: &[u8]) -> std::io::Result<()> {
        self.stream.print_line(&self.prefix, line)
    }
}

/// Leaves out the marks by which the operator knows where the runs of a container begin.
struct Marks {
    begin: String,
    /// An empty line that may belong to one.
    holds_empty: bool,
}

impl Marks {
    fn of(boundary: &Boundary) -> Self {
        Self { begin: format!("{} ", boundary.token()), holds_empty: false }
    }

    /// The lines to print now that this one has come.
    fn pass<'a>(&mut self, line: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let is_mark = line.starts_with(self.begin.as_bytes());
        let is_empty = line == b"\n";
        let before = std::mem::replace(&mut self.holds_empty, is_empty) && !is_mark;
        let empty = before.then_some(&b"\n"[..]);
        empty.into_iter().chain(Some(line).filter(|_| !(is_mark || is_empty)))
    }
}

async fn print(cluster: &Cluster, pod: String, container: String, mut lines: Lines) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let params = LogParams { container: Some(container.clone()), follow: true, ..LogParams::default() };
    let complain = |error: &dyn std::fmt::Display| {
        eprintln!("can't read on in the log of container {container} of pod {pod}: {error}");
    };
    let log = match api.log_stream(&pod, &params).await {
        Ok(log) => log,
        Err(error) => {
            complain(&error);
            return Ok(());
        }
    };
    let mut log = std::pin::pin!(log);
    let mut line = vec![];
    loop {
        line.clear();
        // Line by line, for a character may come in two pieces.
        match log.read_until(b'\n', &mut line).await {
            Ok(0) => {
                if lines.marks.holds_empty {
                    lines.print(b"\n")?;
                }
                return Ok(());
            }
            Err(error) => {
                complain(&error);
                return Ok(());
            }
            Ok(_) => {
                let printed: Vec<&[u8]> = lines.marks.pass(&line).collect();
                printed.into_iter().try_for_each(|line| lines.print(line))?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_left_out_with_the_line_breaks_before_them() {
        let boundary = Boundary::of("uid", "job");
        let token = boundary.token();
        let mut marks = Marks::of(&boundary);
        let log = ["\n", &format!("{token} 0\n"), "first\n", "\n", "\n", &format!("{token} 1\n"), "second\n"];
        let printed: Vec<&[u8]> = log.iter().flat_map(|line| marks.pass(line.as_bytes())).collect();
        assert_eq!(printed.concat(), b"first\n\nsecond\n");
    }
}
