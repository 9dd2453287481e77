//! The book of pods: what was last known of each pod that some trigger is about, in pages that are
//! written whole, so that after a gap in the watch it can be told what has happened.
//!
//! A change that stands on no written page holds the checkpoint back, see
//! [`reach`](crate::checkpoint::reach): the book is never behind the checkpoint.

use std::{collections::BTreeMap, io, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    edges::Edges,
    ledger::Unreadable,
    packed,
    pod::{Pod, Version},
    selector::Labels,
    track::Written,
};

/// Pods on a page: with compression well below what a ConfigMap holds, and quick to rewrite.
const PAGE: usize = 1000;
/// The form of a page. One that is newer than this program is not read.
const FORM: u32 = 1;

/// One page: a namespace, and which of its pages.
pub type PageId = (String, usize);

/// The pages of all namespaces that have triggered ExtendedJobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Book {
    namespaces: BTreeMap<String, Vec<Page>>,
    /// On which page of its namespace a pod stands, for as long as it stands there.
    places: BTreeMap<String, usize>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Page {
    pods: BTreeMap<String, Written>,
    /// The oldest change that is not written.
    dirty: Option<Version>,
    /// The oldest change that is being written.
    writing: Option<Version>,
    /// The resourceVersion of the object that holds it, if there is one.
    object: Option<String>,
    /// How many have written it, see [`Ledger::writers`](crate::ledger::Ledger::writers).
    writers: u64,
    /// The one whose book this is, too.
    fenced: bool,
}

/// A page as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stored {
    /// Which.
    pub id: PageId,
    /// The resourceVersion of the object that holds it; `None` for one that is to be created.
    pub object: Option<String>,
    /// The page.
    pub bytes: Vec<u8>,
}

/// A page that is about to be stored, and is still to be packed: that takes milliseconds, and can be done aside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Draft {
    id: PageId,
    object: Option<String>,
    pods: Vec<Written>,
    checkpoint: Version,
    pages: usize,
    writers: u64,
    newest: Timestamp,
}

/// What was read of the book.
#[derive(Debug, Default)]
pub struct Read {
    /// The book, without the namespaces that are not whole.
    pub book: Book,
    /// Of each of them the newest creation of a pod that was known when its newest page was written.
    pub times: BTreeMap<String, Timestamp>,
    /// Pages beyond the last one, with the resourceVersions of their objects.
    pub unused: Vec<(PageId, String)>,
    /// Of which namespaces some page can't be used, and why.
    pub lost: BTreeMap<String, Loss>,
}

/// Why the book of a namespace can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Loss {
    /// A page that others speak of is not there.
    #[error("page {0} of the book of pods is missing")]
    Missing(usize),
    /// A page can't be read.
    #[error("page {0} of the book of pods can't be used: {1}")]
    Unreadable(usize, Unreadable),
}

#[derive(Serialize, Deserialize)]
struct Wire {
    form: u32,
    /// How many pages the namespace had when this one was written; the first page is always right.
    pages: usize,
    #[serde(default)]
    writers: u64,
    /// See [`Read::times`].
    #[serde(default)]
    newest: Timestamp,
    pods: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    uid: String,
    name: String,
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    labels: Labels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    version: Version,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    appeared: Option<Version>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone: Option<Version>,
    edges: Edges,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<(Version, Labels)>,
}

impl Book {
    /// Reads the pages that are there.
    #[must_use]
    pub fn read(stored: Vec<Stored>) -> Read {
        let mut read = Read::default();
        // The first page is the one that always says right how many there are.
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut pages: BTreeMap<String, BTreeMap<usize, Page>> = BTreeMap::new();
        for Stored { id: (namespace, index), object, bytes } in stored {
            match page(&namespace, &bytes) {
                Ok((count, newest, page)) => {
                    let time = read.times.entry(namespace.clone()).or_insert(newest);
                    *time = newest.max(*time);
                    if index == 0 {
                        counts.insert(namespace.clone(), count);
                    }
                    let page = Page { object, ..page };
                    pages.entry(namespace).or_default().insert(index, page);
                }
                Err(error) => {
                    read.lost.insert(namespace, Loss::Unreadable(index, error));
                }
            }
        }
        for (namespace, mut pages) in pages {
            let count = counts.get(&namespace).copied().unwrap_or(1);
            for (index, page) in pages.split_off(&count) {
                read.unused.extend(page.object.map(|object| ((namespace.clone(), index), object)));
            }
            if let Some(missing) = (0..count).find(|index| !pages.contains_key(index)) {
                read.lost.entry(namespace.clone()).or_insert(Loss::Missing(missing));
            }
            if read.lost.contains_key(&namespace) {
                continue;
            }
            for (index, page) in &mut pages {
                read.book.places.extend(page.pods.keys().map(|uid| (uid.clone(), *index)));
            }
            read.book.namespaces.insert(namespace, pages.into_values().collect());
        }
        read.times.retain(|namespace, _| read.book.holds(namespace));
        read
    }

