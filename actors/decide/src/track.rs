//! What is known of all pods, and what each observation says has happened to them.
//!
//! ```text
//! begin: nowhere ──(no checkpoint, no book)──► list: pods enter
//!        at the checkpoint ──(list there)────► pods enter with the counts of the book
//!        behind a gap ──(list of now)────────► pods are compared with the book
//! then:  watch ──(its place is lost)─────────► list, compared with what is known; by a standby, for a leader's
//!        term ends
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    edges::Gap,
    pod::{Pod, Version},
    transition::{Move, What},
};

/// What a watch says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Observation<T> {
    /// The API server no longer knows how things were at the version that was asked for: a list of now follows.
    Lost,
    /// A whole list follows; what it does not name is gone.
    RelistBegun,
    /// The object as it is now.
    Seen(T),
    /// The object is no more; its last state.
    Gone(T),
    /// The list is complete, and shows things as they were at this version.
    RelistEnded(Version),
    /// All up to this version has been said.
    Bookmark(Version),
    /// An object could not be understood; it stands as last seen.
    Undecodable(Undecodable),
}

impl<T> Observation<T> {
    /// The same of another form of the object.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Observation<U> {
        match self {
            Self::Lost => Observation::Lost,
            Self::RelistBegun => Observation::RelistBegun,
            Self::Seen(object) => Observation::Seen(change(object)),
            Self::Gone(object) => Observation::Gone(change(object)),
            Self::RelistEnded(version) => Observation::RelistEnded(version),
            Self::Bookmark(version) => Observation::Bookmark(version),
            Self::Undecodable(undecodable) => Observation::Undecodable(undecodable),
        }
    }
}

/// An object that does not fit our types.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Undecodable {
    /// `namespace/name` of the object.
    pub name: String,
    /// UID of the object.
    pub uid: String,
    /// What is wrong with it.
    pub error: String,
}

/// What the operator before this one has written down of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Written {
    /// The pod as it was then, with all edges that the checkpoint had not passed.
    pub pod: Arc<Pod>,
    /// Where it was seen to be gone, if it was.
    pub gone: Option<Version>,
}

/// How the pods that are listed first are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Start {
    /// As they are: nothing is known of what was before.
    #[default]
    Nowhere,
    /// The list shows them as they were at this checkpoint, from which the watch goes on.
    At(Version),
    /// The watch can't go on from the checkpoint: they are compared with the book.
    Behind {
        /// Where the checkpoint was; `None` where that is not known, so that nobody can tell which of
        /// the written edges have their Jobs.
        checkpoint: Option<Version>,
        /// The namespaces whose book is whole, and since when pods that it does not name are new
        /// there. In all others pods are taken as they are.
        booked: BTreeMap<String, Timestamp>,
    },
}

/// Keeps all pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tracker {
    pods: BTreeMap<String, Arc<Pod>>,
    /// Pods that are there and can't be understood.
    opaque: BTreeSet<String>,
    start: Start,
    written: BTreeMap<String, Written>,
    listing: Option<BTreeSet<String>>,
    position: Version,
    /// See [`known_since`](Self::known_since).
    known_since: Version,
    passed: Version,
    complete: bool,
    /// Each creation of a pod that was newer than all before it, and where it was seen.
    newest: Vec<(Version, Timestamp)>,
}

impl Tracker {
    /// Knows no pods yet, but what was written down of them.
    #[must_use]
    pub fn new(start: Start, written: impl IntoIterator<Item = Written>) -> Self {
        let written = written.into_iter().map(|written| (written.pod.uid.clone(), written)).collect();
        Self { start, written, ..Self::default() }
    }

    /// Whether the first list is complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// All that happened to pods up to here has been told.
    #[must_use]
    pub fn position(&self) -> Version {
        self.position
    }

