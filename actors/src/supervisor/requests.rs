//! Requests for runs that no pod triggers: accepts them, has their runs started, and sets `run` back.
//!
//! Duty: no run starts before its request is accepted in the status, and no outcome is told before `run` is back at
//! `manually`. Each step is done again until it is known to be done, see
//! [`decide::requests`](extendedjob_decide::requests).

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use extendedjob_api::{Mode, Run as Asked, conditions::reasons};
use extendedjob_decide::{
    brake::{Bucket, delay_until},
    desk::Brake,
    fault::Class,
    requests::{self, Next, Request},
    retry::Backoff,
    run::{By, Run},
    view::{self, Stage, Trouble},
};
use tracing::{debug, info, warn};

use super::Supervisor;
use crate::{clock::steady, cluster::extendedjobs::ExtendedJobError, messages::Edited};

/// So many failures in a row are no hiccup.
const LASTING: u32 = 3;

/// How the requests stand.
#[derive(Default)]
pub(super) struct Requests {
    /// What the next write of the status accepts.
    pub(super) accepting: Option<Request>,
    /// One waits to be accepted.
    pub(super) waits: bool,
    /// A reset is under way.
    resetting: bool,
    /// The namespace is about to go, and the Job of the last one can't be made.
    pub(super) is_forsaken: bool,
    look_again: Option<SpawnHandle>,
    bucket: Bucket,
    backoff: Backoff,
    failures: u32,
    /// Why no request is accepted, or `run` is not set back.
    pub(super) trouble: Option<Trouble>,
}

/// Time has passed: the brake may let a request through.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct LookAgain;

#[derive(actix::Message)]
#[rtype(result = "()")]
struct ResetAgain;

impl Requests {
    /// Whether what is to be told is about to change.
    pub(super) fn is_at_work(&self) -> bool {
        self.resetting && self.failures == 0
    }
}

impl Supervisor {
    /// Does what is to be done about requests.
    pub(super) fn take_up_requests(&mut self, ctx: &mut Context<Self>) {
        if self.runs.is_none() || self.declared.deleting || !self.is_on_record() {
            return;
        }
        let is_over = self.is_request_over();
        let number = self.declared.status.run_number;
        if number > 0 && !is_over {
            // The watch may tell of it before the write is answered.
            let accepted = self.requests.accepting.take_if(|request| request.number == number);
            let by = self.who_asked(accepted.unwrap_or(Request { number, handles: None }));
            self.start_request(number, by);
        }
        self.requests.waits = false;
        match requests::next(&self.declared, is_over) {
            Next::Accept(request) => self.accept(request, ctx),
            Next::Reset(number) => self.reset(number, ctx),
            Next::Ignore(value) => self.ignore_request(value, ctx),
            Next::Rest => {
                self.requests.accepting = None;
                self.requests.trouble = None;
                self.requests.failures = 0;
            }
        }
    }

    /// Whether the run of the request accepted last is over, and its output was tried.
    fn is_request_over(&self) -> bool {
        let status = &self.declared.status;
        let Some(runs) = self.runs.as_ref().filter(|_| status.run_number > 0) else { return false };
        let job = self.job_of_request(status.run_number);
        match runs.states.get(&job) {
            Some(run) => run.stage != Stage::Active && !runs.busy.contains(&job),
            None if self.desk.waiting(&job).is_some() => false,
            None => {
                let told = status.runs.iter().any(|run| run.job == job);
                told || status.completed_run_number >= status.run_number
            }
        }
    }

    fn job_of_request(&self, number: i64) -> String {
        let run = Run::for_request(&self.declared, number, By::Someone);
        match self.desk.newest(&run.root) {
            Some(job) => job.to_owned(),
            None => run.under(&self.declared, self.desk.revision()).job,
        }
    }

    fn accept(&mut self, request: Request, ctx: &mut Context<Self>) {
        if self.requests.accepting.as_ref() == Some(&request) {
            return;
        }
        if self.may_not_start() {
            self.requests.accepting = None;
            self.requests.trouble = None;
            self.requests.waits = true;
            return;
        }
        // Nobody flaps who has asked for nothing yet.
        let (limit, now) = (self.around.limits.requests, steady());
        if request.number > 1 && !self.requests.bucket.take(limit, now) {
            self.requests.waits = true;
            if let Some(handle) = self.requests.look_again.take() {
                ctx.cancel_future(handle);
            }
            let delay = delay_until(self.requests.bucket.next(limit), now);
            self.requests.look_again = Some(ctx.notify_later(LookAgain, delay));
            let who = match (self.declared.spec.run, &self.declared.run_manager) {
                (Some(Asked::Now), Some(manager)) => format!("{manager} has set run to now"),
                (Some(Asked::Now), None) => "run was set to now".to_owned(),
                _ => "a run was requested by annotation".to_owned(),
            };
            let message = format!(
                "{who}, as often as {} times in a short time; one more run may start each {:?}",
                limit.burst, limit.every
            );
            return self.hinder_requests(reasons::TOO_MANY_RUNS, message, ctx);
        }
        if self.requests.trouble.as_ref().is_some_and(|trouble| trouble.reason == reasons::TOO_MANY_RUNS) {
            self.requests.trouble = None;
        }
        self.requests.accepting = Some(request);
    }

