//! Writes the book of pods: one page at a time, the one that has waited longest first, within a
//! budget for the whole operator.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::Arc,
    time::Duration,
};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use extendedjob_decide::{
    book::{Book, Draft, PageId, Stored},
    fault::Class,
    pod::{Pod, Version},
    retry::Backoff,
};
use tokio::task::spawn_blocking;
use tracing::{debug, warn};

use super::{Keeping, PodHub};
use crate::{
    clock::steady,
    cluster::{kept::pause_after, pages::PageError},
    messages::{BookNews, Breach, TermBroken},
    metrics::{Metrics, Share},
};

/// The least time between two pages.
const LEAST: Duration = Duration::from_millis(50);
/// Changes that come together are written together.
const GATHER: Duration = Duration::from_millis(500);

/// The work on the pages, done one piece after the other.
#[derive(Default)]
pub(super) struct Writing {
    state: State,
    /// A page whose write has not been answered; it is sent again as it is.
    unanswered: Option<Stored>,
    /// Pages that can't be used.
    aside: Vec<Stored>,
    /// Pages that nobody needs any more, with the resourceVersions of their objects.
    unused: Vec<(PageId, String)>,
    /// What each page holds, as far as this operator knows.
    prints: HashMap<PageId, Print>,
    failures: u32,
    backoff: Backoff,
}

/// What tells the content of a page from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Print {
    hash: u64,
    length: usize,
}

/// How much is stored, as it is counted.
pub(super) struct Size {
    pages: Share,
    bytes: Share,
}

impl Size {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self { pages: metrics.book_pages(), bytes: metrics.book_bytes() }
    }

    pub(super) fn set(&mut self, writing: &Writing) {
        self.pages.set(writing.prints.len());
        self.bytes.set(writing.prints.values().map(|print| print.length).sum());
    }
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    /// A piece is under way, or the next one waits for its time.
    Busy,
}

/// A piece of work on the pages.
enum Piece {
    Store(Stored),
    SetAside(Stored),
    Delete(PageId, String),
}

/// What is to be done next.
enum Next {
    /// To be stored when it is packed.
    Pack(Draft),
    Send(Piece),
}

/// What is stored is not what was left: see who wrote it.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct LookWhoWrote {
    term: i64,
    id: PageId,
}

/// So many failures in a row are no hiccup.
const LASTING: u32 = 3;

#[derive(actix::Message)]
#[rtype(result = "()")]
struct GoOn {
    term: i64,
}

impl Writing {
    pub(super) fn new(stored: &[Stored], aside: Vec<Stored>, unused: Vec<(PageId, String)>) -> Self {
        let prints = stored.iter().map(|page| (page.id.clone(), print(&page.bytes))).collect();
        Self { aside, unused, prints, ..Self::default() }
    }

    /// A page is stored, as the object of this resourceVersion.
    fn stored(&mut self, book: &mut Book, page: &Stored, object: String) {
        self.backoff.reset();
        self.failures = 0;
        self.unanswered = None;
        self.prints.insert(page.id.clone(), print(&page.bytes));
        if book.has_page(&page.id) {
            book.written(&page.id, object);
        } else {
            self.is_held_by(&page.id, Some(object));
        }
    }

    /// The object of a page was changed, but not its content; or it was deleted.
    fn moved(&mut self, book: &mut Book, id: &PageId, object: Option<String>) {
        if book.has_page(id) {
            book.moved(id, object);
        } else {
            self.is_held_by(id, object);
        }
    }

    /// A page that nobody needs any more was given up while its write was under way, or is touched by others: it
    /// is to be deleted as what it is now.
    fn is_held_by(&mut self, id: &PageId, object: Option<String>) {
        self.unused.retain(|(unused, _)| unused != id);
        self.unused.extend(object.map(|object| (id.clone(), object)));
    }
}

fn print(bytes: &[u8]) -> Print {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Print { hash: hasher.finish(), length: bytes.len() }
}

impl Keeping {
    /// Sees to it that the book names these pods, which some trigger is about.
    pub(super) fn note_present(&mut self, pods: &[Arc<Pod>], seen: Version) {
        for pod in pods {
            if !self.book.names(pod) {
                self.book.note(pod, false, seen);
            }
        }
    }
}

impl PodHub {
    /// The last triggered ExtendedJob of a namespace is gone.
    pub(super) fn close_book(&mut self, namespace: &str, ctx: &mut Context<Self>) {
        if let Some(Keeping { book, writing, .. }) = &mut self.keeping {
            writing.unused.extend(book.close(namespace));
            self.write_book(ctx);
        }
    }

    /// Begins to write what is due, unless a write is under way.
    pub(super) fn write_book(&mut self, ctx: &mut Context<Self>) {
        let Some(Keeping { book, writing, term, .. }) = &mut self.keeping else { return };
        let idle = writing.aside.is_empty() && writing.unused.is_empty() && book.due().is_none();
        if writing.state == State::Idle && !idle {
            writing.state = State::Busy;
            ctx.notify_later(GoOn { term: *term }, GATHER);
        }
    }

