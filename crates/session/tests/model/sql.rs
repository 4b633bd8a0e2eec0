//! The statements that the model of PostgreSQL understands: each is real SQL, so that the session reads it as it
//! would from any client.

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sql {
    /// Only a comment, or nothing.
    Empty,
    Begin,
    Commit,
    Rollback,
    Savepoint(String),
    RollbackTo(String),
    Release(String),
    /// `SET [LOCAL] name TO 'value'`.
    Set {
        name: String,
        value: String,
        local: bool,
    },
    /// `select set_config('name', 'value', false)`.
    SetConfig(String, String),
    /// The same until the end of the transaction.
    SetConfigLocally(String, String),
    /// `SET LOCAL name TO DEFAULT`.
    SetLocalDefault(String),
    Reset(String),
    ResetAll,
    DiscardAll,
    /// It has no sequences.
    DiscardSequences,
    DeallocateAll,
    Show(String),
    /// `select <number>`: so many rows.
    Rows(usize),
    /// Its value is folded in when it is parsed.
    Folded,
    /// Fails when it runs.
    Fails,
    CopyIn,
    /// `copy frail from stdin`: a trigger fails before any data is read.
    CopyInFails,
    CopyOut,
    /// `create temp table <name> (a int)`.
    Temp(String),
    /// `select a from <name>`.
    FromTemp(String),
    /// SQL `prepare <name> as <statement>`.
    Prepare(String, Box<Self>),
    /// SQL `execute <name>`.
    Execute(String),
    /// SQL `deallocate <name>`.
    Deallocate(String),
    /// Fails when it is parsed.
    Bad,
}

