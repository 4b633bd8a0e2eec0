//! Which reader takes which statement, and what the facts of the stream come to.

use crate::cursor::{Cursor, Text};
use crate::effect::{Effect, Opaque, Pin, PinKind};
use crate::facts::Facts;
use crate::keyword::Keyword;
use crate::name::Name;
use crate::scanner::FUNCTIONS_KEPT;
use crate::stream::Stream;
use crate::{prepared, set, set_config, transaction};

/// Where effects go.
pub(crate) type Sink<'a> = dyn FnMut(Effect) + 'a;

/// Whether a statement may have an effect at all.
#[inline]
pub(crate) fn needs_reading(stream: &Stream) -> bool {
    let ordinary = matches!(
        stream.keyword,
        Keyword::Select
            | Keyword::Insert
            | Keyword::Update
            | Keyword::Delete
            | Keyword::With
            | Keyword::Values
            | Keyword::Merge
            | Keyword::Table
            | Keyword::Show
            | Keyword::Fetch
            | Keyword::Move
            | Keyword::Truncate
            | Keyword::Lock
            | Keyword::Reindex
            | Keyword::Cluster
            | Keyword::Vacuum
            | Keyword::Analyze
            | Keyword::Analyse
            | Keyword::Checkpoint
    );
    !ordinary || !stream.facts.is_empty() || !stream.functions.is_empty()
}

/// Says what a statement does. `text` is its beginning, `stream` what was found in all of it.
pub(crate) fn read(text: Text<'_>, stream: &Stream, out: &mut Sink<'_>) {
    if stream.facts.has(Facts::LOST) {
        out(Effect::Opaque(Opaque::Unreadable));
        return;
    }
    let mut cursor = Cursor::new(text);
    match by_keyword(&mut cursor, stream, out) {
        Some(Calls::Run) => by_facts(text, stream, out),
        Some(Calls::Planned) => note_function(stream, out),
        Some(Calls::NotRun) => {
            if stream.facts.has(Facts::TEMP)
                && !matches!(stream.keyword, Keyword::Create | Keyword::Set)
            {
                out(TEMP);
            }
        }
        None => out(Effect::Opaque(if text.cut { Opaque::TooLong } else { Opaque::Unknown })),
    }
    if stream.facts.has(Facts::UNICODE_NAME) {
        out(Effect::Opaque(Opaque::UnicodeName));
    }
}

const TEMP: Effect = Effect::Pin(Pin::TempObject { on_commit_drop: false });

/// Whether the calls in a statement are run by it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Calls {
    Run,
    /// Planned only: the planner may try what calls itself immutable or stable.
    Planned,
    NotRun,
}

/// Reads the statement by its first word. Nothing if it could not be read.
fn by_keyword(cursor: &mut Cursor<'_>, stream: &Stream, out: &mut Sink<'_>) -> Option<Calls> {
    match stream.keyword {
        Keyword::Begin
        | Keyword::Start
        | Keyword::Commit
        | Keyword::End
        | Keyword::Abort
        | Keyword::Rollback
        | Keyword::Savepoint
        | Keyword::Release => transaction::read(cursor, stream.keyword, out)?,
        Keyword::Prepare => prepared::read_prepare(cursor, out)?,
        Keyword::Deallocate => prepared::read_deallocate(cursor, out)?,
        Keyword::Set => set::read_set(cursor, out),
        Keyword::Reset => set::read_reset(cursor, out)?,
        Keyword::Discard => set::read_discard(cursor, out)?,
        Keyword::Listen | Keyword::Unlisten | Keyword::Notify => {
            read_channel(cursor, stream.keyword, out)?;
        }
        Keyword::Close => read_close(cursor, out)?,
        Keyword::Load => out(Effect::Pin(Pin::Load)),
        Keyword::Do => out(Effect::Opaque(Opaque::Do)),
        Keyword::Call => {
            out(Effect::Opaque(read_call(cursor)));
            return Some(Calls::Run);
        }
        Keyword::Create => return read_create(cursor, stream, out),
        Keyword::Alter => return Some(read_alter(cursor, out)),
        Keyword::Drop => {
            out(Effect::Ddl);
            out(Effect::Unpin(PinKind::TempObject));
        }
        Keyword::Grant
        | Keyword::Revoke
        | Keyword::Comment
        | Keyword::Security
        | Keyword::Import
        | Keyword::Reassign => out(Effect::Ddl),
        Keyword::Refresh => out(Effect::Opaque(Opaque::Script)),
        Keyword::Explain => return read_explain(cursor, stream, out),
        Keyword::Execute => {
            prepared::read_execute(cursor, false, out)?;
            return Some(Calls::Run);
        }
        Keyword::Declare => {
            read_declare(cursor, out)?;
            return Some(Calls::Run);
        }
        Keyword::Copy => {
            read_copy(stream, out);
            return Some(Calls::Run);
        }
        Keyword::Other => return None,
        _ => return Some(Calls::Run),
    }
    Some(Calls::NotRun)
}

