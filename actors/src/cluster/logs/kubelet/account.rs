//! The account in whose name kubelets are asked.
//!
//! Who asks a kubelet shows it a token. Were that the operator's own, each node could act as the operator, wherever in the
//! cluster. So it is that of an account which may do nothing but read log files.

use extendedjob_decide::fault::Class;
use http::{HeaderValue, header::AUTHORIZATION};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Client,
    api::PostParams,
    core::{Request, params::GetParams},
};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::Mutex,
    time::{Duration, timeout},
};
use tracing::debug;

use crate::{
    clock::steady,
    cluster::{Fault, REQUEST_TIMEOUT},
};

/// For how long a token is asked for. Kubelets remember for some minutes whom they let in.
const LIFETIME: Duration = Duration::from_secs(3600);
/// How long before its end a token is replaced.
const RESERVE: SignedDuration = SignedDuration::from_mins(10);
/// How long none is asked for after one was refused, or given for less than the reserve.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// Why there is no token of an account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The API server has not given it.
    #[error("can't get a token of the service account {0}: {1}")]
    Token(String, #[source] Fault),
    /// It can't be sent.
    #[error("the token of the service account {0} is none")]
    NoToken(String),
    /// What it may do is not known.
    #[error("can't find out whether the service account {0} may read log files on nodes: {1}")]
    Review(String, #[source] Fault),
    /// It was not given a moment ago.
    #[error("the API server has just refused a token of the service account {0}")]
    JustRefused(String),
}

/// A service account, and its present token.
pub(super) struct Account {
    client: Client,
    /// Speaks to the API server in nobody's name.
    nameless: Client,
    namespace: String,
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// Before that no other one is asked for.
    ask_at: Timestamp,
}

struct Token {
    header: HeaderValue,
    ends_at: Timestamp,
}

#[derive(Deserialize)]
struct Answer {
    status: Granted,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Granted {
    token: String,
    expiration_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct Review {
    status: ReviewStatus,
}

#[derive(Deserialize)]
struct ReviewStatus {
    allowed: bool,
}

impl AccountError {
    /// Whether the account is not there, or may not.
    pub(super) fn is_refusal(&self) -> bool {
        let (Self::Token(_, fault) | Self::Review(_, fault)) = self else { return false };
        matches!(fault.class(), Class::NotFound | Class::Refused)
    }
}

impl Account {
    /// The account `name` in `namespace`; its tokens are asked for through `client`.
    pub(super) fn new(client: Client, nameless: Client, namespace: String, name: String) -> Self {
        Self { client, nameless, namespace, name, state: Mutex::default() }
    }

    /// What to send as the header Authorization.
    pub(super) async fn authorization(&self) -> Result<HeaderValue, AccountError> {
        let mut state = self.state.lock().await;
        let now = steady();
        let present = state.token.as_ref().filter(|token| now < token.ends_at).map(|it| it.header.clone());
        if now < state.ask_at {
            return present.ok_or_else(|| AccountError::JustRefused(self.to_string()));
        }
        state.ask_at = now + PAUSE;
        match (self.ask().await, present) {
            (Ok(Granted { token, expiration_timestamp }), _) => {
                let ends_at = now + (expiration_timestamp - Timestamp::now());
                let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
                    .map_err(|_| AccountError::NoToken(self.to_string()))?;
                header.set_sensitive(true);
                state.token = Some(Token { header: header.clone(), ends_at });
                state.ask_at = state.ask_at.max(ends_at - RESERVE);
                Ok(header)
            }
            // That one does for a while.
            (Err(error), Some(present)) => {
                debug!(%error, "the present token is used on");
                Ok(present)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// This one is not taken any more, such as when the account was made anew.
    pub(super) async fn forget(&self, header: &HeaderValue) {
        let mut state = self.state.lock().await;
        if state.token.as_ref().is_some_and(|token| token.header == *header) {
            *state = State::default();
        }
    }

    /// Whether it is there, and may read the log files of all nodes.
    pub(super) async fn may_read_node_logs(&self) -> Result<bool, AccountError> {
        self.ask_what_it_may().await.or_else(|error| if error.is_refusal() { Ok(false) } else { Err(error) })
    }

    async fn ask_what_it_may(&self) -> Result<bool, AccountError> {
        // Where it is not installed nothing more is asked: a token is something that is made.
        self.look_for_it().await?;
        let shown = self.authorization().await?;
        match self.review(&shown).await {
            // It may have been made anew.
            Err(error) if error.is_refusal() => {
                self.forget(&shown).await;
                self.review(&self.authorization().await?).await
            }
            may => may,
        }
    }

    async fn look_for_it(&self) -> Result<(), AccountError> {
        let error = |fault| AccountError::Token(self.to_string(), fault);
        let request = Request::new(format!("/api/v1/namespaces/{}/serviceaccounts", self.namespace))
            .get(&self.name, &GetParams::default())
            .map_err(|source| error(Fault::request(source)))?;
        let answer = timeout(REQUEST_TIMEOUT, self.client.request_text(request)).await;
        answer
            .map_err(|_| error(Fault::NoAnswer(REQUEST_TIMEOUT)))?
            .map(drop)
            .map_err(|source| error(source.into()))
    }

    /// Asks itself: who may ask about others may see more than is needed
    /// (<https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access>).
    async fn review(&self, shown: &HeaderValue) -> Result<bool, AccountError> {
        let error = |fault| AccountError::Review(self.to_string(), fault);
        let wanted = json!({ "resource": "nodes", "subresource": "log", "verb": "get" });
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": wanted },
        });
        let mut request = Request::new("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .create(&PostParams::default(), review.to_string().into_bytes())
            .map_err(|source| error(Fault::request(source)))?;
        request.headers_mut().insert(AUTHORIZATION, shown.clone());
        let answer = timeout(REQUEST_TIMEOUT, self.nameless.request_text(request))
            .await
            .map_err(|_| error(Fault::NoAnswer(REQUEST_TIMEOUT)))?
            .map_err(|source| error(source.into()))?;
        let Review { status } =
            serde_json::from_str(&answer).map_err(|source| error(Fault::Undecodable(source)))?;
        Ok(status.allowed)
    }

    /// Asks for a new token
    /// (<https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>).
    async fn ask(&self) -> Result<Granted, AccountError> {
        let error = |fault| AccountError::Token(self.to_string(), fault);
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": { "expirationSeconds": LIFETIME.as_secs() },
        });
        let request = Request::new(format!("/api/v1/namespaces/{}/serviceaccounts", self.namespace))
            .create_subresource("token", &self.name, &PostParams::default(), body.to_string().into_bytes())
            .map_err(|source| error(Fault::request(source)))?;
        let answer = timeout(REQUEST_TIMEOUT, self.client.request_text(request))
            .await
            .map_err(|_| error(Fault::NoAnswer(REQUEST_TIMEOUT)))?
            .map_err(|source| error(source.into()))?;
        let answer: Answer =
            serde_json::from_str(&answer).map_err(|source| error(Fault::Undecodable(source)))?;
        Ok(answer.status)
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use actix::System;

    use super::*;
    use crate::stand_in::{Reply, StandIn};

    fn granting(lifetime: SignedDuration) -> StandIn {
        StandIn::answering(move |asked| {
            assert_eq!(asked.path, "/api/v1/namespaces/home/serviceaccounts/reader/token");
            let end = (Timestamp::now() + lifetime).to_string();
            Reply::Now(201, json!({ "status": { "token": "abc", "expirationTimestamp": end } }))
        })
    }

    fn account(api: &StandIn) -> Account {
        Account::new(api.client.clone(), api.client.clone(), "home".into(), "reader".into())
    }

    #[test]
    fn a_token_is_used_until_it_is_about_to_end_or_is_not_taken_any_more() {
        System::new().block_on(async {
            let mut api = granting(SignedDuration::from_hours(1));
            let account = account(&api);
            for _ in 0..2 {
                assert_eq!(account.authorization().await.unwrap(), "Bearer abc");
            }
            assert_eq!(api.count(|_| true), 1);
            account.forget(&HeaderValue::from_static("Bearer other")).await;
            account.authorization().await.unwrap();
            assert_eq!(api.count(|_| true), 0);
            account.forget(&account.authorization().await.unwrap()).await;
            account.authorization().await.unwrap();
            assert_eq!(api.count(|_| true), 1);
        });
    }

    #[test]
    fn one_that_is_refused_is_not_asked_for_again_at_once() {
        System::new().block_on(async {
            let mut api = StandIn::answering(|_| Reply::refused(403, "Forbidden"));
            let account = account(&api);
            assert!(account.authorization().await.unwrap_err().is_refusal());
            assert!(matches!(account.authorization().await, Err(AccountError::JustRefused(_))));
            assert_eq!(api.count(|_| true), 1);
        });
    }

    #[test]
    fn where_there_is_no_account_none_of_its_tokens_is_asked_for() {
        System::new().block_on(async {
            let mut api = StandIn::answering(|_| Reply::refused(403, "Forbidden"));
            assert!(!account(&api).may_read_node_logs().await.unwrap());
            assert_eq!(api.count(|asked| asked.method != http::Method::GET), 0);
        });
    }

    #[test]
    fn an_account_that_was_made_anew_or_is_gone_is_known() {
        System::new().block_on(async {
            for (is_there, may) in [(true, true), (false, false)] {
                let mut is_first = true;
                let api = StandIn::answering(move |asked| {
                    if asked.path.ends_with("/serviceaccounts/reader") {
                        return Reply::Now(200, json!({}));
                    }
                    let is_known = !std::mem::take(&mut is_first);
                    match asked.path.ends_with("/token") {
                        // The token of before.
                        true if !is_known || is_there => {
                            let end = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
                            let token = if is_known { "new" } else { "old" };
                            Reply::Now(
                                201,
                                json!({ "status": { "token": token, "expirationTimestamp": end } }),
                            )
                        }
                        true => Reply::refused(404, "NotFound"),
                        false if asked.authorization == "Bearer new" => {
                            Reply::Now(201, json!({ "status": { "allowed": true } }))
                        }
                        false => Reply::refused(401, "Unauthorized"),
                    }
                });
                assert_eq!(account(&api).may_read_node_logs().await.unwrap(), may);
            }
        });
    }

    #[test]
    fn nobody_sees_a_token_in_a_log() {
        System::new().block_on(async {
            let api = granting(SignedDuration::from_hours(1));
            let account = account(&api);
            assert_eq!(format!("{:?}", account.authorization().await.unwrap()), "Sensitive");
        });
    }
}
