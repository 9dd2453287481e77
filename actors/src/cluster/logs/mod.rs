//! The log of a container, read as a stream: memory is bounded by what is kept.

mod files;
mod follow;
mod kubelet;
mod sections;
mod streams;

use std::{io, pin::pin, sync::Arc};

use extendedjob_api::Stream;
use extendedjob_decide::{
    attempts::Node,
    fault::Class,
    follow::Follower,
    streams::is_unknown,
    tail::{Kept, Tail},
};
use futures::{AsyncBufRead, AsyncReadExt};
use jiff::Timestamp;
use kube::core::{Request, subresource::LogParams};
use tokio::{
    sync::Notify,
    time::{Duration, timeout},
};

use self::kubelet::KubeletError;
pub use self::kubelet::{AccountError, KubeletOptions, Kubelets};
pub(crate) use self::{
    follow::Followed,
    sections::{OneRun, Section, Sections},
    streams::Parts,
};
use super::{Cluster, Fault, REQUEST_TIMEOUT, with_query};

const CHUNK: usize = 16 * 1024;
/// A log that stands still this long is taken for a broken connection.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// Opening it.
    #[error("can't open the log of container {1} of pod {0}: {2}")]
    Open(String, String, #[source] Fault),
    /// Reading on.
    #[error("the log of container {1} of pod {0} broke off: {2}")]
    Read(String, String, #[source] std::io::Error),
    /// The kubelet has only words of its own in its place.
    #[error("the kubelet has no log of container {1} of pod {0}")]
    Missing(String, String),
    /// Where one stream was asked for, both came, or nothing.
    #[error(
        "stdout and stderr of container {1} of pod {0} are not told apart by node {2}, or by the API server before it: the \
         feature gate PodLogsQuerySplitStreams must be on in both"
    )]
    NotSeparated(String, String, String),
    /// Its files on the node.
    #[error(transparent)]
    Files(KubeletError),
}

impl LogError {
    /// What kind of trouble it is.
    #[must_use]
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Open(_, _, fault) => fault.class(),
            Self::Files(error) => error.class(),
            Self::Read(..) | Self::Missing(..) | Self::NotSeparated(..) => Class::Transient,
        }
    }
}

impl LogError {
    /// Whether it is one stream that is refused, and not the log.
    fn is_about_streams(&self) -> bool {
        matches!(self, Self::Open(_, _, Fault::Status(status)) if is_unknown(&status.message))
    }
}

/// A log: that of one container of one pod, or one stream of it.
#[derive(Clone, Debug)]
pub(crate) struct LogName {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    /// The UID of that pod, and where it runs.
    pub(crate) uid: String,
    pub(crate) node: Option<Node>,
    pub(crate) container: String,
    /// Which run of the container: how often that had been started before.
    pub(crate) restart: u32,
    pub(crate) part: Stream,
}

/// That of one run of a container.
#[derive(Clone, Debug)]
pub(crate) struct RunLog {
    pub(crate) name: LogName,
    /// It may be started again in its pod, and its log is another one then.
    pub(crate) may_be_another: bool,
    /// When it began.
    pub(crate) began: Option<Timestamp>,
    /// Told when the first of it is read.
    heard: Arc<Notify>,
}

impl RunLog {
    pub(crate) fn new(name: LogName, may_be_another: bool, began: Option<Timestamp>) -> Self {
        Self { name, may_be_another, began, heard: Arc::default() }
    }
}

impl LogName {
    fn not_opened(&self, fault: Fault) -> LogError {
        LogError::Open(format!("{}/{}", self.namespace, self.pod), self.container.clone(), fault)
    }

    fn broke_off(&self, error: std::io::Error) -> LogError {
        LogError::Read(format!("{}/{}", self.namespace, self.pod), self.container.clone(), error)
    }

    fn missing(&self) -> LogError {
        LogError::Missing(format!("{}/{}", self.namespace, self.pod), self.container.clone())
    }

    fn not_separated(&self) -> LogError {
        let node = self.node.as_ref().map_or("of that pod", |node| node.name.as_str());
        LogError::NotSeparated(
            format!("{}/{}", self.namespace, self.pod),
            self.container.clone(),
            node.to_owned(),
        )
    }

