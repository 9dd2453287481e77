//! The log of a container, followed from its start to its end, over all breaks.

use std::sync::Arc;

use extendedjob_api::Stream;
use extendedjob_decide::{attempts, fault::Class, follow::Follower, retry::Backoff};
use futures::AsyncReadExt;
use jiff::Timestamp;
use kube::core::subresource::LogParams;
use tokio::{
    sync::{Notify, SemaphorePermit, watch},
    time::{Duration, Instant, timeout},
};
use tracing::{debug, warn};

use super::{CHUNK, LogError, LogName, RunLog, Section, Sections, sections::Keeper, whole};
use crate::{capture::Capture, clock::steady, cluster::Cluster};

/// A program may be silent for hours; but so may a connection that was forgotten on its way. Taken up again, nothing
/// is lost.
const SILENCE: Duration = Duration::from_secs(600);
/// Of a container that has ended nothing more comes; yet the kubelet does not always end what it sends.
const SILENCE_AT_END: Duration = Duration::from_secs(5);
/// A log ends when its container does; the pod tells so a little later. Else the log has only broken off.
const NEWS: Duration = Duration::from_secs(2);
/// Of a container that may be started again it is waited for longer: what is read on too early may be the log of its next
/// run, of which the pod has not told yet, either.
const NEWS_OF_RESTART: Duration = Duration::from_secs(15);
/// How long it is tried to read on when the container has ended: of a pod that is gone there is nothing to read.
const PATIENCE: Duration = Duration::from_secs(30);

/// A log of this length may have been rotated, and the kubelet, which looks for that each ten seconds, does not always
/// send what comes after it to who follows: it is read again from where it ended.
const ROTATABLE: u64 = 256 * 1024;

/// What came of following a log.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    /// The newest part of it, or of its last section.
    pub(crate) capture: Capture,
    /// Which section that is.
    pub(crate) section: Option<u32>,
    /// It was read to its end.
    pub(crate) ended: bool,
    /// What stood between two rotations may be missing.
    pub(crate) possibly_rotated: bool,
    /// The second in which its first line was written.
    first: Option<Timestamp>,
    /// It is one stream of a log, and can't be followed as such.
    pub(super) unfit: bool,
}

impl Followed {
    /// What a run has left in the log of its drain, which goes on.
    pub(crate) fn whole_section(Section { run, capture, possibly_rotated }: Section) -> Self {
        Self { capture, section: run, ended: true, possibly_rotated, first: None, unfit: false }
    }

    /// One stream out of log files.
    pub(super) fn of_file(
        capture: Capture,
        ended: bool,
        possibly_rotated: bool,
        first: Option<Timestamp>,
    ) -> Self {
        Self { capture, section: None, ended, possibly_rotated, first, unfit: false }
    }

    /// Of a log that was followed for a while.
    #[cfg(test)]
    pub(crate) fn cut_short(capture: Capture) -> Self {
        Self { ended: false, ..Self::whole_section(Section { run: None, capture, possibly_rotated: true }) }
    }

    /// Whether it may be of a container that ended in this second. One that was started again right away may have
    /// been faster than the request for the log of the run before.
    pub(crate) fn began_by(&self, end: Option<Timestamp>) -> bool {
        self.first.zip(end).is_none_or(|(first, end)| first <= end)
    }

    /// Nothing was written.
    pub(crate) fn is_silent(&self) -> bool {
        self.capture.seen() == 0
    }
}

