//! Why a statement went where it went.

use std::fmt;

use trunkline_sql::access::Class;

use crate::{Reason, worded::worded};

/// Why what a client has sent goes to a standby, or to the primary. Each is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Because {
    /// To the primary: its class, which is neither [`Class::Read`] nor [`Class::Empty`].
    Class(Class),
    /// To the primary: what it calls or names.
    Cause(Reason),
    /// For a reason that has nothing to do with the catalog.
    Plain(Plain),
}

worded! {
    /// Reasons that have nothing to do with what a text is, calls or names.
    Plain:
    /// To a standby: it only reads.
    Read "read",
    /// To a standby: it begins a transaction that only reads by its own words.
    ReadOnlyTransaction "read-only transaction",
    /// To a standby: it begins a transaction that may write, and only reads as yet.
    OpenTransaction "transaction until its first write",
    /// To a standby: a hint in the text asks for it.
    StandbyHint "hint",
    /// To a standby: the session, or a rule, asks for it, although a function that it calls is not known to be harmless.
    Trusted "standby asked for",
    /// To a standby: all of the session goes there, because of the listener by which it has come.
    StandbyListener "listener",
    /// To the primary: a hint in the text asks for it.
    Hint "hint",
    /// To the primary: the session has set `trunkline.route`.
    Setting "setting",
    /// To the primary: a function or a relation that it names is in a list of the settings.
    List "list",
    /// To the primary: a regular expression of the settings matches.
    Pattern "pattern",
    /// To the primary: a rule of the settings sends its client there.
    Rule "rule",
    /// To the primary: the listener by which its client has come sends it there.
    Listener "listener",
    /// To the primary: statements are not routed.
    Off "routing is off",
    /// To the primary: a standby has refused this text as one that writes.
    Learnt "refused by a standby before",
    /// To the primary: it is so long that it is not judged at all, or its encoding is not read.
    OutOfReach "too long, or in another encoding than UTF-8",
    /// To the primary: it is so long that it is judged elsewhere, which has not come to its end; or it stands in one group
    /// with more that is not known than is judged at once.
    BeingJudged "being judged",
    /// To the primary: so many others are being judged elsewhere that it cannot be.
    NotJudged "too many are being judged",
    /// To the primary: the session has something that only a server of the primary has, or does not share servers.
    Session "kept by the session",
    /// To the primary: the catalog of the database is not known, or has just been changed.
    UnknownCatalog "unknown catalog",
    /// To the primary: it begins a transaction that may write, and is not known to be READ COMMITTED; or what only reads is
    /// SERIALIZABLE, be it a transaction or a statement, which a standby refuses.
    UnknownLevel "isolation level",
    /// To the primary: more than a read, in a transaction that has only read at a standby as yet.
    FirstWrite "first write of a transaction",
    /// To the primary: a message that is no query, or is not all there.
    NoQuery "no query",
    /// To the primary: no standby is fit to be read from.
    NoFitStandby "no fit standby",
    /// To the primary: it is not known yet where the log was when the session's last transaction there ended.
    OwnWrites "own writes not placed",
    /// To the primary: the standby has not replayed what the session must find.
    FloorNotReached "floor not reached",
    /// To the primary: it serves its share of the reads.
    PrimaryShare "share of the primary",
    /// To the primary: no connection can be made to the standby.
    NoConnection "no connection to a standby",
    /// To the primary: a standby has refused it, or was lost before it had answered anything.
    RunAgain "run again",
}

/// How many there are of all kinds.
const KINDS: usize = Class::ALL.len() + Reason::ALL.len() + Plain::ALL.len();

impl Because {
    /// It only reads.
    pub const READ: Self = Self::Plain(Plain::Read);

    /// How many different ones there are.
    pub const COUNT: usize = KINDS;

    /// Every one, each at its [`index`](Self::index).
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = Plain::ALL.iter().copied().map(Self::Plain);
        let classes = Class::ALL.iter().copied().map(Self::Class);
        plain.chain(classes).chain(Reason::ALL.iter().copied().map(Self::Cause))
    }

    /// Its place among all, below [`COUNT`](Self::COUNT).
    #[expect(clippy::as_conversions, reason = "the number of a variant, which has no fields")]
    pub fn index(self) -> usize {
        let place = match self {
            Self::Plain(plain) => return plain as usize,
            Self::Class(class) => class as usize,
            Self::Cause(reason) => Class::ALL.len().saturating_add(reason as usize),
        };
        Plain::ALL.len().saturating_add(place)
    }

    /// Whether it sends to a standby.
    pub const fn is_to_standby(self) -> bool {
        use Plain::{
            OpenTransaction, Read, ReadOnlyTransaction, StandbyHint, StandbyListener, Trusted,
        };
        matches!(
            self,
            Self::Plain(
                Read | ReadOnlyTransaction
                    | OpenTransaction
                    | StandbyHint
                    | Trusted
                    | StandbyListener
            )
        )
    }

    /// The words for it: those of `EXPLAIN ROUTE` and `SHOW ROUTES`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Class(class) => class.word(),
            Self::Cause(reason) => reason.words(),
            Self::Plain(plain) => plain.words(),
        }
    }
}

impl From<Plain> for Because {
    fn from(plain: Plain) -> Self {
        Self::Plain(plain)
    }
}

impl From<Class> for Because {
    fn from(class: Class) -> Self {
        Self::Class(class)
    }
}

impl fmt::Display for Because {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_place_of_its_own() {
        let all: Vec<_> = Because::all().collect();
        assert_eq!(all.len(), Because::COUNT);
        for (place, because) in all.iter().enumerate() {
            assert_eq!(because.index(), place, "{because}");
        }
    }
}
