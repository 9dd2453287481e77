//! One watch on one kind of object, for ever: list, watch on from there, resume where it broke
//! off, and list again only when the API server has forgotten that place (410 Gone).
//!
//! Not `kube::runtime::watcher`: an operator that must know where it stands needs the versions and
//! bookmarks that it hides, and one object that can't be decoded must not stop a watch.

use std::{collections::VecDeque, time::Duration};

use extendedjob_decide::{
    fault::Class,
    pod::Version,
    retry::Backoff,
    scope::Scope,
    track::{Observation, Undecodable},
};
use futures::{
    Stream,
    stream::{self, BoxStream, StreamExt},
};
use kube::{
    Client,
    api::{ListParams, VersionMatch, WatchEvent, WatchParams},
    core::Request,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::{Cluster, Fault, REQUEST_TIMEOUT, meta::Meta};
use crate::{clock::steady, metrics::Share};

/// Objects per page of a list: small enough that a page is cheap to hold.
const PAGE: u32 = 500;
/// How long the API server keeps a watch open, in seconds.
const WATCH_SECONDS: u32 = 290;
/// Silence after which a watch is taken for dead, such as after a firewall forgot the connection:
/// bookmarks come about once a minute.
const SILENCE: Duration = Duration::from_secs(150);

/// A watch that lives shorter than this, and brings nothing, is opened again only after a delay.
const SOUND_AFTER: Duration = Duration::from_secs(1);

/// A kind of object to watch.
pub struct Source<T> {
    /// Such as `api/v1`.
    pub group: &'static str,
    /// Such as `pods`.
    pub resource: &'static str,
    /// Only objects that bear this label.
    pub label: Option<&'static str>,
    /// Only their metadata are sent: what else they hold is long, or none of the operator's business.
    pub metadata_only: bool,
    /// From the object's JSON to what is kept of it.
    pub decode: fn(&str) -> Result<T, serde_json::Error>,
}

impl<T> Clone for Source<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Source<T> {}

impl<T> Source<T> {
    /// Of its objects there.
    pub(super) fn path(&self, scope: &Scope) -> String {
        match scope {
            Scope::Namespace(namespace) => {
                format!("/{}/namespaces/{namespace}/{}", self.group, self.resource)
            }
            Scope::Cluster => format!("/{}/{}", self.group, self.resource),
        }
    }
}

impl Cluster {
    /// Everything that happens to objects of `source`, from a first list on. Never ends.
    ///
    /// The list shows things as they were `at` that version, if one is given and the API server
    /// still knows; else as they are now, which is then said first.
    pub fn watch<T: 'static>(
        &self,
        source: Source<T>,
        at: Option<Version>,
    ) -> impl Stream<Item = Observation<T>> + use<T> {
        let watch = Watch {
            client: self.client.clone(),
            path: source.path(&self.scope),
            source,
            state: State::Listing { page: None, at },
            ready: VecDeque::new(),
            backoff: Backoff::default(),
            refused: self.metrics.refused(&self.scope),
        };
        stream::unfold(watch, |mut watch| async {
            let observation = watch.next().await;
            Some((observation, watch))
        })
    }
}

struct Watch<T> {
    client: Client,
    source: Source<T>,
    path: String,
    state: State,
    ready: VecDeque<Observation<T>>,
    backoff: Backoff,
    /// Whether the API server refused it when it was last asked.
    refused: Share,
}

type Raw = Box<RawValue>;
type Events = BoxStream<'static, Result<WatchEvent<Raw>, kube::Error>>;

enum State {
    /// Fetch the page behind this token; none yet means the first. `at`: as things were then.
    Listing { page: Option<String>, at: Option<Version> },
    /// Open a watch from this version on. `at`: nothing has come since the list as things were then.
    Opening { version: String, at: Option<Version> },
    /// Take events; `version` is that of the last one. `until_sound`: until then, a watch that ends
    /// without an event is taken for refused.
    Watching { version: String, at: Option<Version>, events: Events, until_sound: Option<Instant> },
}

#[derive(Deserialize)]
struct List {
    metadata: ListMeta,
    /// A list of metadata has null for none.
    items: Option<Vec<Raw>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: String,
    r#continue: Option<String>,
}

#[derive(Default, Deserialize)]
struct Named {
    metadata: Meta,
}

