//! The account in whose name kubelets are asked.
//!
//! Who asks a kubelet shows it a token. Were that the operator's own, each node could act as the operator, wherever in the
//! cluster. So it is that of an account which may do nothing but read log files.

use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use kube::{Client, core::Request};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::Mutex,
    time::{Duration, timeout},
};

use crate::cluster::{Fault, REQUEST_TIMEOUT};

/// For how long a token is asked for. Kubelets remember for some minutes whom they let in.
const LIFETIME: Duration = Duration::from_secs(3600);
/// How long before its end a token is replaced.
const RESERVE: SignedDuration = SignedDuration::from_mins(10);

/// Why there is no token of an account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The API server has not given it.
    #[error("can't get a token of the service account {0}: {1}")]
    Token(String, #[source] Fault),
    /// It can't be sent.
    #[error("the token of the service account {0} is none")]
    NoToken(String),
}

/// A service account, and its present token.
pub(super) struct Account {
    client: Client,
    namespace: String,
    name: String,
    token: Mutex<Option<Token>>,
}

struct Token {
    header: HeaderValue,
    renew_at: Timestamp,
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

impl AccountError {
    pub(crate) fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Token(_, fault) => Some(fault),
            Self::NoToken(_) => None,
        }
    }
}

impl Account {
    /// The account `name` in `namespace`; its tokens are asked for through `client`.
    pub(super) fn new(client: Client, namespace: String, name: String) -> Self {
        Self { client, namespace, name, token: Mutex::default() }
    }

    /// What to send as the header Authorization.
    pub(super) async fn authorization(&self) -> Result<HeaderValue, AccountError> {
        let mut token = self.token.lock().await;
        let now = Timestamp::now();
        if let Some(Token { header, .. }) = token.as_ref().filter(|token| now < token.renew_at) {
            return Ok(header.clone());
        }
        let Granted { token: granted, expiration_timestamp } = self.ask().await?;
        let mut header = HeaderValue::from_str(&format!("Bearer {granted}"))
            .map_err(|_| AccountError::NoToken(self.to_string()))?;
        header.set_sensitive(true);
        *token = Some(Token { header: header.clone(), renew_at: expiration_timestamp - RESERVE });
        Ok(header)
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
            .create_subresource("token", &self.name, &Default::default(), body.to_string().into_bytes())
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

    #[test]
    fn a_token_is_used_until_it_is_about_to_end() {
        System::new().block_on(async {
            for (minutes, asked) in [(60, 1), (9, 2)] {
                let mut api = granting(SignedDuration::from_mins(minutes));
                let account = Account::new(api.client.clone(), "home".into(), "reader".into());
                for _ in 0..2 {
                    assert_eq!(account.authorization().await.unwrap(), "Bearer abc");
                }
                assert_eq!(api.count(|_| true), asked);
            }
        });
    }

    #[test]
    fn nobody_sees_a_token_in_a_log() {
        System::new().block_on(async {
            let api = granting(SignedDuration::from_hours(1));
            let account = Account::new(api.client.clone(), "home".into(), "reader".into());
            assert_eq!(format!("{:?}", account.authorization().await.unwrap()), "Sensitive");
        });
    }
}