    /// All that is written, for the [`Tracker`](crate::track::Tracker).
    pub fn lines(&self) -> impl Iterator<Item = &Written> {
        self.namespaces.values().flatten().flat_map(|page| page.pods.values())
    }

    /// The namespaces that have pages.
    pub fn namespaces(&self) -> impl Iterator<Item = &String> {
        self.namespaces.keys()
    }

    /// Whether a pod stands in it.
    #[must_use]
    pub fn names(&self, pod: &Pod) -> bool {
        self.places.contains_key(&pod.uid)
    }

    /// Whether a namespace has pages.
    #[must_use]
    pub fn holds(&self, namespace: &str) -> bool {
        self.namespaces.contains_key(namespace)
    }

    /// Begins the pages of a namespace, if there are none: an empty page says that nothing was there.
    pub fn open(&mut self, namespace: &str, seen: Version) {
        if !self.holds(namespace) {
            let first = Page { dirty: Some(seen), ..Page::default() };
            self.namespaces.insert(namespace.to_owned(), vec![first]);
        }
    }

    /// Gives up the pages of a namespace; says which objects held them, and their resourceVersions.
    pub fn close(&mut self, namespace: &str) -> Vec<(PageId, String)> {
        let pages = self.namespaces.remove(namespace).unwrap_or_default();
        for uid in pages.iter().flat_map(|page| page.pods.keys()) {
            self.places.remove(uid);
        }
        let held = pages.into_iter().enumerate();
        held.filter_map(|(index, page)| Some(((namespace.to_owned(), index), page.object?))).collect()
    }

    /// Whether it has this page.
    #[must_use]
    pub fn has_page(&self, (namespace, index): &PageId) -> bool {
        self.namespaces.get(namespace).is_some_and(|pages| *index < pages.len())
    }

    /// Takes in what happened to a pod; `gone`: that was its end. Its namespace has pages.
    pub fn note(&mut self, pod: &Arc<Pod>, gone: bool, seen: Version) {
        let Some(pages) = self.namespaces.get_mut(&pod.namespace) else { return };
        let index = match self.places.get(&pod.uid) {
            Some(index) => *index,
            None if gone => return,
            None => {
                let free = pages.iter().position(|page| page.pods.len() < PAGE);
                let index = free.unwrap_or_else(|| {
                    pages.push(Page::default());
                    // The first page says how many there are.
                    pages[0].touch(seen);
                    pages.len() - 1
                });
                self.places.insert(pod.uid.clone(), index);
                index
            }
        };
        let page = &mut pages[index];
        page.touch(seen);
        let written = Written { pod: Arc::clone(pod), gone: gone.then_some(seen) };
        page.pods.insert(pod.uid.clone(), written);
    }

    /// The oldest change that no written page holds.
    #[must_use]
    pub fn unwritten(&self) -> Option<Version> {
        self.namespaces.values().flatten().filter_map(Page::unwritten).min()
    }

    /// The oldest change in a namespace that no written page holds.
    #[must_use]
    pub fn unwritten_in(&self, namespace: &str) -> Option<Version> {
        let pages = self.namespaces.get(namespace).into_iter().flatten();
        pages.filter_map(Page::unwritten).min()
    }

    /// The page that has waited longest to be written.
    #[must_use]
    pub fn due(&self) -> Option<PageId> {
        let all = self.namespaces.iter().flat_map(|(namespace, pages)| {
            pages.iter().enumerate().map(move |(index, page)| (page.dirty, namespace, index))
        });
        let due = all.filter_map(|(dirty, namespace, index)| Some((dirty?, namespace, index))).min();
        due.map(|(_, namespace, index)| (namespace.clone(), index))
    }

    /// Begins to write a page; edges up to `checkpoint` are only counted from now on. For `newest` see
    /// [`Read::times`].
    pub fn begin(&mut self, id: &PageId, checkpoint: Version, newest: Timestamp) -> Option<Draft> {
        let (namespace, index) = id;
        let in_namespace = self.namespaces.get_mut(namespace)?;
        let pages = in_namespace.len();
        let page = in_namespace.get_mut(*index)?;
        page.writing = page.writing.into_iter().chain(page.dirty.take()).min();
        let places = &mut self.places;
        page.pods.retain(|uid, written| {
            let stays = written.gone.is_none_or(|gone| gone > checkpoint);
            if !stays {
                places.remove(uid);
            }
            stays
        });
        let pods = page.pods.values().cloned().collect();
        let writers = page.writers.saturating_add(u64::from(!page.fenced));
        Some(Draft { id: id.clone(), object: page.object.clone(), pods, checkpoint, pages, writers, newest })
    }

