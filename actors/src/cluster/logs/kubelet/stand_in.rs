//! A kubelet for tests: some files in memory, which are rotated as by a real one, and a script of what happens to them
//! between requests.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::stream;
use http::{Request, Response, header::RANGE};
use http_body::Frame;
use http_body_util::StreamBody;
use kube::Client;

use super::{Kubelets, LogFiles, LogPlace};

const GROWING: &str = "0.log";
/// In how many frames a body comes.
const FRAME: usize = 1000;

pub(super) fn place() -> LogPlace {
    let [address, node, namespace, pod, uid, container] =
        ["10.0.0.1", "n", "ns", "p", "uid", "c"].map(Into::into);
    LogPlace { address, node, namespace, pod, uid, container, restart: 0 }
}

pub(super) fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What happens to the files.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    Nothing,
    /// The container writes so many lines.
    Lines(usize),
    /// It writes a part of a line.
    Part,
    /// The oldest file that is not compressed is, if it is no longer written.
    Compressed,
    /// The growing file is renamed.
    Renamed,
    /// The runtime begins a new one.
    Reopened,
    /// The same, but there was no room for the rest of a line.
    ReopenedOnFullDisk,
    /// Or can't, and the kubelet names the old one as before.
    NamedAsBefore,
    /// The oldest rotated file is removed, if there is a newer one.
    Removed,
    /// The answer breaks off.
    BreaksOff,
    /// The answer is this code.
    Refused(u16),
    /// The whole file is sent.
    KnowsNoParts,
}

#[derive(Default)]
pub(super) struct Disk {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Before each request these happen.
    pub(super) script: VecDeque<Vec<Happening>>,
    pub(super) requests: usize,
    /// All that the container has written.
    pub(super) written: Vec<u8>,
    written_to: String,
    rotations: usize,
    lines: usize,
}

impl Disk {
    pub(super) fn happens(&mut self, happening: &Happening) {
        let rotated = |disk: &Self| {
            let is_free = |name: &&String| **name != GROWING && **name != disk.written_to;
            disk.files.keys().filter(is_free).cloned().collect::<Vec<_>>()
        };
        match happening {
            Happening::Lines(count) => (0..*count).for_each(|_| self.write("F some text\n")),
            Happening::Part => self.write("P some"),
            Happening::Compressed => {
                if let Some(name) = rotated(self).into_iter().find(|it| !it.ends_with(".gz")) {
                    let file = self.files.remove(&name).unwrap();
                    self.files.insert(format!("{name}.gz"), packed(&file));
                }
            }
            Happening::Renamed if self.written_to == GROWING && !self.files[GROWING].is_empty() => {
                self.rotations += 1;
                let name = format!("{GROWING}.20260101-{:06}", self.rotations);
                let file = self.files.remove(GROWING).unwrap();
                self.files.insert(name.clone(), file);
                self.written_to = name;
            }
            Happening::Reopened if self.written_to != GROWING => {
                // A write that is under way is done before that.
                if self.files[&self.written_to].last().is_some_and(|&byte| byte != b'\n') {
                    self.append(b" text\n");
                }
                self.happens(&Happening::ReopenedOnFullDisk);
            }
            Happening::ReopenedOnFullDisk => {
                self.files.insert(GROWING.into(), vec![]);
                self.written_to = GROWING.into();
            }
            Happening::NamedAsBefore if self.written_to != GROWING => {
                let file = self.files.remove(&self.written_to).unwrap();
                self.files.insert(GROWING.into(), file);
                self.written_to = GROWING.into();
            }
            Happening::Removed => {
                if let [oldest, _, ..] = &rotated(self)[..] {
                    self.files.remove(oldest);
                }
            }
            _ => {}
        }
    }

    fn write(&mut self, text: &str) {
        self.lines += 1;
        let line = format!("2026-01-01T00:00:01.{:09}Z stdout {text}", self.lines);
        self.append(line.as_bytes());
    }

    fn append(&mut self, bytes: &[u8]) {
        self.files.get_mut(&self.written_to).unwrap().extend(bytes);
        self.written.extend(bytes);
    }

    fn answer(&mut self, request: &Request<kube::client::Body>) -> (u16, Vec<u8>, bool) {
        self.requests += 1;
        let happenings = self.script.pop_front().unwrap_or_default();
        happenings.iter().for_each(|happening| self.happens(happening));
        let path = request.uri().path().strip_prefix("/logs/pods/ns_p_uid/c/").unwrap();
        if let Some(Happening::Refused(code)) = happenings.last() {
            return (*code, b"refused".to_vec(), false);
        }
        let breaks_off = matches!(happenings.last(), Some(Happening::BreaksOff));
        if path.is_empty() {
            let link = |name| format!("<a href=\"{name}\">{name}</a>\n");
            let list: String = self.files.keys().map(link).collect();
            return (200, format!("<pre>\n{list}</pre>\n").into(), breaks_off);
        }
        let Some(file) = self.files.get(path) else { return (404, b"404 page not found\n".to_vec(), false) };
        let range = request.headers()[RANGE].to_str().unwrap().strip_prefix("bytes=").unwrap();
        let (from, last) = range.split_once('-').unwrap();
        let (from, last): (usize, usize) = (from.parse().unwrap(), last.parse().unwrap());
        match file.len() {
            // So does Go.
            0 => (200, vec![], false),
            length if from >= length => (416, b"invalid range".to_vec(), false),
            _ if matches!(happenings.last(), Some(Happening::KnowsNoParts)) => {
                (200, file.clone(), breaks_off)
            }
            length => (206, file[from..length.min(last + 1)].to_vec(), breaks_off),
        }
    }
}

/// The disk of a node, of which a kubelet serves the files.
#[derive(Clone)]
pub(super) struct Node(Arc<Mutex<Disk>>);

impl Node {
    /// With an empty log.
    pub(super) fn new() -> Self {
        let files = BTreeMap::from([(GROWING.to_owned(), vec![])]);
        Self(Arc::new(Mutex::new(Disk { files, written_to: GROWING.into(), ..Disk::default() })))
    }

    pub(super) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    pub(super) fn happens(&self, happenings: impl IntoIterator<Item = Happening>) {
        happenings.into_iter().for_each(|happening| self.disk().happens(&happening));
    }

    /// This happens during the next requests, some of it before each.
    pub(super) fn will_happen(&self, happenings: impl IntoIterator<Item = Vec<Happening>>) {
        self.disk().script.extend(happenings);
    }

    /// A reader of its log.
    pub(super) fn log(&self) -> LogFiles {
        let node = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let (code, body, breaks_off) = node.disk().answer(&request);
            let sent = if breaks_off { body.len() / 2 } else { body.len() };
            let frames = body[..sent].chunks(FRAME).map(|it| Ok(Frame::data(Bytes::copy_from_slice(it))));
            let end = breaks_off.then(|| Err(io::Error::other("broken")));
            let body = StreamBody::new(stream::iter(frames.chain(end).collect::<Vec<_>>()));
            async move { Ok::<_, io::Error>(Response::builder().status(code).body(body).unwrap()) }
        });
        LogFiles::new(Kubelets::through(Client::new(service, "default")), place())
    }
}
