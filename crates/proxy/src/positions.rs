//! Where the primary's write-ahead log ends, and how far each standby has replayed it: what decides whether a session
//! may read from a standby what it, or somebody before it, has written to the primary.
//!
//! A session that has ended a transaction on the primary does not ask where the log ends, and waits for nothing. It says
//! that it [wants](Positions::want) to know, and remembers its [`Ticket`]. One sampler asks for all of them
//! (`control::sampler`); a [`Sample`] that [covers](Sample::covers) the ticket was asked for after the transaction had
//! ended, so its place in the log is at or behind that of the commit, and a standby that has
//! [replayed](Positions::replayed) that place shows what the transaction has done.
//!
//! Everything here is read without a lock: it is one snapshot that the sampler replaces.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, Cache};
use tokio::sync::{Notify, watch};
use trunkline_cluster::{Lsn, NodeId};

/// A moment between two questions of the sampler. A sample covers it if it was asked for after it.
///
/// These are numbers and not times, because a loop reads its clock once in a turn: what it reads from a server in that
/// turn may have been said after that, and a sample in between would seem to cover it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Where the primary's log ended at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    number: u64,
    /// When the primary was asked, by the clock of the engine.
    pub asked_at_us: u64,
    /// The epoch it is from; places in the log of different epochs are not compared.
    pub epoch: u64,
    /// No commit that was answered before the question is behind this place.
    pub lsn: Lsn,
    /// What the primary writes.
    pub history: History,
}

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// The cluster (`pg_control_system().system_identifier`).
    pub system: u64,
    /// The timeline.
    pub timeline: u32,
    /// The size of a page of its log.
    pub page: u64,
}

impl Sample {
    /// Whether it was asked for after the ticket was taken.
    pub fn covers(&self, ticket: Ticket) -> bool {
        self.number > ticket.0
    }

    /// The last ticket that it covers.
    pub(crate) const fn covered(&self) -> Ticket {
        Ticket(self.number.saturating_sub(1))
    }
}

/// Where the primary's log ends, as it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// No commit that was answered, or could be seen, is behind this place.
    pub(crate) place: Lsn,
    /// Where the next record goes.
    pub(crate) next: Lsn,
}

/// The headers of a page of the log: that of every page, and that of the first one of a file.
const PAGE_HEADERS: [u64; 2] = [24, 40];

/// The place where the next record goes is behind the header of its page, if that page has no record yet. The last record
/// ends where the page begins, and that is how far a standby comes that has replayed everything: one that is compared with
/// the place behind the header would never have replayed it.
///
/// Nothing is between the two. No record begins within a header, and one that has begun on the page before and ends right
/// behind a place that looks like the end of a header has no end of another record between there and the begin of the
/// page: who has replayed up to the page has replayed it.
pub(crate) fn without_header(place: Lsn, page: u64) -> Lsn {
    let within = place.0.checked_rem(page).unwrap_or(0);
    if PAGE_HEADERS.contains(&within) { Lsn(place.0.saturating_sub(within)) } else { place }
}

/// How far a standby has replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// It has replayed up to here; by now perhaps more.
    pub lsn: Lsn,
    /// When it was asked, by the clock of the engine. A standby that starts again may be behind what it was: this says
    /// nothing of what a connection shows that was opened later.
    pub asked_at_us: u64,
    /// It has not started again since then: the connection is that old on which it was asked.
    pub alive_since_us: u64,
}

/// What is known at one moment; see [`Positions::read`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// How many times another primary has been seen, or the same one with another history. A place in the log that is
    /// from an older epoch is as good as the [`first`](Self::first) sample of this one.
    pub epoch: u64,
    /// The first sample of this epoch.
    pub first: Option<Sample>,
    /// The last one.
    pub latest: Option<Sample>,
    /// In no order: there are a few.
    standbys: Vec<(NodeId, Replayed)>,
    /// No other picture of these positions has it.
    version: u64,
}

impl Picture {
    /// How far the standby has replayed the log of this epoch; none if it is not known, or if it is not on the timeline
    /// of the primary.
    pub fn standby(&self, node: NodeId) -> Option<Replayed> {
        self.standbys.iter().find(|(id, _)| *id == node).map(|(_, replayed)| *replayed)
    }

