//! The log of a container, read as a stream: memory is bounded by what is kept.

use extendedjob_decide::{
    fault::Class,
    tail::{Kept, Tail},
};
use futures::AsyncReadExt;
use kube::core::{Request, subresource::LogParams};
use tokio::time::{Duration, timeout};

use super::{Cluster, Fault, REQUEST_TIMEOUT};

const CHUNK: usize = 16 * 1024;
/// A log that stands still this long is taken for a broken connection.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Opening it.
    #[error("can't open the log of container {1} of pod {0}: {2}")]
    Open(String, String, #[source] Fault),
    /// Reading on.
    #[error("the log of container {1} of pod {0} broke off: {2}")]
    Read(String, String, #[source] std::io::Error),
}

impl LogError {
    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Open(_, _, fault) => fault.class(),
            Self::Read(..) => Class::Transient,
        }
    }
}

impl Cluster {
    /// The newest `limit` bytes of what an ended container wrote; `previous`: in the run before its present one.
    pub async fn log(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
        limit: usize,
    ) -> Result<Kept, LogError> {
        let name = || (format!("{namespace}/{pod}"), container.to_owned());
        let open_error = |fault| {
            let (pod, container) = name();
            LogError::Open(pod, container, fault)
        };
        let read_error = |error| {
            let (pod, container) = name();
            LogError::Read(pod, container, error)
        };
        let _turn = self.logs.acquire().await.map_err(|_| open_error(Fault::NotLeading))?;
        let params = LogParams { container: Some(container.to_owned()), previous, ..LogParams::default() };
        let request = Request::new(format!("/api/v1/namespaces/{namespace}/pods"))
            .logs(pod, &params)
            .map_err(|source| open_error(Fault::request(source)))?;
        let log = timeout(REQUEST_TIMEOUT, self.client.request_stream(request))
            .await
            .map_err(|_| open_error(Fault::NoAnswer(REQUEST_TIMEOUT)))?
            .map_err(|source| open_error(source.into()))?;
        let mut log = std::pin::pin!(log);
        let mut tail = Tail::new(limit);
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = timeout(SILENCE, log.read(&mut chunk))
                .await
                .map_err(|elapsed| read_error(elapsed.into()))?
                .map_err(read_error)?;
            if length == 0 {
                return Ok(tail.finish());
            }
            tail.push(&chunk[..length]);
        }
    }
}
