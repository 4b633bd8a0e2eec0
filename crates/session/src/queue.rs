//! The queue of owed replies: one byte an entry in the ordinary case.
//!
//! Every message of the extended protocol passes through it twice, so what has nothing to remember is kept as its kind
//! alone, and read, added and taken as a byte.

use std::collections::VecDeque;

use crate::{
    client::Unnamed,
    effect::Effects,
    expect::{Bound, Ours, Owed},
    line::Line,
};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An entry of [`Owed`] that remembers something.
    Heavy,
    /// The same; the server does not answer it.
    HeavyUnanswered,
    /// `Owed::Query` that leaves nothing behind.
    Query,
    Function,
    Sync,
    CopyEnd,
    ParseUnnamed,
    ParseOther,
    /// `Owed::Bind` of the unnamed statement, or one that is not ours.
    Bind,
    /// `Owed::Bind` of one of ours, which is remembered in case of an error.
    BindOurs,
    DescribeStatement,
    DescribePortal,
    /// `Owed::Execute` that leaves nothing behind.
    Execute,
    Close,
    CloseUnnamed,
    Refusal,
}

impl Kind {
    #[inline]
    fn of(owed: &Owed) -> Self {
        match owed {
            Owed::Query(Effects::None, _) => Self::Query,
            Owed::Function => Self::Function,
            Owed::Sync => Self::Sync,
            Owed::CopyEnd => Self::CopyEnd,
            Owed::ParseUnnamed => Self::ParseUnnamed,
            Owed::ParseOther => Self::ParseOther,
            Owed::Bind(None) => Self::Bind,
            Owed::Bind(Some(Bound { meant: None, .. })) => Self::BindOurs,
            Owed::DescribeStatement => Self::DescribeStatement,
            Owed::DescribePortal => Self::DescribePortal,
            Owed::Execute(Effects::None) => Self::Execute,
            Owed::Close => Self::Close,
            Owed::CloseUnnamed => Self::CloseUnnamed,
            Owed::Refusal => Self::Refusal,
            owed if owed.is_unanswered() => Self::HeavyUnanswered,
            _ => Self::Heavy,
        }
    }

    /// The entry it stands for; none if that remembers something.
    #[inline]
    fn entry(self) -> Option<&'static Owed> {
        Some(match self {
            Self::Heavy | Self::HeavyUnanswered | Self::BindOurs => return None,
            Self::Query => &Owed::Query(Effects::None, 0),
            Self::Function => &Owed::Function,
            Self::Sync => &Owed::Sync,
            Self::CopyEnd => &Owed::CopyEnd,
            Self::ParseUnnamed => &Owed::ParseUnnamed,
            Self::ParseOther => &Owed::ParseOther,
            Self::Bind => &Owed::Bind(None),
            Self::DescribeStatement => &Owed::DescribeStatement,
            Self::DescribePortal => &Owed::DescribePortal,
            Self::Execute => &Owed::Execute(Effects::None),
            Self::Close => &Owed::Close,
            Self::CloseUnnamed => &Owed::CloseUnnamed,
            Self::Refusal => &Owed::Refusal,
        })
    }

    #[inline]
    fn is_heavy(self) -> bool {
        matches!(self, Self::Heavy | Self::HeavyUnanswered | Self::BindOurs)
    }

    /// Whether the server does not answer it: its turn is over as soon as it comes.
    #[inline]
    pub(crate) fn is_unanswered(self) -> bool {
        matches!(self, Self::HeavyUnanswered | Self::CopyEnd)
    }
}

/// What the client has sent behind a message that turned out to begin a COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BehindCopy {
    /// Nothing, or what the server ignores while it reads COPY data. Whether there is some.
    Ignored(bool),
    /// A message that has no place inside a COPY: the server will say so.
    Other,
}

/// The queue itself.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    kinds: Line<Kind>,
    /// One for each heavy kind, in order.
    heavy: VecDeque<Owed>,
}

impl Queue {
    /// Whether nothing is owed.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// How many entries wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether nothing is owed to a client.
    pub(crate) fn is_ours(&self) -> bool {
        self.heavy.len() == self.len() && self.heavy.iter().all(Owed::is_ours)
    }

    /// What all entries are, in order.
    #[inline]
    pub(crate) fn kinds(&self) -> &[Kind] {
        self.kinds.waiting()
    }

    /// What the entry is whose replies come next.
    #[inline]
    pub(crate) fn front_kind(&self) -> Option<Kind> {
        self.kinds.front()
    }

    /// The entry whose replies come next.
    #[inline]
    pub(crate) fn front(&self) -> Option<&Owed> {
        self.kinds.front()?.entry().or_else(|| self.heavy.front())
    }

    /// The query whose replies come next has completed one more of its statements: which one, and what it leaves
    /// behind.
    pub(crate) fn complete_in_query(&mut self) -> Option<(Effects, usize)> {
        match self.heavy.front_mut() {
            Some(Owed::Query(effects, done)) => {
                let which = *done;
                *done = done.saturating_add(1);
                Some((effects.clone(), which))
            }
            _ => None,
        }
    }

