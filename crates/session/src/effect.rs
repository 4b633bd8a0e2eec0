//! What statements leave behind in the session, in the form the session follows.

use std::sync::Arc;

use trunkline_sql::{Effect, Scan, settings};

use crate::{
    change::{Change, Hidden, Look, change_of},
    facts::Reach,
    pin::PinReason,
};

/// The changes of all statements of one text, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Effects {
    /// The ordinary case: nothing stays behind.
    #[default]
    None,
    /// A lone `BEGIN`, `COMMIT` or `ROLLBACK`, which must not cost an allocation.
    Transaction(Transaction),
    /// Anything else: the place of the statement in the text, counted from 0 over non-empty statements, and what it
    /// changes.
    Many(Arc<[(usize, Change)]>),
}

/// A lone transaction command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// `BEGIN`.
    Begin,
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
}

impl Effects {
    /// The changes that a scan has found.
    pub fn of(scan: &Scan) -> Self {
        match scan.effects() {
            [] => Self::None,
            [one] if one.statement == 0 => match one.effect {
                Effect::Begin(_) => Self::Transaction(Transaction::Begin),
                Effect::Commit { .. } | Effect::PrepareTransaction => {
                    Self::Transaction(Transaction::Commit)
                }
                Effect::Rollback { .. } => Self::Transaction(Transaction::Rollback),
                _ => Self::many(scan),
            },
            _ => Self::many(scan),
        }
    }

    /// Those of one statement that may call functions that it does not name.
    pub(crate) fn unseen() -> Self {
        Self::Many([(0, Change::Look(Look::Hidden(Hidden::Unseen)))].into())
    }

    /// The same when statements may call functions that they do not name.
    #[cold]
    pub(crate) fn reaching(scan: &Scan, reach: Reach) -> Self {
        let reaches = |at: &usize| reach.includes(scan.keyword(*at)) || *at >= Scan::KEYWORDS_KEPT;
        let hidden = (0..scan.statements()).filter(reaches);
        let hidden = hidden.map(|at| (at, Change::Look(Look::Hidden(Hidden::Unseen))));
        let shown = scan
            .effects()
            .iter()
            .filter_map(|found| Some((found.statement, change_of(&found.effect)?)));
        let mut changes: Vec<_> = shown.chain(hidden).collect();
        // In the order of the statements, and within each as they were found.
        changes.sort_by_key(|(at, _)| *at);
        if changes.is_empty() { Self::None } else { Self::Many(changes.into()) }
    }

    fn many(scan: &Scan) -> Self {
        let changes: Vec<_> = scan
            .effects()
            .iter()
            .filter_map(|found| change_of(&found.effect).map(|change| (found.statement, change)))
            .collect();
        if changes.is_empty() { Self::None } else { Self::Many(changes.into()) }
    }

    /// Whether nothing stays behind.
    #[inline]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether the text begins with `EXPLAIN ROUTE`.
    pub(crate) fn explains_route(&self) -> bool {
        match self {
            Self::None | Self::Transaction(_) => false,
            Self::Many(changes) => matches!(changes.first(), Some((0, Change::ExplainRoute))),
        }
    }

    /// Whether a notification may be sent.
    pub(crate) fn notifies(&self) -> bool {
        match self {
            Self::None | Self::Transaction(_) => false,
            Self::Many(changes) => changes.iter().any(|(_, change)| *change == Change::Notify),
        }
    }

    /// Whether nothing of it would have to be followed.
    pub(crate) fn leaves_nothing(&self) -> bool {
        match self {
            Self::None => true,
            Self::Transaction(_) => false,
            Self::Many(changes) => changes.iter().all(|(_, change)| {
                matches!(change, Change::Notify | Change::CatalogChange | Change::ExplainRoute)
            }),
        }
    }

    /// Whether prepared statements are named.
    pub(crate) fn names_statements(&self) -> bool {
        match self {
            Self::None | Self::Transaction(_) => false,
            Self::Many(changes) => changes.iter().any(|(_, change)| {
                matches!(change, Change::Deallocate(_) | Change::Mention(_) | Change::Prepare(_))
            }),
        }
    }

