//! What is asked of kubelets: a part of a file, and what files there are.

use http::{Request, StatusCode, header::RANGE};
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt as _},
};
use tokio::time::{Duration, timeout};
use tower::ServiceBuilder;

use super::{KubeletError, LogPlace, Whose, folder::Folder};
use crate::cluster::REQUEST_TIMEOUT;

/// An answer that stands still this long is taken for a broken connection: a file is not waited for as a log is.
const SILENCE: Duration = Duration::from_secs(10);
/// Longer than the interval at which a log is looked at while it is followed.
const IDLE: Duration = Duration::from_secs(30);
/// Connections to one kubelet that wait for their next use.
const IDLE_PER_NODE: usize = 4;
/// Longer than any list of the files of one container.
const LIST_MAX: usize = 256 * 1024;

/// How to speak to kubelets.
#[derive(Clone)]
pub struct Kubelets {
    client: Client,
    port: u16,
}

impl Kubelets {
    /// Speaks as to the API server: with its CA and its token. `port` is usually 10250. With `skip_tls_verify` whoever
    /// answers at the address of a node is given that token.
    ///
    /// # Errors
    /// If the CA or the token of `config` can't be used.
    pub fn new(mut config: Config, port: u16, skip_tls_verify: bool) -> Result<Self, kube::Error> {
        // That is the name of the API server.
        config.tls_server_name = None;
        config.accept_invalid_certs |= skip_tls_verify;
        // Not by kube's own stack, which sends each request to the one address of the API server.
        let client: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_NODE)
            .build(config.rustls_https_connector()?);
        let service = ServiceBuilder::new()
            .option_layer(config.auth_layer()?)
            .map_err(tower::BoxError::from)
            .service(client);
        Ok(Self { client: Client::new(service, config.default_namespace), port })
    }

    /// Asks through `client`.
    #[cfg(test)]
    pub(super) fn through(client: Client) -> Self {
        Self { client, port: 10250 }
    }

    /// At most `length` bytes of a file from `from` on, fewer only where it ends; `None` if there is no such file.
    pub(super) async fn part(
        &self,
        place: &LogPlace,
        file: &str,
        from: u64,
        length: usize,
    ) -> Result<Option<Vec<u8>>, KubeletError> {
        let last = (from + length as u64).saturating_sub(1);
        let asked = self.get(place, file, Some(format!("bytes={from}-{last}"))).await?;
        match asked {
            (StatusCode::PARTIAL_CONTENT, body) => read(place, body, 0, length).await.map(Some),
            // Who knows no parts sends all. An empty file is sent like that, too.
            (StatusCode::OK, body) => read(place, body, from, length).await.map(Some),
            // It ends before.
            (StatusCode::RANGE_NOT_SATISFIABLE, _) => Ok(Some(vec![])),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (other, _) => Err(no_success(place, other)),
        }
    }

    /// What files there are of this run of the container.
    pub(super) async fn folder(&self, place: &LogPlace) -> Result<Folder, KubeletError> {
        let (status, body) = self.get(place, "", None).await?;
        if status != StatusCode::OK {
            return Err(no_success(place, status));
        }
        let list = read(place, body, 0, LIST_MAX).await?;
        let list = String::from_utf8(list).ok().filter(|list| list.len() < LIST_MAX);
        let list = list.ok_or_else(|| KubeletError::List(whose(place)))?;
        Ok(Folder::parse(&list, &place.growing()))
    }

    async fn get(
        &self,
        place: &LogPlace,
        file: &str,
        range: Option<String>,
    ) -> Result<(StatusCode, Body), KubeletError> {
        let request = Request::get(place.url(self.port, file));
        let request = range.into_iter().fold(request, |request, range| request.header(RANGE, range));
        let sent =
            async { self.client.send(request.body(Body::empty()).map_err(kube::Error::HttpError)?).await };
        let answer = timeout(REQUEST_TIMEOUT, sent)
            .await
            .map_err(|_| KubeletError::NoAnswer(whose(place), REQUEST_TIMEOUT))?
            .map_err(|error| KubeletError::Unreachable(whose(place), error))?;
        Ok((answer.status(), answer.into_body()))
    }
}

/// At most `length` bytes of an answer, after the first `skipped`.
async fn read(
    place: &LogPlace,
    mut body: Body,
    mut skipped: u64,
    length: usize,
) -> Result<Vec<u8>, KubeletError> {
    let mut bytes = vec![];
    while bytes.len() < length {
        let next = timeout(SILENCE, body.frame()).await;
        let next = next.map_err(|_| KubeletError::Silent(whose(place), SILENCE))?;
        let Some(frame) = next else { break };
        let frame = frame.map_err(|error| KubeletError::BrokeOff(whose(place), error))?;
        let Ok(data) = frame.into_data() else { continue };
        let skip = usize::try_from(skipped).unwrap_or(usize::MAX).min(data.len());
        skipped -= skip as u64;
        let end = data.len().min(skip + (length - bytes.len()));
        bytes.extend_from_slice(&data[skip..end]);
    }
    Ok(bytes)
}

fn no_success(place: &LogPlace, status: StatusCode) -> KubeletError {
    match status.as_u16() {
        404 => KubeletError::NotThere(whose(place)),
        code @ (401 | 403 | 405) => KubeletError::Refused(whose(place), code),
        code => KubeletError::Status(whose(place), code),
    }
}

fn whose(place: &LogPlace) -> Box<Whose> {
    Box::new(Whose::of(place))
}

#[cfg(test)]
mod tests {
    use actix::System;
    use extendedjob_decide::fault::Class;

    use super::{super::stand_in::place, *};

    #[test]
    fn a_node_that_is_not_there_is_told_by_its_name() {
        System::new().block_on(async {
            // Nobody listens at a port that was free a moment ago.
            let free = std::net::TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap().port();
            let config = Config::new("https://10.0.0.1".parse().unwrap());
            let kubelets = Kubelets::new(config, free, true).unwrap();
            let error = kubelets.folder(&LogPlace { address: "::1".into(), ..place() }).await.unwrap_err();
            assert_eq!(error.class(), Class::Transient);
            assert!(error.to_string().contains("node n"), "{error}");
            assert!(matches!(error, KubeletError::Unreachable(..)), "{error}");
        });
    }
}