    /// The server has told the types of the statement that is to be adopted.
    pub(crate) fn note_types(&mut self, body: &[u8]) {
        if let Some(Owed::Ours(Ours::TakeOver(takeover))) = self.heavy.front_mut() {
            takeover.note_types(body);
        }
    }

    /// What the unnamed statements were before the first change of them that may be undone.
    pub(crate) fn before_mut(&mut self) -> Option<&mut (Unnamed, u64)> {
        self.heavy.iter_mut().find_map(|owed| match owed {
            Owed::Before(before) => Some(before.as_mut()),
            _ => None,
        })
    }

    /// The entry that was added last.
    #[inline]
    pub(crate) fn back(&self) -> Option<&Owed> {
        self.kinds.back()?.entry().or_else(|| self.heavy.back())
    }

    /// The effects of the query that was added last are known now: its text was too long to be read whole.
    pub(crate) fn amend_last_query(&mut self, effects: Effects) {
        if let Some(Owed::Query(..)) = self.back() {
            if self.kinds.pop_back().is_some_and(Kind::is_heavy) {
                self.heavy.pop_back();
            }
            self.push(Owed::Query(effects, 0));
        }
    }

    /// Takes the front entry, whose replies are complete.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Owed> {
        let kind = self.kinds.pop()?;
        if kind.is_heavy() { self.heavy.pop_front() } else { light(kind) }
    }

    /// Forgets the front entry.
    #[inline]
    pub(crate) fn forget_front(&mut self) {
        if self.kinds.pop().is_some_and(Kind::is_heavy) {
            self.heavy.pop_front();
        }
    }

    /// Forgets the first entries, as many as `count`, of which so many remember something.
    #[inline]
    pub(crate) fn forget(&mut self, count: usize, heavy: usize) {
        for _ in 0..heavy {
            self.heavy.pop_front();
        }
        self.kinds.skip(count);
    }

    /// Adds entries that have nothing to remember.
    #[inline]
    pub(crate) fn push_light_run(&mut self, kinds: &[Kind]) {
        self.kinds.push_all(kinds);
    }

    /// Adds an entry that has nothing to remember.
    #[inline]
    pub(crate) fn push_light(&mut self, kind: Kind) {
        debug_assert!(!kind.is_heavy(), "a heavy entry has to be pushed whole");
        self.kinds.push(kind);
    }

    /// Adds an entry for a Bind of one of our statements.
    #[inline]
    pub(crate) fn push_bind(&mut self, bound: Bound) {
        self.kinds.push(if bound.meant.is_none() { Kind::BindOurs } else { Kind::Heavy });
        self.heavy.push_back(Owed::Bind(Some(bound)));
    }

    /// Adds an entry for what is being sent.
    pub(crate) fn push(&mut self, owed: Owed) {
        let kind = Kind::of(&owed);
        self.kinds.push(kind);
        if kind.is_heavy() {
            self.heavy.push_back(owed);
        }
    }

    /// The entries in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Owed> {
        let mut heavy = self.heavy.iter();
        self.kinds.waiting().iter().filter_map(move |kind| kind.entry().or_else(|| heavy.next()))
    }

    /// After an error in the extended protocol the server discards everything up to the next Sync
    /// (manual, protocol flow, extended query). Takes those entries out, last first, so that what was assumed of them
    /// can be undone in order; true when the Sync was found.
    pub(crate) fn discard_to_sync(&mut self, mut undo: impl FnMut(Owed)) -> bool {
        let found = self.iter().position(|owed| owed.is_sync() || matches!(owed, Owed::Doubtful));
        let end = found.unwrap_or(self.kinds.len());
        let discarded = self.kinds.waiting().get(..end).unwrap_or_default();
        let heavy = discarded.iter().filter(|kind| kind.is_heavy()).count();
        let mut heavy = self.heavy.drain(..heavy).rev();
        for kind in discarded.iter().rev() {
            let entry = if kind.is_heavy() { heavy.next() } else { light(*kind) };
            entry.into_iter().for_each(&mut undo);
        }
        drop(heavy);
        self.kinds.skip(end);
        found.is_some()
    }

    /// A query of the client was skipped because a name could not be lent for it: the answer to the Sync that we sent
    /// behind it is the client's. Says whether it was for that.
    pub(crate) fn give_sync_to_client(&mut self) -> bool {
        let lent = matches!(self.front(), Some(Owed::Ours(Ours::Sync)));
        if lent {
            self.forget_front();
            self.kinds.push_front(Kind::Sync);
        }
        lent
    }

    /// The server has begun to read COPY data for the front entry: Syncs and Flushes that were sent by then are ignored by
    /// it (postgres.c, COPY FROM STDIN), and forgotten here if nothing else was sent.
    pub(crate) fn behind_copy(&mut self) -> BehindCopy {
        let behind = self.kinds.waiting().get(1..).unwrap_or_default();
        if !behind.iter().all(|kind| matches!(kind, Kind::Sync | Kind::Refusal)) {
            return BehindCopy::Other;
        }
        let some = !behind.is_empty();
        while self.kinds.len() > 1 {
            self.kinds.remove(1);
        }
        BehindCopy::Ignored(some)
    }

    /// Whether in the last group of messages that a Sync ends a statement is executed that may be a COPY, by a simple query
    /// too, or a statement is closed that lives on the server.
    pub(crate) fn is_last_group_undecided(&self) -> bool {
        let (mut last, mut undecided) = (false, false);
        for owed in self.iter() {
            if owed.is_sync() {
                last = std::mem::take(&mut undecided);
            }
            undecided |= match owed {
                // A COPY cannot be prepared by SQL.
                Owed::Execute(effects) => !effects.names_statements(),
                Owed::Query(..) | Owed::CloseThere(_) => true,
                _ => false,
            };
        }
        last
    }

    /// The COPY of the front entry is over, and the end of its data with it.
    pub(crate) fn forget_copy_end(&mut self) {
        if self.kinds.waiting().get(1) == Some(&Kind::CopyEnd) {
            self.kinds.remove(1);
        }
    }

    /// Whether something behind the next Sync may change the unnamed statement.
    pub(crate) fn changes_unnamed_behind_sync(&self) -> bool {
        self.iter().skip_while(|owed| !owed.is_sync()).any(Owed::changes_unnamed)
    }

    /// Gives back memory that a long pipeline needed.
    #[inline]
    pub(crate) fn shrink(&mut self) {
        self.kinds.shrink(KEPT);
        if self.heavy.capacity() > KEPT && self.heavy.is_empty() {
            self.heavy.shrink_to(KEPT);
        }
    }
}

