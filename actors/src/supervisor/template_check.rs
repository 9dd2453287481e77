//! Asks the API server whether a Job can be made of the template: once for each, because what the
//! schema can't see is better said at once than when a pod turns ready.

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use extendedjob_api::conditions::reasons;
use extendedjob_decide::{
    build::build, fault::Class, retry::Backoff, run::Run, text::about_template, view::Template,
};
use tracing::warn;

use super::Supervisor;
use crate::{clock::steady, cluster::jobs::JobError};

/// The question that is open, if any.
#[derive(Default)]
pub(super) struct TemplateCheck {
    /// Counts questions, so that the answer to one about an older template is ignored.
    asked: u64,
    in_flight: bool,
    backoff: Backoff,
}

impl TemplateCheck {
    /// Whether the first answer is still to come. A failed question is asked again, but nothing
    /// waits for that.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight
    }
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Ask {
    asked: u64,
}

impl Supervisor {
    /// Asks about the present template, unless its answer is known.
    pub(super) fn check_template(&mut self, ctx: &mut Context<Self>) {
        if self.template == Template::Unchecked {
            self.check.in_flight = true;
            self.ask_about_template(ctx);
        }
    }

    fn ask_about_template(&mut self, ctx: &mut Context<Self>) {
        self.check.asked += 1;
        let asked = self.check.asked;
        let run = Run::on_trial(&self.declared);
        let ways = Arc::clone(&self.around.ways.borrow());
        let job = match build(&self.declared, &run, &ways) {
            Ok(job) => job,
            Err(error) => return self.template_checked(Template::Invalid(error.to_string()), ctx),
        };
        let (cluster, namespace) = (self.around.cluster.clone(), self.declared.namespace.clone());
        let question = async move { cluster.try_job(&namespace, &run.job, job).await };
        ctx.spawn(question.into_actor(self).map(move |answer, supervisor, ctx| {
            if supervisor.check.asked == asked {
                supervisor.template_answered(answer, ctx);
            }
        }));
    }

    fn template_answered(&mut self, answer: Result<(), JobError>, ctx: &mut Context<Self>) {
        let Err(error) = answer else { return self.template_checked(Template::Valid, ctx) };
        match error.fault().class() {
            // What has got as far as the name is free of other faults.
            Class::AlreadyExists => self.template_checked(Template::Valid, ctx),
            Class::Invalid => {
                let message = about_template(&error.fault().to_string());
                self.template_checked(Template::Invalid(message), ctx);
            }
            _ => {
                let delay = self.check.backoff.after_failure(steady());
                self.span.in_scope(|| warn!(%error, ?delay, "the template could not be checked"));
                let asked = self.check.asked;
                ctx.notify_later(Ask { asked }, delay);
                self.template_checked(Template::Unchecked, ctx);
            }
        }
    }

    fn template_checked(&mut self, template: Template, ctx: &mut Context<Self>) {
        self.check.in_flight = false;
        if let Template::Invalid(message) = &template {
            self.warn(reasons::INVALID_TEMPLATE, None, message.clone(), ctx);
        }
        self.template = template;
        self.advance(ctx);
    }
}

impl Handler<Ask> for Supervisor {
    type Result = ();

    fn handle(&mut self, ask: Ask, ctx: &mut Self::Context) {
        if ask.asked == self.check.asked {
            self.ask_about_template(ctx);
        }
    }
}
