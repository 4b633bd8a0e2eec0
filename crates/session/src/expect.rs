//! The queue of replies a server owes: one entry for everything that was sent to it, the client's or ours.

use std::{collections::VecDeque, sync::Arc};

use crate::{client::Unnamed, effect::Effects, statement::Statement};

/// With this many replies owed, nothing more is read from the client until some have come. PostgreSQL sends its output
/// at the latest when its 8 KiB buffer is full (pqcomm.c), and no reply is shorter than 5 bytes, so 2,000 replies
/// always bring some; more keeps long pipelines moving.
pub const OWED_MAX: usize = 8192;

/// One reply, or group of replies, that the server owes.
#[derive(Debug)]
pub(crate) enum Owed {
    /// The client's simple query, up to its `ReadyForQuery`. The number counts completed statements.
    Query(Effects, usize),
    /// A function call, up to its `ReadyForQuery`.
    Function,
    /// A Sync's `ReadyForQuery`.
    Sync,
    /// The client has ended its COPY data; no reply of its own, but a boundary for ignored Syncs.
    CopyEnd,
    /// `ParseComplete` of an unnamed statement: its number.
    ParseUnnamed(u64),
    /// `ParseComplete` of a statement that is not followed.
    ParseOther,
    /// No reply of its own: if what follows is discarded, the client's unnamed statement, and the number of the
    /// server's, are these again.
    Before(Box<(Unnamed, u64)>),
    /// `ParseComplete` of a named one that the server was given.
    Parse(Box<Named>),
    /// `ParseComplete` made by us, because the server has the statement already.
    Parsed(Box<Named>),
    /// `BindComplete`; the statement, if it is one of ours.
    Bind(Option<Arc<Statement>>),
    /// `ParameterDescription`, then `RowDescription` or `NoData`.
    DescribeStatement,
    /// `RowDescription` or `NoData`.
    DescribePortal,
    /// `CommandComplete`, `EmptyQueryResponse` or `PortalSuspended`.
    Execute(Effects),
    /// `CloseComplete` of a portal, or of a name the client does not have.
    Close,
    /// `CloseComplete` of the unnamed statement.
    CloseUnnamed,
    /// `CloseComplete` made by us: the client gives up a name, the server keeps the statement.
    Closed(Box<Named>),
    /// An error: the client's message cannot be understood.
    Refusal,
    /// A reply to a message of ours, which the client does not see.
    Ours(Ours),
}

/// A client's name for a statement.
#[derive(Debug)]
pub(crate) struct Named {
    /// As the client wrote it.
    pub name: Box<[u8]>,
    /// What it means.
    pub statement: Arc<Statement>,
}

/// What we asked of the server for ourselves.
#[derive(Debug)]
pub(crate) enum Ours {
    /// `ParseComplete` of a statement the client's next message needs.
    Parse(Arc<Statement>),
    /// `ParseComplete` of the unnamed statement of this client, sent again on another server: its number.
    ParseUnnamed(u64),
    /// `ParseComplete` of a statement that only serves to make the server refuse the client's duplicate name.
    Decoy,
    /// `CloseComplete` of a statement we no longer need.
    Close(Arc<Statement>),
    /// `CloseComplete` of an unnamed statement that is not this client's.
    CloseUnnamed,
    /// `CloseComplete` of something the server tables do not list.
    CloseOther,
    /// A Sync's `ReadyForQuery`.
    Sync,
    /// A simple query's replies up to `ReadyForQuery`.
    Query(Purpose),
}

/// Why we sent a simple query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Brings the server's settings to the client's.
    Replay,
    /// Ends the transaction of a client that has gone.
    Rollback,
    /// Brings the server back to the state of a new connection.
    Reset,
    /// Asks whether the server still answers.
    Check,
}

impl Owed {
    /// Whether replies to it are swallowed.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::Ours(_))
    }

    /// Whether it may change the unnamed statement.
    pub(crate) fn changes_unnamed(&self) -> bool {
        matches!(
            self,
            Self::ParseUnnamed(_)
                | Self::CloseUnnamed
                | Self::Query(..)
                | Self::Ours(Ours::ParseUnnamed(_) | Ours::CloseUnnamed)
        )
    }

    /// Whether it ends with `ReadyForQuery`.
    pub(crate) fn ends_ready(&self) -> bool {
        matches!(
            self,
            Self::Query(..) | Self::Function | Self::Sync | Self::Ours(Ours::Sync | Ours::Query(_))
        )
    }
}

/// What the client has sent behind a message that turned out to begin a COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterCopy {
    /// Nothing yet, or data.
    Nothing,
    /// The end of the data.
    End,
    /// A message that has no place inside a COPY: the server will say so.
    Other,
}