/// Entries whose room an idle queue keeps.
const KEPT: usize = 64;

/// The entry a light kind stands for.
#[inline]
fn light(kind: Kind) -> Option<Owed> {
    Some(match kind {
        Kind::Heavy | Kind::HeavyUnanswered | Kind::BindOurs => return None,
        Kind::Query => Owed::Query(Effects::None, 0),
        Kind::Function => Owed::Function,
        Kind::Sync => Owed::Sync,
        Kind::CopyEnd => Owed::CopyEnd,
        Kind::ParseUnnamed => Owed::ParseUnnamed,
        Kind::ParseOther => Owed::ParseOther,
        Kind::Bind => Owed::Bind(None),
        Kind::DescribeStatement => Owed::DescribeStatement,
        Kind::DescribePortal => Owed::DescribePortal,
        Kind::Execute => Owed::Execute(Effects::None),
        Kind::Close => Owed::Close,
        Kind::CloseUnnamed => Owed::CloseUnnamed,
        Kind::Refusal => Owed::Refusal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_stands_for_the_same_entry_everywhere() {
        for kind in [
            Kind::Query,
            Kind::Function,
            Kind::Sync,
            Kind::CopyEnd,
            Kind::ParseUnnamed,
            Kind::ParseOther,
            Kind::Bind,
            Kind::DescribeStatement,
            Kind::DescribePortal,
            Kind::Execute,
            Kind::Close,
            Kind::CloseUnnamed,
            Kind::Refusal,
        ] {
            assert_eq!(kind.entry().map(Kind::of), Some(kind));
            assert_eq!(light(kind).as_ref().map(Kind::of), Some(kind));
        }
    }

    #[test]
    fn an_error_discards_up_to_the_next_sync_last_first() {
        let mut queue = Queue::default();
        for owed in [
            Owed::ParseUnnamed,
            Owed::Bind(None),
            Owed::Execute(Effects::None),
            Owed::Sync,
            Owed::Bind(None),
        ] {
            queue.push(owed);
        }
        let mut undone = Vec::new();
        assert!(queue.discard_to_sync(|owed| undone.push(format!("{owed:?}"))));
        assert_eq!(undone, ["Execute(None)", "Bind(None)", "ParseUnnamed"]);
        assert!(matches!(queue.front(), Some(Owed::Sync)));
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn without_a_sync_everything_is_discarded() {
        let mut queue = Queue::default();
        queue.push(Owed::Bind(None));
        assert!(!queue.discard_to_sync(drop));
        assert!(queue.is_empty());
    }

    #[test]
    fn syncs_amid_copy_data_are_not_owed_unless_something_else_is() {
        let mut queue = Queue::default();
        queue.push(Owed::Execute(Effects::None));
        assert_eq!(queue.behind_copy(), BehindCopy::Ignored(false));
        queue.push(Owed::Sync);
        assert_eq!(queue.behind_copy(), BehindCopy::Ignored(true));
        assert_eq!(queue.len(), 1);
        queue.push(Owed::Sync);
        queue.push(Owed::Bind(None));
        assert_eq!(queue.behind_copy(), BehindCopy::Other);
        assert_eq!(queue.len(), 3);
    }
}