    /// What tells it from all others.
    #[inline]
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// Nothing is known of this epoch yet.
    fn of_epoch(epoch: u64) -> Self {
        Self { epoch, ..Self::default() }
    }

    fn forget(&mut self, node: NodeId) {
        self.standbys.retain(|(id, _)| *id != node);
    }
}

/// Whom the sampler asks for samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) node: Option<NodeId>,
    pub(crate) epoch: u64,
}

/// A question to the primary that has been begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    number: u64,
    epoch: u64,
    asked_at_us: u64,
}

/// What sessions wish of the sampler, and what the sampler says of it. The atomics are a parameter, so that the model of
/// this protocol runs on those of `loom`.
#[derive(Debug)]
struct Wishes<N> {
    /// 1 if a sample is wanted that has not been begun.
    wanted: N,
    /// Questions that have been begun.
    begun: N,
}

/// An atomic number.
trait Number {
    /// Sees what was done before the store that it reads.
    fn load(&self) -> u64;
    /// Sees that too, and is seen in the same way.
    fn swap(&self, value: u64) -> u64;
    /// The same; the number before.
    fn add(&self, more: u64) -> u64;
}

impl Number for AtomicU64 {
    #[inline]
    fn load(&self) -> u64 {
        Self::load(self, Ordering::Acquire)
    }

    fn swap(&self, value: u64) -> u64 {
        Self::swap(self, value, Ordering::AcqRel)
    }

    fn add(&self, more: u64) -> u64 {
        self.fetch_add(more, Ordering::AcqRel)
    }
}

impl<N: Number> Wishes<N> {
    /// The number of the last question begun, and whether the sampler is to be woken: then there will be a question with
    /// a greater number. Two loads if one is wanted already.
    ///
    /// The number is read first. The sampler clears the wish before it takes a number: so whoever finds a wish behind the
    /// number that he has read knows that it was not cleared for that number.
    #[inline]
    fn want(&self) -> (u64, bool) {
        let begun = self.begun.load();
        (begun, self.wanted.load() == 0 && self.wanted.swap(1) == 0)
    }

    /// Begins a question; its number.
    fn begin(&self) -> u64 {
        self.wanted.swap(0);
        self.begun.add(1).wrapping_add(1)
    }

    fn is_wanted(&self) -> bool {
        self.wanted.load() != 0
    }
}

/// What is known, as one loop looks at it.
pub(crate) type View = Cache<Arc<ArcSwap<Picture>>, Arc<Picture>>;

/// Where the log ends, and how far the standbys are.
#[derive(Debug)]
pub struct Positions {
    wishes: Wishes<AtomicU64>,
    bell: Notify,
    picture: Arc<ArcSwap<Picture>>,
    /// Held by who makes the next picture of the last one.
    painting: Mutex<()>,
    leader: watch::Sender<Leader>,
    latest: watch::Sender<Option<Sample>>,
    /// The last ticket of a transaction whose end a client has been told, plus 1; followed while somebody goes by it.
    acknowledged: AtomicU64,
    /// What standbys said before this moment is not enough for somebody.
    doubts: watch::Sender<u64>,
    /// How often a standby has said how far it is.
    heard: watch::Sender<u64>,
    /// Loops wait until one says it again.
    awaited: AtomicBool,
    caught_up: Notify,
    /// Somebody has committed what may have been seen before it was on disk.
    asynchronous: AtomicBool,
}

impl Default for Positions {
    fn default() -> Self {
        let wishes = Wishes { wanted: AtomicU64::new(0), begun: AtomicU64::new(0) };
        Self {
            wishes,
            bell: Notify::new(),
            picture: Arc::default(),
            painting: Mutex::default(),
            leader: watch::Sender::default(),
            latest: watch::Sender::default(),
            acknowledged: AtomicU64::new(0),
            doubts: watch::Sender::default(),
            heard: watch::Sender::default(),
            awaited: AtomicBool::new(false),
            caught_up: Notify::new(),
            asynchronous: AtomicBool::new(false),
        }
    }
}

