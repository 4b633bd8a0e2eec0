//! What a statement does to the transaction and leaves behind in the session.

use std::fmt;

use crate::name::Name;

/// A range of bytes of the scanned text, end exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// An effect and the statement that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementEffect {
    /// Which statement of the text, counted from 0; empty statements do not count.
    pub statement: usize,
    /// What it does, if the server accepts and completes it.
    pub effect: Effect,
}

/// What a statement does if the server accepts and completes it. Inside a transaction block, settings, prepared
/// transactions and locks follow PostgreSQL's rules of commit and rollback; that is the reader's matter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// `BEGIN`, `START TRANSACTION`.
    Begin(Modes),
    /// `SET TRANSACTION`: the modes of this transaction only.
    SetTransaction(Modes),
    /// `COMMIT`, `END`.
    Commit {
        /// `AND CHAIN`: a new transaction begins at once.
        chain: bool,
    },
    /// `ROLLBACK`, `ABORT`.
    Rollback {
        /// `AND CHAIN`: a new transaction begins at once.
        chain: bool,
    },
    /// `SAVEPOINT name`.
    Savepoint(Name),
    /// `ROLLBACK TO name`.
    RollbackTo(Name),
    /// `RELEASE name`.
    Release(Name),
    /// `PREPARE TRANSACTION`: the session leaves the transaction, which stays on the server.
    PrepareTransaction,
    /// `COMMIT PREPARED`.
    CommitPrepared,
    /// `ROLLBACK PREPARED`.
    RollbackPrepared,

    /// A setting gets a value that the text shows.
    Set {
        /// Which setting.
        parameter: Parameter,
        /// Its value.
        value: Value,
        /// Only until the end of the transaction. A placeholder stays known to the server even then, as an empty
        /// string, where it was unknown (NULL) before.
        local: bool,
    },
    /// A setting gets a value that the text does not show, or perhaps none: `set_config` with computed arguments or
    /// under a condition, `UPDATE pg_settings`, or a `SET` that could not be read.
    SetComputed {
        /// Which setting, if the text shows that.
        parameter: Option<Parameter>,
        /// Only until the end of the transaction.
        local: bool,
        /// The value is this parameter of the statement, counted from 1: `set_config('name', $1, false)`.
        argument: Option<u16>,
    },
    /// `RESET name`, `SET name TO DEFAULT`.
    Reset {
        /// Which setting.
        parameter: Parameter,
        /// `SET LOCAL name TO DEFAULT`: only until the end of the transaction.
        local: bool,
    },
    /// `RESET ALL`. Leaves role and session authorization as they are.
    ResetAll,
    /// `DISCARD`.
    Discard(Discard),

    /// SQL `PREPARE name AS …`.
    Prepare(Prepare),
    /// SQL `EXECUTE name`, alone or inside `EXPLAIN` and `CREATE TABLE … AS`. What the prepared statement itself does
    /// is found by scanning its text.
    Execute(Execute),
    /// SQL `DEALLOCATE`.
    Deallocate(Deallocate),

    /// `LISTEN name`.
    Listen(Name),
    /// `UNLISTEN name`.
    Unlisten(Name),
    /// `UNLISTEN *`.
    UnlistenAll,
    /// `NOTIFY`, `pg_notify()`.
    Notify,

    /// Something stays in the server that no other server has: the session must stay too.
    Pin(Pin),
    /// Something of this kind may be gone now: whether the session may leave can be asked.
    Unpin(PinKind),
    /// `CLOSE name`.
    CloseCursor(Name),
    /// `CLOSE ALL`.
    CloseAllCursors,

    /// `currval()`, `lastval()`.
    SequenceRead,
    /// `nextval()`, `setval()`. Columns with a default call them unseen.
    SequenceWrite,

    /// What the statement leaves behind cannot be told from its text.
    Opaque(Opaque),

    /// `COPY … FROM STDIN`: the client will send data.
    CopyFromStdin,
    /// `COPY … TO STDOUT`.
    CopyToStdout,
    /// The catalog changes: plans may go stale.
    Ddl,

    /// `EXPLAIN ROUTE statement`: a question to whoever chooses a server, which no server knows.
    ExplainRoute,
}

