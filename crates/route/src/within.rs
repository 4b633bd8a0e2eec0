//! What a statement does to a transaction that only reads by its own words, and was begun on a standby.

use trunkline_sql::access::Class;

use crate::{Because, Plain, Reason};

/// Where such a transaction goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// Where it is, or on the primary if something later asks for it.
    Here,
    /// On the primary, which carries it out in such a transaction too; a standby would refuse it, or do something else.
    OnPrimary,
    /// Where it is, from now on: something may be left there, or the text is not known.
    HereForGood,
}

impl Because {
    /// Where a transaction that only reads goes on, by what its next statement was found to be. Doubts about functions are
    /// not to be among that: such a transaction says itself that they only read.
    pub const fn within_read_only(self) -> Within {
        if self.is_to_standby() {
            return Within::Here;
        }
        match self {
            // They tell of the node on which the transaction is.
            Self::Class(Class::Show)
            | Self::Cause(Reason::NodeLocalFunction | Reason::NodeLocalView) => Within::Here,
            Self::Class(Class::Lock | Class::Notify | Class::TwoPhase | Class::CopyToServer)
            | Self::Cause(_)
            | Self::Plain(
                Plain::Hint | Plain::List | Plain::Pattern | Plain::Setting | Plain::Learnt,
            ) => Within::OnPrimary,
            Self::Class(_) | Self::Plain(_) => Within::HereForGood,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_primary_does_in_such_a_transaction_is_done_there() {
        for (because, expected) in [
            (Because::READ, Within::Here),
            (Plain::Trusted.into(), Within::Here),
            (Class::Show.into(), Within::Here),
            (Because::Cause(Reason::NodeLocalFunction), Within::Here),
            (Because::Cause(Reason::NodeLocalView), Within::Here),
            (Because::Cause(Reason::AdvisoryLock), Within::OnPrimary),
            (Because::Cause(Reason::WritingFunction), Within::OnPrimary),
            (Because::Cause(Reason::UnloggedTable), Within::OnPrimary),
            (Because::Cause(Reason::Sequence), Within::OnPrimary),
            (Class::Lock.into(), Within::OnPrimary),
            (Class::Notify.into(), Within::OnPrimary),
            (Plain::Hint.into(), Within::OnPrimary),
            (Plain::List.into(), Within::OnPrimary),
            // Both would refuse it.
            (Class::Write.into(), Within::HereForGood),
            (Class::Cursor.into(), Within::HereForGood),
            (Class::Session.into(), Within::HereForGood),
            (Class::Transaction.into(), Within::HereForGood),
            (Plain::BeingJudged.into(), Within::HereForGood),
            (Plain::UnknownCatalog.into(), Within::HereForGood),
        ] {
            assert_eq!(because.within_read_only(), expected, "{because:?}");
        }
    }
}