    /// Whether a setting may change that PostgreSQL folds into what it parses.
    pub fn touches_environment(&self) -> bool {
        match self {
            Self::None | Self::Transaction(_) => false,
            Self::Many(changes) => changes.iter().any(|(_, change)| match change {
                Change::Set(name, _)
                | Change::SetLocal(name, _)
                | Change::SetBound { name, .. }
                | Change::Reset(name)
                | Change::Look(Look::Computed(name)) => settings::is_parse_environment(name),
                Change::SetLocalUnknown
                | Change::ResetAll
                | Change::DiscardAll
                | Change::RollbackTo(_)
                | Change::Pin(PinReason::ComputedSetting) => true,
                _ => false,
            }),
        }
    }

    /// Whether the client may have to keep its server because of them.
    pub(crate) fn may_pin(&self) -> bool {
        match self {
            Self::None | Self::Transaction(_) => false,
            Self::Many(changes) => changes.iter().any(|(_, change)| {
                matches!(
                    change,
                    Change::Pin(_) | Change::Look(_) | Change::Prepare(_) | Change::Listen(_)
                )
            }),
        }
    }

    /// Whether `currval` or `lastval` is called.
    pub(crate) fn reads_sequences(&self) -> bool {
        match self {
            Self::None | Self::Transaction(_) => false,
            Self::Many(changes) => {
                changes.iter().any(|(_, change)| *change == Change::Pin(PinReason::Sequence))
            }
        }
    }

    /// Whether the transaction may end.
    pub(crate) fn ends_transaction(&self) -> bool {
        match self {
            Self::None | Self::Transaction(Transaction::Begin) => false,
            Self::Transaction(_) => true,
            Self::Many(changes) => changes
                .iter()
                .any(|(_, change)| matches!(change, Change::Commit | Change::Rollback)),
        }
    }

    /// Whether a transaction may be committed by name.
    pub(crate) fn commits(&self) -> bool {
        match self {
            Self::None => false,
            Self::Transaction(transaction) => *transaction == Transaction::Commit,
            Self::Many(changes) => changes.iter().any(|(_, change)| *change == Change::Commit),
        }
    }

    /// Whether a transaction block may begin.
    pub(crate) fn begins_block(&self) -> bool {
        match self {
            Self::None => false,
            Self::Transaction(transaction) => *transaction == Transaction::Begin,
            Self::Many(changes) => changes.iter().any(|(_, change)| *change == Change::Begin),
        }
    }

    /// Whether the name of a prepared statement is taken or given up.
    pub(crate) fn changes_names(&self) -> bool {
        match self {
            Self::None | Self::Transaction(_) => false,
            Self::Many(changes) => changes
                .iter()
                .any(|(_, change)| matches!(change, Change::Prepare(_) | Change::Deallocate(_))),
        }
    }

    /// Whether this name of a prepared statement is taken or given up.
    pub(crate) fn changes_name(&self, name: &[u8]) -> bool {
        match self {
            Self::None | Self::Transaction(_) => false,
            Self::Many(changes) => changes.iter().any(|(_, change)| match change {
                Change::Prepare(making) => *making.name == *name,
                Change::Deallocate(gone) => **gone == *name,
                Change::DeallocateAll | Change::DiscardAll => true,
                _ => false,
            }),
        }
    }

    /// Whether what follows depends on what comes of them: prepared statements go, names or settings change, or those that
    /// the open transaction has changed are kept or taken back.
    pub(crate) fn unsettles(&self, transaction_has_settings: bool) -> bool {
        self.forgets_statements()
            || self.touches_environment()
            || self.changes_names()
            || (transaction_has_settings && self.ends_transaction())
    }

    /// Whether prepared statements go, so that what follows must wait until it is known whether they have gone.
    pub fn forgets_statements(&self) -> bool {
        match self {
            Self::None | Self::Transaction(_) => false,
            Self::Many(changes) => changes
                .iter()
                .any(|(_, change)| matches!(change, Change::DiscardAll | Change::DeallocateAll)),
        }
    }
}
