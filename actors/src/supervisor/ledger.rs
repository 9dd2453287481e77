//! The ledger of an ExtendedJob: read at the start, written when a run can't start at once or an
//! edit changes what counts, and made anew where it is lost.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use extendedjob_api::conditions::reasons;
use extendedjob_decide::{
    declared::Declared,
    desk::Desk,
    fault::Class,
    ledger::{Ledger, Unreadable},
    pod::Version,
    retry::Backoff,
    run::root_of,
    transition::Trigger,
    view::Trouble,
};
use tokio::time::Instant;
use tracing::{error, warn};

use super::{Supervisor, turn::Turn};
use crate::{
    clock::steady,
    cluster::{
        kept::{Kept, pause_after},
        ledgers::{self, LedgerError},
    },
    messages::{Breach, Rebase, Sight, Sighted, TermBroken},
};

/// How the ledger stands to what is stored.
#[derive(Default)]
pub(super) struct Keeper {
    read: bool,
    /// The resourceVersion of the Secret, if there is one.
    object: Option<String>,
    /// What the Secret holds, packed.
    stored: Vec<u8>,
    /// What could not be read: it stays in the Secret, for someone to look at.
    set_aside: Option<Vec<u8>>,
    turn: Turn,
    backoff: Backoff,
    failures: u32,
    failing_since: Option<Instant>,
    /// It can't be written until someone does something about it, or could not be for long.
    refused: bool,
    /// Why it is not written.
    pub(super) trouble: Option<Trouble>,
    /// Why it was made anew.
    pub(super) rebuilt: Option<Trouble>,
    /// What was there at its start, or at its newest baseline, is in the book. Neither ledger nor Job comes
    /// before that: after a gap the next operator would judge by an older book.
    pub(super) book_written: bool,
    /// What was seen up to here may have been taken up by an operator before this one. `None` until it is known.
    pub(super) barrier: Option<Version>,
}

/// The least time between two writes of one ledger.
const PAUSE: Duration = Duration::from_millis(250);
/// After so long others are not held back any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many failures in a row are no hiccup.
const LASTING: u32 = 3;

#[derive(actix::Message)]
#[rtype(result = "()")]
struct ReadAgain;

#[derive(actix::Message)]
#[rtype(result = "()")]
struct WriteAgain;

impl Keeper {
    pub(super) fn is_read(&self) -> bool {
        self.read
    }

    /// How many bytes it has, packed.
    pub(super) fn size(&self) -> usize {
        self.stored.len()
    }

    /// Whether what was on record is lost.
    pub(super) fn is_rebuilt(&self) -> bool {
        self.rebuilt.is_some()
    }
}

impl Supervisor {
    /// Reads the ledger, if there should be one.
    pub(super) fn read_ledger(&mut self, ctx: &mut Context<Self>) {
        if self.keeper.read || !self.keeps_ledger() {
            return;
        }
        if self.declared.status.ledger.is_none() {
            // If there is one all the same, its creation will tell.
            self.keeper.read = true;
            self.take_in_ledger();
            return self.start_watcher(ctx);
        }
        self.fetch_ledger(ctx);
    }

    fn keeps_ledger(&self) -> bool {
        let Declared { spec, status, .. } = &*self.declared;
        // One that is there may say what is of no interest any more: it is taken out.
        spec.triggers.is_some() || spec.update_on_config_change || status.ledger.is_some()
    }

    /// Whether it is known what is on record, if anything is to be.
    pub(super) fn is_on_record(&self) -> bool {
        match self.declared.spec.triggers {
            Some(_) => self.desk.baseline().is_some(),
            None => !self.keeps_ledger() || self.keeper.read && self.restoring.is_none(),
        }
    }

    /// Goes by the ledger, once it and all Jobs are known. With a trigger, that has to be known first where the hub of
    /// pods is, see [`sighted`](Self::sighted).
    pub(super) fn take_in_ledger(&mut self) {
        if self.runs.is_none() || self.declared.spec.triggers.is_some() {
            return;
        }
        if self.keeps_ledger() && !self.keeper.read {
            return;
        }
        if let Some(ledger) = self.restoring.take() {
            self.desk = Desk::restored(ledger, 0);
        }
        // There is no book to wait for.
        self.keeper.book_written = true;
        self.know_jobs(0);
    }

    /// The Jobs that are there, or were when they were last told of, are the ones of their runs.
    fn know_jobs(&mut self, seen: Version) {
        let Some(runs) = &self.runs else { return };
        for job in runs.states.keys() {
            self.desk.adopt(job, seen);
        }
        let mut reached = u64::try_from(self.declared.status.config_revision).unwrap_or_default();
        for job in runs.jobs.values().filter(|job| job.revision > 0) {
            self.desk.stands_for(&job.name, &root_of(&self.declared, job), job.revision);
            reached = reached.max(job.revision);
        }
        self.desk.has_reached(&self.declared, reached);
        self.replacing.is_due = true;
        self.count_pods();
    }