    fn next(&mut self) -> Option<Next> {
        let first = self.keeping.as_ref().is_some_and(|keeping| self.is_first(keeping));
        let Keeping { book, writing, .. } = self.keeping.as_mut()?;
        if let Some(page) = writing.unanswered.clone() {
            return Some(Next::Send(Piece::Store(page)));
        }
        if let Some(page) = writing.aside.last() {
            return Some(Next::Send(Piece::SetAside(page.clone())));
        }
        // One that is wanted again is created over what is there.
        writing.unused.retain(|(id, _)| !book.has_page(id));
        if let Some((id, object)) = writing.unused.last() {
            return Some(Next::Send(Piece::Delete(id.clone(), object.clone())));
        }
        if first {
            return None;
        }
        let progress = self.cluster.progress();
        let in_book = book.unwritten().map_or(self.tracker.position(), |unwritten| unwritten - 1);
        let newest = self.tracker.newest_by(in_book).max(progress.stored_time()).unwrap_or_default();
        book.begin(&book.due()?, progress.stored(), newest).map(Next::Pack)
    }

    fn work(&mut self, ctx: &mut Context<Self>) {
        let next = self.next();
        let Some(Keeping { book, writing, .. }) = &mut self.keeping else { return };
        let Some(next) = next else {
            writing.state = State::Idle;
            // What is due all the same waits for the first checkpoint.
            if book.due().is_some() {
                self.write_book(ctx);
            }
            return;
        };
        match next {
            Next::Pack(draft) => self.pack(draft, ctx),
            Next::Send(piece) => self.send(piece, ctx),
        }
    }

    /// Packs a page aside: an event of a pod does not wait for it.
    fn pack(&mut self, draft: Draft, ctx: &mut Context<Self>) {
        let Some(Keeping { term, .. }) = self.keeping else { return };
        let id = draft.id().clone();
        let packing = spawn_blocking(move || draft.pack());
        let packing = async { packing.await.map_err(io::Error::from).flatten() };
        ctx.spawn(packing.into_actor(self).map(move |packed, hub, ctx| {
            let Some(keeping) = hub.keeping.as_mut().filter(|keeping| keeping.term == term) else { return };
            match packed {
                Ok(page) => hub.send(Piece::Store(page), ctx),
                Err(error) => {
                    keeping.book.not_written(&id);
                    let delay = keeping.writing.backoff.after_failure(steady());
                    warn!(%error, ?delay, "a page of the book can't be packed");
                    ctx.notify_later(GoOn { term }, delay);
                }
            }
        }));
    }

    fn send(&mut self, piece: Piece, ctx: &mut Context<Self>) {
        let Some(Keeping { term, .. }) = self.keeping else { return };
        let (cluster, home) = (self.cluster.clone(), self.home.clone());
        let working = async move {
            let done = match &piece {
                Piece::Store(page) => cluster.store_page(&home, page).await,
                Piece::SetAside(page) => cluster.set_page_aside(&home, page).await.map(|()| String::new()),
                Piece::Delete(id, object) => {
                    cluster.delete_page(&home, id, object).await.map(|()| String::new())
                }
            };
            (piece, done)
        };
        ctx.spawn(working.into_actor(self).map(move |(piece, done), hub, ctx| {
            if hub.keeping.as_ref().is_some_and(|keeping| keeping.term == term) {
                hub.worked(piece, done, ctx);
            }
        }));
    }

    fn worked(&mut self, piece: Piece, done: Result<String, PageError>, ctx: &mut Context<Self>) {
        let Some(Keeping { book, writing, size, term, .. }) = &mut self.keeping else { return };
        let term = *term;
        let delay = match (piece, done) {
            (Piece::Store(page), Ok(object)) => {
                debug!(page = ?page.id, bytes = page.bytes.len(), "page of the book written");
                writing.stored(book, &page, object);
                size.set(writing);
                self.book_is_written(&page.id.0);
                self.reach();
                pause_after(page.bytes.len()).max(LEAST)
            }
            (Piece::SetAside(page), Ok(_)) => {
                writing.aside.retain(|aside| aside.id != page.id);
                writing.prints.remove(&page.id);
                Duration::ZERO
            }
            (Piece::Delete(id, _), Ok(_)) => {
                writing.is_held_by(&id, None);
                writing.prints.remove(&id);
                size.set(writing);
                Duration::ZERO
            }
            (piece, Err(error)) => {
                let delay = writing.backoff.after_failure(steady());
                warn!(%error, ?delay, "the book is not as it should be yet");
                writing.failures += 1;
                if writing.failures >= LASTING || error.fault().class() != Class::Transient {
                    self.interests.tell_of_trouble(&error.to_string());
                }
                let Some(Keeping { book, writing, .. }) = &mut self.keeping else { return };
                match (piece, error.fault().class()) {
                    (Piece::Store(Stored { id, .. }) | Piece::Delete(id, _), Class::Conflict) => {
                        writing.unanswered = None;
                        return ctx.notify(LookWhoWrote { term, id });
                    }
                    (Piece::SetAside(_), Class::Conflict) => {
                        return self.operator.do_send(TermBroken { term, breach: Breach::WrittenByOther });
                    }
                    (Piece::Store(page), Class::NotFound) => {
                        writing.unanswered = None;
                        writing.moved(book, &page.id, None);
                    }
                    (Piece::Store(page), Class::Transient) => writing.unanswered = Some(page),
                    (Piece::Store(page), _) => {
                        writing.unanswered = None;
                        book.not_written(&page.id);
                    }
                    _ => {}
                }
                delay
            }
        };
        ctx.notify_later(GoOn { term }, delay);
    }

