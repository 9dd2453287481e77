//! The log: on standard error, as text or JSON; panics go there too.

use std::io;

use tracing::{Level, Metadata, error};
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::args::LogFormat;

/// Starts logging. A filter that can't be understood is reported, and `info` used in its place.
pub(crate) fn start(format: LogFormat, filter: &str) {
    let parsed = EnvFilter::try_new(filter);
    let problem = parsed.as_ref().err().map(ToString::to_string);
    let builder =
        fmt().with_env_filter(parsed.unwrap_or_else(|_| EnvFilter::new("info"))).with_writer(io::stderr);
    match format {
        LogFormat::Text => builder.finish().with(filter_fn(is_discreet)).init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().with(filter_fn(is_discreet)).init(),
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

/// Whatever the filter says: in detail the client logs refusals, which may quote the output or Secret that they refuse.
fn is_discreet(metadata: &Metadata<'_>) -> bool {
    !metadata.target().starts_with("kube_client") || *metadata.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{debug, info, subscriber::with_default};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged under this filter.
    fn logged(filter: &str) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = fmt().with_env_filter(EnvFilter::new(filter)).with_writer(move || writer.clone());
        with_default(subscriber.finish().with(filter_fn(is_discreet)), || {
            debug!(target: "kube_client::client", "quotes a secret");
            info!(target: "kube_client::client", "a word");
            debug!("ours");
        });
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_the_client_knows_in_detail_is_never_logged() {
        let all = logged("trace");
        assert!(all.contains("ours") && all.contains("a word") && !all.contains("secret"), "{all}");
        assert_eq!(logged("error"), "");
    }
}