    /// What happened between the checkpoint that it began behind and here has not been told one by one:
    /// the checkpoint goes on to here or beyond, or not at all, for nobody could go on from between.
    #[must_use]
    pub fn known_since(&self) -> Version {
        self.known_since
    }

    /// The newest creation of a pod up to `version`, if any is known.
    #[must_use]
    pub fn newest_by(&self, version: Version) -> Option<Timestamp> {
        self.newest.iter().rfind(|(seen, _)| *seen <= version).map(|(_, created)| *created)
    }

    /// Those of these pods, by their UIDs, that are there.
    pub fn pods_of<'a>(&'a self, uids: &'a BTreeSet<String>) -> impl Iterator<Item = &'a Arc<Pod>> {
        uids.iter().filter_map(|uid| self.pods.get(uid))
    }

    /// All pods.
    pub fn pods(&self) -> impl ExactSizeIterator<Item = &Arc<Pod>> {
        self.pods.values()
    }

    /// Takes in an observation, and says what happened.
    pub fn observe(&mut self, observation: Observation<Pod>) -> Vec<Move> {
        match observation {
            // The term ends, and the next one begins with another tracker.
            Observation::Lost => vec![],
            Observation::RelistBegun => {
                self.listing = Some(BTreeSet::new());
                vec![]
            }
            Observation::Seen(pod) if self.listing.is_some() => self.listed(pod),
            Observation::Seen(pod) => self.watched(pod).into_iter().collect(),
            Observation::Gone(pod) if pod.version <= self.position => vec![],
            Observation::Gone(pod) => {
                self.position = pod.version;
                self.opaque.remove(&pod.uid);
                self.vanished(pod.version, pod).into_iter().collect()
            }
            Observation::RelistEnded(version) => self.list_ended(version),
            Observation::Bookmark(version) => {
                self.position = self.position.max(version);
                vec![]
            }
            Observation::Undecodable(Undecodable { uid, .. }) => {
                if let Some(listing) = &mut self.listing {
                    listing.insert(uid.clone());
                }
                if !self.pods.contains_key(&uid) {
                    self.opaque.insert(uid);
                }
                vec![]
            }
        }
    }

    /// An event of the watch. One that was told before says nothing new.
    fn watched(&mut self, pod: Pod) -> Option<Move> {
        if pod.version <= self.position {
            return None;
        }
        self.position = pod.version;
        match self.pods.get(&pod.uid).cloned() {
            Some(before) => self.changed(before, pod, Gap::None),
            // It was there, unreadable, and is taken as it is now.
            None if self.opaque.remove(&pod.uid) => {
                self.keep(pod.entering());
                None
            }
            None => {
                if let Some(created) = pod.created {
                    self.note_creation(pod.version, created);
                }
                Some(self.appeared(pod))
            }
        }
    }

    fn note_creation(&mut self, seen: Version, created: Timestamp) {
        if self.newest.last().is_none_or(|(_, newest)| *newest < created) {
            self.newest.push((seen, created));
        }
    }

    /// An item of a list.
    fn listed(&mut self, pod: Pod) -> Vec<Move> {
        if let Some(listing) = &mut self.listing {
            listing.insert(pod.uid.clone());
        }
        if let Some(before) = self.pods.get(&pod.uid).cloned() {
            if pod.version <= before.version {
                return vec![];
            }
            return self.changed(before, pod, Gap::Some).into_iter().collect();
        }
        if self.opaque.remove(&pod.uid) {
            self.keep(pod.entering());
            return vec![];
        }
        if self.complete {
            return vec![self.appeared(pod)];
        }
        let written = self.written.remove(&pod.uid);
        let mut moves = vec![];
        match (&self.start, written) {
            (Start::At(checkpoint), Some(Written { pod: known, .. })) => {
                let pod = resumed(pod, &known, *checkpoint);
                self.keep(pod);
            }
            (Start::Behind { checkpoint, .. }, Some(written)) => {
                moves.extend(open(&written, *checkpoint));
                moves.extend(self.changed(written.pod, pod, Gap::Some));
            }
            (Start::Behind { booked, .. }, None) if is_new(&pod, booked) => {
                moves.push(self.appeared(pod));
            }
            _ => self.keep(self.counted_on(pod.entering())),
        }
        moves
    }