impl Cluster {
    /// Follows a log, and keeps at least the newest `keep` bytes, or as much of each of its sections. `over` says that the
    /// container has ended.
    pub(super) async fn follow_log(
        &self,
        RunLog { name: log, may_be_another, began, heard }: RunLog,
        keep: usize,
        sections: Option<Sections>,
        mut over: watch::Receiver<bool>,
    ) -> Followed {
        let keeper = Keeper::new(self.spool.clone(), keep, sections);
        let mut following =
            Following { heard, follower: Follower::default(), keeper, began, is_late: None, unfit: false };
        let Some(_turn) = self.turn_to_follow(&mut over).await else { return following.end(false).await };
        let mut backoff = Backoff::default();
        let mut failing_since: Option<Instant> = None;
        let (mut is_checked, mut is_opened) = (false, false);
        loop {
            // What is read on may be the log of another run by now.
            let is_it = async || match may_be_another && is_opened {
                true => self.restarts(&log).await.map(|now| now == Some(log.restart)),
                false => Ok(true),
            };
            let read = match is_it().await {
                Ok(true) => following.read(self, &log, &mut over).await,
                Ok(false) => return following.end(false).await,
                Err(error) => Err(error),
            };
            is_opened = true;
            let is_over = *over.borrow();
            if following.unfit {
                return following.end(false).await;
            }
            let error = match read {
                Ok(()) if is_over || is_over_soon(&mut over, may_be_another).await => {
                    if is_checked || following.keeper.seen() < ROTATABLE {
                        return following.end(true).await;
                    }
                    is_checked = true;
                    following.follower.resume();
                    continue;
                }
                Ok(()) => {
                    failing_since = None;
                    None
                }
                Err(error) => Some(error),
            };
            following.follower.resume();
            if let Some(error) = error {
                if error.is_about_streams() {
                    following.unfit = true;
                    return following.end(false).await;
                }
                let since = *failing_since.get_or_insert_with(Instant::now);
                let is_gone = matches!(error.class(), Class::NotFound | Class::Senseless);
                if is_over && (is_gone || since.elapsed() > PATIENCE) {
                    warn!(%error, "a log that was followed could not be read to its end");
                    return following.end(false).await;
                }
                debug!(%error, "a log that is followed broke off");
            }
            // The end of the container ends the wait, too.
            let delay = backoff.after_failure(steady());
            if timeout(delay, over.changed()).await.is_ok_and(|told| told.is_err()) {
                // Nobody wants to know any more.
                return following.end(false).await;
            }
        }
    }
}

impl Cluster {
    /// Held by whoever follows a log. Who has no turn by the end of the container is not held up by the others: its log is
    /// read then.
    pub(super) async fn turn_to_follow(
        &self,
        over: &mut watch::Receiver<bool>,
    ) -> Option<SemaphorePermit<'_>> {
        tokio::select! {
            biased;
            turn = self.follows.acquire() => turn.ok(),
            _ = over.wait_for(|over| *over) => None,
        }
    }
}

async fn is_over_soon(over: &mut watch::Receiver<bool>, may_be_another: bool) -> bool {
    let patience = if may_be_another { NEWS_OF_RESTART } else { NEWS };
    matches!(timeout(patience, over.wait_for(|over| *over)).await, Ok(Ok(_)))
}

struct Following {
    follower: Follower,
    keeper: Keeper,
    /// When the run began.
    began: Option<Timestamp>,
    /// Before its log was opened there was time enough to rotate it.
    is_late: Option<bool>,
    /// See [`Followed::unfit`].
    unfit: bool,
    heard: Arc<Notify>,
}

impl Following {
    /// Reads on until the log ends or breaks off.
    async fn read(
        &mut self,
        cluster: &Cluster,
        log: &LogName,
        over: &mut watch::Receiver<bool>,
    ) -> Result<(), LogError> {
        // What has ended is read like any log: the kubelet has to watch nothing for it.
        let params = LogParams {
            follow: !*over.borrow(),
            timestamps: true,
            since_time: self.follower.since(),
            ..LogParams::default()
        };
        let stream = cluster.open_log(log, params).await?;
        self.is_late.get_or_insert_with(|| attempts::is_late(self.began, Timestamp::now()));
        let mut stream = std::pin::pin!(stream);
        let (mut chunk, mut taken) = (vec![0; CHUNK], vec![]);
        loop {
            let is_over = *over.borrow();
            let silence = if is_over { SILENCE_AT_END } else { SILENCE };
            let read = tokio::select! {
                read = timeout(silence, stream.read(&mut chunk)) => read,
                told = over.wait_for(|over| *over), if !is_over => match told {
                    Ok(_) => continue,
                    // Nobody wants to know any more.
                    Err(_) => return Ok(()),
                },
            };
            let length = read
                .map_err(|elapsed| log.broke_off(elapsed.into()))?
                .map_err(|error| log.broke_off(error))?;
            if length == 0 {
                return whole(&self.follower, log);
            }
            if self.keeper.seen() == 0 {
                self.heard.notify_one();
            }
            self.follower.push(&chunk[..length], &mut taken);
            // Kubelets leave out the stamp of what comes after a part of a line, also if that was of the other stream.
            if log.part != Stream::Log && self.follower.has_stray() {
                self.unfit = true;
                return Ok(());
            }
            let possibly_rotated = self.is_possibly_rotated();
            self.keeper.push(&taken, possibly_rotated).await;
            taken.clear();
        }
    }

    /// Whether something that was written before what has been read may be missing.
    fn is_possibly_rotated(&self) -> bool {
        let begins_late = self.is_late == Some(true)
            && attempts::begins_late(self.began, self.follower.first()) == Some(true);
        begins_late || self.follower.has_gap()
    }