    fn fetch_ledger(&mut self, ctx: &mut Context<Self>) {
        let (cluster, declared) = (self.around.cluster.clone(), self.declared.clone());
        let reading = async move { cluster.ledger(&declared).await };
        ctx.spawn(reading.into_actor(self).map(|read, supervisor, ctx| match read {
            Ok(kept) => supervisor.ledger_read(kept, ctx),
            Err(error) => {
                let delay = supervisor.keeper.backoff.after_failure(steady());
                supervisor.ledger_failed(&error, ctx);
                ctx.notify_later(ReadAgain, delay);
            }
        }));
    }

    fn ledger_read(&mut self, kept: Option<Kept>, ctx: &mut Context<Self>) {
        self.keeper.backoff.reset();
        self.keeper.trouble = None;
        self.keeper.read = true;
        match kept {
            None => {
                let message = format!("the ledger, Secret {}, is missing", ledgers::name(&self.declared));
                self.rebuild(reasons::LEDGER_LOST, &message, ctx);
            }
            Some(Kept { bytes, object }) => {
                self.keeper.object = Some(object);
                self.keeper.stored.clone_from(&bytes);
                match Ledger::decode(&bytes, &self.declared) {
                    Ok(ledger) => self.restoring = Some(ledger),
                    Err(error) => self.unreadable(bytes, &error, ctx),
                }
            }
        }
        self.take_in_ledger();
        if self.declared.spec.triggers.is_none() {
            self.advance(ctx);
        }
        self.start_watcher(ctx);
    }

    fn unreadable(&mut self, bytes: Vec<u8>, error: &Unreadable, ctx: &mut Context<Self>) {
        self.keeper.set_aside = Some(bytes);
        let message = format!("the ledger, Secret {}, can't be used: {error}", ledgers::name(&self.declared));
        self.rebuild(reasons::LEDGER_UNREADABLE, &message, ctx);
    }

    /// What was on record is lost: pods and Jobs are taken as they are.
    fn rebuild(&mut self, reason: &'static str, lost: &str, ctx: &mut Context<Self>) {
        self.span.in_scope(|| error!(lost, "rebuilding the ledger"));
        let message =
            format!("{lost}; made anew from the pods and Jobs that are there, without starting runs");
        self.warn(reason, None, message.clone(), ctx);
        self.keeper.rebuilt = Some(Trouble { reason, message });
    }

    /// It is known from where on pods count.
    pub(super) fn sighted(&mut self, sighted: Sighted, ctx: &mut Context<Self>) {
        let Sighted { sight, baseline, position, runs, lost } = sighted;
        self.keeper.book_written = false;
        self.keeper.barrier.get_or_insert(position);
        let mut again = false;
        if let Some(ledger) = self.restoring.take() {
            if let Err(error) = ledger.is_of(position) {
                self.rebuild(reasons::LEDGER_UNREADABLE, &error.to_string(), ctx);
                again = sight == Sight::Again;
            }
            self.desk = Desk::restored(ledger, position);
            self.settle_all(vec![]);
        }
        if let Some(Trouble { reason, message }) = lost {
            self.rebuild(reason, &message, ctx);
            again = true;
        }
        if sight != Sight::Again {
            self.desk.rebase(baseline, self.terms());
        }
        self.know_jobs(position);
        for run in runs {
            let brake = self.brakes.of(&run, steady());
            let run = run.under(&self.declared, self.desk.revision());
            if self.desk.newest(&run.root).is_none() {
                self.counts.fired(&run);
            }
            self.desk.fire(run, baseline.version, None, brake);
        }
        if again {
            self.rebase();
        }
        self.advance(ctx);
    }

    /// Takes the present state of pods as the baseline.
    pub(super) fn rebase(&self) {
        let (Some(triggers), Some(watcher)) = (&self.declared.spec.triggers, self.watcher.get(&())) else {
            return;
        };
        watcher.do_send(Rebase { trigger: Trigger::new(triggers), counts: !self.declared.spec.suspend });
    }

    /// Writes the ledger, if something waits for that.
    pub(super) fn write_ledger(&mut self, ctx: &mut Context<Self>) {
        if self.desk.is_urgent() || self.desk.in_writing().is_some() {
            self.tidy_ledger(ctx);
        }
    }

    /// Writes the ledger, if it is not as it should be and no write is under way.
    pub(super) fn tidy_ledger(&mut self, ctx: &mut Context<Self>) {
        if self.keeper.turn != Turn::Idle || self.declared.deleting || !self.keeper.book_written {
            return;
        }
        if let Some(ledger) = self.desk.due() {
            self.desk.writing(ledger);
        }
        let Some(ledger) = self.desk.in_writing() else { return };
        let bytes = match ledger.encode() {
            Ok(bytes) => bytes,
            Err(error) => return self.span.in_scope(|| error!(%error, "a ledger can't be packed")),
        };
        self.keeper.turn = Turn::Writing;
        let (cluster, declared) = (self.around.cluster.clone(), self.declared.clone());
        let (object, aside) = (self.keeper.object.clone(), self.keeper.set_aside.clone());
        let writing = async move {
            let object = cluster.store_ledger(&declared, object.as_deref(), &bytes, aside.as_deref()).await?;
            Ok((object, bytes))
        };
        ctx.spawn(writing.into_actor(self).map(|written, supervisor, ctx| match written {
            Ok((object, bytes)) => supervisor.ledger_written(object, bytes, ctx),
            Err(error) => supervisor.ledger_not_written(&error, ctx),
        }));
    }