    fn list_ended(&mut self, version: Version) -> Vec<Move> {
        let listed = self.listing.take().unwrap_or_default();
        let missing = self.pods.values().filter(|pod| !listed.contains(&pod.uid));
        let missing: Vec<Pod> = missing.map(|pod| Pod::clone(pod)).collect();
        let mut moves: Vec<Move> =
            missing.into_iter().filter_map(|last| self.vanished(version, last)).collect();
        // What the book names and the list does not has gone in the gap. (A list at the checkpoint
        // leaves out what came after it, which the watch will tell.)
        for (_, written) in std::mem::take(&mut self.written) {
            if let Start::Behind { checkpoint, .. } = &self.start {
                let checkpoint = *checkpoint;
                moves.extend(open(&written, checkpoint));
                let Written { pod, gone } = written;
                // Gone where the checkpoint has passed, it has long been told.
                if gone.is_none_or(|gone| checkpoint.is_some_and(|passed| gone > passed)) {
                    moves.push(end(pod, gone.unwrap_or(version)));
                }
            }
        }
        if self.complete || !matches!(self.start, Start::At(_)) {
            self.known_since = version;
        }
        self.opaque.retain(|uid| listed.contains(uid));
        self.position = self.position.max(version);
        self.complete = true;
        if let Some(created) = self.pods.values().filter_map(|pod| pod.created).max() {
            self.note_creation(version, created);
        }
        moves
    }

    fn keep(&mut self, pod: Pod) {
        self.pods.insert(pod.uid.clone(), Arc::new(pod));
    }

    fn appeared(&mut self, pod: Pod) -> Move {
        let after = Arc::new(self.counted_on(pod.appearing()));
        self.pods.insert(after.uid.clone(), Arc::clone(&after));
        let edge = after.edges.recent().last().copied();
        let what = edge.map_or(What::Altered, What::Appeared);
        Move { before: None, seen: after.version, what, after }
    }

    fn changed(&mut self, before: Arc<Pod>, pod: Pod, gap: Gap) -> Option<Move> {
        let mut pod = pod.following(&before, gap);
        pod.pass(self.passed);
        let after = Arc::new(self.counted_on(pod));
        self.pods.insert(after.uid.clone(), Arc::clone(&after));
        let what = match after.edges.recent().last() {
            Some(edge) if after.ready != before.ready => What::Turned(*edge),
            _ if self.complete && after.is_as(&before) => return None,
            _ => What::Altered,
        };
        Some(Move { seen: after.version, before: Some(before), what, after })
    }

    /// A pod that is compared with the book: before this it may have had edges that nobody has counted,
    /// and that have their Jobs.
    fn counted_on(&self, mut pod: Pod) -> Pod {
        if let (false, Start::Behind { .. }) = (self.complete, &self.start) {
            pod.edges.raise(pod.version);
        }
        pod
    }

    /// `last` is the pod as its end showed it.
    fn vanished(&mut self, seen: Version, last: Pod) -> Option<Move> {
        let known = self.pods.remove(&last.uid)?;
        let last = Pod {
            appeared: known.appeared,
            edges: known.edges.clone(),
            earlier: known.earlier.clone(),
            ..last
        };
        Some(Move { before: Some(known), ..end(Arc::new(last), seen) })
    }

    /// The checkpoint stands at `version`: edges up to it are only counted from now on.
    pub fn pass(&mut self, version: Version) {
        self.passed = self.passed.max(version);
        let passed = self.newest.iter().take_while(|(seen, _)| *seen <= version).count();
        self.newest.drain(..passed.saturating_sub(1));
    }
}

