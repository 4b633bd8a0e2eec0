//! What statements leave behind in the session, in the form the session follows.

use std::sync::Arc;

use trunkline_sql::{
    Deallocate, Discard, Effect, Opaque, Parameter, Pin, PinKind, Scan, Value, settings,
};

use crate::pin::PinReason;

/// What one completed statement changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`, `PREPARE TRANSACTION` (the command tag tells a commit that became a rollback).
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// `SAVEPOINT`.
    Savepoint(Box<[u8]>),
    /// `ROLLBACK TO`.
    RollbackTo(Box<[u8]>),
    /// `RELEASE`.
    Release(Box<[u8]>),
    /// `SET`, `set_config(…, false)`.
    Set(Box<[u8]>, Value),
    /// `RESET`.
    Reset(Box<[u8]>),
    /// `RESET ALL`.
    ResetAll,
    /// `DISCARD ALL`.
    DiscardAll,
    /// `DEALLOCATE ALL`, `DISCARD PLANS` leaves names alone and is not one.
    DeallocateAll,
    /// `DEALLOCATE name` of a statement made by the protocol.
    Deallocate(Box<[u8]>),
    /// Something that cannot be replayed on another server.
    Pin(PinReason),
    /// Takes away what pinned for this reason.
    Unpin(PinReason),
}

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

    fn many(scan: &Scan) -> Self {
        let changes: Vec<_> = scan
            .effects()
            .iter()
            .flat_map(|found| changes_of(&found.effect).map(|change| (found.statement, change)))
            .collect();
        if changes.is_empty() { Self::None } else { Self::Many(changes.into()) }
    }

    /// Whether nothing stays behind.
    #[inline]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether settings change, so that what follows in the same pipeline is parsed under settings not yet known.
    pub fn touches_settings(&self) -> bool {
        match self {
            Self::None | Self::Transaction(_) => false,
            Self::Many(changes) => changes.iter().any(|(_, change)| {
                matches!(
                    change,
                    Change::Set(..)
                        | Change::Reset(_)
                        | Change::ResetAll
                        | Change::DiscardAll
                        | Change::RollbackTo(_)
                )
            }),
        }
    }
}

/// What an effect of a statement means for the session; most mean nothing for it.
fn changes_of(effect: &Effect) -> impl Iterator<Item = Change> + use<> {
    let mut second = None;
    let first = match effect {
        Effect::Begin(_) => Some(Change::Begin),
        Effect::Commit { .. } | Effect::PrepareTransaction => Some(Change::Commit),
        Effect::Rollback { .. } => Some(Change::Rollback),
        Effect::Savepoint(name) => Some(Change::Savepoint(name.as_bytes().into())),
        Effect::RollbackTo(name) => Some(Change::RollbackTo(name.as_bytes().into())),
        Effect::Release(name) => Some(Change::Release(name.as_bytes().into())),
        Effect::Set { parameter, value, local } => set(parameter, value, *local),
        Effect::SetComputed { parameter, local: false } => {
            let transient =
                parameter.as_ref().is_some_and(|p| settings::is_transaction_local(p.name()));
            (!transient).then_some(Change::Pin(PinReason::ComputedSetting))
        }
        Effect::Reset { parameter, local } => {
            (!local).then(|| Change::Reset(parameter.name().into()))
        }
        Effect::ResetAll => Some(Change::ResetAll),
        Effect::Discard(Discard::All) => Some(Change::DiscardAll),
        Effect::Discard(Discard::Sequences) => Some(Change::Unpin(PinReason::Sequence)),
        Effect::Discard(Discard::Temp) => Some(Change::Unpin(PinReason::TemporaryObject)),
        Effect::Prepare(_) => Some(Change::Pin(PinReason::SqlPrepare)),
        Effect::Deallocate(Deallocate::All) => {
            second = Some(Change::Unpin(PinReason::SqlPrepare));
            Some(Change::DeallocateAll)
        }
        Effect::Deallocate(Deallocate::Name { name, .. }) => {
            Some(Change::Deallocate(name.as_bytes().into()))
        }
        Effect::Listen(_) => Some(Change::Pin(PinReason::Listen)),
        Effect::UnlistenAll => Some(Change::Unpin(PinReason::Listen)),
        Effect::Pin(pin) => pin_of(pin).map(Change::Pin),
        Effect::CloseAllCursors => Some(Change::Unpin(PinReason::HoldCursor)),
        Effect::SequenceRead => Some(Change::Pin(PinReason::Sequence)),
        Effect::Opaque(opaque) => {
            opaque_pins(opaque).then_some(Change::Pin(PinReason::HiddenState))
        }
        _ => None,
    };
    first.into_iter().chain(second)
}

fn set(parameter: &Parameter, value: &Value, local: bool) -> Option<Change> {
    let name = parameter.name();
    if local || settings::is_transaction_local(name) {
        return None;
    }
    Some(Change::Set(name.into(), value.clone()))
}

fn pin_of(pin: &Pin) -> Option<PinReason> {
    match pin {
        // Gone with the transaction, which keeps its server anyway.
        Pin::TempObject { on_commit_drop: true } => None,
        _ => Some(match pin.kind() {
            PinKind::TempObject => PinReason::TemporaryObject,
            PinKind::AdvisoryLock => PinReason::AdvisoryLock,
            PinKind::HoldCursor => PinReason::HoldCursor,
            PinKind::Load => PinReason::Load,
            _ => PinReason::ServerObject,
        }),
    }
}

/// Whether a statement whose effects its text does not show keeps the session on its server. All do, until the server
/// itself is asked.
const fn opaque_pins(_opaque: &Opaque) -> bool {
    true
}