/// `LISTEN name`, `UNLISTEN {name | *}`, `NOTIFY name [, payload]`.
fn read_channel(cursor: &mut Cursor<'_>, keyword: Keyword, out: &mut Sink<'_>) -> Option<()> {
    cursor.take();
    if keyword == Keyword::Notify {
        out(Effect::Notify);
    } else if keyword == Keyword::Unlisten && cursor.eat_mark(b'*') {
        out(Effect::UnlistenAll);
    } else {
        let (name, _) = cursor.name()?;
        out(if keyword == Keyword::Listen { Effect::Listen(name) } else { Effect::Unlisten(name) });
    }
    Some(())
}

/// `CLOSE {name | ALL}`.
fn read_close(cursor: &mut Cursor<'_>, out: &mut Sink<'_>) -> Option<()> {
    cursor.take();
    if cursor.eat_word(b"all") {
        out(Effect::CloseAllCursors);
    } else {
        out(Effect::CloseCursor(cursor.name()?.0));
    }
    Some(())
}

/// `DECLARE name [options] CURSOR [{WITH | WITHOUT} HOLD] FOR query`.
fn read_declare(cursor: &mut Cursor<'_>, out: &mut Sink<'_>) -> Option<()> {
    cursor.take();
    let (name, _) = cursor.name()?;
    while !cursor.eat_word(b"cursor") {
        cursor.take()?;
    }
    if cursor.eat_words(&[b"with", b"hold"]) {
        out(Effect::Pin(Pin::HoldCursor(name)));
    }
    Some(())
}

/// `CALL [schema.]name(…)`.
fn read_call(cursor: &mut Cursor<'_>) -> Opaque {
    cursor.take();
    let mut last = None;
    while let Some((name, _)) = cursor.name() {
        last = Some(name);
        if !cursor.eat_mark(b'.') {
            break;
        }
    }
    last.map_or(Opaque::Call, Opaque::Function)
}

fn read_copy(stream: &Stream, out: &mut Sink<'_>) {
    if stream.facts.has(Facts::STDIN) {
        out(Effect::CopyFromStdin);
    }
    if stream.facts.has(Facts::STDOUT) {
        out(Effect::CopyToStdout);
    }
}

/// `ALTER …`: defaults and `USING` expressions are run.
fn read_alter(cursor: &mut Cursor<'_>, out: &mut Sink<'_>) -> Calls {
    out(Effect::Ddl);
    if cursor.eat_words(&[b"alter", b"extension"]) {
        out(Effect::Opaque(Opaque::Script));
    }
    Calls::Run
}

/// `CREATE …`: of all of them, only tables and materialized views made from a query run calls.
fn read_create(cursor: &mut Cursor<'_>, stream: &Stream, out: &mut Sink<'_>) -> Option<Calls> {
    cursor.take();
    cursor.eat_words(&[b"or", b"replace"]);
    cursor.eat_any(&[b"local", b"global"]);
    let temp = cursor.eat_any(&[b"temp", b"temporary"]);
    cursor.eat_word(b"unlogged");
    let table = cursor.eat_word(b"table");
    let runs = table || cursor.at_word(b"materialized");
    if !temp {
        out(Effect::Ddl);
    }
    if cursor.at_word(b"extension") {
        out(Effect::Opaque(Opaque::Script));
    }
    let on_commit_drop = table && read_table_tail(cursor, false, out)?;
    if temp || stream.facts.has(Facts::TEMP) {
        out(Effect::Pin(Pin::TempObject { on_commit_drop }));
    }
    if runs {
        by_calls(cursor.text(), stream, out);
    }
    Some(Calls::NotRun)
}

/// `CREATE TABLE name … [ON COMMIT DROP] … [AS {EXECUTE name | query}]`; says whether it is dropped. If the text was
/// cut, `ON COMMIT DROP` may be missed, which only keeps a pin for longer.
fn read_table_tail(
    cursor: &mut Cursor<'_>,
    planned_only: bool,
    out: &mut Sink<'_>,
) -> Option<bool> {
    let mut on_commit_drop = false;
    while cursor.peek().is_some() {
        if cursor.eat_words(&[b"on", b"commit", b"drop"]) {
            on_commit_drop = true;
        } else if cursor.eat_word(b"as") {
            if cursor.at_word(b"execute") {
                prepared::read_execute(cursor, planned_only, out)?;
            }
            break;
        } else if cursor.eat_mark(b'(') {
            cursor.skip_parenthesis();
        } else {
            cursor.take();
        }
    }
    Some(on_commit_drop)
}