    fn hinder_requests(&mut self, reason: &'static str, message: String, ctx: &mut Context<Self>) {
        let trouble = Trouble { reason, message };
        if self.requests.trouble.as_ref() != Some(&trouble) {
            self.warn(reason, None, trouble.message.clone(), ctx);
        }
        self.requests.trouble = Some(trouble);
    }

    fn ignore_request(&mut self, value: String, ctx: &mut Context<Self>) {
        let answer = Request { number: self.declared.status.run_number, handles: Some(value) };
        if self.requests.accepting.as_ref() != Some(&answer) {
            let note =
                "the annotation run-requested-at is ignored: runs of this ExtendedJob are triggered by pods";
            self.warn(reasons::REQUEST_IGNORED, None, note.to_owned(), ctx);
            self.requests.accepting = Some(answer);
        }
    }

    /// The status says that this request is accepted.
    pub(super) fn request_accepted(&mut self, request: Request, ctx: &mut Context<Self>) {
        if self.requests.accepting.as_ref() == Some(&request) {
            self.requests.accepting = None;
        }
        if self.declared.spec.triggers.is_none() {
            let number = request.number;
            let by = self.who_asked(request);
            self.start_request(number, by);
        }
        self.advance(ctx);
    }

    fn who_asked(&self, request: Request) -> By {
        match (request.handles, self.declared.spec.run) {
            _ if self.declared.mode() == Some(Mode::Once) && request.number == 1 => By::Creation,
            (_, Some(Asked::Now)) => By::Now(self.declared.run_manager.clone()),
            (Some(value), _) => By::Annotation(value),
            (None, _) => By::Someone,
        }
    }

    fn start_request(&mut self, number: i64, by: By) {
        let run = Run::for_request(&self.declared, number, by);
        if !self.requests.is_forsaken && self.desk.newest(&run.root).is_none() {
            let run = run.under(&self.declared, self.desk.revision());
            self.desk.fire(run, 0, None, Brake::Closed);
        }
    }

    /// The run is over: `now` has been done.
    fn reset(&mut self, number: i64, ctx: &mut Context<Self>) {
        if self.requests.resetting {
            return;
        }
        self.requests.resetting = true;
        let (cluster, declared) = (self.around.cluster.clone(), Arc::clone(&self.declared));
        let resetting = async move { cluster.reset_run(&declared, number).await };
        ctx.spawn(resetting.into_actor(self).map(move |reset, supervisor, ctx| match reset {
            Ok(declared) => {
                supervisor.span.in_scope(|| info!(number, "run is set back to manually"));
                supervisor.requests.resetting = false;
                supervisor.requests.backoff.reset();
                supervisor.requests.failures = 0;
                supervisor.requests.trouble = None;
                supervisor.handle(Edited(Arc::new(declared)), ctx);
                // What an edit asks for that was seen before this answer was left until now.
                supervisor.advance(ctx);
            }
            Err(error) => supervisor.not_reset(&error, ctx),
        }));
    }

    fn not_reset(&mut self, error: &ExtendedJobError, ctx: &mut Context<Self>) {
        let delay = self.requests.backoff.after_failure(steady());
        ctx.notify_later(ResetAgain, delay);
        match error.fault().class() {
            // The watch tells the version that is newer than ours, or that it is deleted.
            Class::Conflict | Class::NotFound => {
                self.span.in_scope(|| debug!(%error, "run is not set back yet"))
            }
            class => {
                self.span.in_scope(|| warn!(%error, ?delay, "run is not set back yet"));
                self.requests.failures += 1;
                if class != Class::Transient || self.requests.failures >= LASTING {
                    let message = format!("the run is over, but run is not set back to manually: {error}");
                    self.hinder_requests(reasons::RESET_REFUSED, message, ctx);
                }
            }
        }
        self.report(ctx);
    }

    /// What the status tells of requests.
    pub(super) fn requests_told(&self) -> view::Requests {
        let status = &self.declared.status;
        let accepting = self.requests.accepting.as_ref();
        view::Requests {
            number: accepting.map_or(status.run_number, |request| request.number),
            completed: requests::completed(&self.declared, self.is_request_over()),
            handled: accepting
                .and_then(|request| request.handles.clone())
                .or_else(|| status.last_handled_run_at.clone()),
            waits: self.requests.waits || accepting.is_none() && requests::is_queued(&self.declared),
            starts_again: self.declared.spec.triggers.is_none() && !self.desk.is_empty(),
        }
    }

    /// The Job whose outcome is not to be told yet.
    pub(super) fn job_of_open_request(&self, told: &view::Requests) -> Option<String> {
        (told.number > 0 && told.is_open()).then(|| self.job_of_request(told.number))
    }
}

impl Handler<LookAgain> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: LookAgain, ctx: &mut Self::Context) {
        self.requests.look_again = None;
        self.advance(ctx);
    }
}

impl Handler<ResetAgain> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: ResetAgain, ctx: &mut Self::Context) {
        self.requests.resetting = false;
        self.advance(ctx);
    }
}
