//! What statements leave behind in the session, in the form the session follows.

use std::sync::Arc;

use trunkline_sql::{
    Deallocate, Discard, Effect, Opaque, Parameter, Pin, PinKind, Scan, Value, settings,
};

use crate::{
    execute::{Mention, Renamed},
    facts::Reach,
    made::Making,
    name,
    pin::PinReason,
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
    /// Something that cannot be replayed on another server.
    Pin(PinReason),
    /// Something may have been left behind, or taken away, of which the server itself is asked.
    Look(Look),
    /// Takes away what pinned for this reason.
    Unpin(PinReason),
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
            Self::Many(changes) => changes
                .iter()
                .all(|(_, change)| matches!(change, Change::Notify | Change::CatalogChange)),
        }
    }

    /// Whether names of prepared statements are used that may be those of the protocol.
    pub(crate) fn names_statements(&self) -> bool {
        match self {
            Self::None | Self::Transaction(_) => false,
            Self::Many(changes) => changes.iter().any(|(_, change)| {
                matches!(change, Change::Deallocate(_) | Change::Mention(_) | Change::Prepare(_))
            }),
        }
    }

    /// The same with the values of a Bind message; `rest` is what follows its names.
    #[must_use]
    #[inline]
    pub(crate) fn bound(self, rest: &[u8]) -> Self {
        match &self {
            Self::None | Self::Transaction(_) => self,
            Self::Many(changes) => Self::with_values(changes, rest).unwrap_or(self),
        }
    }

    /// The changes with the values of a Bind message; none if they need none.
    fn with_values(changes: &[(usize, Change)], rest: &[u8]) -> Option<Self> {
        if !changes.iter().any(|(_, change)| matches!(change, Change::SetBound { .. })) {
            return None;
        }
        let known = changes.iter().map(|(place, change)| {
            let change = match change {
                Change::SetBound { name, number, local } => {
                    let value =
                        bound_value(rest, *number).map(|value| Value::Literal(value.into()));
                    match (value, local) {
                        (Some(value), false) => Change::Set(name.clone(), value),
                        (None, false) => Change::Look(Look::Computed(name.clone())),
                        (Some(value), true) => Change::SetLocal(name.clone(), Some(value)),
                        (None, true) => Change::SetLocalUnknown,
                    }
                }
                other => other.clone(),
            };
            (*place, change)
        });
        Some(Self::Many(known.collect()))
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

/// What an effect of a statement means for the session; most mean nothing for it.
fn change_of(effect: &Effect) -> Option<Change> {
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
    if settings::is_transaction_local(name) || (local && !is_followed_locally(name)) {
        return None;
    }
    if local {
        return Some(Change::SetLocal(name.into(), Some(value.clone())));
    }
    Some(Change::Set(name.into(), value.clone()))
}

/// `SET LOCAL` is left to the server, but what statements are parsed under must be known.
fn is_followed_locally(name: &[u8]) -> bool {
    settings::is_parse_environment(name)
}

fn set_computed(
    parameter: Option<&Parameter>,
    local: bool,
    argument: Option<u16>,
) -> Option<Change> {
    match (parameter.map(Parameter::name), argument) {
        (Some(name), _) if settings::is_transaction_local(name) => None,
        (Some(name), _) if local && !is_followed_locally(name) => None,
        (Some(name), Some(number)) => Some(Change::SetBound { name: name.into(), number, local }),
        _ if local => Some(Change::SetLocalUnknown),
        (Some(name), None) => Some(Change::Look(Look::Computed(name.into()))),
        _ => Some(Change::Pin(PinReason::ComputedSetting)),
    }
}

/// The value of a parameter in what follows the names of a Bind message (manual, message formats, Bind): as text, and
/// as binary too, a text is its bytes. None for NULL, and if there is no such parameter.
fn bound_value(rest: &[u8], number: u16) -> Option<&[u8]> {
    let (formats, rest) = rest.split_first_chunk::<2>()?;
    let rest = rest.get(usize::from(u16::from_be_bytes(*formats)).checked_mul(2)?..)?;
    let (values, mut rest) = rest.split_first_chunk::<2>()?;
    for place in 1..=u16::from_be_bytes(*values) {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        let value = usize::try_from(length).ok().map(|length| behind.get(..length));
        if place == number {
            return value?;
        }
        rest = match value {
            Some(value) => behind.get(value?.len()..)?,
            None => behind,
        };
    }
    None
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows the names in a Bind with these values.
    fn rest(values: &[Option<&str>]) -> Vec<u8> {
        let mut rest = vec![0, 1, 0, 1, 0, u8::try_from(values.len()).unwrap()];
        for value in values {
            let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            rest.extend_from_slice(&length.to_be_bytes());
            rest.extend_from_slice(value.unwrap_or_default().as_bytes());
        }
        rest
    }

    #[test]
    fn a_bound_value_is_found_behind_others_and_behind_null() {
        let rest = rest(&[Some("a"), None, Some("off"), Some("")]);
        assert_eq!(bound_value(&rest, 1), Some(b"a".as_slice()));
        assert_eq!(bound_value(&rest, 2), None);
        assert_eq!(bound_value(&rest, 3), Some(b"off".as_slice()));
        assert_eq!(bound_value(&rest, 4), Some(b"".as_slice()));
        assert_eq!(bound_value(&rest, 5), None);
        for end in 0..rest.len() {
            assert_eq!(bound_value(&rest[..end], 4), None, "cut at {end}");
        }
    }

    #[test]
    fn a_setting_from_a_parameter_is_known_once_it_is_bound() {
        let text = b"SELECT set_config('jit', $2::text, false)";
        let effects = Effects::of(&trunkline_sql::scan(text, trunkline_sql::Rules::default()));
        assert!(!effects.touches_environment(), "it changes nothing that is folded in");
        let only = |effects: Effects| match effects {
            Effects::Many(changes) => changes.iter().map(|(_, change)| change.clone()).collect(),
            _ => Vec::new(),
        };
        let jit = Change::Set(b"jit".as_slice().into(), Value::Literal(b"on".as_slice().into()));
        assert_eq!(only(effects.clone().bound(&rest(&[None, Some("on")]))), [jit]);
        let asked = [Change::Look(Look::Computed(b"jit".as_slice().into()))];
        assert_eq!(only(effects.clone().bound(&rest(&[Some("on"), None]))), asked);
        assert_eq!(only(effects.bound(b"")), asked);
    }

    #[test]
    fn what_a_transaction_sets_for_itself_is_followed_if_statements_are_parsed_under_it() {
        let of = |text: &str| {
            Effects::of(&trunkline_sql::scan(text.as_bytes(), trunkline_sql::Rules::default()))
        };
        assert!(of("SET LOCAL work_mem TO '1MB'").is_none());
        assert!(of("SELECT set_config('app.x', $1, true)").is_none());
        for text in [
            "SET LOCAL search_path TO a",
            "SET LOCAL timezone TO DEFAULT",
            "SELECT set_config('role', $1, true)",
            "SELECT set_config($1, $2, true)",
        ] {
            assert!(of(text).touches_environment(), "{text}");
        }
    }
}