/// `EXPLAIN [ANALYZE] [VERBOSE] statement`, `EXPLAIN (option, …) statement`.
fn read_explain(cursor: &mut Cursor<'_>, stream: &Stream, out: &mut Sink<'_>) -> Option<Calls> {
    cursor.take();
    if cursor.eat_word(b"route") && cursor.peek().is_some() {
        out(Effect::ExplainRoute);
        return Some(Calls::NotRun);
    }
    let mut analyze = cursor.eat_any(&[b"analyze", b"analyse"]);
    cursor.eat_word(b"verbose");
    if cursor.at_mark(b'(') && !analyze {
        analyze = read_explain_options(cursor);
    }
    if cursor.at_word(b"execute") {
        prepared::read_execute(cursor, !analyze, out)?;
    } else if cursor.at_word(b"create") {
        if analyze {
            return read_create(cursor, stream, out);
        }
        read_table_tail(cursor, true, out)?;
    }
    Some(if analyze { Calls::Run } else { Calls::Planned })
}

/// The options of `EXPLAIN`, if it is them that the parenthesis begins; says whether the statement will be run.
fn read_explain_options(cursor: &mut Cursor<'_>) -> bool {
    let mut trial = cursor.clone();
    trial.take();
    if trial.at_mark(b'(')
        || trial.at_word(b"select")
        || trial.at_word(b"values")
        || trial.at_word(b"with")
    {
        return false;
    }
    let mut analyze = false;
    let mut expects_name = true;
    while let Some(token) = trial.peek() {
        if trial.eat_mark(b')') {
            break;
        }
        if trial.eat_mark(b',') {
            expects_name = true;
            continue;
        }
        let bytes = trial.bytes_of(token);
        if expects_name {
            expects_name = false;
            if bytes.eq_ignore_ascii_case(b"analyze") || bytes.eq_ignore_ascii_case(b"analyse") {
                trial.take();
                analyze = !trial.eat_any(&[b"false", b"off"]);
                continue;
            }
        }
        trial.take();
    }
    *cursor = trial;
    analyze
}

/// What was found in a statement whose calls are run.
fn by_facts(text: Text<'_>, stream: &Stream, out: &mut Sink<'_>) {
    if stream.facts.has(Facts::TEMP) {
        out(TEMP);
    } else if stream.facts.has(Facts::INTO) {
        out(Effect::Ddl);
    }
    by_calls(text, stream, out);
}

fn note_function(stream: &Stream, out: &mut Sink<'_>) {
    for name in &stream.functions {
        out(Effect::Opaque(Opaque::Function(Name::clone(name))));
    }
    if stream.functions.len() == FUNCTIONS_KEPT {
        out(Effect::Opaque(Opaque::TooMany));
    }
}

/// The calls that are not known to be clean.
fn by_calls(text: Text<'_>, stream: &Stream, out: &mut Sink<'_>) {
    note_function(stream, out);
    if stream.facts.has(Facts::SET_CONFIG) {
        set_config::read(text, out);
    }
    if stream.facts.has(Facts::SETTINGS_VIEW) {
        out(Effect::SetComputed { parameter: None, local: false, argument: None });
    }
    let plain = [
        (Facts::ADVISORY_LOCK, Effect::Pin(Pin::AdvisoryLock)),
        (Facts::ADVISORY_UNLOCK, Effect::Unpin(PinKind::AdvisoryLock)),
        (Facts::DBLINK, Effect::Pin(Pin::Dblink)),
        (Facts::DBLINK_END, Effect::Unpin(PinKind::Dblink)),
        (Facts::ORIGIN, Effect::Pin(Pin::ReplicationOrigin)),
        (Facts::ORIGIN_END, Effect::Unpin(PinKind::ReplicationOrigin)),
        (Facts::SLOT, Effect::Pin(Pin::ReplicationSlot)),
        (Facts::SLOT_END, Effect::Unpin(PinKind::ReplicationSlot)),
        (Facts::BACKUP, Effect::Pin(Pin::Backup)),
        (Facts::BACKUP_END, Effect::Unpin(PinKind::Backup)),
        (Facts::SEQUENCE_READ, Effect::SequenceRead),
        (Facts::SEQUENCE_WRITE, Effect::SequenceWrite),
        (Facts::NOTIFY, Effect::Notify),
    ];
    for (fact, effect) in plain {
        if stream.facts.has(fact) {
            out(effect);
        }
    }
}