/// The queue itself.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: VecDeque<Owed>,
}

impl Queue {
    /// Whether nothing is owed.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry whose replies come next.
    #[inline]
    pub(crate) fn front(&self) -> Option<&Owed> {
        self.entries.front()
    }

    /// The entry whose replies come next.
    #[inline]
    pub(crate) fn front_mut(&mut self) -> Option<&mut Owed> {
        self.entries.front_mut()
    }

    /// The entry that was added last.
    #[inline]
    pub(crate) fn back(&self) -> Option<&Owed> {
        self.entries.back()
    }

    /// The entry that was added last.
    pub(crate) fn back_mut(&mut self) -> Option<&mut Owed> {
        self.entries.back_mut()
    }

    /// Takes the front entry, whose replies are complete.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Owed> {
        self.entries.pop_front()
    }

    /// Adds an entry for what is being sent.
    #[inline]
    pub(crate) fn push(&mut self, owed: Owed) {
        self.entries.push_back(owed);
    }

    /// The entries in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Owed> {
        self.entries.iter()
    }

    /// After an error in the extended protocol the server discards everything up to the next Sync
    /// (manual, protocol flow, extended query). Takes those entries out, last first, so that what was assumed of them
    /// can be undone in order; true when the Sync was found.
    pub(crate) fn discard_to_sync(&mut self, mut undo: impl FnMut(Owed)) -> bool {
        let found = self
            .entries
            .iter()
            .position(|owed| matches!(owed, Owed::Sync | Owed::Ours(Ours::Sync)));
        let end = found.unwrap_or(self.entries.len());
        self.entries.drain(..end).rev().for_each(&mut undo);
        found.is_some()
    }

    /// A query of the client was skipped because a name could not be lent for it: the answer to the Sync that we sent
    /// behind it is the client's.
    pub(crate) fn give_sync_to_client(&mut self) {
        if let Some(first) = self.entries.front_mut()
            && matches!(first, Owed::Ours(Ours::Sync))
        {
            *first = Owed::Sync;
        }
    }

    /// The server has begun to read COPY data for the front entry: Syncs and Flushes that were sent before the end of
    /// the data are ignored by it (postgres.c, COPY FROM STDIN). The answer is what the client has sent behind them.
    pub(crate) fn ignore_syncs_of_copy(&mut self) -> AfterCopy {
        while matches!(self.entries.get(1), Some(Owed::Sync | Owed::Refusal)) {
            self.entries.remove(1);
        }
        match self.entries.get(1) {
            None => AfterCopy::Nothing,
            Some(Owed::CopyEnd) => AfterCopy::End,
            Some(_) => AfterCopy::Other,
        }
    }

    /// Whether something behind the next Sync may change the unnamed statement.
    pub(crate) fn changes_unnamed_behind_sync(&self) -> bool {
        self.entries
            .iter()
            .skip_while(|owed| !matches!(owed, Owed::Sync | Owed::Ours(Ours::Sync)))
            .any(Owed::changes_unnamed)
    }

    /// The server has read the message behind the front entry as part of a COPY, and will not answer it.
    pub(crate) fn drop_second(&mut self) {
        if matches!(self.entries.get(1), Some(Owed::Before(_))) {
            self.entries.remove(1);
        }
        if !matches!(self.entries.get(1), Some(Owed::CopyEnd)) {
            self.entries.remove(1);
        }
    }

    /// Gives back memory that a long pipeline needed.
    pub(crate) fn shrink(&mut self) {
        if self.entries.capacity() > 64 && self.entries.is_empty() {
            self.entries.shrink_to(8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_discards_up_to_the_next_sync_last_first() {
        let mut queue = Queue::default();
        for owed in [
            Owed::ParseUnnamed(1),
            Owed::Bind(None),
            Owed::Execute(Effects::None),
            Owed::Sync,
            Owed::Bind(None),
        ] {
            queue.push(owed);
        }
        let mut undone = Vec::new();
        assert!(queue.discard_to_sync(|owed| undone.push(format!("{owed:?}"))));
        assert_eq!(undone, ["Execute(None)", "Bind(None)", "ParseUnnamed(1)"]);
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
    fn syncs_inside_copy_data_are_not_owed() {
        let mut queue = Queue::default();
        for owed in [Owed::Execute(Effects::None), Owed::Sync, Owed::CopyEnd, Owed::Sync] {
            queue.push(owed);
        }
        assert_eq!(queue.ignore_syncs_of_copy(), AfterCopy::End);
        assert_eq!(queue.len(), 3);
        assert!(matches!(queue.iter().last(), Some(Owed::Sync)));
    }
}
