//! The streams of a container, each as a log of its own, by whichever way they are told apart.
//!
//! Where the API server is asked for one of them, it is the kubelet that answers, and one that does not know the question
//! answers with both. So both are always asked for, and what has lines of the other is neither.

use extendedjob_api::{Stream, Streams};
use extendedjob_decide::{
    fault::Class,
    sketch::Sketch,
    tail::{Kept, Tail},
};
use futures::{AsyncReadExt, join};
use kube::core::subresource::LogParams;
use tokio::{sync::watch, time::timeout};
use tracing::debug;

use super::{Followed, LogError, LogName, RunLog, SILENCE, Sections};
use crate::cluster::Cluster;

/// What was followed of the log of a container: its streams, or all of it under [`Stream::Log`], where they were not told
/// apart.
pub(crate) type Parts = Vec<(Stream, Followed)>;

impl Cluster {
    /// Follows the log of a container whose streams are told apart in this way: see [`Self::follow_log`].
    pub(crate) async fn follow(
        &self,
        streams: Streams,
        log: RunLog,
        keep: usize,
        sections: Option<Sections>,
        over: watch::Receiver<bool>,
    ) -> Parts {
        match streams {
            Streams::Api => self.follow_both(log, keep, over).await,
            _ => vec![(Stream::Log, self.follow_log(log, keep, sections, over).await)],
        }
    }

    async fn follow_both(&self, log: RunLog, keep: usize, over: watch::Receiver<bool>) -> Parts {
        let follow = |part| {
            let log = RunLog { name: log.name.part(part), ..log.clone() };
            self.follow_log(log, keep, None, over.clone())
        };
        let (stdout, stderr) = join!(follow(Stream::Stdout), follow(Stream::Stderr));
        if stdout.refused && stderr.refused {
            return vec![(Stream::Log, follow(Stream::Log).await)];
        }
        if stdout.refused || stderr.refused {
            // Of several API servers one knows streams: what it has given may be one of them.
            return vec![];
        }
        if self.are_apart(&log, &stdout, &stderr).await {
            return vec![(Stream::Stdout, stdout), (Stream::Stderr, stderr)];
        }
        // One that broke off is shorter.
        let whole = if stdout.capture.seen() < stderr.capture.seen() { stderr } else { stdout };
        vec![(Stream::Log, whole)]
    }

    /// Whether each of the two, read at one time, holds nothing of the other.
    async fn are_apart(&self, log: &RunLog, stdout: &Followed, stderr: &Followed) -> bool {
        let (empty, other) = match (stdout.sketch.is_empty(), stderr.sketch.is_empty()) {
            (true, true) => return stdout.ended && stderr.ended,
            (false, false) => return !stdout.sketch.shares_lines_with(&stderr.sketch),
            (true, false) => (Stream::Stdout, stderr),
            (false, true) => (Stream::Stderr, stdout),
        };
        if !other.ended {
            return false;
        }
        // What the other one holds may have come a moment after this one was answered.
        match self.lines(&log.name.part(empty), false, |_| {}).await {
            Ok(sketch) => {
                let is_of_this_run = match log.restart {
                    None => true,
                    Some(restart) => self.restarts(&log.name).await.is_ok_and(|now| now == Some(restart)),
                };
                sketch.is_empty() && is_of_this_run
            }
            Err(error) => {
                debug!(%error, "an empty stream could not be read again");
                false
            }
        }
    }

    /// The newest `limit` bytes of one stream of an ended container; `previous`: of the run before its present one.
    pub(crate) async fn stream(&self, log: &LogName, previous: bool, limit: usize) -> Result<Kept, LogError> {
        let mut tail = Tail::new(limit);
        let wanted = self.lines(log, previous, |bytes| tail.push(bytes)).await?;
        // It is read after the first one: if both are the whole log, this one has at least what that has.
        let other = match log.part {
            Stream::Stdout => Stream::Stderr,
            Stream::Stderr | Stream::Log => Stream::Stdout,
        };
        let other = self.lines(&log.part(other), previous, |_| {}).await?;
        if other.shares_lines_with(&wanted) {
            return Err(log.not_separated());
        }
        Ok(tail.finish())
    }