    /// Tells those who wait for it that all pods that concern them are in the book.
    pub(super) fn book_is_written(&mut self, namespace: &str) {
        let Some(Keeping { book, .. }) = &self.keeping else { return };
        for (number, subscriber) in self.interests.told_of_book(namespace, book.unwritten_in(namespace)) {
            subscriber.book.do_send(BookNews { number, error: None });
        }
    }
}

impl Handler<LookWhoWrote> for PodHub {
    type Result = ();

    /// If only its labels and the like are others, that is no one else's book.
    fn handle(&mut self, LookWhoWrote { term, id }: LookWhoWrote, ctx: &mut Self::Context) {
        let (cluster, home, page) = (self.cluster.clone(), self.home.clone(), id.clone());
        let reading = async move { cluster.page(&home, &page).await };
        ctx.spawn(reading.into_actor(self).map(move |read, hub, ctx| {
            let Some(keeping) = hub.keeping.as_mut().filter(|keeping| keeping.term == term) else { return };
            let Keeping { book, writing, .. } = keeping;
            match read {
                Ok(Some(kept)) if writing.prints.get(&id) == Some(&print(&kept.bytes)) => {
                    writing.moved(book, &id, Some(kept.object));
                }
                Ok(Some(_)) => {
                    let breach = Breach::WrittenByOther;
                    return hub.operator.do_send(TermBroken { term, breach });
                }
                Ok(None) => writing.moved(book, &id, None),
                Err(error) => {
                    warn!(%error, "who wrote a page is not known yet");
                    book.not_written(&id);
                }
            }
            let delay = writing.backoff.after_failure(steady());
            ctx.notify_later(GoOn { term }, delay);
        }));
    }
}

impl Handler<GoOn> for PodHub {
    type Result = ();

    fn handle(&mut self, GoOn { term }: GoOn, ctx: &mut Self::Context) {
        if self.keeping.as_ref().is_some_and(|keeping| keeping.term == term) {
            self.work(ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn page() -> PageId {
        ("ns".to_owned(), 0)
    }

    /// A page of which the first write was answered, and whose second one is under way.
    fn under_way() -> (Writing, Book, Stored) {
        let (mut writing, mut book) = (Writing::default(), Book::default());
        book.open("ns", 1);
        let first = book.begin(&page(), 0, Timestamp::UNIX_EPOCH).unwrap().pack().unwrap();
        writing.stored(&mut book, &first, "1".into());
        let second = book.begin(&page(), 0, Timestamp::UNIX_EPOCH).unwrap().pack().unwrap();
        (writing, book, second)
    }

    #[test]
    fn a_page_given_up_during_its_write_is_deleted_as_that_write_left_it() {
        let (mut writing, mut book, second) = under_way();
        writing.unused.extend(book.close("ns"));
        assert_eq!(writing.unused, [(page(), "1".to_owned())]);
        writing.stored(&mut book, &second, "2".into());
        assert_eq!(writing.unused, [(page(), "2".to_owned())]);
    }

    #[test]
    fn a_page_given_up_during_its_first_write_is_deleted_too() {
        let (mut writing, mut book) = (Writing::default(), Book::default());
        book.open("ns", 1);
        let first = book.begin(&page(), 0, Timestamp::UNIX_EPOCH).unwrap().pack().unwrap();
        writing.unused.extend(book.close("ns"));
        writing.stored(&mut book, &first, "1".into());
        assert_eq!(writing.unused, [(page(), "1".to_owned())]);
    }

    #[test]
    fn a_page_that_is_needed_is_not_deleted() {
        let (mut writing, mut book, second) = under_way();
        writing.stored(&mut book, &second, "2".into());
        assert_eq!(writing.unused, []);
    }

    #[test]
    fn a_page_given_up_that_someone_else_deletes_needs_no_delete() {
        let (mut writing, mut book, _) = under_way();
        writing.unused.extend(book.close("ns"));
        writing.moved(&mut book, &page(), None);
        assert_eq!(writing.unused, []);
    }
}
