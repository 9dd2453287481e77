//! Why a call to the API server failed.

use std::{error::Error, time::Duration};

use extendedjob_decide::fault::{self, Answer, Class, classify};

/// A failed call. What was called, and for which object, is said by the error that wraps it.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The API server answered with a Status.
    #[error("{}", .0.message)]
    Status(Box<kube::core::Status>),
    /// The call did not get as far as an answer.
    #[error("{}", chain(.0))]
    Broken(#[source] kube::Error),
    /// Nothing came back in time.
    #[error("no answer within {0:?}")]
    NoAnswer(Duration),
    /// The answer is not what the API promises.
    #[error("can't understand the answer: {0}")]
    Undecodable(#[source] serde_json::Error),
    /// A watch was accepted, and ended before it said anything.
    #[error("the watch was closed at once")]
    ClosedAtOnce,
    /// Another operator leads, or this one is about to end.
    #[error("this operator does not lead")]
    NotLeading,
}

impl From<kube::Error> for Fault {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Status(status),
            error => Self::Broken(error),
        }
    }
}

impl Fault {
    pub(super) fn request(error: kube::core::request::Error) -> Self {
        Self::Broken(kube::Error::BuildRequest(error))
    }

    /// What it is, without what a refusal may quote of the object: see [`fault::without_content`].
    #[must_use]
    pub(crate) fn without_content(&self) -> String {
        match self {
            Self::Status(status) => fault::without_content(self.class(), status.code, &status.message),
            other => other.to_string(),
        }
    }

    /// Whether the object that was to be written is not as it was when it was read.
    pub(super) fn is_outdated(&self) -> bool {
        matches!(self.class(), Class::Conflict | Class::AlreadyExists | Class::NotFound)
    }

    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        let Self::Status(status) = self else { return Class::Transient };
        let causes: Vec<String> = status
            .details
            .iter()
            .flat_map(|details| details.causes.iter().map(|cause| cause.reason.clone()))
            .collect();
        classify(Answer {
            code: Some(status.code),
            reason: &status.reason,
            message: &status.message,
            causes: &causes,
        })
    }
}

/// kube's errors say only their own layer; the cause of a broken connection lies below.
pub(super) fn chain(error: &kube::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