impl Sql {
    /// As a client writes it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Empty => "/* nothing */".into(),
            Self::Begin => "begin".into(),
            Self::Commit => "commit".into(),
            Self::Rollback => "rollback".into(),
            Self::Savepoint(name) => format!("savepoint {name}"),
            Self::RollbackTo(name) => format!("rollback to {name}"),
            Self::Release(name) => format!("release {name}"),
            Self::Set { name, value, local } => {
                let local = if *local { "local " } else { "" };
                format!("set {local}{name} to '{value}'")
            }
            Self::SetConfig(name, value) => {
                format!("select set_config('{name}', '{value}', false)")
            }
            Self::SetConfigLocally(name, value) => {
                format!("select set_config('{name}', '{value}', true)")
            }
            Self::SetLocalDefault(name) => format!("set local {name} to default"),
            Self::Reset(name) => format!("reset {name}"),
            Self::ResetAll => "reset all".into(),
            Self::DiscardAll => "discard all".into(),
            Self::DiscardSequences => "discard sequences".into(),
            Self::DeallocateAll => "deallocate all".into(),
            Self::Show(name) => format!("show {name}"),
            Self::Rows(rows) => format!("select {rows}"),
            Self::Folded => "select timestamptz '2020-01-01 00:00'".into(),
            Self::Fails => "select 1/0".into(),
            Self::CopyIn => "copy t from stdin".into(),
            Self::CopyInFails => "copy frail from stdin".into(),
            Self::CopyOut => "copy t to stdout".into(),
            Self::Temp(name) => format!("create temp table {name} (a int)"),
            Self::FromTemp(name) => format!("select a from {name}"),
            Self::Prepare(name, body) => format!("prepare {name} as {}", body.text()),
            Self::Execute(name) => format!("execute {name}"),
            Self::Deallocate(name) => format!("deallocate {name}"),
            Self::Bad => "selec 1".into(),
        }
    }

    /// The statements of a text.
    pub(crate) fn read(text: &str) -> Vec<Self> {
        let bare = without_comments(text);
        let pieces = bare.split(';').map(str::trim).filter(|piece| !piece.is_empty());
        pieces.map(Self::read_one).collect()
    }

    fn read_one(text: &str) -> Self {
        let words: Vec<_> = text.split_whitespace().collect();
        let owned = |name: &str| name.to_owned();
        match *words {
            ["begin"] => Self::Begin,
            ["commit"] => Self::Commit,
            ["rollback" | "ROLLBACK"] => Self::Rollback,
            ["savepoint", name] => Self::Savepoint(owned(name)),
            ["rollback", "to", name] => Self::RollbackTo(owned(name)),
            ["release", name] => Self::Release(owned(name)),
            ["set" | "SET", "local" | "LOCAL", name, "to" | "TO", "default" | "DEFAULT"] => {
                Self::SetLocalDefault(bare(name))
            }
            ["set" | "SET", "local" | "LOCAL", name, "to" | "TO", value] => {
                Self::Set { name: bare(name), value: bare(value), local: true }
            }
            // What a client may set, but not the session again.
            ["SET", name, "TO", "'frail'"] => {
                Self::Set { name: bare(name), value: "bad".to_owned(), local: false }
            }
            // `SET` as a client writes it, and as the session writes it again.
            ["set" | "SET", name, "to" | "TO", value] => {
                Self::Set { name: bare(name), value: bare(value), local: false }
            }
            ["reset", "all"] => Self::ResetAll,
            ["reset" | "RESET", name] => Self::Reset(bare(name)),
            ["discard" | "DISCARD", "all" | "ALL"] => Self::DiscardAll,
            ["DISCARD", "SEQUENCES"] => Self::DiscardSequences,
            ["deallocate", "all"] => Self::DeallocateAll,
            ["deallocate", name] => Self::Deallocate(owned(name)),
            ["show", name] => Self::Show(owned(name)),
            ["select", "1/0"] => Self::Fails,
            ["select", "timestamptz", ..] => Self::Folded,
            ["select", "a", "from", name] => Self::FromTemp(owned(name)),
            ["select" | "SELECT", ..] if text.contains("set_config(") => set_config(text),
            ["select", rows] => rows.parse().map_or(Self::Bad, Self::Rows),
            ["copy", "t", "from", "stdin"] => Self::CopyIn,
            ["copy", "frail", "from", "stdin"] => Self::CopyInFails,
            ["copy", "t", "to", "stdout"] => Self::CopyOut,
            ["create", "temp", "table", name, ..] => Self::Temp(owned(name)),
            ["prepare", name, "as", ..] => {
                let body =
                    text.split_once(" as ").map_or(Self::Bad, |(_, body)| Self::read_one(body));
                Self::Prepare(owned(name), Box::new(body))
            }
            ["execute", name] => Self::Execute(owned(name)),
            _ => Self::Bad,
        }
    }

    /// `IsTransactionExitStmt` of PostgreSQL: allowed in a failed transaction.
    pub(crate) fn leaves_failed(&self) -> bool {
        matches!(self, Self::Commit | Self::Rollback | Self::RollbackTo(_))
    }

    /// Whether it names prepared statements.
    pub(crate) fn names_others(&self) -> bool {
        matches!(self, Self::Execute(_) | Self::Prepare(..) | Self::Deallocate(_))
    }

    /// Whether it answers with rows.
    pub(crate) fn has_rows(&self) -> bool {
        matches!(
            self,
            Self::Show(_)
                | Self::Rows(_)
                | Self::Folded
                | Self::Fails
                | Self::FromTemp(_)
                | Self::Execute(_)
                | Self::SetConfig(..)
                | Self::SetConfigLocally(..)
        )
    }
}

fn set_config(text: &str) -> Sql {
    let quoted: Vec<_> = text.split('\'').collect();
    match *quoted {
        [_, name, _, value, rest] if rest.contains("true") => {
            Sql::SetConfigLocally(name.to_owned(), value.to_owned())
        }
        [_, name, _, value, _] => Sql::SetConfig(name.to_owned(), value.to_owned()),
        _ => Sql::Bad,
    }
}

fn bare(value: &str) -> String {
    value.replace(['\'', '"'], "")
}

fn without_comments(text: &str) -> String {
    let mut bare = String::new();
    for (place, piece) in text.split("/*").enumerate() {
        let kept = if place == 0 { piece } else { piece.split_once("*/").map_or("", |(_, k)| k) };
        bare.push_str(kept);
    }
    bare
}
