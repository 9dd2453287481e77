//! What is asked of kubelets: a part of a file, and what files there are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use http::{
    HeaderValue, Request, StatusCode,
    header::{AUTHORIZATION, RANGE},
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
use tokio::time::{Duration, Instant, timeout};

use super::{
    KubeletError, LogPlace,
    account::{Account, AccountError},
    folder::Folder,
};
use crate::{
    cluster::{REQUEST_TIMEOUT, counted, fault::chain},
    metrics::Metrics,
};

/// An answer that stands still this long is taken for a broken connection: a file is not waited for as a log is.
const SILENCE: Duration = Duration::from_secs(10);
/// Longer than the interval at which a log is looked at while it is followed.
const IDLE: Duration = Duration::from_secs(30);
/// Connections to one kubelet that wait for their next use.
const IDLE_PER_NODE: usize = 4;
/// For how long a node that has not answered is not asked again.
const SILENT_FOR: Duration = Duration::from_secs(5);
/// Longer than any list of the files of one container.
const LIST_MAX: usize = 256 * 1024;

/// How to speak to kubelets.
#[derive(Clone)]
pub struct Kubelets {
    client: Client,
    port: u16,
    /// In whose name; `None`: in nobody's.
    account: Option<Arc<Account>>,
    /// When a node did not answer, by its address.
    silent: Arc<Mutex<HashMap<String, Instant>>>,
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
    /// Trusts whom `config` trusts. What the API server is asked for that is counted.
    ///
    /// # Errors
    /// If the CA of `config` can't be used.
    pub fn new(config: &Config, options: KubeletOptions, metrics: &Metrics) -> Result<Self, kube::Error> {
        let own = counted::client(config.clone(), metrics)?;
        // The operator's own name, with all that it may do, is none of a kubelet's business.
        let mut config = config.clone();
        config.auth_info = AuthInfo::default();
        let nameless = counted::client(config.clone(), metrics)?;
        // That is the name of the API server.
        config.tls_server_name = None;
        config.accept_invalid_certs |= options.skip_tls_verify;
        // Not by kube's own stack, which sends each request to the one address of the API server.
        let client: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_NODE)
            .build(config.rustls_https_connector()?);
        let account = Account::new(own, nameless, options.namespace, options.account);
        let client = Client::new(client, config.default_namespace);
        Ok(Self { client, port: options.port, account: Some(Arc::new(account)), silent: Arc::default() })
    }

    /// Whether log files on nodes may be read: the account for it is there, and has the right to.
    pub(crate) async fn may_read(&self) -> Result<bool, AccountError> {
        match &self.account {
            Some(account) => account.may_read_node_logs().await,
            None => Ok(false),
        }
    }

    /// Asks through `client`.
    #[cfg(test)]
    pub(super) fn through(client: Client) -> Self {
        Self { client, port: 10250, account: None, silent: Arc::default() }
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
        if self.was_silent(&place.address) {
            return Err(KubeletError::JustSilent(whose(place)));
        }
        let Some(account) = &self.account else { return self.send(place, file, range, None).await };
        let authorization = || async {
            account.authorization().await.map_err(|error| KubeletError::Account(whose(place), error))
        };
        let shown = authorization().await?;
        let answer = self.send(place, file, range.clone(), Some(&shown)).await?;
        if answer.0 != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // Its account may have been made anew.
        account.forget(&shown).await;
        self.send(place, file, range, Some(&authorization().await?)).await
    }

    async fn send(
        &self,
        place: &LogPlace,
        file: &str,
        range: Option<String>,
        authorization: Option<&HeaderValue>,
    ) -> Result<(StatusCode, Body), KubeletError> {
        let request = Request::get(place.url(self.port, file));
        let request = range.into_iter().fold(request, |request, range| request.header(RANGE, range));
        let request =
            authorization.into_iter().fold(request, |request, shown| request.header(AUTHORIZATION, shown));
        let sent =
            async { self.client.send(request.body(Body::empty()).map_err(kube::Error::HttpError)?).await };
        let answer = match timeout(REQUEST_TIMEOUT, sent).await {
            Ok(Ok(answer)) => Ok((answer.status(), answer.into_body())),
            Ok(Err(error)) if is_distrust(&error) => Err(KubeletError::Untrusted(whose(place), error)),
            Ok(Err(error)) => Err(KubeletError::Unreachable(whose(place), error)),
            Err(_) => Err(KubeletError::NoAnswer(whose(place), REQUEST_TIMEOUT)),
        };
        self.note_silence(&place.address, answer.is_err());
        answer
    }

    /// Whether a node did not answer a moment ago: who waits for the same once more keeps others waiting.
    fn was_silent(&self, address: &str) -> bool {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.get(address).is_some_and(|since| since.elapsed() < SILENT_FOR)
    }

    fn note_silence(&self, address: &str, is_silent: bool) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if is_silent {
            silent.retain(|_, since| since.elapsed() < SILENT_FOR);
            silent.insert(address.to_owned(), Instant::now());
        } else if !silent.is_empty() {
            silent.remove(address);
        }
    }
}

/// Whether the certificate of a kubelet is not believed.
fn is_distrust(error: &kube::Error) -> bool {
    chain(error).contains("certificate")
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

fn whose(place: &LogPlace) -> Box<LogPlace> {
    Box::new(place.clone())
}

#[cfg(test)]
mod tests {
    use super::{super::stand_in::place, *};
    use actix::System;
    use extendedjob_decide::fault::Class;

    #[test]
    fn a_node_that_is_not_there_is_told_by_its_name() {
        System::new().block_on(async {
            // Nobody listens at a port that was free a moment ago.
            let free = std::net::TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap().port();
            let config = Config::new("https://10.0.0.1".parse().unwrap());
            let [namespace, account] = ["home", "reader"].map(str::to_owned);
            let options = KubeletOptions { port: free, skip_tls_verify: true, namespace, account };
            let kubelets =
                Kubelets { account: None, ..Kubelets::new(&config, options, &Metrics::default()).unwrap() };
            let error = kubelets.folder(&LogPlace { address: "::1".into(), ..place() }).await.unwrap_err();
            assert_eq!(error.class(), Class::Transient);
            assert!(error.to_string().contains("node n"), "{error}");
            assert!(matches!(error, KubeletError::Unreachable(..)), "{error}");
        });
    }
}
