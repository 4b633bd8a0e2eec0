//! SQL-level prepared statements, with the places of their names, so that the text can be rewritten.

use crate::cursor::Cursor;
use crate::effect::{Deallocate, Effect, Execute, Prepare, Span};
use crate::statement::Sink;

/// `PREPARE name [(types)] AS body`, `PREPARE TRANSACTION 'id'`.
pub(crate) fn read_prepare(cursor: &mut Cursor<'_>, out: &mut Sink<'_>) -> Option<()> {
    cursor.take();
    let (name, name_at) = cursor.name()?;
    if name == *"transaction" && !cursor.at_word(b"as") && !cursor.at_mark(b'(') {
        out(Effect::PrepareTransaction);
        return Some(());
    }
    let mut types_at = None;
    if cursor.eat_mark(b'(') {
        let start = cursor.end();
        cursor.skip_parenthesis();
        types_at = Some(Span { start, end: cursor.end() - 1 });
    }
    if !cursor.eat_word(b"as") {
        return None;
    }
    let body_start = cursor.peek()?.start;
    out(Effect::Prepare(Prepare { name, name_at, types_at, body_start }));
    Some(())
}

/// `EXECUTE name [(…)]`, with the cursor in front of `EXECUTE`.
pub(crate) fn read_execute(
    cursor: &mut Cursor<'_>,
    planned_only: bool,
    out: &mut Sink<'_>,
) -> Option<()> {
    cursor.take();
    let (name, name_at) = cursor.name()?;
    out(Effect::Execute(Execute { name, name_at, planned_only }));
    Some(())
}

/// `DEALLOCATE [PREPARE] {name | ALL}`, where the name may be "prepare" itself.
pub(crate) fn read_deallocate(cursor: &mut Cursor<'_>, out: &mut Sink<'_>) -> Option<()> {
    cursor.take();
    let mut rest = cursor.clone();
    if rest.eat_word(b"prepare") && rest.peek().is_some() {
        *cursor = rest;
    }
    let effect = if cursor.at_word(b"all") {
        Deallocate::All
    } else {
        let (name, name_at) = cursor.name()?;
        Deallocate::Name { name, name_at }
    };
    out(Effect::Deallocate(effect));
    Some(())
}
