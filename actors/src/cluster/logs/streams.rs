//! The streams of a container, each as a log of its own, by whichever way they are told apart.
//!
//! Where the API server is asked for one of them, it is the kubelet that answers, and one that does not know the question
//! answers with the whole log, or refuses. So it is tried before anything is believed.

use std::pin::pin;

use extendedjob_api::{Stream, Streams};
use extendedjob_decide::{
    fault::Class,
    follow::Follower,
    retry::Backoff,
    streams::Answers,
    tail::{Kept, Tail},
};
use futures::{AsyncReadExt, join};
use jiff::Timestamp;
use kube::core::subresource::LogParams;
use tokio::{sync::watch, time::timeout};
use tracing::debug;

use super::{Followed, LogError, LogName, RunLog, SILENCE, Sections, read_to_end};
use crate::{
    clock::steady,
    cluster::{Cluster, Fault},
};

/// More than a stamp: how much of a log is looked at to tell one from another.
const HEAD: u64 = 64;

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
            Streams::Kubelet => self.follow_files(log, keep, over).await,
            Streams::Api => self.follow_both(log, keep, over).await,
            Streams::Merged | Streams::Wrapped => {
                vec![(Stream::Log, self.follow_log(log, keep, sections, over).await)]
            }
        }
    }

    async fn follow_both(&self, log: RunLog, keep: usize, over: watch::Receiver<bool>) -> Parts {
        let follow = |part| {
            let log = RunLog { name: log.name.part(part), ..log.clone() };
            self.follow_log(log, keep, None, over.clone())
        };
        let answers = {
            let mut following = pin!(async { join!(follow(Stream::Stdout), follow(Stream::Stderr)) });
            let mut asking = pin!(self.ask_until_told(&log, over.clone()));
            let (both, answers) = tokio::select! {
                both = &mut following => (Some(both), asking.await),
                answers = &mut asking => match answers {
                    Answers::Merged => (None, answers),
                    _ => (Some(following.await), answers),
                },
            };
            match both {
                Some((stdout, stderr)) if answers == Answers::Apart && !stdout.unfit && !stderr.unfit => {
                    return vec![(Stream::Stdout, stdout), (Stream::Stderr, stderr)];
                }
                _ => answers,
            }
        };
        match answers {
            Answers::Merged => vec![(Stream::Log, follow(Stream::Log).await)],
            // It is asked again when they are read.
            _ => vec![],
        }
    }

    /// Whether a node tells streams apart, as soon as it can be told, and at the end of the container at the latest. Who
    /// waited for that end would find that some pods are gone by then.
    async fn ask_until_told(&self, log: &RunLog, mut over: watch::Receiver<bool>) -> Answers {
        let mut backoff = Backoff::default();
        loop {
            let is_over = *over.borrow();
            let answers = self.ask(&log.name, false).await.unwrap_or_else(|error| {
                debug!(%error, "a node was asked in vain whether it tells streams apart");
                Answers::Unclear
            });
            if is_over || matches!(answers, Answers::Apart | Answers::Merged) {
                return answers;
            }
            let delay = backoff.after_failure(steady());
            tokio::select! {
                // A silent one has begun to write.
                () = log.heard.notified() => {}
                told = timeout(delay, over.wait_for(|over| *over)) => {
                    if told.is_ok_and(|told| told.is_err()) {
                        // Nobody wants to know any more.
                        return Answers::Unclear;
                    }
                }
            }
        }
    }

    async fn ask(&self, log: &LogName, previous: bool) -> Result<Answers, LogError> {
        match self.ask_both(log, previous).await {
            Err(error) if error.is_about_streams() => {
                let whole = self.head(&log.part(Stream::Log), previous).await?;
                Ok(if whole.is_empty() { Answers::Nothing } else { Answers::Merged })
            }
            answers => answers,
        }
    }

    async fn ask_both(&self, log: &LogName, previous: bool) -> Result<Answers, LogError> {
        let (stdout, stderr) = (log.part(Stream::Stdout), log.part(Stream::Stderr));
        let first = self.head(&stdout, previous).await?;
        let other = self.head(&stderr, previous).await?;
        let again = self.head(&stdout, previous).await?;
        Ok(Answers::judge(&first, &other, &again))
    }

    /// How a log begins: the stamp of its first line, and what fits beside it.
    async fn head(&self, log: &LogName, previous: bool) -> Result<Vec<u8>, LogError> {
        let limit_bytes = i64::try_from(HEAD).ok();
        let params = LogParams { previous, timestamps: true, limit_bytes, ..LogParams::default() };
        let mut stream = pin!(self.open_log(log, params).await?.take(HEAD));
        let mut head = vec![];
        let read = timeout(SILENCE, stream.read_to_end(&mut head)).await;
        read.map_err(|elapsed| log.broke_off(elapsed.into()))?.map_err(|error| log.broke_off(error))?;
        Ok(head)
    }

    /// The second in which the first line of a log was written, if there is one; `None` if there is no log. `previous`: of
    /// the run before its present one.
    pub(crate) async fn first_line(
        &self,
        log: &LogName,
        previous: bool,
    ) -> Result<Option<Option<Timestamp>>, LogError> {
        match self.head(log, previous).await {
            Ok(head) => {
                let mut follower = Follower::default();
                follower.push(&head, &mut vec![]);
                Ok(Some(follower.first()))
            }
            Err(error) if matches!(error.class(), Class::NotFound | Class::Senseless) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The newest `limit` bytes of one stream of an ended container, and whether something before them is known to be
    /// missing; `previous`: of the run before its present one.
    pub(crate) async fn stream(
        &self,
        streams: Streams,
        log: &LogName,
        previous: bool,
        limit: usize,
    ) -> Result<(Kept, bool), LogError> {
        match streams {
            Streams::Kubelet => self.of_files(log, limit).await,
            Streams::Api => self.of_api(log, previous, limit).await.map(|kept| (kept, false)),
            Streams::Merged | Streams::Wrapped => {
                self.log(log, previous, limit).await.map(|kept| (kept, false))
            }
        }
    }

    async fn of_api(&self, log: &LogName, previous: bool, limit: usize) -> Result<Kept, LogError> {
        match self.ask(log, previous).await? {
            Answers::Apart => {}
            Answers::Nothing => return Ok(Tail::new(0).finish()),
            Answers::Merged => return Err(log.not_separated()),
            Answers::Unclear | Answers::NoLog => return Err(log.missing()),
        }
        let _turn = self.logs.acquire().await.map_err(|_| log.not_opened(Fault::NotLeading))?;
        // Without stamps: not all that comes has one.
        let stream = self.open_log(log, LogParams { previous, ..LogParams::default() }).await?;
        let mut tail = Tail::new(limit);
        read_to_end(log, stream, |bytes| tail.push(bytes)).await?;
        Ok(tail.finish())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use actix::System;
    use tokio::time::{Duration, pause, sleep};

    use super::*;
    use crate::stand_in::{Reply, StandIn};

    const OUT: &str = "2026-01-01T00:00:01.000000001Z out\n";
    const ERR: &str = "2026-01-01T00:00:01.000000002Z err\n";

    fn replies(text: &str) -> Reply {
        Reply::Raw(text.into())
    }

    /// By a kubelet that knows no streams.
    fn refused() -> Reply {
        Reply::refused_with(400, "BadRequest", "unable to return the given log stream: \"Stdout\"")
    }

    fn log(part: Stream) -> LogName {
        LogName::of_test().part(part)
    }

    /// What is kept of a log that has ended, with these answers to who asks for standard output, standard error, and the
    /// whole log.
    async fn followed(answer: impl Fn(&str) -> Reply + Send + 'static) -> Vec<(Stream, String)> {
        let api = StandIn::answering(move |asked| answer(part_of(&asked.query)));
        let cluster = api.cluster();
        let (_over, is_over) = watch::channel(true);
        let log = RunLog::of_test();
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
            assert_eq!(followed(|_| replies("")).await, [], "nothing was there to be followed");
        });
    }

    #[test]
    fn one_that_gives_the_whole_log_for_each_has_not_told_them_apart() {
        System::new().block_on(async {
            let whole = [(Stream::Log, "out\nerr\n".to_owned())];
            assert_eq!(followed(|_| replies(&[OUT, ERR].concat())).await, whole);
        });
    }

    #[test]
    fn what_comes_without_a_stamp_is_left_for_a_read_without_stamps() {
        System::new().block_on(async {
            let behind_a_part = |part: &str| replies(if part == "Stdout" { OUT } else { "err\n" });
            assert_eq!(followed(behind_a_part).await, []);
            let api = StandIn::answering(|asked| {
                match (part_of(&asked.query), asked.query.contains("timestamps")) {
                    ("Stdout", _) => replies(OUT),
                    (_, _) => replies("err\n"),
                }
            });
            let cluster = api.cluster();
            assert_eq!(cluster.of_api(&log(Stream::Stderr), false, 1000).await.unwrap().bytes, b"err\n");
        });
    }

    #[test]
    fn it_is_known_while_the_container_runs_and_so_also_of_a_pod_that_is_gone_then() {
        System::new().block_on(async {
            pause();
            let (over, is_over) = watch::channel(false);
            let api = StandIn::answering(move |asked| {
                match (part_of(&asked.query), asked.query.contains("follow")) {
                    ("Stdout", true) => Reply::Stalling(OUT.into()),
                    ("Stdout", false) => replies(OUT),
                    (_, true) => Reply::Stalling(vec![]),
                    (_, false) => replies(""),
                }
            });
            let cluster = api.cluster();
            let answers = cluster.ask_until_told(&RunLog::of_test(), is_over).await;
            assert_eq!(answers, Answers::Apart);
            drop(over);
        });
    }

    #[test]
    fn who_breaks_a_long_silence_is_asked_about_at_once() {
        System::new().block_on(async {
            pause();
            let (_over, is_over) = watch::channel(false);
            let is_silent = Arc::new(AtomicBool::new(true));
            let silence = Arc::clone(&is_silent);
            let api = StandIn::answering(move |asked| match part_of(&asked.query) {
                "Stdout" if !silence.load(Ordering::Relaxed) => replies(OUT),
                _ => replies(""),
            });
            let cluster = api.cluster();
            let log = RunLog::of_test();
            let heard = Arc::clone(&log.heard);
            let asking = tokio::spawn(async move { cluster.ask_until_told(&log, is_over).await });
            sleep(Duration::from_secs(600)).await;
            is_silent.store(false, Ordering::Relaxed);
            heard.notify_one();
            assert_eq!(timeout(Duration::from_millis(1), asking).await.unwrap().unwrap(), Answers::Apart);
        });
    }

    #[test]
    fn where_streams_are_refused_the_whole_log_is_followed() {
        System::new().block_on(async {
            let refusing = |part: &str| if part == "All" { replies(OUT) } else { refused() };
            assert_eq!(followed(refusing).await, [(Stream::Log, "out\n".to_owned())]);
        });
    }

    #[test]
    fn a_read_at_the_end_asks_for_the_other_stream_too() {
        System::new().block_on(async {
            let read = async |answer: fn(&str) -> Reply| {
                let api = StandIn::answering(move |asked| match answer(part_of(&asked.query)) {
                    // Each line has its stamp before the first blank.
                    Reply::Raw(text) if !asked.query.contains("timestamps") => {
                        Reply::Raw(text.rsplit(|&byte| byte == b' ').next().unwrap_or_default().to_vec())
                    }
                    reply => reply,
                });
                let cluster = api.cluster();
                cluster.of_api(&log(Stream::Stderr), false, 1000).await.map(|kept| kept.bytes)
            };
            let apart = read(|part| replies(if part == "Stdout" { OUT } else { ERR })).await;
            assert_eq!(apart.unwrap(), b"err\n");
            let nothing = read(|part| replies(if part == "Stdout" { OUT } else { "" })).await;
            assert_eq!(nothing.unwrap(), b"");
            for answer in
                [|_: &str| replies(OUT), |part: &str| if part == "All" { replies(OUT) } else { refused() }]
            {
                let error = read(answer).await.unwrap_err();
                assert!(
                    matches!(error, LogError::NotSeparated(..)) && error.to_string().contains("node1"),
                    "{error}"
                );
            }
            let silent = read(|part| if part == "All" { replies("") } else { refused() });
            assert_eq!(silent.await.unwrap(), b"", "what is nothing holds nothing of the other");
            let never_started = read(|_| Reply::refused(400, "BadRequest")).await.unwrap_err();
            assert!(matches!(never_started, LogError::Open(..)), "{never_started}");
        });
    }
}
