//! Reads the logs of a Job's containers while they are written, and tells of an attempt when all of its logs are read.

use std::{collections::BTreeSet, sync::Arc};

use actix::{AsyncContext, Context, Handler, WrapFuture};
use extendedjob_api::{Stream, Streams};
use extendedjob_decide::{
    attempts::{AttemptEnd, Begun, JobPod, LogId},
    job::Job,
    output, wrap,
};
use tokio::sync::watch;
use tracing::Instrument as _;

use super::{JobRunner, Stage, following::Following};
use crate::{
    cluster::logs::{Followed, LogName, Parts, RunLog, Section, Sections},
    messages::{Logs, RunNews},
};

/// A log that is followed.
pub(super) enum Log {
    /// To be told when its container has ended.
    Open(watch::Sender<bool>),
    Read(Parts),
}

/// A log, or its last section, has been read to its end.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct LogRead {
    log: LogId,
    parts: Parts,
    /// It is that of a drain that serves several runs.
    is_shared: bool,
}

/// What a run of a container has left in the log of its drain is read, and the next run has begun.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct SectionRead {
    log: LogId,
    section: Section,
    next: u32,
}

impl JobRunner {
    /// Reads a log while it is written: at its end it may have been rotated, or removed with its pod.
    pub(super) fn follow_log(&mut self, begun: Begun, pod: &JobPod, ctx: &mut Context<Self>) {
        if self.declared.spec.output.is_none() {
            return;
        }
        let wants_stderr = self.wants_stderr();
        let Stage::Following(Following { job: Some(job), logs, drains, .. }) = &mut self.stage else {
            return;
        };
        let Begun { log: id, in_place, at: began } = begun;
        let is_drain = wrap::is_drain(&id.container);
        // One that someone has added to the pod is none of the user's.
        let is_wanted = if is_drain { wants_stderr } else { job.containers.contains(&id.container) };
        if !is_wanted {
            return;
        }
        let (sender, over) = watch::channel(false);
        logs.insert(id.clone(), Log::Open(sender));
        let sections = (is_drain && in_place).then(|| {
            drains.begun(&id);
            let (log, me) = (id.clone(), ctx.address());
            let tell = move |section, next| me.do_send(SectionRead { log: log.clone(), section, next });
            Sections { boundary: job.boundary(), tell: Box::new(tell) }
        });
        let name = LogName {
            namespace: job.namespace.clone(),
            pod: pod.name.clone(),
            uid: pod.uid.clone(),
            node: pod.node.clone(),
            container: id.container.clone(),
            restart: id.restart,
            part: Stream::Log,
        };
        let log = RunLog::new(name, in_place || is_drain, began);
        let (cluster, is_shared, me) = (self.means.cluster.clone(), sections.is_some(), ctx.address());
        let streams = job.streams;
        let following = async move {
            let parts = cluster.follow(streams, log, output::MOST, sections, over).await;
            // By a message, which comes behind those of its sections.
            me.do_send(LogRead { log: id, parts, is_shared });
        };
        ctx.spawn(following.instrument(self.means.span.clone()).into_actor(self));
    }

    fn wants_stderr(&self) -> bool {
        self.declared.spec.output.as_ref().is_some_and(|output| output.stderr.is_some())
    }

    /// Tells of the attempts whose logs are read.
    pub(super) fn tell_read(&mut self) {
        let wants_stderr = self.wants_stderr();
        let Stage::Following(following) = &mut self.stage else { return };
        let Following { job: Some(job), logs, drains, attempts, unread, .. } = following else { return };
        let is_open = |log: &LogId| matches!(logs.get(log), Some(Log::Open(_)));
        let may_go_on = |attempt: &AttemptEnd| {
            let shared = shared_drain(job, attempt).filter(|_| wants_stderr);
            shared.is_some_and(|(drain, run)| {
                drains.may_go_on(&run.pod, &drain, run.restart, attempts.is_over(&run.pod))
            })
        };
        let read: Vec<AttemptEnd> = unread
            .extract_if(.., |attempt| !attempt.logs.iter().any(is_open) && !may_go_on(attempt))
            .collect();
        for mut attempt in read {
            let mut followed = Logs::new();
            for log in &attempt.logs {
                if let Some(Log::Read(parts)) = logs.remove(log) {
                    let of_log = |(stream, part)| ((log.clone(), stream), part);
                    followed.extend(parts.into_iter().map(of_log));
                }
            }
            if let Some((drain, run)) = shared_drain(job, &attempt) {
                let (pod, sections) = (run.pod.clone(), drains.take(&run.pod, &drain, run.restart));
                match sections.is_empty() {
                    true => attempt.logs.extend(attempts.logs_of_drain(&pod, &drain)),
                    false => {
                        let logs: BTreeSet<LogId> = sections.keys().map(|(log, _)| log.clone()).collect();
                        attempt.logs.extend(logs);
                    }
                }
                followed.extend(sections);
            }
            let job = Arc::clone(job);
            self.supervisor.do_send(RunNews::AttemptEnded { job, attempt, followed });
        }
    }
}

/// The drain that an attempt shares with the others of its container, and the run that it was.
fn shared_drain<'a>(job: &Job, attempt: &'a AttemptEnd) -> Option<(String, &'a LogId)> {
    let run = attempt.logs.first().filter(|_| attempt.in_place && job.streams == Streams::Wrapped)?;
    let place = job.containers.iter().position(|container| *container == run.container)?;
    Some((wrap::drain_of(place), run))
}

impl Handler<LogRead> for JobRunner {
    type Result = ();

    fn handle(&mut self, LogRead { log, parts, is_shared }: LogRead, ctx: &mut Self::Context) {
        let Stage::Following(Following { logs, drains, .. }) = &mut self.stage else { return };
        if is_shared {
            logs.remove(&log);
            parts.into_iter().for_each(|(_, section)| drains.read(&log, section, None));
        } else {
            logs.insert(log, Log::Read(parts));
        }
        self.tell_read();
        self.end_if_complete(ctx);
    }
}

impl Handler<SectionRead> for JobRunner {
    type Result = ();

    fn handle(&mut self, SectionRead { log, section, next }: SectionRead, ctx: &mut Self::Context) {
        if let Stage::Following(Following { drains, .. }) = &mut self.stage {
            drains.read(&log, Followed::whole_section(section), Some(next));
        }
        self.tell_read();
        self.end_if_complete(ctx);
    }
}