fn end(pod: Arc<Pod>, seen: Version) -> Move {
    Move { before: Some(Arc::clone(&pod)), after: pod, what: What::Vanished, seen }
}

/// A pod of the list at the checkpoint, with the counts that were written down.
fn resumed(pod: Pod, known: &Pod, checkpoint: Version) -> Pod {
    let edges = known.edges.clone().as_of(checkpoint);
    let appeared = known.appeared.filter(|appeared| *appeared <= checkpoint);
    if edges.last() == Some(pod.ready) {
        return Pod { appeared, edges, ..pod };
    }
    // The book is behind the checkpoint, which the order of writes rules out: take the pod as it is,
    // above all counts that are known.
    let before = Pod { ready: edges.last().unwrap_or_default(), edges, appeared, ..pod.clone() };
    pod.following(&before, Gap::Some)
}

/// What was written down and may have no Job yet: all behind the checkpoint.
fn open(written: &Written, checkpoint: Option<Version>) -> Vec<Move> {
    let (pod, Some(checkpoint)) = (&written.pod, checkpoint) else { return vec![] };
    let mut appeared = pod.appeared.filter(|appeared| *appeared > checkpoint);
    let edges = pod.edges.recent().filter(|edge| edge.seen > checkpoint);
    let moves = edges.map(|edge| {
        let after = pod.labelled_as_at(edge.seen);
        let appears = appeared.take_if(|appeared| *appeared == edge.seen).is_some();
        let (before, what) = if appears {
            (None, What::Appeared(*edge))
        } else {
            (Some(pod.labelled_as_at(edge.seen - 1)), What::Turned(*edge))
        };
        Move { before, after, what, seen: edge.seen }
    });
    moves.collect()
}

/// A pod may be older than one that was stored before it: between its stamp and its storage the API server
/// asks validating webhooks, which have up to 30 seconds, and each API server has a clock of its own.
const STAMPED_EARLY: SignedDuration = SignedDuration::from_secs(60);

/// Whether a pod that the book does not name has come since it was written, and has not only
/// gained the labels that make it of concern. Where that is not sure it has come: better a run too much
/// for a pod that was relabelled in its first minute than one too few for a new pod.
fn is_new(pod: &Pod, booked: &BTreeMap<String, Timestamp>) -> bool {
    let (Some(created), Some(since)) = (pod.created, booked.get(&pod.namespace)) else { return false };
    created >= since.saturating_sub(STAMPED_EARLY).unwrap_or(*since)
}

