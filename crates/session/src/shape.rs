//! What servers say of a statement when they describe it: the types of its parameters, and the columns of its result.
//!
//! A client reads rows by what it was told of them before, and PostgreSQL keeps to it: a statement whose result has become
//! another is refused (0A000, plancache.c, `RevalidateCachedQuery`). A server that is given the statement only after its
//! table has changed does not know what others have told. So that is remembered, each server that is given the statement is
//! asked to describe it, and one that tells otherwise counts as one that refuses it: the client is told the error that
//! PostgreSQL has for it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::BytesMut;
use trunkline_sql::Keyword;
use trunkline_wire::{
    SqlState,
    backend::{self, Report, RowDescription},
    frontend,
};

use crate::{
    ahead::Course,
    client::ClientSession,
    draft,
    environment::Meaning,
    expect::{Compare, Ours, Owed},
    from_client::{Step, Ways},
    from_server::{Reply, settle},
    hold::Why,
    outgoing::Outgoing,
    report::{WHOLE_MAX, error_code},
    server::{Intake, ServerSession, TxStatus},
    statement::Statement,
};

/// What clients were told of a statement: a number for each part, [`UNTOLD`] or [`FREE`].
#[derive(Debug, Default)]
pub(crate) struct Told {
    parameters: AtomicU64,
    result: AtomicU64,
}

/// The part was not told to anybody.
const UNTOLD: u64 = 0;

/// It may be told otherwise: a `FETCH` has the columns of its cursor, and PostgreSQL does not keep to what it has told.
const FREE: u64 = 1;

/// Whether a server describes a statement as clients were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum AsTold {
    /// It does, or nobody was told when it was given the statement.
    #[default]
    Yes,
    /// It has not said it yet.
    Unknown,
    /// It does not: it counts as one that refuses the statement.
    No,
}

impl Told {
    /// Whether clients know the result, and rely on it.
    #[inline]
    pub(crate) fn has_result(&self) -> bool {
        self.result.load(Ordering::Relaxed) > FREE
    }

    /// Whether nobody knows the result.
    #[inline]
    pub(crate) fn is_untold(&self) -> bool {
        self.result.load(Ordering::Relaxed) == UNTOLD
    }

    /// Whether clients know all that there is.
    pub(crate) fn is_whole(&self) -> bool {
        !self.is_untold() && self.parameters.load(Ordering::Relaxed) != UNTOLD
    }

    /// A client is told this; what is too long is not compared. What was told first holds.
    fn note(&self, part: Part, body: &[u8]) {
        self.set(part, part.number_of(body).unwrap_or(FREE));
    }

    fn set(&self, part: Part, number: u64) {
        let place = self.place(part);
        let _known = place.compare_exchange(UNTOLD, number, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether a server says otherwise.
    fn differs(&self, part: Part, body: &[u8]) -> bool {
        let known = self.place(part).load(Ordering::Relaxed);
        // What is too long to be compared is longer than what was told.
        known > FREE && part.number_of(body) != Some(known)
    }

    const fn place(&self, part: Part) -> &AtomicU64 {
        match part {
            Part::Parameters => &self.parameters,
            Part::Result => &self.result,
        }
    }
}

/// A part of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// `ParameterDescription`.
    Parameters,
    /// `RowDescription`, or `NoData` with its empty body.
    Result,
}

impl Part {
    /// A number that stands for what the body says; none if it is too long or cut.
    fn number_of(self, body: &[u8]) -> Option<u64> {
        if body.len() > WHOLE_MAX {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        match self {
            Self::Parameters => body.hash(&mut hasher),
            Self::Result => hash_columns(body, &mut hasher)?,
        }
        Some(hasher.finish() | (FREE << 1))
    }
}

/// The type of rows whose columns only their session knows, by a number in the place of the modifier (`pg_type.dat`).
const RECORD: u32 = 2249;

/// Names, types and modifiers count, as for PostgreSQL (`equalRowTypes`). The format depends on the Bind, and the table on
/// how the planner gets at it.
fn hash_columns(body: &[u8], hasher: &mut DefaultHasher) -> Option<()> {
    if body.is_empty() {
        return Some(());
    }
    for column in RowDescription::parse(body).ok()?.iter() {
        (column.name, column.type_oid).hash(hasher);
        if column.type_oid != RECORD {
            column.type_modifier.hash(hasher);
        }
    }
    Some(())
}

impl ClientSession {
    /// What a message means that uses this statement. If clients know what it looks like, and the server has not said yet
    /// that it does there too, the message waits for that.
    #[inline]
    pub(crate) fn as_told(
        &mut self,
        statement: Arc<Statement>,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) -> Meaning {
        // The message may have waited for the answer, amid a group that is not answered yet.
        server.end_wait();
        if !statement.told().has_result() || server.statements.touch_as_told(statement.id) {
            return Meaning::Ours(statement);
        }
        self.compared_with_told(statement, server, out)
    }

