//! What is kept of a log that is followed: of the whole, or of each run of the container that it serves.

use extendedjob_decide::boundary::{Boundary, Part, Splitter};

use crate::capture::{Capture, Recorder, Spool};

/// Told what a run of a container has left in the log of its drain, and how often that was started before the next one,
/// which begins.
pub(crate) type Tell = Box<dyn Fn(Section, u32)>;

/// How a log is taken apart, and who wants to know what of it is whole already.
pub(crate) struct Sections {
    pub(crate) boundary: Boundary,
    pub(crate) tell: Tell,
}

/// What a run has left.
pub(crate) struct Section {
    /// How often the container had been started before; `None`: what stands before the first mark.
    pub(crate) run: Option<u32>,
    pub(crate) capture: Capture,
}

/// Keeps the newest part of a log, or of each of its sections.
pub(super) struct Keeper {
    spool: Spool,
    keep: usize,
    recorder: Recorder,
    seen: u64,
    run: Option<u32>,
    sections: Option<(Splitter, Tell)>,
}

impl Keeper {
    pub(super) fn new(spool: Spool, keep: usize, sections: Option<Sections>) -> Self {
        let recorder = Recorder::new(spool.clone(), keep);
        let sections = sections.map(|Sections { boundary, tell }| (boundary.splitter(), tell));
        Self { spool, keep, recorder, seen: 0, run: None, sections }
    }

    /// How long the log is so far.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) async fn push(&mut self, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        let Some((splitter, _)) = &mut self.sections else { return self.recorder.push(bytes).await };
        for part in splitter.push(bytes) {
            match part {
                Part::Bytes(bytes) => self.recorder.push(&bytes).await,
                Part::Run(run) => self.begin(run).await,
            }
        }
    }

    async fn begin(&mut self, next: u32) {
        let recorder = Recorder::new(self.spool.clone(), self.keep);
        let capture = std::mem::replace(&mut self.recorder, recorder).finish().await;
        let run = self.run.replace(next);
        if let Some((_, tell)) = &self.sections {
            tell(Section { run, capture }, next);
        }
    }

    /// The log has ended: its last section.
    pub(super) async fn finish(mut self) -> Section {
        if let Some((splitter, _)) = &mut self.sections {
            self.recorder.push(&splitter.finish()).await;
        }
        Section { run: self.run, capture: self.recorder.finish().await }
    }
}
