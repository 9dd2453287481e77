//! The log: on standard error, as text or JSON; panics go there too. What is logged can be changed at any time.

use std::{io, sync::Arc};

use tracing::{Level, Metadata, error, info};
use tracing_subscriber::{
    EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::args::LogFormat;

/// What is logged, while the program runs.
#[derive(Clone)]
pub(crate) struct LogFilter(Arc<dyn Reload>);

/// A filter in its place, whatever is behind it.
trait Reload: Send + Sync {
    fn read(&self) -> Result<String, reload::Error>;
    fn replace(&self, filter: EnvFilter) -> Result<(), reload::Error>;
}

impl<S: 'static> Reload for reload::Handle<EnvFilter, S>
where
    Self: Send + Sync,
{
    fn read(&self) -> Result<String, reload::Error> {
        self.with_current(ToString::to_string)
    }

    fn replace(&self, filter: EnvFilter) -> Result<(), reload::Error> {
        self.reload(filter)
    }
}

/// Why what is logged stays as it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilterError {
    /// The text is no filter.
    #[error("can't understand the filter: {0}")]
    Bad(#[from] tracing_subscriber::filter::ParseError),
    /// There is no text.
    #[error("the filter is empty; off turns the log off")]
    Empty,
    /// The log is not as it should be.
    #[error("can't reach the log: {0}")]
    Log(#[from] reload::Error),
}

impl LogFilter {
    /// The filter, as it is understood.
    pub(crate) fn read(&self) -> Result<String, FilterError> {
        Ok(self.0.read()?)
    }

    /// Logs by this filter from now on; one that can't be understood changes nothing.
    pub(crate) fn replace(&self, filter: &str) -> Result<(), FilterError> {
        let filter = filter.trim();
        if filter.is_empty() {
            return Err(FilterError::Empty);
        }
        self.0.replace(EnvFilter::try_new(filter)?)?;
        info!(filter, "the log filter was changed");
        Ok(())
    }
}

/// Starts logging. A filter that can't be understood is reported, and `info` used in its place.
pub(crate) fn start(format: LogFormat, filter: &str) -> LogFilter {
    let parsed = EnvFilter::try_new(filter);
    let problem = parsed.as_ref().err().map(ToString::to_string);
    let builder =
        fmt().with_env_filter(parsed.unwrap_or_else(|_| EnvFilter::new("info"))).with_writer(io::stderr);
    let filter_handle: Arc<dyn Reload> = match format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            builder.finish().with(filter_fn(is_discreet)).init();
            Arc::new(handle)
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.finish().with(filter_fn(is_discreet)).init();
            Arc::new(handle)
        }
    };
    if let Some(problem) = problem {
        error!(filter, problem, "can't understand the log filter, logging at info");
    }
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        error!(at, message, "panic");
    }));
    LogFilter(filter_handle)
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

    impl LogFilter {
        /// One of a log that nobody reads; it goes with the subscriber.
        pub(crate) fn of_test(filter: &str) -> (Self, impl tracing::Subscriber) {
            let builder = fmt().with_env_filter(EnvFilter::new(filter)).with_writer(io::sink);
            let builder = builder.with_filter_reloading();
            (Self(Arc::new(builder.reload_handle())), builder.finish())
        }
    }

    #[test]
    fn a_filter_that_is_replaced_decides_from_then_on() {
        let log = Log::default();
        let writer = log.clone();
        let builder = fmt().with_env_filter(EnvFilter::new("info")).with_writer(move || writer.clone());
        let builder = builder.with_filter_reloading();
        let filter = LogFilter(Arc::new(builder.reload_handle()));
        with_default(builder.finish().with(filter_fn(is_discreet)), || {
            let say = |word: &str| debug!(word);
            say("before");
            filter.replace(&format!("info,{}=debug", env!("CARGO_CRATE_NAME"))).unwrap();
            say("after");
            filter.replace("trace").unwrap();
            debug!(target: "kube_client::client", "quotes a secret");
            filter.replace("error").unwrap();
            say("late");
        });
        let bytes = log.0.lock().unwrap().clone();
        let log = String::from_utf8(bytes).unwrap();
        let told = ["before", "after", "late"].map(|word| log.contains(&format!("\"{word}\"")));
        assert_eq!(told, [false, true, false], "{log}");
        assert!(!log.contains("secret"), "{log}");
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
