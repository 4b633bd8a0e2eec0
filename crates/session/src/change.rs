//! What a statement changes in the session: what its effects mean for it.

use std::sync::Arc;

use trunkline_sql::{
    Deallocate, Discard, Effect, Opaque, Parameter, Pin, PinKind, Value, settings,
};

use crate::{
    execute::{Mention, Renamed},
    made::Making,
    name,
    pin::PinReason,
    preference,
    token::{Asked, Refusal},
};

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
    /// `set_config(name, $n, …)`: what it sets is known when the statement is bound.
    SetBound {
        /// Which setting.
        name: Box<[u8]>,
        /// The number of the parameter, from 1.
        number: u16,
        /// Only until the end of the transaction.
        local: bool,
    },
    /// `SET LOCAL` of a setting that PostgreSQL folds in at Parse; without a value its default.
    SetLocal(Box<[u8]>, Option<Value>),
    /// A placeholder is set until the end of the transaction; see [`crate::placeholder`].
    Placeholder(Box<[u8]>),
    /// `trunkline.route` is given a value that means nothing.
    Unroutable(Box<str>),
    /// Such a setting may have got a value that is not known, until the end of the transaction.
    SetLocalUnknown,
    /// `RESET`.
    Reset(Box<[u8]>),
    /// `RESET ALL`.
    ResetAll,
    /// `DISCARD ALL`.
    DiscardAll,
    /// `DEALLOCATE ALL`, `DISCARD PLANS` leaves names alone and is not one.
    DeallocateAll,
    /// `DEALLOCATE name`.
    Deallocate(Box<[u8]>),
    /// `EXECUTE` of a statement, however it was made.
    Mention(Box<Mention>),
    /// `PREPARE` of a statement.
    Prepare(Arc<Making>),
    /// The text was sent with a name of ours in place of the client's.
    Renamed(Box<Renamed>),
    /// A table or the like is made, changed or dropped.
    CatalogChange,
    /// `LISTEN`.
    Listen(Box<[u8]>),
    /// `UNLISTEN`.
    Unlisten(Box<[u8]>),
    /// `UNLISTEN *`.
    UnlistenAll,
    /// `NOTIFY`, `pg_notify()`, which leaves nothing behind.
    Notify,
    /// `EXPLAIN ROUTE`, which is no server's.
    ExplainRoute,
    /// Something that cannot be replayed on another server.
    Pin(PinReason),
    /// Something may have been left behind, or taken away, of which the server itself is asked.
    Look(Look),
    /// Takes away what pinned for this reason.
    Unpin(PinReason),
    /// A place in the log is asked for, or set; see [`crate::token`].
    Place(Box<Asked>),
    /// The text was sent as one that is refused, since the place that it sets cannot be taken.
    NoPlace(Box<Refusal>),
    /// A statement of ours that is inserted in the client's text and gives back what the startup packet has said.
    Restore {
        /// So many characters of the text that is sent are before it.
        at: usize,
        /// So many characters it has.
        length: usize,
    },
}

/// Why the server is asked what the session has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The statement makes a temporary object, a session-level lock or a cursor that stays, unless that is rolled back
    /// or cannot be had.
    Made,
    /// It may take such a thing away.
    Taken,
    /// What it does cannot be told from its text.
    Hidden(Hidden),
    /// It gives a setting a value that cannot be told from its text.
    Computed(Box<[u8]>),
}

/// What may leave something behind that no text shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hidden {
    /// A call of this function.
    Function(Box<[u8]>),
    /// A trigger, a view or the like calls a function.
    Unseen,
    /// `DO`, `CALL`, a function that is not named, or a text that could not be read.
    Other,
}