    fn ledger_written(&mut self, object: String, bytes: Vec<u8>, ctx: &mut Context<Self>) {
        let keeper = &mut self.keeper;
        keeper.object = Some(object);
        keeper.stored = bytes;
        keeper.set_aside = None;
        keeper.backoff.reset();
        keeper.failures = 0;
        keeper.refused = false;
        keeper.failing_since = None;
        keeper.trouble = None;
        keeper.turn = Turn::Pausing;
        ctx.notify_later(WriteAgain, pause_after(keeper.stored.len()).max(PAUSE));
        let receipts = self.desk.written();
        self.settle_all(receipts);
        self.tell_of_change(ctx);
        self.advance(ctx);
    }

    fn ledger_not_written(&mut self, error: &LedgerError, ctx: &mut Context<Self>) {
        self.ledger_failed(error, ctx);
        match error.fault().class() {
            // An operator before this one made it, and did not come to tell: it stands.
            Class::AlreadyExists => {
                self.keeper.turn = Turn::Idle;
                self.desk = Desk::default();
                self.watcher.let_go(&());
                self.keeper.read = false;
                return self.fetch_ledger(ctx);
            }
            Class::Conflict => return self.look_who_wrote(ctx),
            // Someone deleted it. All that it held is known.
            Class::NotFound => {
                self.keeper.object = None;
                self.desk.not_written();
            }
            // It may have been done: the very same is written again, until that is known.
            Class::Transient => {
                let since = *self.keeper.failing_since.get_or_insert_with(Instant::now);
                self.keeper.refused |= since.elapsed() > PATIENCE;
                self.hold_nobody_back();
            }
            _ => {
                self.desk.not_written();
                self.keeper.refused = true;
                self.hold_nobody_back();
            }
        }
        self.write_later(ctx);
    }

    /// Where this ledger is refused, such as by a quota of its namespace, the checkpoint of all others
    /// goes on without it. The runs still wait; but should the operator end, the next one knows of them
    /// what the stamps of pods say.
    pub(super) fn hold_nobody_back(&mut self) {
        if self.keeper.refused {
            let receipts = self.desk.let_go();
            self.settle_all(receipts);
        }
    }

    /// The Secret is not as it was. If only its labels and the like are others, that is no one else's
    /// ledger.
    fn look_who_wrote(&mut self, ctx: &mut Context<Self>) {
        let (cluster, declared) = (self.around.cluster.clone(), self.declared.clone());
        let reading = async move { cluster.ledger(&declared).await };
        ctx.spawn(reading.into_actor(self).map(|read, supervisor, ctx| {
            match (read, supervisor.around.cluster.term().number()) {
                (Ok(Some(kept)), _) if kept.bytes == supervisor.keeper.stored => {
                    supervisor.keeper.object = Some(kept.object);
                }
                (Ok(Some(_)), Some(term)) => {
                    let breach = Breach::WrittenByOther;
                    return supervisor.around.operator.do_send(TermBroken { term, breach });
                }
                (Ok(Some(_)), None) => {}
                (Ok(None), _) => supervisor.keeper.object = None,
                (Err(error), _) => supervisor.ledger_failed(&error, ctx),
            }
            supervisor.write_later(ctx);
        }));
    }

    fn write_later(&mut self, ctx: &mut Context<Self>) {
        self.keeper.turn = Turn::Pausing;
        let delay = self.keeper.backoff.after_failure(steady());
        ctx.notify_later(WriteAgain, delay);
        self.report(ctx);
    }

    fn ledger_failed(&mut self, error: &LedgerError, ctx: &mut Context<Self>) {
        self.span.in_scope(|| warn!(%error, "ledger"));
        self.keeper.failures += 1;
        if error.fault().class() != Class::Transient || self.keeper.failures >= LASTING {
            self.nothing_on_record(&error.to_string(), ctx);
        }
    }

    /// The ledger, or the book that it waits for, can't be written.
    pub(super) fn nothing_on_record(&mut self, error: &str, ctx: &mut Context<Self>) {
        let message = format!("{error}; what waits may be lost if the operator restarts before it can");
        if self.keeper.trouble.as_ref().is_none_or(|trouble| trouble.message != message) {
            self.warn(reasons::LEDGER_NOT_WRITTEN, None, message.clone(), ctx);
        }
        self.keeper.trouble = Some(Trouble { reason: reasons::LEDGER_NOT_WRITTEN, message });
    }
}

impl Handler<ReadAgain> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: ReadAgain, ctx: &mut Self::Context) {
        self.fetch_ledger(ctx);
    }
}

impl Handler<WriteAgain> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: WriteAgain, ctx: &mut Self::Context) {
        self.keeper.turn = Turn::Idle;
        self.advance(ctx);
    }
}
