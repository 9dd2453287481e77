//! The streams of a container out of its log files, which say of each line which one it is.

use std::io;

use extendedjob_api::Stream;
use extendedjob_decide::{
    attempts,
    cri::LogFile,
    retry::Backoff,
    tail::{Kept, Tail},
};
use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Duration, Instant, timeout},
};
use tracing::debug;

use super::{
    Followed, LogError, LogName, Parts, RunLog, Section,
    kubelet::{LogFiles, LogPlace},
    sections::Keeper,
};
use crate::{
    capture::Spool,
    clock::steady,
    cluster::{Cluster, Fault},
};

/// How often it is looked for something new in a log that has just grown, and in one that has not for long: nothing tells
/// of it, and with its pod it is gone within two seconds.
const LEAST_REST: Duration = Duration::from_millis(250);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// What is there when a container has ended is read in less, or someone keeps the operator busy.
const TIME: Duration = Duration::from_secs(300);

impl Cluster {
    /// Follows both streams of a container, and keeps at least the newest `keep` bytes of each. `over` says that the
    /// container has ended. What could not be read at all is not among what is returned.
    pub(super) async fn follow_files(
        &self,
        RunLog { name: log, began, .. }: RunLog,
        keep: usize,
        mut over: watch::Receiver<bool>,
    ) -> Parts {
        let Ok(files) = self.log_files(&log) else { return vec![] };
        let Some(_turn) = self.turn_to_follow(&mut over).await else { return vec![] };
        let mut reading = Reading::new(files, began, &self.spool, keep);
        let (mut backoff, mut rest) = (Backoff::default(), LEAST_REST);
        let mut over_since: Option<Instant> = None;
        loop {
            let is_over = *over.borrow();
            let delay = match reading.read_on().await {
                Ok(has_grown) => {
                    // What is written last may be a moment behind the news of the end.
                    if is_over {
                        let is_too_long = over_since.get_or_insert_with(Instant::now).elapsed() > TIME;
                        if is_too_long || !has_grown {
                            return reading.end(!is_too_long).await;
                        }
                    }
                    backoff.reset();
                    rest = if has_grown { LEAST_REST } else { LONGEST_REST.min(rest * 2) };
                    rest
                }
                // Who writes the output tries it further.
                Err(error) if is_over => {
                    debug!(%error, "log files that were followed could not be read to their end");
                    return reading.end(false).await;
                }
                Err(error) => {
                    debug!(%error, "log files that are followed can't be read");
                    backoff.after_failure(steady())
                }
            };
            let news = async {
                if is_over {
                    std::future::pending().await
                } else {
                    over.wait_for(|over| *over).await.is_err()
                }
            };
            if timeout(delay, news).await.is_ok_and(|nobody_wants_it| nobody_wants_it) {
                return reading.end(false).await;
            }
        }
    }

    /// The newest `limit` bytes of one stream of an ended container, and whether something before them may be missing.
    pub(super) async fn of_files(&self, log: &LogName, limit: usize) -> Result<(Kept, bool), LogError> {
        let _turn = self.logs.acquire().await.map_err(|_| log.not_opened(Fault::NotLeading))?;
        let (mut files, mut lines, mut tail) = (self.log_files(log)?, LogFile::default(), Tail::new(limit));
        let (mut chunk, mut goes_on, since) = (vec![], true, Instant::now());
        while goes_on {
            if since.elapsed() > TIME {
                return Err(log.broke_off(io::ErrorKind::TimedOut.into()));
            }
            goes_on = files.read(&mut chunk).await.map_err(LogError::Files)?;
            lines.push(&chunk, |stream, bytes| {
                if stream == log.part {
                    tail.push(bytes);
                }
            });
            chunk.clear();
        }
        Ok((tail.finish(), files.has_gap() || files.began_rotated() || lines.strays() > 0))
    }

    fn log_files(&self, log: &LogName) -> Result<LogFiles, LogError> {
        let (Some(kubelets), Some(node)) = (&self.kubelets, &log.node) else {
            return Err(log.missing());
        };
        let place = LogPlace {
            address: node.address.clone(),
            node: node.name.clone(),
            namespace: log.namespace.clone(),
            pod: log.pod.clone(),
            uid: log.uid.clone(),
            container: log.container.clone(),
            restart: log.restart,
        };
        Ok(LogFiles::new(kubelets.clone(), place))
    }
}

/// Log files that are followed.
struct Reading {
    files: LogFiles,
    lines: LogFile,
    began: Option<Timestamp>,
    stdout: Keeper,
    stderr: Keeper,
}

impl Reading {
    fn new(files: LogFiles, began: Option<Timestamp>, spool: &Spool, keep: usize) -> Self {
        let keeper = || Keeper::new(spool.clone(), keep, None);
        Self { files, lines: LogFile::default(), began, stdout: keeper(), stderr: keeper() }
    }

    /// Reads all that there is now; says whether that was anything.
    async fn read_on(&mut self) -> Result<bool, super::kubelet::KubeletError> {
        let (mut chunk, mut goes_on, mut has_grown) = (vec![], true, false);
        while goes_on {
            goes_on = self.files.read(&mut chunk).await?;
            has_grown |= !chunk.is_empty();
            let (mut stdout, mut stderr) = (vec![], vec![]);
            self.lines.push(&chunk, |stream, bytes| match stream {
                Stream::Stderr => stderr.extend_from_slice(bytes),
                _ => stdout.extend_from_slice(bytes),
            });
            chunk.clear();
            let possibly_rotated = self.is_possibly_rotated();
            self.stdout.push(&stdout, possibly_rotated).await;
            self.stderr.push(&stderr, possibly_rotated).await;
        }
        Ok(has_grown)
    }

    /// Whether something that was written before what has been read may be missing.
    fn is_possibly_rotated(&self) -> bool {
        let begins_late = attempts::begins_late(self.began, self.lines.first()).unwrap_or(true);
        let is_damaged = self.files.has_gap() || self.lines.strays() > 0;
        is_damaged || self.files.began_rotated() && begins_late
    }

    async fn end(self, ended: bool) -> Parts {
        let possibly_rotated = !ended || self.is_possibly_rotated();
        let first = self.lines.first();
        let mut parts = vec![];
        for (stream, keeper) in [(Stream::Stdout, self.stdout), (Stream::Stderr, self.stderr)] {
            let Section { capture, .. } = keeper.finish(possibly_rotated).await;
            parts.push((stream, Followed::of_file(capture, ended, possibly_rotated, first)));
        }
        // Of what was never read nothing is known.
        parts.retain(|_| ended || first.is_some());
        parts
    }
}