    /// A page stands written, as the object of this resourceVersion.
    pub fn written(&mut self, (namespace, index): &PageId, object: String) {
        if let Some(page) = self.namespaces.get_mut(namespace).and_then(|pages| pages.get_mut(*index)) {
            page.writing = None;
            page.object = Some(object);
            page.writers = page.writers.saturating_add(u64::from(!page.fenced));
            page.fenced = true;
        }
    }

    /// The object that holds a page has this resourceVersion by now, and what it holds is what was written, or it
    /// is not there any more: the page is due.
    pub fn moved(&mut self, id: &PageId, object: Option<String>) {
        self.not_written(id);
        if let Some(page) = self.namespaces.get_mut(&id.0).and_then(|pages| pages.get_mut(id.1)) {
            page.object = object;
        }
    }

    /// A page could not be written: it is due again.
    pub fn not_written(&mut self, (namespace, index): &PageId) {
        if let Some(page) = self.namespaces.get_mut(namespace).and_then(|pages| pages.get_mut(*index)) {
            page.dirty = page.dirty.into_iter().chain(page.writing.take()).min();
        }
    }
}

impl Draft {
    /// Which page it is.
    #[must_use]
    pub fn id(&self) -> &PageId {
        &self.id
    }

    /// The page as it is stored.
    ///
    /// # Errors
    /// None but those of a compressor that writes to memory.
    pub fn pack(&self) -> io::Result<Stored> {
        let Self { id, object, pods, checkpoint, pages, writers, newest } = self;
        let pods = pods.iter().map(|written| line(written, *checkpoint)).collect();
        let (pages, writers, newest) = (*pages, *writers, *newest);
        let bytes = packed::pack(&Wire { form: FORM, pages, writers, newest, pods })?;
        Ok(Stored { id: id.clone(), object: object.clone(), bytes })
    }
}

impl Page {
    fn unwritten(&self) -> Option<Version> {
        self.dirty.into_iter().chain(self.writing).min()
    }

    fn touch(&mut self, seen: Version) {
        self.dirty = Some(self.dirty.map_or(seen, |dirty| dirty.min(seen)));
    }
}

fn line(Written { pod, gone }: &Written, checkpoint: Version) -> Line {
    let mut pod = Pod::clone(pod);
    pod.pass(checkpoint);
    let Pod { uid, name, labels, created, ip, node, version, appeared, edges, earlier, .. } = pod;
    Line { uid, name, labels, created, ip, node, version, appeared, gone: *gone, edges, earlier }
}

fn page(namespace: &str, bytes: &[u8]) -> Result<(usize, Timestamp, Page), Unreadable> {
    let Wire { form, pages, writers, newest, pods } = packed::unpack(bytes)?;
    if form > FORM {
        return Err(Unreadable::Newer(form));
    }
    let written = pods.into_iter().map(|line| {
        let Line { uid, name, labels, created, ip, node, version, appeared, gone, edges, earlier } = line;
        let (namespace, ready) = (namespace.to_owned(), edges.last().unwrap_or_default());
        let pod = Pod {
            uid: uid.clone(),
            name,
            namespace,
            labels,
            created,
            ip,
            node,
            ready,
            version,
            appeared,
            edges,
            earlier,
            ..Pod::default()
        };
        (uid, Written { pod: Arc::new(pod), gone })
    });
    Ok((pages, newest, Page { pods: written.collect(), writers, ..Page::default() }))
}

#[cfg(test)]
mod tests {
    use mangled::mangled;
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{at, pod};

    fn numbered(number: usize, version: Version) -> Arc<Pod> {
        let pod = Pod { uid: format!("uid-{number}"), name: format!("pod-{number}"), version, ..pod() };
        Arc::new(pod.labelled("app", "web").ready(at(1)).appearing())
    }

    fn store(book: &mut Book, checkpoint: Version) -> Vec<Stored> {
        let mut all = vec![];
        while let Some(id) = book.due() {
            all.push(book.begin(&id, checkpoint, at(0)).unwrap().pack().unwrap());
            book.written(&id, "1".into());
        }
        all
    }

    fn filled(count: usize) -> Book {
        let mut book = Book::default();
        book.open("ns", 1);
        (0..count).for_each(|number| book.note(&numbered(number, 5 + number as Version), false, 5));
        book
    }

    #[test]
    fn what_was_written_is_read_again() {
        let mut book = filled(2 * PAGE + 1);
        let stored = store(&mut book, 0);
        assert_eq!(stored.len(), 3);
        let Read { book: again, lost, .. } = Book::read(stored);
        assert!(lost.is_empty());
        assert_eq!(again.lines().collect::<Vec<_>>(), book.lines().collect::<Vec<_>>());
    }

