//! What the pods of a Job write, while they write it.

use std::collections::BTreeSet;

use anyhow::Result;
use extendedjob_actors::{Boundary, Follower, is_drain};
use futures::{AsyncReadExt, future::join_all};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::LogParams};

use tokio::time::sleep;

use crate::{cluster::Cluster, request::INTERVAL, text::Stream};

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
                let marks = Marks::of(&boundary);
                let lines = Lines { prefix: prefix.clone(), stream, marks, begun: vec![] };
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
    /// A line that has not come to its end: a character may come in two pieces.
    begun: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.begun.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.print()?;
            }
        }
        Ok(())
    }

    fn print(&mut self) -> std::io::Result<()> {
        let line = std::mem::take(&mut self.begun);
        let printed = self.marks.pass(&line);
        printed.into_iter().try_for_each(|line| self.stream.print_line(&self.prefix, line))
    }

    /// Nothing more comes.
    fn finish(&mut self) -> std::io::Result<()> {
        if !self.begun.is_empty() {
            self.print()?;
        }
        if std::mem::take(&mut self.marks.holds_empty) {
            self.stream.print_line(&self.prefix, b"\n")?;
        }
        Ok(())
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
    fn pass<'a>(&mut self, line: &'a [u8]) -> Vec<&'a [u8]> {
        let is_mark = line.starts_with(self.begin.as_bytes());
        let is_empty = line == b"\n";
        let before = std::mem::replace(&mut self.holds_empty, is_empty) && !is_mark;
        let empty = before.then_some(&b"\n"[..]);
        empty.into_iter().chain(Some(line).filter(|_| !(is_mark || is_empty))).collect()
    }
}

/// How a container is doing.
struct Doing {
    restarts: i32,
    has_begun: bool,
    runs: bool,
    /// It may be started again.
    may_go_on: bool,
}

impl Doing {
    fn of(pod: &Pod, container: &str) -> Self {
        let status = pod.status.as_ref();
        let statuses = status.iter().flat_map(|it| [&it.container_statuses, &it.init_container_statuses]);
        let its_own = statuses.flatten().flatten().find(|it| it.name == container);
        let state = its_own.and_then(|it| it.state.as_ref());
        let is_waiting = state.is_some_and(|state| state.waiting.is_some());
        let phase = status.and_then(|it| it.phase.as_deref());
        let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
        Self {
            restarts: its_own.map_or(0, |it| it.restart_count),
            has_begun: its_own.is_some_and(|it| it.restart_count > 0)
                || state.is_some_and(|state| state.running.is_some() || state.terminated.is_some()),
            runs: state.is_some_and(|state| state.running.is_some()),
            may_go_on: phase == Some("Running")
                && (policy != Some("Never") || is_drain(container) || is_waiting),
        }
    }
}

/// Prints the logs of all runs of a container, each until it ends.
async fn print(cluster: &Cluster, pod: String, container: String, mut lines: Lines) -> Result<()> {
    let log = Log { api: Api::namespaced(cluster.client.clone(), &cluster.namespace), pod, container };
    let (mut next, mut is_read) = (0, false);
    let mut follower = Follower::default();
    loop {
        // Of a pod that is gone there is nothing more to read.
        let Ok(pod) = log.api.get(&log.pod).await else { return Ok(lines.finish()?) };
        let doing = Doing::of(&pod, &log.container);
        if doing.restarts > next {
            // That it was over, and the next one had begun, was faster than this.
            if !is_read || doing.restarts > next + 1 {
                if doing.restarts > next + 1 {
                    follower = Follower::default();
                }
                log.read(&mut follower, &mut lines, LogParams { previous: true, ..LogParams::default() })
                    .await?;
            }
            lines.finish()?;
            (next, is_read, follower) = (doing.restarts, false, Follower::default());
        }
        if doing.has_begun && !is_read {
            let follow = LogParams { follow: doing.runs, ..LogParams::default() };
            // A log ends when its container does; what the pod says may be older.
            is_read = log.read(&mut follower, &mut lines, follow).await?;
        }
        if (is_read || !doing.has_begun) && !doing.may_go_on {
            return Ok(lines.finish()?);
        }
        sleep(INTERVAL).await;
    }
}

/// The log of a container.
struct Log {
    api: Api<Pod>,
    pod: String,
    container: String,
}

impl Log {
    /// Reads on from where the follower is; `false`: it was cut short, such as by a kubelet that can't follow one more.
    async fn read(&self, follower: &mut Follower, lines: &mut Lines, params: LogParams) -> Result<bool> {
        follower.resume();
        let container = Some(self.container.clone());
        let params = LogParams { container, timestamps: true, since_time: follower.since(), ..params };
        let log = match self.api.log_stream(&self.pod, &params).await {
            Ok(log) => log,
            Err(error) => {
                let Self { pod, container, .. } = self;
                eprintln!("can't read the log of container {container} of pod {pod}: {error}");
                return Ok(true);
            }
        };
        let mut log = std::pin::pin!(log);
        let (mut chunk, mut taken) = (vec![0; 16 * 1024], vec![]);
        loop {
            match log.read(&mut chunk).await {
                Ok(0) => return Ok(!follower.is_cut_short()),
                // It broke off; it is read on.
                Err(_) => return Ok(false),
                Ok(length) => follower.push(&chunk[..length], &mut taken),
            }
            lines.push(&taken)?;
            taken.clear();
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