    /// The server has not said it, or has said that it does not.
    #[cold]
    fn compared_with_told(
        &mut self,
        statement: Arc<Statement>,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) -> Meaning {
        let has = server.statements.as_told(statement.id);
        // In a failed transaction it is refused for that.
        let fails = server.status == TxStatus::Failed && server.owed.is_empty();
        if fails {
            return Meaning::Ours(statement);
        }
        if has == Some(AsTold::No) {
            return Meaning::Stale(statement);
        }
        let course = server.course();
        if course == Course::Undecided {
            self.mean_as_before();
            return Meaning::Undecided;
        }
        if has.is_some() {
            server.compare(Compare { statement, parsed_as: None }, out);
        } else {
            self.give(&statement, server, out);
        }
        self.owe_meant(server);
        if course == Course::Ahead {
            server.end_ahead(out);
        } else {
            frontend::flush(out.insert());
            server.intake = Intake::Unsynced;
            server.hold(Why::Ahead);
        }
        Meaning::Undecided
    }

    /// The server has said whether a statement looks there as clients were told.
    #[cold]
    pub(crate) fn end_comparison(&mut self, server: &mut ServerSession, body: &[u8]) -> Reply {
        if let Some(Owed::Ours(Ours::Compare(compare))) = server.owed.pop() {
            let Compare { statement, parsed_as } = *compare;
            let id = statement.id;
            if statement.told().differs(Part::Result, body) {
                server.statements.set_as_told(id, AsTold::No);
            }
            if server.statements.as_told(id) == Some(AsTold::No) {
                statement.retire();
                // Who has just parsed it is told what it looks like now, and may use it.
                let own = parsed_as.filter(|own| self.names.get(own).is_some_and(|is| is.id == id));
                if let Some(own) = own {
                    self.names.insert(own, draft::instead_of(&statement));
                }
            } else {
                server.statements.set_as_told(id, AsTold::Yes);
            }
        }
        settle(server);
        Reply::Next
    }
}

impl ServerSession {
    /// Asks what a statement looks like that it has been given.
    pub(crate) fn compare(&mut self, compare: Compare, out: &mut Outgoing<'_>) {
        frontend::describe(out.insert(), frontend::STATEMENT, &compare.statement.name);
        self.owed.push(Owed::Ours(Ours::Compare(Box::new(compare))));
    }

    /// Its client is told what a statement looks like, of which that was not known.
    #[cold]
    pub(crate) fn note_result(&mut self, body: &[u8]) {
        if let Some(Owed::Describe(statement)) = self.owed.pop() {
            let keyword = trunkline_sql::scan(&statement.text, self.rules).keyword(0);
            if keeps_its_result(keyword) {
                statement.told().note(Part::Result, body);
            } else {
                statement.told().set(Part::Result, FREE);
            }
        }
        settle(self);
    }