    /// The same of this stream alone.
    fn part(&self, part: Stream) -> Self {
        Self { part, ..self.clone() }
    }
}

impl Cluster {
    /// The newest `limit` bytes of what an ended container wrote; `previous`: in the run before its present one.
    async fn log(&self, log: &LogName, previous: bool, limit: usize) -> Result<Kept, LogError> {
        let mut tail = Tail::new(limit);
        self.read_log(log, previous, |bytes| tail.push(bytes)).await?;
        Ok(tail.finish())
    }

    /// Reads a log to its end.
    async fn read_log(
        &self,
        log: &LogName,
        previous: bool,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), LogError> {
        let _turn = self.logs.acquire().await.map_err(|_| log.not_opened(Fault::NotLeading))?;
        // With stamps, to tell the kubelet's own words from the container's.
        let params = LogParams { previous, timestamps: true, ..LogParams::default() };
        let stream = self.open_log(log, params).await?;
        let (mut follower, mut taken) = (Follower::default(), vec![]);
        read_to_end(log, stream, |bytes| {
            follower.push(bytes, &mut taken);
            take(&taken);
            taken.clear();
        })
        .await?;
        whole(&follower, log)
    }

    /// How often the container has been started again by now; `None` if its pod is gone.
    pub(crate) async fn restarts(&self, log: &LogName) -> Result<Option<u32>, LogError> {
        let pod = self.job_pod(&log.namespace, &log.pod).await.map_err(|fault| log.not_opened(fault))?;
        let containers = pod.iter().flat_map(|pod| pod.containers.iter().chain(&pod.drains));
        Ok(containers.filter(|it| it.name == log.container).map(|it| it.restarts).next())
    }

    async fn open_log(
        &self,
        log: &LogName,
        params: LogParams,
    ) -> Result<impl AsyncBufRead + use<>, LogError> {
        let params = LogParams { container: Some(log.container.clone()), ..params };
        let request = Request::new(format!("/api/v1/namespaces/{}/pods", log.namespace))
            .logs(&log.pod, &params)
            .map_err(|source| log.not_opened(Fault::request(source)))?;
        let request = match log.part {
            Stream::Log => Ok(request),
            Stream::Stdout => with_query(request, "stream=Stdout"),
            Stream::Stderr => with_query(request, "stream=Stderr"),
        };
        let request = request.map_err(|fault| log.not_opened(fault))?;
        timeout(REQUEST_TIMEOUT, self.client.request_stream(request))
            .await
            .map_err(|_| log.not_opened(Fault::NoAnswer(REQUEST_TIMEOUT)))?
            .map_err(|source| log.not_opened(source.into()))
    }
}

/// Reads what comes to its end.
async fn read_to_end(
    log: &LogName,
    stream: impl AsyncBufRead,
    mut take: impl FnMut(&[u8]),
) -> Result<(), LogError> {
    let (mut stream, mut chunk) = (pin!(stream), vec![0; CHUNK]);
    loop {
        let read = timeout(SILENCE, stream.read(&mut chunk)).await;
        let read = read.map_err(|elapsed| log.broke_off(elapsed.into()))?;
        match read.map_err(|error| log.broke_off(error))? {
            0 => return Ok(()),
            length => take(&chunk[..length]),
        }
    }
}

/// That a log, which is at its end, was not cut short.
fn whole(follower: &Follower, log: &LogName) -> Result<(), LogError> {
    if follower.is_cut_short() && follower.first().is_none() {
        return Err(log.missing());
    }
    if follower.is_cut_short() {
        return Err(log.broke_off(io::Error::other("the kubelet could not go on")));
    }
    Ok(())
}

#[cfg(test)]
impl RunLog {
    fn of_test() -> Self {
        Self::new(LogName::of_test(), false, None)
    }
}

#[cfg(test)]
impl LogName {
    fn of_test() -> Self {
        let [namespace, pod, uid, container] = ["ns", "p", "uid", "c"].map(str::to_owned);
        let node = Some(Node { name: "node1".into(), address: "10.0.0.1".into() });
        Self { namespace, pod, uid, node, container, restart: 0, part: Stream::Log }
    }
}
