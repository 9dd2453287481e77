//! What is asked of kubelets: a part of a file, and what files there are.

use std::sync::Arc;

use extendedjob_decide::fault::Class;
use http::{
    Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, RANGE},
};
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt as _},
    config::AuthInfo,
};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Duration, timeout};

use super::{
    KubeletError, LogPlace, Whose,
    account::{Account, AccountError},
    folder::Folder,
};
use crate::cluster::{Fault, REQUEST_TIMEOUT};

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
    api_server: Uri,
    /// In whose name; `None`: in nobody's.
    account: Option<Arc<Account>>,
}

/// How kubelets are to be spoken to.
#[derive(Clone, Debug)]
pub struct KubeletOptions {
    /// Usually 10250.
    pub port: u16,
    /// Whoever answers at the address of a node is believed to be its kubelet.
    pub skip_tls_verify: bool,
    /// The namespace of the service account in whose name they are asked.
    pub namespace: String,
    /// The name of that account.
    pub account: String,
}

impl Kubelets {
    /// Trusts whom `config` trusts.
    ///
    /// # Errors
    /// If the CA of `config` can't be used.
    pub fn new(config: &Config, options: KubeletOptions) -> Result<Self, kube::Error> {
        let own = Client::try_from(config.clone())?;
        let api_server = config.cluster_url.clone();
        // The operator's own name, with all that it may do, is none of a kubelet's business; that of the API server is
        // another one than a kubelet's.
        let mut config = config.clone();
        (config.auth_info, config.tls_server_name) = (AuthInfo::default(), None);
        config.accept_invalid_certs |= options.skip_tls_verify;
        // Not by kube's own stack, which sends each request to the one address of the API server.
        let client: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_NODE)
            .build(config.rustls_https_connector()?);
        let account = Account::new(own, options.namespace, options.account);
        let client = Client::new(client, config.default_namespace);
        Ok(Self { client, port: options.port, api_server, account: Some(Arc::new(account)) })
    }

    /// Whether log files on nodes may be read: the account for it is there, and has the right to.
    pub(crate) async fn may_read(&self) -> Result<bool, AccessError> {
        let Some(account) = &self.account else { return Ok(false) };
        let authorization = match account.authorization().await {
            Ok(authorization) => authorization,
            Err(error) => {
                let class = error.fault().map(Fault::class);
                let is_not_installed = matches!(class, Some(Class::NotFound | Class::Refused));
                return if is_not_installed { Ok(false) } else { Err(AccessError::Account(error)) };
            }
        };
        // By the account itself: who may ask about others may see more than is needed.
        let wanted = json!({ "resource": "nodes", "subresource": "log", "verb": "get" });
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": wanted },
        });
        let base = self.api_server.to_string();
        let url =
            format!("{}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", base.trim_end_matches('/'));
        let request = Request::post(url)
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(review.to_string().into_bytes())
            .map_err(|error| AccessError::Review(Fault::Broken(kube::Error::HttpError(error))))?;
        let answer = timeout(REQUEST_TIMEOUT, self.client.request_text(request))
            .await
            .map_err(|_| AccessError::Review(Fault::NoAnswer(REQUEST_TIMEOUT)))?
            .map_err(|error| AccessError::Review(error.into()))?;
        let review: Review =
            serde_json::from_str(&answer).map_err(|error| AccessError::Review(Fault::Undecodable(error)))?;
        Ok(review.status.allowed)
    }

    /// Asks through `client`.
    #[cfg(test)]
    pub(super) fn through(client: Client) -> Self {
        Self { client, port: 10250, api_server: Uri::default(), account: None }
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
        let request = match &self.account {
            Some(account) => {
                let authorization = account.authorization().await;
                let authorization =
                    authorization.map_err(|error| KubeletError::Account(whose(place), error))?;
                request.header(AUTHORIZATION, authorization)
            }
            None => request,
        };
        let sent =
            async { self.client.send(request.body(Body::empty()).map_err(kube::Error::HttpError)?).await };
        let answer = timeout(REQUEST_TIMEOUT, sent)
            .await
            .map_err(|_| KubeletError::NoAnswer(whose(place), REQUEST_TIMEOUT))?
            .map_err(|error| KubeletError::Unreachable(whose(place), error))?;
        Ok((answer.status(), answer.into_body()))
    }
}

/// Why it is not known whether log files on nodes may be read.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// In whose name to ask.
    #[error("can't find out whether log files on nodes may be read: {0}")]
    Account(#[source] AccountError),
    /// Asking.
    #[error("can't find out whether log files on nodes may be read: {0}")]
    Review(#[source] Fault),
}

#[derive(Deserialize)]
struct Review {
    status: ReviewStatus,
}

#[derive(Deserialize)]
struct ReviewStatus {
    allowed: bool,
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
    use super::{super::stand_in::place, *};
    use actix::System;

    #[test]
    fn a_node_that_is_not_there_is_told_by_its_name() {
        System::new().block_on(async {
            // Nobody listens at a port that was free a moment ago.
            let free = std::net::TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap().port();
            let config = Config::new("https://10.0.0.1".parse().unwrap());
            let [namespace, account] = ["home", "reader"].map(str::to_owned);
            let options = KubeletOptions { port: free, skip_tls_verify: true, namespace, account };
            let kubelets = Kubelets { account: None, ..Kubelets::new(&config, options).unwrap() };
            let error = kubelets.folder(&LogPlace { address: "::1".into(), ..place() }).await.unwrap_err();
            assert_eq!(error.class(), Class::Transient);
            assert!(error.to_string().contains("node n"), "{error}");
            assert!(matches!(error, KubeletError::Unreachable(..)), "{error}");
        });
    }
}