    /// It has told the types of the parameters of what it describes.
    pub(crate) fn note_parameters(&mut self, body: &[u8]) {
        match self.owed.front() {
            Some(Owed::Describe(statement)) => statement.told().note(Part::Parameters, body),
            Some(Owed::Ours(Ours::Compare(compare))) => {
                let Compare { statement, .. } = compare.as_ref();
                if statement.told().differs(Part::Parameters, body) {
                    let id = statement.id;
                    self.statements.set_as_told(id, AsTold::No);
                }
            }
            _ => self.owed.note_types(body),
        }
    }
}

/// Whether PostgreSQL refuses a statement that begins with this word if its result has become another: what it plans
/// (plancache.c, `StmtPlanRequiresRevalidation`).
const fn keeps_its_result(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::Select
            | Keyword::Insert
            | Keyword::Update
            | Keyword::Delete
            | Keyword::Merge
            | Keyword::With
            | Keyword::Values
            | Keyword::Table
    )
}

/// The name of the statement that is refused.
const NAME: &[u8] = b"__trunkline_stale";

/// Not SQL. The server's log shows it.
const TEXT: &[u8] = b"trunkline: the result type of a prepared statement has changed";

/// Sends a message that is refused instead of the client's, which uses a statement that looks otherwise here than the
/// client was told.
pub(crate) fn refuse_message(
    statement: Arc<Statement>,
    server: &mut ServerSession,
    ways: &mut Ways<'_, '_>,
) -> Step {
    server.intake = Intake::Unsynced;
    frontend::parse(ways.server.insert(), NAME, TEXT, b"\0\0");
    server.owed.push(Owed::Stale(statement));
    Step::Next
}

/// Whether the error is that of the text.
pub(crate) fn is_refusal(body: &[u8]) -> bool {
    error_code(body) == Some(SqlState::SYNTAX_ERROR)
}

/// The body of the error as the client is told it, if this one is that of the text. Drivers know it by its words, or by the
/// name of the routine.
pub(crate) fn told(body: &[u8]) -> Option<Vec<u8>> {
    if !is_refusal(body) {
        return None;
    }
    let mut written = BytesMut::new();
    let report =
        Report::error(SqlState::FEATURE_NOT_SUPPORTED, "cached plan must not change result type");
    backend::error_response(&mut written, &report.with_detail(DETAIL));
    let body = written.get(HEADER..)?.strip_suffix(b"\0")?;
    Some([body, b"RRevalidateCachedQuery\0\0"].concat())
}

const DETAIL: &str = "The statement was described to the client before a table of it changed.";

/// Bytes of a message before its body.
const HEADER: usize = 5;

#[cfg(test)]
mod tests {
    use trunkline_wire::backend::Column;

    use super::*;
    use crate::report::{is_stale, is_whole};

    /// A `RowDescription` of these columns: name, table, type, modifier, format.
    fn row(columns: &[(&str, u32, u32, i32, u16)]) -> Vec<u8> {
        let columns: Vec<_> = columns
            .iter()
            .map(|&(name, table_oid, type_oid, type_modifier, format)| Column {
                table_oid,
                type_modifier,
                format,
                ..Column::typed(name.as_bytes(), type_oid, 4)
            })
            .collect();
        let mut out = BytesMut::new();
        backend::row_description(&mut out, &columns);
        out.split_off(HEADER).to_vec()
    }

    #[test]
    fn names_types_and_modifiers_of_columns_count_and_nothing_else() {
        let told = Told::default();
        assert!(!told.has_result() && !told.differs(Part::Result, b"anything"));
        told.note(Part::Result, &row(&[("a", 9, 23, 7, 0)]));
        assert!(told.has_result() && !told.is_untold() && !told.is_whole());
        for (columns, differs) in [
            (vec![("a", 9, 23, 7, 0)], false),
            (vec![("a", 0, 23, 7, 1)], false),
            (vec![("b", 9, 23, 7, 0)], true),
            (vec![("a", 9, 25, 7, 0)], true),
            (vec![("a", 9, 23, 8, 0)], true),
            (vec![("a", 9, 23, 7, 0), ("b", 9, 23, 7, 0)], true),
            (vec![], true),
        ] {
            assert_eq!(told.differs(Part::Result, &row(&columns)), differs, "{columns:?}");
        }
        assert!(told.differs(Part::Result, b""), "no result at all");
        let whole = row(&[("a", 9, 23, 7, 0)]);
        assert!(told.differs(Part::Result, &whole[..whole.len() - 1]), "a part of it");
        // What was told first holds.
        told.note(Part::Result, b"");
        assert!(!told.differs(Part::Result, &whole));
        let records = Told::default();
        records.note(Part::Result, &row(&[("r", 0, RECORD, 3, 0)]));
        assert!(!records.differs(Part::Result, &row(&[("r", 0, RECORD, 4, 0)])));
    }

    #[test]
    fn the_types_of_parameters_count() {
        let told = Told::default();
        told.note(Part::Parameters, b"\0\x01\0\0\0\x17");
        assert!(!told.differs(Part::Parameters, b"\0\x01\0\0\0\x17"));
        assert!(told.differs(Part::Parameters, b"\0\x01\0\0\0\x19"));
        assert!(told.differs(Part::Parameters, &[0; WHOLE_MAX + 1]), "it is too long");
        let free = Told::default();
        free.note(Part::Result, &[0; WHOLE_MAX + 1]);
        assert!(!free.is_untold() && !free.has_result() && !free.differs(Part::Result, b""));
    }

    #[test]
    fn only_the_error_of_the_text_is_told_otherwise() {
        let of = |code: &str| told(format!("SERROR\0C{code}\0Mno\0\0").as_bytes());
        let ours = of("42601").unwrap();
        assert!(is_whole(&ours) && is_stale(&ours));
        assert_eq!(of("57014"), None);
    }
}