/// Transaction modes, as far as they were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// `ISOLATION LEVEL …`.
    pub isolation: Option<Isolation>,
    /// `READ ONLY` (true) or `READ WRITE` (false).
    pub read_only: Option<bool>,
    /// `DEFERRABLE` (true) or `NOT DEFERRABLE` (false).
    pub deferrable: Option<bool>,
}

/// Isolation levels, as they are called in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// `READ UNCOMMITTED`; PostgreSQL treats it as `READ COMMITTED`.
    ReadUncommitted,
    /// `READ COMMITTED`.
    ReadCommitted,
    /// `REPEATABLE READ`.
    RepeatableRead,
    /// `SERIALIZABLE`.
    Serializable,
}

impl Isolation {
    /// The level as the settings `transaction_isolation` and `default_transaction_isolation` spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read uncommitted",
            Self::ReadCommitted => "read committed",
            Self::RepeatableRead => "repeatable read",
            Self::Serializable => "serializable",
        }
    }
}

/// A setting. The two that are names of roles have statements, and a place in the order of replay, of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parameter {
    /// `SET SESSION AUTHORIZATION`. Setting or resetting it also sets the role to `none`; so the role is replayed after
    /// it.
    SessionAuthorization,
    /// `SET ROLE`.
    Role,
    /// Any other, by its name in lower case; parts of a placeholder's name are joined by dots.
    Ordinary(Name),
}

impl Parameter {
    /// The setting of this name, in any case. Two names from long ago are still taken by the server for their
    /// successors (`map_old_guc_names`).
    pub fn named(name: &[u8]) -> Self {
        if name.eq_ignore_ascii_case(b"role") {
            Self::Role
        } else if name.eq_ignore_ascii_case(b"session_authorization") {
            Self::SessionAuthorization
        } else if name.eq_ignore_ascii_case(b"sort_mem") {
            Self::Ordinary(Name::new(b"work_mem"))
        } else if name.eq_ignore_ascii_case(b"vacuum_mem") {
            Self::Ordinary(Name::new(b"maintenance_work_mem"))
        } else {
            Self::Ordinary(Name::of_setting(name))
        }
    }

    /// The name by which `SHOW` knows it.
    pub fn name(&self) -> &[u8] {
        match self {
            Self::SessionAuthorization => b"session_authorization",
            Self::Role => b"role",
            Self::Ordinary(name) => name.as_bytes(),
        }
    }
}

/// The value of a setting. It may be a secret (placeholders often are), so `Debug` shows only its length.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// The client's own text after `TO` or `=`, from its first token to its last.
    Written(Box<[u8]>),
    /// The client's own text after `SET TIME ZONE`, which may be an `INTERVAL` that `SET timezone TO` does not take.
    TimeZone(Box<[u8]>),
    /// The value itself, from `set_config`.
    Literal(Box<[u8]>),
}

impl Value {
    /// The bytes, in whichever form.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Written(bytes) | Self::TimeZone(bytes) | Self::Literal(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self {
            Self::Written(_) => "Written",
            Self::TimeZone(_) => "TimeZone",
            Self::Literal(_) => "Literal",
        };
        write!(f, "{form}({} bytes)", self.as_bytes().len())
    }
}

/// What `DISCARD` discards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// Everything.
    All,
    /// Cached plans; nothing a client can see.
    Plans,
    /// What `currval` and `lastval` know.
    Sequences,
    /// Temporary tables.
    Temp,
}

/// The parts of `PREPARE name (types) AS body`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepare {
    /// The statement's name.
    pub name: Name,
    /// Where the name is written.
    pub name_at: Span,
    /// What is inside the parentheses behind the name, if there are any.
    pub types_at: Option<Span>,
    /// The body: up to the end of the statement.
    pub body_at: Span,
}