/// What an effect of a statement means for the session; most mean nothing for it.
pub(crate) fn change_of(effect: &Effect) -> Option<Change> {
    match effect {
        Effect::Begin(_) => Some(Change::Begin),
        Effect::Commit { .. } | Effect::PrepareTransaction => Some(Change::Commit),
        Effect::Rollback { .. } => Some(Change::Rollback),
        Effect::Savepoint(name) => Some(Change::Savepoint(name::of_sql(name.as_bytes()).into())),
        Effect::RollbackTo(name) => Some(Change::RollbackTo(name::of_sql(name.as_bytes()).into())),
        Effect::Release(name) => Some(Change::Release(name::of_sql(name.as_bytes()).into())),
        Effect::Set { parameter, value, local } => set(parameter, value, *local),
        Effect::SetComputed { parameter, local, argument } => {
            set_computed(parameter.as_ref(), *local, *argument)
        }
        Effect::Reset { parameter, local: false } => Some(Change::Reset(parameter.name().into())),
        // What it goes back to may be what the client's startup packet has said.
        Effect::Reset { parameter, local: true } => {
            Some(Change::SetLocal(parameter.name().into(), None))
        }
        Effect::ResetAll => Some(Change::ResetAll),
        Effect::Discard(Discard::All) => Some(Change::DiscardAll),
        Effect::Discard(Discard::Sequences) => Some(Change::Unpin(PinReason::Sequence)),
        Effect::Discard(Discard::Temp)
        | Effect::Unpin(_)
        | Effect::CloseCursor(_)
        | Effect::CloseAllCursors => Some(Change::Look(Look::Taken)),
        Effect::Prepare(prepare) => {
            Some(Change::Prepare(Making::named(name::of_sql(prepare.name.as_bytes()))))
        }
        Effect::Execute(execute) => Some(Change::Mention(Box::new(Mention {
            name: name::of_sql(execute.name.as_bytes()).into(),
            at: execute.name_at,
            planned_only: execute.planned_only,
            arguments: execute.arguments.clone(),
        }))),
        Effect::Deallocate(Deallocate::All) => Some(Change::DeallocateAll),
        Effect::Deallocate(Deallocate::Name { name, .. }) => {
            Some(Change::Deallocate(name::of_sql(name.as_bytes()).into()))
        }
        Effect::Listen(name) => Some(Change::Listen(name.as_bytes().into())),
        Effect::Unlisten(name) => Some(Change::Unlisten(name.as_bytes().into())),
        Effect::UnlistenAll => Some(Change::UnlistenAll),
        Effect::Notify => Some(Change::Notify),
        Effect::Pin(pin) => pin_of(pin),
        Effect::Ddl => Some(Change::CatalogChange),
        Effect::ExplainRoute => Some(Change::ExplainRoute),
        Effect::SequenceRead => Some(Change::Pin(PinReason::Sequence)),
        Effect::Opaque(opaque) => Some(Change::Look(Look::Hidden(match opaque {
            Opaque::Function(name) => Hidden::Function(name.as_bytes().into()),
            _ => Hidden::Other,
        }))),
        _ => None,
    }
}

fn set(parameter: &Parameter, value: &Value, local: bool) -> Option<Change> {
    let name = parameter.name();
    if let Some(refused) = preference::refused(name, value) {
        return Some(refused);
    }
    if local && settings::is_placeholder(name) {
        return Some(Change::Placeholder(name.into()));
    }
    // SET LOCAL is left to the server, but what statements are parsed under must be known.
    if settings::is_transaction_local(name) || (local && !settings::is_parse_environment(name)) {
        return None;
    }
    if local {
        return Some(Change::SetLocal(name.into(), Some(value.clone())));
    }
    Some(Change::Set(name.into(), value.clone()))
}

fn set_computed(
    parameter: Option<&Parameter>,
    local: bool,
    argument: Option<u16>,
) -> Option<Change> {
    match (parameter.map(Parameter::name), argument) {
        (Some(name), _) if settings::is_transaction_local(name) => None,
        (Some(name), _) if local && settings::is_placeholder(name) => {
            Some(Change::Placeholder(name.into()))
        }
        (Some(name), _) if local && !settings::is_parse_environment(name) => None,
        (Some(name), Some(number)) => Some(Change::SetBound { name: name.into(), number, local }),
        _ if local => Some(Change::SetLocalUnknown),
        (Some(name), None) => Some(Change::Look(Look::Computed(name.into()))),
        _ => Some(Change::Pin(PinReason::ComputedSetting)),
    }
}

fn pin_of(pin: &Pin) -> Option<Change> {
    match pin {
        // Gone with the transaction, which keeps its server anyway.
        Pin::TempObject { on_commit_drop: true } => None,
        _ => Some(match pin.kind() {
            PinKind::TempObject | PinKind::AdvisoryLock | PinKind::HoldCursor => {
                Change::Look(Look::Made)
            }
            PinKind::Load => Change::Pin(PinReason::Load),
            _ => Change::Pin(PinReason::ServerObject),
        }),
    }
}