    #[test]
    fn the_first_page_of_each_writer_differs_from_the_one_before_it() {
        let mut book = filled(1);
        let first = store(&mut book, 0);
        book.note(&numbered(0, 5), false, 5);
        assert_eq!(
            store(&mut book, 0)[0].bytes,
            first[0].bytes,
            "nothing has changed, and none came between"
        );
        let mut next = Book::read(first.clone()).book;
        next.note(&numbered(0, 5), false, 5);
        assert_ne!(store(&mut next, 0)[0].bytes, first[0].bytes);
    }

    #[test]
    fn a_page_of_a_thousand_pods_is_small() {
        let size = store(&mut filled(PAGE), 0)[0].bytes.len();
        assert!(size < 50_000, "{size}");
    }

    #[test]
    fn what_is_not_written_holds_the_checkpoint_back_until_it_is() {
        let mut book = filled(1);
        assert_eq!(book.unwritten(), Some(1));
        let id = book.due().unwrap();
        book.begin(&id, 0, at(0)).unwrap();
        book.note(&numbered(2, 9), false, 9);
        assert_eq!(book.unwritten(), Some(1), "it may not have arrived");
        book.not_written(&id);
        assert_eq!(book.unwritten(), Some(1));
        book.begin(&id, 0, at(0)).unwrap();
        book.note(&numbered(3, 11), false, 11);
        book.written(&id, "2".into());
        assert_eq!(book.unwritten(), Some(11));
    }

    #[test]
    fn a_pod_that_is_gone_stays_until_the_checkpoint_has_passed_its_end() {
        let mut book = filled(1);
        book.note(&numbered(0, 5), true, 20);
        let Read { book: again, .. } = Book::read(store(&mut book, 19));
        assert_eq!(again.lines().map(|line| line.gone).collect::<Vec<_>>(), [Some(20)]);
        book.note(&numbered(1, 21), false, 21);
        let Read { book: again, .. } = Book::read(store(&mut book, 20));
        assert_eq!(again.lines().map(|line| line.pod.name.as_str()).collect::<Vec<_>>(), ["pod-1"]);
    }

    #[test]
    fn pages_beyond_those_that_the_first_one_tells_of_are_of_no_use() {
        let mut book = filled(2 * PAGE);
        let mut old = store(&mut book, 0);
        old[1].object = Some("1".into());
        let unused = book.close("ns");
        assert_eq!(unused.len(), 2);
        book.open("ns", 9);
        assert_eq!(unused.iter().map(|(id, _)| book.has_page(id)).collect::<Vec<_>>(), [true, false]);
        let first = store(&mut book, 0).remove(0);
        let read = Book::read(vec![first, old[1].clone()]);
        assert_eq!((read.book.lines().count(), read.unused.len(), read.lost.len()), (0, 1, 0));
    }

    #[test]
    fn a_page_that_is_missing_or_damaged_makes_the_book_of_its_namespace_useless() {
        let mut book = filled(2 * PAGE);
        let stored = store(&mut book, 0);
        for lost in [0, 1] {
            let mut rest = stored.clone();
            rest.remove(lost);
            let read = Book::read(rest);
            assert!(matches!(read.lost["ns"], Loss::Missing(missing) if missing == lost), "{read:?}");
            assert!(!read.book.holds("ns"));
            let mut damaged = stored.clone();
            damaged[lost].bytes.truncate(100);
            assert!(matches!(Book::read(damaged).lost["ns"], Loss::Unreadable(page, _) if page == lost));
        }
    }

    fn stored_page() -> Stored {
        store(&mut filled(3), 0).swap_remove(0)
    }

    fn wire() -> serde_json::Value {
        packed::unpack(&stored_page().bytes).unwrap()
    }

    proptest! {
        /// What someone has made of a page is a loss, of which is told, or read as a book that can be written again.
        #[test]
        fn no_page_makes_it_panic(wire in mangled(wire())) {
            let bytes = packed::pack(&wire).unwrap();
            let Read { mut book, lost, .. } = Book::read(vec![Stored { bytes, ..stored_page() }]);
            prop_assert_ne!(lost.contains_key("ns"), book.holds("ns"));
            let lines = book.lines().count();
            book.note(&numbered(7, 9), false, 9);
            let again = Book::read(store(&mut book, 0));
            let expected = if lost.is_empty() { lines + 1 } else { 0 };
            prop_assert!(again.lost.is_empty() && again.book.lines().count() == expected);
        }

        /// A damaged page is lost, or read as what was written; never as something else.
        #[test]
        fn damage_is_noticed(at in 0..1000usize, bit in 0..8u8, cut in any::<bool>()) {
            let mut page = stored_page();
            let at = at % page.bytes.len();
            if cut { page.bytes.truncate(at) } else { page.bytes[at] ^= 1 << bit }
            let Read { book, lost, .. } = Book::read(vec![page]);
            prop_assert!(lost.contains_key("ns") || book.lines().eq(filled(3).lines()));
        }
    }
}
