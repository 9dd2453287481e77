//! The log: on standard error, as text or JSON; panics go there too.

use std::io;

use tracing::error;
use tracing_subscriber::{EnvFilter, fmt};

use crate::args::LogFormat;

/// What a client of the API logs in detail, such as a refusal that quotes what it refuses, may hold output and Secrets.
const NEVER: [&str; 1] = ["kube_client=info"];

/// Starts logging. A filter that can't be understood is reported, and `info` used in its place.
pub(crate) fn start(format: LogFormat, filter: &str) {
    let parsed = EnvFilter::try_new(filter);
    let problem = parsed.as_ref().err().map(ToString::to_string);
    let parsed = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let discreet = NEVER.into_iter().filter_map(|directive| directive.parse().ok());
    let parsed = discreet.fold(parsed, EnvFilter::add_directive);
    let builder = fmt().with_env_filter(parsed).with_writer(io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    if let Some(problem) = problem {
        error!(filter, problem, "can't understand the log filter, logging at info");
    }
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        error!(at, message, "panic");
    }));
}