/// The parts of `EXECUTE name (…)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execute {
    /// The statement's name.
    pub name: Name,
    /// Where the name is written.
    pub name_at: Span,
    /// Only planned, not run: inside `EXPLAIN` without `ANALYZE`.
    pub planned_only: bool,
    /// What stands in the parentheses behind the name. Those that are no strings are not kept.
    pub arguments: Box<[Option<Value>]>,
}

/// What `DEALLOCATE` forgets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deallocate {
    /// One statement.
    Name {
        /// The statement's name.
        name: Name,
        /// Where the name is written.
        name_at: Span,
    },
    /// `DEALLOCATE ALL`.
    All,
}

/// What keeps a session on its server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pin {
    /// A temporary table, view, sequence, function, type.
    TempObject {
        /// `ON COMMIT DROP`: gone at the end of the transaction.
        on_commit_drop: bool,
    },
    /// A session-level advisory lock.
    AdvisoryLock,
    /// `DECLARE name CURSOR WITH HOLD`.
    HoldCursor(Name),
    /// `LOAD`: a library in this server process, for good.
    Load,
    /// `dblink_connect`.
    Dblink,
    /// `pg_replication_origin_session_setup`.
    ReplicationOrigin,
    /// A function that makes replication slots, which may be temporary.
    ReplicationSlot,
    /// `pg_backup_start`: the backup ends with the session.
    Backup,
}

impl Pin {
    /// Its kind.
    pub fn kind(&self) -> PinKind {
        match self {
            Self::TempObject { .. } => PinKind::TempObject,
            Self::AdvisoryLock => PinKind::AdvisoryLock,
            Self::HoldCursor(_) => PinKind::HoldCursor,
            Self::Load => PinKind::Load,
            Self::Dblink => PinKind::Dblink,
            Self::ReplicationOrigin => PinKind::ReplicationOrigin,
            Self::ReplicationSlot => PinKind::ReplicationSlot,
            Self::Backup => PinKind::Backup,
        }
    }
}

/// The kinds of [`Pin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PinKind {
    /// See [`Pin::TempObject`].
    TempObject,
    /// See [`Pin::AdvisoryLock`].
    AdvisoryLock,
    /// See [`Pin::HoldCursor`].
    HoldCursor,
    /// See [`Pin::Load`].
    Load,
    /// See [`Pin::Dblink`].
    Dblink,
    /// See [`Pin::ReplicationOrigin`].
    ReplicationOrigin,
    /// See [`Pin::ReplicationSlot`].
    ReplicationSlot,
    /// See [`Pin::Backup`].
    Backup,
}

impl PinKind {
    /// A short name for people, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TempObject => "temporary object",
            Self::AdvisoryLock => "advisory lock",
            Self::HoldCursor => "cursor with hold",
            Self::Load => "loaded library",
            Self::Dblink => "dblink connection",
            Self::ReplicationOrigin => "replication origin",
            Self::ReplicationSlot => "replication slot",
            Self::Backup => "backup",
        }
    }
}

/// Why the text of a statement does not show what it leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opaque {
    /// `DO`.
    Do,
    /// `CALL` of a procedure whose name could not be read.
    Call,
    /// It calls a function that is not known to be clean, or a procedure.
    Function(Name),
    /// It runs code that is not in the text: an extension's script, the query of a materialized view.
    Script,
    /// A statement of a kind that is not known here, or one that could not be read to its end.
    Unknown,
    /// It names something by `U&"…"` with an escape.
    UnicodeName,
    /// More of its text would have had to be kept than the scanner keeps.
    TooLong,
    /// The text has more effects than the scanner keeps; this stands for the rest of the text.
    TooMany,
    /// Where its strings end cannot be told; this stands for the rest of the text.
    Unreadable,
}