    async fn lines(
        &self,
        log: &LogName,
        previous: bool,
        take: impl FnMut(&[u8]),
    ) -> Result<Sketch, LogError> {
        match self.read_log(log, previous, take).await {
            Ok(follower) => Ok(follower.sketch().clone()),
            Err(error) if matches!(error.class(), Class::Senseless | Class::Invalid) => {
                // That is also said of a container that never started.
                match self.is_empty(&log.part(Stream::Log), previous).await {
                    Ok(true) => Ok(Sketch::default()),
                    Ok(false) => Err(log.not_separated()),
                    Err(_) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Whether nothing stands in a log, and so in neither stream.
    async fn is_empty(&self, log: &LogName, previous: bool) -> Result<bool, LogError> {
        let params = LogParams { previous, limit_bytes: Some(1), ..LogParams::default() };
        let mut log_stream = std::pin::pin!(self.open_log(log, params).await?);
        let mut first = [0];
        let read = timeout(SILENCE, log_stream.read(&mut first)).await;
        let length = read.map_err(|elapsed| log.broke_off(elapsed.into()))?;
        Ok(length.map_err(|error| log.broke_off(error))? == 0)
    }
}

#[cfg(test)]
mod tests {
    use actix::System;

    use super::*;
    use crate::{
        capture::Spool,
        stand_in::{Reply, StandIn},
    };

    const OUT: &str = "2026-01-01T00:00:01.000000001Z out\n";
    const ERR: &str = "2026-01-01T00:00:01.000000002Z err\n";

    fn replies(text: &str) -> Reply {
        Reply::Raw(text.into())
    }

    fn log(part: Stream) -> LogName {
        LogName::of_test().part(part)
    }

    /// What is kept of a log that has ended, with these answers to who asks for standard output, standard error, and the
    /// whole log.
    async fn followed(answer: impl Fn(&str) -> Reply + Send + 'static) -> Vec<(Stream, String)> {
        let api = StandIn::answering(move |asked| answer(part_of(&asked.query)));
        let cluster = Cluster::new(api.client.clone(), Spool::without_room());
        let (_over, is_over) = watch::channel(true);
        let log = RunLog { name: LogName::of_test(), restart: None, began: None };
        let mut found = vec![];
        for (stream, followed) in cluster.follow(Streams::Api, log, 1000, None, is_over).await {
            let text = followed.capture.tail(1000).await.unwrap().bytes;
            found.push((stream, String::from_utf8(text).unwrap()));
        }
        found
    }

    fn part_of(query: &str) -> &'static str {
        ["Stdout", "Stderr"].into_iter().find(|it| query.contains(&format!("stream={it}"))).unwrap_or("All")
    }

    #[test]
    fn a_node_that_knows_streams_gives_each_by_itself() {
        System::new().block_on(async {
            let both = |part: &str| replies(if part == "Stdout" { OUT } else { ERR });
            let apart = [(Stream::Stdout, "out\n".to_owned()), (Stream::Stderr, "err\n".to_owned())];
            assert_eq!(followed(both).await, apart);
            let alone = |part: &str| replies(if part == "Stdout" { OUT } else { "" });
            let apart = [(Stream::Stdout, "out\n".to_owned()), (Stream::Stderr, String::new())];
            assert_eq!(followed(alone).await, apart);
            let apart = [(Stream::Stdout, String::new()), (Stream::Stderr, String::new())];
            assert_eq!(followed(|_| replies("")).await, apart);
        });
    }

    #[test]
    fn one_that_gives_the_whole_log_for_each_has_not_told_them_apart() {
        System::new().block_on(async {
            let whole = [(Stream::Log, "out\nerr\n".to_owned())];
            assert_eq!(followed(|_| replies(&[OUT, ERR].concat())).await, whole);
            // The last line came between the two answers.
            let later =
                |part: &str| replies(&if part == "Stdout" { OUT.to_owned() } else { [OUT, ERR].concat() });
            assert_eq!(followed(later).await, whole);
        });
    }

    #[test]
    fn what_was_empty_a_moment_too_early_is_not_taken_for_a_stream_without_lines() {
        System::new().block_on(async {
            let asked = std::sync::atomic::AtomicUsize::new(0);
            let late = move |part: &str| {
                let is_first =
                    asked.fetch_add(usize::from(part == "Stderr"), std::sync::atomic::Ordering::Relaxed) == 0;
                replies(if part == "Stderr" && is_first { "" } else { OUT })
            };
            assert_eq!(followed(late).await, [(Stream::Log, "out\n".to_owned())]);
        });
    }

    #[test]
    fn where_streams_are_refused_the_whole_log_is_followed() {
        System::new().block_on(async {
            for code in [400, 422] {
                let refusing = move |part: &str| match part {
                    "All" => replies(OUT),
                    _ => Reply::refused(code, "Invalid"),
                };
                assert_eq!(followed(refusing).await, [(Stream::Log, "out\n".to_owned())]);
            }
        });
    }

    #[test]
    fn a_read_at_the_end_asks_for_the_other_stream_too() {
        System::new().block_on(async {
            let read = async |answer: fn(&str) -> Reply| {
                let api = StandIn::answering(move |asked| answer(part_of(&asked.query)));
                let cluster = Cluster::new(api.client.clone(), Spool::without_room());
                cluster.stream(&log(Stream::Stderr), false, 1000).await.map(|kept| kept.bytes)
            };
            let apart = read(|part| replies(if part == "Stdout" { OUT } else { ERR })).await;
            assert_eq!(apart.unwrap(), b"err\n");
            let nothing = read(|part| replies(if part == "Stdout" { OUT } else { "" })).await;
            assert_eq!(nothing.unwrap(), b"");
            for answer in [
                |_: &str| replies(OUT),
                |part: &str| if part == "All" { replies(OUT) } else { Reply::refused(400, "BadRequest") },
            ] {
                let error = read(answer).await.unwrap_err();
                assert!(
                    matches!(error, LogError::NotSeparated(..)) && error.to_string().contains("node1"),
                    "{error}"
                );
            }
            let silent =
                read(|part| if part == "All" { replies("") } else { Reply::refused(400, "BadRequest") });
            assert_eq!(silent.await.unwrap(), b"", "what is nothing holds nothing of the other");
            let never_started = read(|_| Reply::refused(400, "BadRequest")).await.unwrap_err();
            assert!(matches!(never_started, LogError::Open(..)), "{never_started}");
        });
    }
}
