//! What a server owes: one entry for everything that was sent to it, the client's or ours.

use std::sync::Arc;

use crate::{
    client::Unnamed, effect::Effects, statement::Statement, takeover::Takeover, taking::Renamed,
    token::Refusal,
};

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
    /// The client has ended its COPY data; no reply of its own.
    CopyEnd,
    /// The `ReadyForQuery` of those Syncs amid COPY data that the server has not ignored, and the answer to the
    /// question of ours which they are.
    Doubtful,
    /// `ParseComplete` of an unnamed statement.
    ParseUnnamed,
    /// `ParseComplete` of a statement that is not followed.
    ParseOther,
    /// The same in session mode, of a name whose statement takes settings back, or did.
    ParseTaking(Box<Renamed>),
    /// No reply of its own: if what follows is discarded, the client's unnamed statement, and the number of the
    /// server's, are these again.
    Before(Box<(Unnamed, u64)>),
    /// No reply of its own: if what follows is discarded, the name means this statement again.
    Meant(Box<Named>),
    /// `ParseComplete` of a named one that the server was given.
    Parse(Box<Named>),
    /// `ParseComplete` of a statement that the server has already. It is given another one to parse, so that the answer
    /// comes in its turn, if it comes.
    ParseAgain(Box<Named>),
    /// `ParseComplete` of a statement that lives on the server under the client's own name.
    ParseThere(Box<[u8]>),
    /// `BindComplete`; the statement, if it is one of ours.
    Bind(Option<Bound>),
    /// `ParameterDescription`, then `RowDescription` or `NoData`.
    DescribeStatement,
    /// `RowDescription` or `NoData`.
    DescribePortal,
    /// One of these two, of a statement of ours of which clients have not been told yet all that is known then.
    Describe(Arc<Statement>),
    /// `CommandComplete`, `EmptyQueryResponse` or `PortalSuspended`.
    Execute(Effects),
    /// `CloseComplete` of a portal, or of a name the client does not have.
    Close,
    /// `CloseComplete` of a statement that lives on the server under the client's own name.
    CloseThere(Box<[u8]>),
    /// `CloseComplete` of the unnamed statement.
    CloseUnnamed,
    /// `CloseComplete` of a name that the client gives up; the server keeps the statement, and is told to close another.
    Closed(Box<Named>),
    /// An error: the client's message cannot be understood.
    Refusal,
    /// An error: there is no room for the statement that the client's message needs, as there is for so many bytes.
    Overfull(usize),
    /// An error: the client's message gives `trunkline.route` this value.
    Unroutable(Box<str>),
    /// An error: the client's message sets a place in the log that cannot be taken.
    NoPlace(Box<Refusal>),
    /// An error: the statement looks otherwise here than clients were told.
    Stale(Arc<Statement>),
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

/// A statement of ours that is bound.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The statement.
    pub statement: Arc<Statement>,
    /// The tail of the client's name for it.
    pub tail: u64,
    /// What the name meant before, if that has changed because of the settings.
    pub meant: Option<Box<Named>>,
}

/// A statement that is described once more, to be compared with what clients were told.
#[derive(Debug)]
pub(crate) struct Compare {
    /// The statement.
    pub statement: Arc<Statement>,
    /// The name under which the client has just parsed it.
    pub parsed_as: Option<Box<[u8]>>,
}

/// What we asked of the server for ourselves.
#[derive(Debug)]
pub(crate) enum Ours {
    /// `ParseComplete` of a statement the client's next message needs.
    Parse(Arc<Statement>),
    /// `ParseComplete` of the unnamed statement of this client, sent again on another server: its number.
    ParseUnnamed(u64),
    /// `ParseComplete` of a statement of ours that is executed between the client's messages.
    Decoy,
    /// `ParseComplete` of what stands under a client's own name until after the next Sync: see [`crate::lend`].
    Lent(Box<[u8]>),
    /// `CloseComplete` of a statement we no longer need.
    Close(Arc<Statement>),
    /// `CloseComplete` of an unnamed statement that is not this client's.
    CloseUnnamed,
    /// The description of a statement that SQL has prepared.
    TakeOver(Box<Takeover>),
    /// `CloseComplete` of a statement that was adopted, or lent for longer than a text.
    CloseTaken(Box<[u8]>),
    /// The description of a statement that clients have been told of already.
    Compare(Box<Compare>),
    /// `CloseComplete` of something the server tables do not list.
    CloseOther,
    /// `BindComplete` of a statement of ours.
    Bind,
    /// `CommandComplete` of a statement of ours, after its rows.
    Execute,
    /// A Sync's `ReadyForQuery`.
    Sync,
    /// The same, behind messages of ours for which the client's next message waits: if one fails, that is the answer to
    /// it.
    SyncAhead,
    /// The answer to the question what its client has there, up to `ReadyForQuery`.
    Look,
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
    /// Discards what others have left of sequences, before the client reads their state.
    Sequences,
    /// Asks whether the server still answers.
    Check,
    /// Makes it listen to nothing, after a client that shares servers has listened.
    Unlisten,
    /// Begins the transaction that a client has open, which was begun on another server.
    Begin,
    /// Makes that fail, as it has for the client.
    Fail,
}

impl Owed {
    /// Whether replies to it are swallowed.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::Ours(_))
    }

    /// Whether the server does not answer it: its turn is over as soon as it comes.
    #[inline]
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(self, Self::CopyEnd | Self::Before(_) | Self::Meant(_))
    }

    /// Whether it may change the unnamed statement.
    pub(crate) fn changes_unnamed(&self) -> bool {
        matches!(
            self,
            Self::ParseUnnamed
                | Self::CloseUnnamed
                | Self::Query(..)
                | Self::Ours(Ours::ParseUnnamed(_) | Ours::CloseUnnamed)
        )
    }

    /// Whether it is a Sync, at which the server reads on after an error.
    pub(crate) fn is_sync(&self) -> bool {
        matches!(self, Self::Sync | Self::Ours(Ours::Sync | Ours::SyncAhead))
    }

    /// Whether it ends with `ReadyForQuery`.
    pub(crate) fn ends_ready(&self) -> bool {
        matches!(
            self,
            Self::Query(..)
                | Self::Function
                | Self::Sync
                | Self::Ours(Ours::Sync | Ours::SyncAhead | Ours::Look | Ours::Query(_))
        )
    }
}