    async fn end(self, ended: bool) -> Followed {
        let (first, unfit) = (self.follower.first(), self.unfit);
        let possibly_rotated = !ended || self.is_possibly_rotated();
        let Section { run: section, capture, .. } = self.keeper.finish(possibly_rotated).await;
        Followed { capture, section, ended, possibly_rotated, first, unfit }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use actix::System;
    use extendedjob_decide::boundary::Boundary;
    use serde_json::json;
    use tokio::time::pause;

    use super::*;
    use crate::stand_in::{Reply, StandIn};

    const FIRST: &str = "2026-01-01T00:00:01.000000001Z one\n";
    const SECOND: &str = "2026-01-01T00:00:05.000000002Z two\n";

    fn log() -> RunLog {
        RunLog::of_test()
    }

    /// Answers one after the other, and the last one from then on; says what was taken, and how often it was asked.
    async fn follow(answers: Vec<Reply>, over: watch::Receiver<bool>) -> (String, Followed, usize) {
        let mut answers = answers.into_iter();
        let mut api = StandIn::answering(move |_| answers.next().unwrap_or(Reply::Raw(SECOND.into())));
        let cluster = api.cluster();
        let followed = cluster.follow_log(log(), 1000, None, over).await;
        let kept = followed.capture.tail(1000).await.unwrap();
        let asked = api.count(|asked| asked.path.ends_with("/log"));
        (String::from_utf8(kept.bytes).unwrap(), followed, asked)
    }

    /// Tells after so many seconds that the container has ended.
    fn over_after(seconds: u64) -> watch::Receiver<bool> {
        let (over, is_over) = watch::channel(false);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            over.send_replace(true);
            std::future::pending::<()>().await;
        });
        is_over
    }

    #[test]
    fn a_log_that_ends_with_its_container_is_asked_for_once() {
        System::new().block_on(async {
            let (_over, is_over) = watch::channel(true);
            let (text, followed, asked) =
                follow(vec![Reply::Raw([FIRST, SECOND].concat().into())], is_over).await;
            assert_eq!((text.as_str(), asked), ("one\ntwo\n", 1));
            assert!(followed.ended && !followed.possibly_rotated);
            let end = |text: &str| Some(text.parse().unwrap());
            assert!(followed.began_by(end("2026-01-01T00:00:01Z")));
            assert!(!followed.began_by(end("2026-01-01T00:00:00Z")));
        });
    }

    #[test]
    fn a_log_that_ends_before_its_container_is_taken_up_where_it_broke_off() {
        System::new().block_on(async {
            pause();
            let is_over = over_after(20);
            // In the middle of the second line's stamp, and in the middle of that line.
            let answers =
                [26, 2].map(|more| Reply::Raw([FIRST, &SECOND[..SECOND.len() - more]].concat().into()));
            let again = Reply::refused(503, "ServiceUnavailable");
            let (text, followed, _) = follow(answers.into_iter().chain([again]).collect(), is_over).await;
            assert_eq!(text, "one\ntwo\n");
            assert!(followed.ended && !followed.possibly_rotated);
        });
    }

    #[test]
    fn what_the_kubelet_can_not_follow_is_read_until_its_container_ends() {
        System::new().block_on(async {
            pause();
            let is_over = over_after(5);
            let refusal = "failed to create fsnotify watcher: too many open files";
            let refused = || Reply::Raw([FIRST, refusal].concat().into());
            let answers = std::iter::repeat_with(refused).take(2);
            let (text, followed, _) = follow(answers.collect(), is_over).await;
            assert_eq!(text, "one\ntwo\n");
            assert!(followed.ended);
        });
    }

    #[test]
    fn a_log_that_has_no_turn_keeps_nobody_waiting() {
        System::new().block_on(async {
            let api = StandIn::answering(|_| Reply::Raw(FIRST.into()));
            let cluster = api.cluster();
            let all = u32::try_from(cluster.follows.available_permits()).unwrap();
            let _others = cluster.follows.acquire_many(all).await.unwrap();
            let (_over, is_over) = watch::channel(true);
            let following = cluster.follow_log(log(), 1000, None, is_over);
            assert!(!timeout(Duration::from_secs(5), following).await.unwrap().ended);
        });
    }

    #[test]
    fn a_log_is_not_taken_up_again_in_that_of_the_next_run() {
        System::new().block_on(async {
            pause();
            let api = StandIn::answering(|asked| {
                if asked.path.ends_with("/log") {
                    return Reply::Raw(FIRST.into());
                }
                let owner = json!({ "apiVersion": "batch/v1", "kind": "Job", "uid": "job", "controller": true });
                let labels = json!({ "fissile.cloudfoundry.org/extendedjob": "x" });
                let metadata = json!({ "name": "p", "resourceVersion": "1", "labels": labels, "ownerReferences": [owner] });
                let spec = json!({ "containers": [{ "name": "c" }] });
                let status = json!({ "containerStatuses": [{ "name": "c", "restartCount": 1 }] });
                let pod = json!({ "metadata": metadata, "spec": spec, "status": status });
                Reply::Now(200, json!({ "items": [pod] }))
            });
            let cluster = api.cluster();
            let first_run = RunLog { may_be_another: true, ..log() };
            let followed = cluster.follow_log(first_run, 1000, None, over_after(20)).await;
            assert_eq!(followed.capture.tail(1000).await.unwrap().bytes, b"one\n");
            assert!(!followed.ended && followed.possibly_rotated);
        });
    }

    #[test]
    fn nothing_is_read_on_while_the_pod_may_not_have_told_of_the_end_yet() {
        System::new().block_on(async {
            pause();
            let mut api = StandIn::answering(|_| Reply::Raw(FIRST.into()));
            let cluster = api.cluster();
            let run = RunLog { may_be_another: true, ..log() };
            let followed = cluster.follow_log(run, 1000, None, over_after(10)).await;
            assert_eq!(followed.capture.tail(1000).await.unwrap().bytes, b"one\n");
            assert!(followed.ended && api.count(|asked| asked.path.ends_with("/log")) == 1);
        });
    }

    #[test]
    fn a_log_that_is_followed_late_and_begins_late_may_have_been_rotated() {
        System::new().block_on(async {
            // The first line is of second 1, and it is long ago.
            for (began, is_rotated) in [("2025-12-31T23:59:50Z", true), ("2026-01-01T00:00:00Z", false)] {
                let api = StandIn::answering(|_| Reply::Raw(FIRST.into()));
                let cluster = api.cluster();
                let (_over, is_over) = watch::channel(true);
                let late = RunLog { began: Some(began.parse().unwrap()), ..log() };
                assert_eq!(cluster.follow_log(late, 1000, None, is_over).await.possibly_rotated, is_rotated);
            }
        });
    }

    #[test]
    fn a_log_that_does_not_end_with_its_container_keeps_nobody_waiting() {
        System::new().block_on(async {
            pause();
            let is_over = over_after(5);
            let began = Instant::now();
            let (text, followed, _) = follow(vec![Reply::Stalling(FIRST.into())], is_over).await;
            assert_eq!(text, "one\ntwo\n");
            assert!(followed.ended && began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        });
    }

    #[test]
    fn each_section_is_told_when_the_next_one_begins() {
        System::new().block_on(async {
            let boundary = Boundary::of("uid", "job");
            let token = boundary.token();
            let lines = ["", &format!("{token} 0"), "first", "", &format!("{token} 1"), "second"];
            let stamped = lines.map(|line| format!("2026-01-01T00:00:01Z {line}\n"));
            let api = StandIn::answering(move |_| Reply::Raw(stamped.concat().into()));
            let cluster = api.cluster();
            let told = Arc::new(Mutex::new(vec![]));
            let list = Arc::clone(&told);
            let tell = move |section, next| list.lock().unwrap().push((section, next));
            let sections = Sections { boundary, tell: Box::new(tell) };
            let (_over, is_over) = watch::channel(true);
            let last = cluster.follow_log(log(), 1000, Some(sections), is_over).await;
            assert_eq!(
                (last.section, last.capture.tail(99).await.unwrap().bytes),
                (Some(1), b"second\n".to_vec())
            );
            let told = std::mem::take(&mut *told.lock().unwrap());
            let [(before, 0), (first, 1)] = &told[..] else { panic!("{} sections", told.len()) };
            assert_eq!((before.run, before.capture.seen()), (None, 0));
            assert_eq!(
                (first.run, first.capture.tail(99).await.unwrap().bytes),
                (Some(0), b"first\n".to_vec())
            );
        });
    }

    #[test]
    fn of_a_pod_that_is_gone_is_kept_what_was_read() {
        System::new().block_on(async {
            pause();
            let is_over = over_after(5);
            let gone = || {
                Reply::Now(
                    404,
                    json!({ "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound" }),
                )
            };
            let answers =
                std::iter::once(Reply::Raw(FIRST.into())).chain(std::iter::repeat_with(gone).take(50));
            let (text, followed, _) = follow(answers.collect(), is_over).await;
            assert_eq!(text, "one\n");
            assert!(!followed.ended && followed.possibly_rotated);
        });
    }
}