impl Positions {
    /// Asks for a sample that covers this moment. To be called when the end of the transaction has been read from the
    /// server, not before. If the sampler does not run, none comes.
    #[inline]
    pub fn want(&self) -> Ticket {
        let (begun, wake) = self.wishes.want();
        if wake {
            self.bell.notify_one();
        }
        Ticket(begun)
    }

    /// A session commits what may be seen before it is on disk, or has. To be called before a sample is wanted that is to
    /// cover that.
    pub(crate) fn note_asynchronous(&self) {
        if !self.is_asynchronous() {
            self.asynchronous.store(true, Ordering::Release);
            tracing::info!(
                "a session has synchronous_commit off, or may have in session mode: reads wait on the primary for all that was written there"
            );
        }
    }

    /// Whether one does.
    pub(crate) fn is_asynchronous(&self) -> bool {
        self.asynchronous.load(Ordering::Acquire)
    }

    /// A client is about to be told how a transaction on the primary has ended. To be called before it is.
    pub(crate) fn acknowledge(&self) {
        let Ticket(ticket) = self.want();
        let told = ticket.saturating_add(1);
        if self.acknowledged.load(Ordering::Acquire) < told {
            self.acknowledged.fetch_max(told, Ordering::AcqRel);
        }
    }

    /// A sample that covers this covers all of these transactions; none if there was none.
    pub(crate) fn acknowledged(&self) -> Option<Ticket> {
        self.acknowledged.load(Ordering::Acquire).checked_sub(1).map(Ticket)
    }

    /// The last sample of the epoch; none if there is none yet.
    pub fn latest(&self) -> Option<Sample> {
        self.picture.load().latest
    }

    /// How far the standby has replayed; none if that is not known.
    pub fn replayed(&self, node: NodeId) -> Option<Lsn> {
        self.picture.load().standby(node).map(|replayed| replayed.lsn)
    }

    /// For a loop that looks again and again: as long as nothing changes, nobody else's memory is written.
    pub(crate) fn view(&self) -> View {
        View::new(Arc::clone(&self.picture))
    }

    /// Looks at what is known, all of it from one moment.
    pub fn read<T>(&self, look: impl FnOnce(&Picture) -> T) -> T {
        look(&self.picture.load())
    }

    /// Another node is the primary, or none is known. A primary that comes back begins a new epoch as well: it may have
    /// crashed, and lost log that nobody had been told to be safe.
    pub fn led_by(&self, primary: Option<NodeId>) {
        self.paint(|picture, leader| {
            if leader.node == primary {
                return;
            }
            leader.node = primary;
            if primary.is_some() {
                *picture = Picture::of_epoch(picture.epoch.wrapping_add(1));
            }
        });
    }

    /// The name of the node has come to mean another machine.
    pub fn moved(&self, node: NodeId) {
        self.paint(|picture, leader| {
            if leader.node == Some(node) {
                *picture = Picture::of_epoch(picture.epoch.wrapping_add(1));
            }
            picture.forget(node);
        });
    }

    /// The node does not answer, or its connection is gone: if it has started again, it may be behind what it was.
    pub fn forget(&self, node: NodeId) {
        if self.picture.load().standby(node).is_some() {
            self.paint(|picture, _| picture.forget(node));
        }
    }

    /// Nobody watches the standbys any more.
    pub(crate) fn forget_standbys(&self) {
        self.paint(|picture, _| picture.standbys.clear());
    }

    /// Whom to ask for samples, and in which epoch.
    pub(crate) fn leader(&self) -> watch::Receiver<Leader> {
        self.leader.subscribe()
    }

    /// The samples as they come.
    pub(crate) fn samples(&self) -> watch::Receiver<Option<Sample>> {
        self.latest.subscribe()
    }