#[cfg(test)]
mod tests {
    use extendedjob_api::When;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        book::Book,
        fixtures::{at, on_caches, pod},
        pod::{Readiness, Status},
        transition::Baseline,
    };

    fn seen(version: Version, pod: Pod) -> Observation<Pod> {
        Observation::Seen(Pod { version, ..pod })
    }

    fn list(version: Version, pods: Vec<Pod>) -> Vec<Observation<Pod>> {
        let mut all = vec![Observation::RelistBegun];
        all.extend(pods.into_iter().map(Observation::Seen));
        all.push(Observation::RelistEnded(version));
        all
    }

    /// What each move is, in a word, and the count of its edge.
    fn words(tracker: &mut Tracker, observations: Vec<Observation<Pod>>) -> Vec<String> {
        let moves = observations.into_iter().flat_map(|observation| tracker.observe(observation));
        let word = |moved: Move| match moved.what {
            What::Appeared(edge) => format!("appeared {}", edge.to.status.as_str()),
            What::Turned(edge) => format!("{} {}", edge.to.status.as_str(), edge.n),
            What::Altered => "altered".into(),
            What::Vanished => "vanished".into(),
        };
        moves.map(word).collect()
    }

    fn watching(pods: Vec<Pod>) -> Tracker {
        let mut tracker = Tracker::default();
        assert!(words(&mut tracker, list(10, pods)).is_empty());
        tracker
    }

    fn ready(version: Version, second: i64) -> Pod {
        Pod { version, ..pod().ready(at(second)) }
    }

    #[test]
    fn pods_that_are_there_at_first_enter_and_later_ones_appear() {
        let mut tracker = watching(vec![ready(5, 1)]);
        let other = Pod { uid: "other".into(), ..pod() };
        assert_eq!(words(&mut tracker, vec![seen(11, other)]), ["appeared Absent"]);
        assert_eq!(tracker.position(), 11);
    }

    #[test]
    fn the_newest_creation_is_told_as_of_each_version() {
        let born = |version, second| {
            seen(version, Pod { uid: format!("uid-{version}"), ..pod().created(at(second)) })
        };
        let mut tracker = watching(vec![ready(5, 1)]);
        words(&mut tracker, vec![born(12, 30), born(14, 20), born(16, 40)]);
        let newest = |tracker: &Tracker| [9, 11, 12, 15, 16].map(|version| tracker.newest_by(version));
        assert_eq!(newest(&tracker), [None, Some(at(0)), Some(at(30)), Some(at(30)), Some(at(40))]);
        tracker.pass(15);
        assert_eq!(newest(&tracker)[3..], [Some(at(30)), Some(at(40))]);
    }

    #[test]
    fn what_is_told_twice_happens_once() {
        let mut tracker = watching(vec![ready(5, 1)]);
        let lost = || seen(11, pod().not_ready(Status::False, at(2)));
        let back = || seen(12, pod().ready(at(1)));
        let told = vec![lost(), lost(), back(), lost(), back(), Observation::Gone(ready(13, 1))];
        assert_eq!(words(&mut tracker, told), ["False 0", "True 1", "vanished"]);
        assert!(words(&mut tracker, vec![back(), Observation::Gone(ready(13, 1))]).is_empty());
    }

    #[test]
    fn a_list_after_a_gap_tells_what_differs() {
        let other = || Pod { uid: "other".into(), version: 5, ..pod() };
        let mut tracker = watching(vec![ready(5, 1), other()]);
        let new = Pod { uid: "new".into(), version: 15, ..pod() };
        let told = words(&mut tracker, list(20, vec![ready(18, 2), new]));
        assert_eq!(told, ["True 0", "appeared Absent", "vanished"]);
        assert_eq!((tracker.position(), tracker.known_since()), (20, 20));
    }

    #[test]
    fn a_pod_that_can_not_be_understood_is_not_gone_and_does_not_appear_later() {
        let undecodable = |uid: &str| {
            let (name, error) = (String::new(), String::new());
            Observation::Undecodable(Undecodable { name, uid: uid.into(), error })
        };
        let mut tracker = Tracker::default();
        let first = vec![Observation::RelistBegun, undecodable("uid-pod1"), Observation::RelistEnded(10)];
        assert!(words(&mut tracker, first).is_empty());
        assert!(words(&mut tracker, vec![seen(11, pod().ready(at(1)))]).is_empty());
        let again = vec![Observation::RelistBegun, undecodable("uid-pod1"), Observation::RelistEnded(20)];
        assert!(words(&mut tracker, again).is_empty());
        assert_eq!(tracker.pods().count(), 1);
    }

    /// A pod that the book knows as ready at second 1, with an edge at 12 and one at 14.
    fn written() -> Written {
        let mut tracker = watching(vec![ready(5, 1)]);
        words(
            &mut tracker,
            vec![seen(12, pod().not_ready(Status::False, at(2))), seen(14, pod().ready(at(1)))],
        );
        let pod = tracker.pods().next().map(Arc::clone).unwrap();
        Written { pod, gone: None }
    }

    #[test]
    fn who_goes_on_from_the_checkpoint_counts_as_the_one_before_did() {
        let mut tracker = Tracker::new(Start::At(12), [written()]);
        let at_checkpoint = Pod { version: 12, ..pod().not_ready(Status::False, at(2)) };
        assert!(words(&mut tracker, list(12, vec![at_checkpoint])).is_empty());
        assert_eq!(words(&mut tracker, vec![seen(14, pod().ready(at(1)))]), ["True 1"]);
    }

    #[test]
    fn behind_a_gap_the_book_tells_what_is_open_and_what_has_happened_since() {
        let behind = |checkpoint| {
            let booked = [("ns".to_owned(), at(100))].into();
            Tracker::new(Start::Behind { checkpoint, booked }, [written()])
        };
        let unready = || Pod { version: 30, ..pod().not_ready(Status::False, at(3)) };
        assert_eq!(words(&mut behind(Some(12)), list(40, vec![unready()])), ["True 1", "False 0"]);
        assert_eq!(words(&mut behind(None), list(40, vec![unready()])), ["False 0"]);
        assert_eq!(words(&mut behind(Some(14)), list(40, vec![])), ["vanished"]);

        let relabelled = Pod { uid: "old".into(), version: 30, ..pod().created(at(39)) };
        let new = Pod { uid: "new".into(), version: 31, ..pod().created(at(40)) };
        let elsewhere = Pod { uid: "x".into(), namespace: "unbooked".into(), ..new.clone() };
        let pods = vec![ready(14, 1), relabelled, new, elsewhere];
        // What was compared is written down anew, also where nothing has changed.
        assert_eq!(words(&mut behind(Some(14)), list(40, pods)), ["altered", "appeared Absent"]);
    }

    #[test]
    fn after_a_gap_counts_go_on_above_all_that_can_have_been() {
        let behind = Start::Behind { checkpoint: Some(14), booked: [("ns".to_owned(), at(100))].into() };
        let mut tracker = Tracker::new(behind, [written()]);
        words(&mut tracker, list(40, vec![Pod { version: 30, ..pod().not_ready(Status::False, at(2)) }]));
        assert_eq!(words(&mut tracker, vec![seen(41, pod().ready(at(1)))]), ["True 30"]);
    }

    #[test]
    fn behind_a_gap_an_edge_is_told_with_the_labels_of_its_time() {
        let mut tracker = watching(vec![]);
        let labelled = || pod().labelled("tier", "cache");
        let unlabelled = || pod().not_ready(Status::False, at(2));
        words(
            &mut tracker,
            vec![seen(11, labelled()), seen(12, labelled().ready(at(1))), seen(13, unlabelled())],
        );
        let known = Written { pod: tracker.pods().next().map(Arc::clone).unwrap(), gone: None };
        let behind = Start::Behind { checkpoint: Some(10), booked: [("ns".to_owned(), at(100))].into() };
        let mut tracker = Tracker::new(behind, [known]);
        let observations = list(40, vec![Pod { version: 13, ..unlabelled() }]);
        let moves: Vec<Move> = observations.into_iter().flat_map(|told| tracker.observe(told)).collect();
        let everything = Baseline { version: 0, since: None };
        let fires = |when: When| {
            moves
                .iter()
                .filter_map(|moved| on_caches(when).counts(moved, everything))
                .map(|it| it.when)
                .collect()
        };
        let fired: Vec<Vec<When>> = vec![fires(When::Created), fires(When::Ready), fires(When::NotReady)];
        assert_eq!(fired, [vec![When::Created], vec![When::Ready], vec![]]);
    }

    /// What happens to one of a few pods; one that is not there appears.
    #[derive(Clone, Debug)]
    enum Happens {
        Turns(Status, i64),
        Relabelled,
        Gone,
    }

    fn any_life() -> impl Strategy<Value = Vec<(usize, Happens)>> {
        let status = prop_oneof![Just(Status::True), Just(Status::False)];
        let happens = prop_oneof![
            9 => (status, 0..2i64).prop_map(|(status, second)| Happens::Turns(status, second)),
            3 => Just(Happens::Relabelled),
            1 => Just(Happens::Gone),
        ];
        proptest::collection::vec((0..2usize, happens), 1..25)
    }

    /// The pods that are there before the first event and after each, and the events, at versions from
    /// 10 on.
    fn lived(life: &[(usize, Happens)]) -> (Vec<BTreeMap<usize, Pod>>, Vec<Observation<Pod>>) {
        let (mut there, mut events) = (vec![BTreeMap::new()], vec![]);
        for (index, (which, happens)) in life.iter().enumerate() {
            let mut pods: BTreeMap<usize, Pod> = there[index].clone();
            let version = 10 + index as Version;
            let uid = format!("{which}-{version}");
            let mut one = pods.remove(which).unwrap_or(Pod { uid, ..pod() });
            one.version = version;
            let mut is_gone = false;
            match happens {
                Happens::Turns(status, second) => {
                    one.ready = Readiness { status: *status, since: Some(at(*second)) };
                }
                Happens::Relabelled if one.labels.is_empty() => one = one.labelled("tier", "cache"),
                Happens::Relabelled => one.labels.clear(),
                Happens::Gone => is_gone = there[index].contains_key(which),
            }
            events.push(if is_gone {
                Observation::Gone(one.clone())
            } else {
                Observation::Seen(one.clone())
            });
            if !is_gone {
                pods.insert(*which, one);
            }
            there.push(pods);
        }
        (there, events)
    }

    fn transitions(moves: &[Move], after: Version) -> Vec<(Version, String)> {
        let kinds = [When::Created, When::Ready, When::NotReady, When::Deleted];
        let baseline = Baseline { version: after, since: None };
        let counted = moves.iter().flat_map(|moved| {
            kinds
                .into_iter()
                .filter_map(move |when| on_caches(when).counts(moved, baseline))
                .map(move |transition| (moved.seen, format!("{} {transition}", moved.after.uid)))
        });
        counted.collect()
    }

    proptest! {
        /// Whatever happens to pods, wherever the checkpoint is, and whenever the book was written
        /// last: who goes on from the checkpoint tells the same transitions under the same keys as one
        /// that never stopped.
        #[test]
        fn who_goes_on_from_the_checkpoint_tells_the_same_transitions(
            life in any_life(), checkpoint in 0..25usize, written in 0..5usize, passed in 0..25usize,
        ) {
            let (there, events) = lived(&life);
            let checkpoint = checkpoint.min(events.len());
            let written = (checkpoint + written).min(events.len());
            let passed = passed.min(checkpoint);
            let version = |events: usize| 9 + events as Version;

            let mut tracker = Tracker::default();
            list(9, vec![]).into_iter().for_each(|told| drop(tracker.observe(told)));
            let mut book = Book::default();
            book.open("ns", 9);
            let (mut moves, mut page) = (vec![], None);
            for (index, event) in events.iter().cloned().enumerate() {
                if index == written {
                    page = book.begin(&("ns".into(), 0), version(passed), at(0)).map(|draft| draft.pack().unwrap());
                    tracker.pass(version(passed));
                }
                for moved in tracker.observe(event) {
                    if on_caches(When::Ready).concerns(&moved.after) || book.names(&moved.after) {
                        book.note(&moved.after, moved.what == What::Vanished, moved.seen);
                    }
                    moves.push(moved);
                }
            }
            let page = page.or_else(|| Some(book.begin(&("ns".into(), 0), version(passed), at(0))?.pack().unwrap()));

            let known = Book::read(page.into_iter().collect()).book;
            let mut again = Tracker::new(Start::At(version(checkpoint)), known.lines().cloned());
            let pods = there[checkpoint].values().cloned().collect();
            let told = list(version(checkpoint), pods).into_iter().chain(events.into_iter().skip(checkpoint));
            let retold: Vec<Move> = told.flat_map(|told| again.observe(told)).collect();
            prop_assert_eq!(transitions(&retold, version(checkpoint)), transitions(&moves, version(checkpoint)));
        }
    }
}