#[derive(Deserialize)]
struct Versioned {
    metadata: VersionMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionMeta {
    resource_version: String,
}

impl<T> Watch<T> {
    async fn next(&mut self) -> Observation<T> {
        loop {
            if let Some(observation) = self.ready.pop_front() {
                return observation;
            }
            if let Err(fault) = self.step().await {
                self.stumble(&fault).await;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Fault> {
        match &mut self.state {
            State::Listing { page, at } => {
                let (page, at) = (page.clone(), *at);
                self.list(page, at).await
            }
            State::Opening { version, at } => {
                let (version, at) = (version.clone(), *at);
                self.open(version, at).await
            }
            State::Watching { version, at, events, until_sound } => {
                match timeout(SILENCE, events.next()).await {
                    Ok(Some(Ok(event))) => self.take(event),
                    Ok(Some(Err(error))) => {
                        self.state = State::Opening { version: version.clone(), at: *at };
                        Err(error.into())
                    }
                    Ok(None) if until_sound.is_some_and(|until| Instant::now() < until) => {
                        self.state = State::Opening { version: version.clone(), at: *at };
                        Err(Fault::ClosedAtOnce)
                    }
                    // The API server ends a watch after its time, and cuts off slow readers: the next
                    // one goes on from the same place.
                    Ok(None) | Err(_) => {
                        debug!(path = self.path, %version, "watch ended, resuming");
                        self.state = State::Opening { version: version.clone(), at: *at };
                        Ok(())
                    }
                }
            }
        }
    }

    /// Fetches one page. The version is exact, or left unset, and never 0: the answer is then what
    /// etcd holds, not what some API server remembers.
    async fn list(&mut self, page: Option<String>, at: Option<Version>) -> Result<(), Fault> {
        let first = page.is_none();
        let mut params = ListParams::default().limit(PAGE);
        // A continue token holds the version.
        if let (true, Some(version)) = (first, at) {
            params = params.at(&version.to_string()).matching(VersionMatch::Exact);
        }
        params.label_selector = self.source.label.map(str::to_owned);
        params.continue_token = page;
        let requests = Request::new(&self.path);
        let request = match self.source.metadata_only {
            true => requests.list_metadata(&params),
            false => requests.list(&params),
        };
        let request = request.map_err(Fault::request)?;
        let text = timeout(REQUEST_TIMEOUT, self.client.request_text(request))
            .await
            .map_err(|_| Fault::NoAnswer(REQUEST_TIMEOUT))??;
        // Not by the client, which logs what it can't decode.
        let list: List = serde_json::from_str(&text).map_err(Fault::Undecodable)?;
        if first {
            self.ready.push_back(Observation::RelistBegun);
        }
        for item in list.items.iter().flatten() {
            let seen = self.decode(item).map_or_else(Observation::Undecodable, Observation::Seen);
            self.ready.push_back(seen);
        }
        self.refused.set(0);
        self.state = match list.metadata.r#continue.filter(|token| !token.is_empty()) {
            Some(token) => State::Listing { page: Some(token), at },
            None => {
                self.ready.push_back(Observation::RelistEnded(number(&list.metadata.resource_version)));
                State::Opening { version: list.metadata.resource_version, at }
            }
        };
        Ok(())
    }

    async fn open(&mut self, version: String, at: Option<Version>) -> Result<(), Fault> {
        let mut params = WatchParams::default().timeout(WATCH_SECONDS);
        params.label_selector = self.source.label.map(str::to_owned);
        let requests = Request::new(&self.path);
        let request = match self.source.metadata_only {
            true => requests.watch_metadata(&params, &version),
            false => requests.watch(&params, &version),
        };
        let request = request.map_err(Fault::request)?;
        let events = timeout(REQUEST_TIMEOUT, self.client.request_events::<Raw>(request))
            .await
            .map_err(|_| Fault::NoAnswer(REQUEST_TIMEOUT))??;
        self.refused.set(0);
        let until_sound = Some(Instant::now() + SOUND_AFTER);
        self.state = State::Watching { version, at, events: events.boxed(), until_sound };
        Ok(())
    }

    fn take(&mut self, event: WatchEvent<Raw>) -> Result<(), Fault> {
        let (raw, gone) = match event {
            WatchEvent::Added(raw) | WatchEvent::Modified(raw) => (raw, false),
            WatchEvent::Deleted(raw) => (raw, true),
            WatchEvent::Bookmark(bookmark) => {
                let version = bookmark.metadata.resource_version;
                self.ready.push_back(Observation::Bookmark(number(&version)));
                self.advance(version);
                return Ok(());
            }
            WatchEvent::Error(status) => return Err(Fault::Status(status)),
        };
        let observation = match self.decode(&raw) {
            Ok(object) if gone => Observation::Gone(object),
            Ok(object) => Observation::Seen(object),
            Err(undecodable) => Observation::Undecodable(undecodable),
        };
        self.ready.push_back(observation);
        if let Ok(versioned) = serde_json::from_str::<Versioned>(raw.get()) {
            self.advance(versioned.metadata.resource_version);
        }
        Ok(())
    }

    /// An event has come through: go on from here, and take the connection for sound.
    fn advance(&mut self, to: String) {
        if let State::Watching { version, at, until_sound, .. } = &mut self.state {
            *version = to;
            *at = None;
            *until_sound = None;
        }
        self.backoff.reset();
    }

    fn decode(&self, raw: &RawValue) -> Result<T, Undecodable> {
        (self.source.decode)(raw.get()).map_err(|error| {
            let Named { metadata: Meta { namespace, name, uid, .. } } =
                serde_json::from_str(raw.get()).unwrap_or_default();
            Undecodable { name: format!("{namespace}/{name}"), uid, error: error.to_string() }
        })
    }

    /// Waits before the next try, and starts over with a list where the place is lost.
    async fn stumble(&mut self, fault: &Fault) {
        let lost = fault.class() == Class::Expired;
        self.refused.set(usize::from(fault.class() == Class::Refused));
        let (version, at) = match &self.state {
            State::Listing { at, .. } => (None, *at),
            State::Opening { version, at } | State::Watching { version, at, .. } => {
                (Some(version.clone()), *at)
            }
        };
        if lost && at.is_some() {
            self.ready.push_back(Observation::Lost);
        }
        self.state = match version {
            Some(version) if !lost => State::Opening { version, at },
            // A list that broke off in the middle begins anew, too: its other pages may be gone.
            _ => State::Listing { page: None, at: at.filter(|_| !lost) },
        };

        let delay = self.backoff.after_failure(steady());
        warn!(path = self.path, error = %fault, ?delay, relist = lost, "watch failed, trying again");
        sleep(delay).await;
    }
}

/// A version as a number, which Kubernetes promises that it is (KEP-5504).
fn number(version: &str) -> Version {
    version.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_decoded_with_its_object_left_raw() {
        let line = r#"{"type":"ADDED","object":{"metadata":{"resourceVersion":"7"},"spec":1}}"#;
        let event: WatchEvent<Raw> = serde_json::from_str(line).unwrap();
        assert!(
            matches!(event, WatchEvent::Added(raw) if raw.get() == r#"{"metadata":{"resourceVersion":"7"},"spec":1}"#)
        );
    }
}