    /// Waits until the standby has been asked how far it is since that moment, for which it is asked anew. If it has
    /// started again before, what it has said before that counts no more then.
    pub(crate) async fn heard_since(&self, node: NodeId, moment_us: u64) {
        let mut heard = self.heard.subscribe();
        self.doubts.send_if_modified(|doubted| {
            let later = *doubted < moment_us;
            *doubted = moment_us.max(*doubted);
            later
        });
        let known = |picture: &Picture| picture.standby(node).map(|replayed| replayed.asked_at_us);
        while self.read(known).is_none_or(|asked_at_us| asked_at_us < moment_us) {
            if heard.changed().await.is_err() {
                return;
            }
        }
    }

    /// A loop is to be told when a standby says how far it is.
    pub(crate) fn await_standbys(&self) {
        self.awaited.store(true, Ordering::Release);
        let _asked = self.want();
    }

    /// Waits until one does, for which a loop waits.
    pub(crate) async fn caught_up(&self) {
        self.caught_up.notified().await;
    }

    /// Since when what standbys have said is not enough.
    pub(crate) fn doubts(&self) -> watch::Receiver<u64> {
        self.doubts.subscribe()
    }

    /// Waits for a sample that covers the ticket.
    pub(crate) async fn covering(&self, ticket: Ticket) -> Sample {
        let mut samples = self.samples();
        loop {
            if let Some(sample) = samples.borrow_and_update().filter(|it| it.covers(ticket)) {
                return sample;
            }
            if samples.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until a sample is wanted.
    pub(crate) async fn wanted(&self) {
        while !self.wishes.is_wanted() {
            self.bell.notified().await;
        }
    }

    /// Begins a question to the primary: what is wanted from now on, it does not answer.
    pub(crate) fn begin(&self, epoch: u64, now_us: u64) -> Question {
        Question { number: self.wishes.begin(), epoch, asked_at_us: now_us }
    }

    /// The answer to it. If the primary has changed meanwhile, it counts no more. If the log ends before the last place, or
    /// is another history's, the primary has another history than it had: a new epoch begins.
    pub(crate) fn answered(&self, question: Question, end: End, history: History) {
        let Question { number, epoch, asked_at_us } = question;
        let sample = Sample { number, asked_at_us, epoch, lsn: end.place, history };
        let mut told = None;
        self.paint(|picture, _| {
            if picture.epoch != epoch || picture.latest.is_some_and(|last| last.number > number) {
                return;
            }
            let goes_on = |last: Sample| last.history == history && last.lsn <= end.next;
            let mut sample = sample;
            if !picture.latest.is_none_or(goes_on) {
                *picture = Picture::of_epoch(epoch.wrapping_add(1));
                sample.epoch = picture.epoch;
            }
            picture.first = picture.first.or(Some(sample));
            picture.latest = Some(sample);
            told = picture.latest;
        });
        if told.is_some() {
            self.latest.send_replace(told);
        }
    }

    /// The standby has replayed so much of this epoch's log.
    pub(crate) fn has_replayed(&self, epoch: u64, node: NodeId, replayed: Replayed) {
        self.paint(|picture, _| {
            if picture.epoch == epoch {
                picture.forget(node);
                picture.standbys.push((node, replayed));
            }
        });
        self.heard.send_modify(|times| *times = times.wrapping_add(1));
        if self.awaited.load(Ordering::Acquire) && self.awaited.swap(false, Ordering::AcqRel) {
            self.caught_up.notify_one();
        }
    }

    /// Makes the next picture of the last one. A new epoch is told to the sampler, and asks for its first sample if there
    /// was one in the epoch before: sessions go by samples then.
    fn paint(&self, stroke: impl FnOnce(&mut Picture, &mut Leader)) {
        let guard = self.painting.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.picture.load_full();
        let mut picture = Picture::clone(&before);
        let mut leader = *self.leader.borrow();
        stroke(&mut picture, &mut leader);
        leader.epoch = picture.epoch;
        let goes_by_samples = before.latest.is_some() && picture.latest.is_none();
        if picture != *before {
            picture.version = before.version.wrapping_add(1);
            self.picture.store(Arc::new(picture));
        }
        self.leader.send_if_modified(|told| std::mem::replace(told, leader) != leader);
        drop(guard);
        if goes_by_samples {
            self.want();
        }
    }
}

#[cfg(test)]
mod tests;
