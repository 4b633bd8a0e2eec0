//! Prepared statements of SQL: their names and where those stand, what a `PREPARE` prepares, and what an `EXECUTE` gives.

use crate::cursor::Cursor;
use crate::effect::{Deallocate, Effect, Execute, Prepare, Span, Value};
use crate::lexer::Kind;
use crate::literal;
use crate::set_config::read_constant;
use crate::statement::Sink;

/// So many arguments of an `EXECUTE` are kept; those behind them are not known.
const ARGUMENTS_KEPT: usize = 256;

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
    let body_at = Span { start: cursor.peek()?.start, end: cursor.text().end };
    out(Effect::Prepare(Prepare { name, name_at, types_at, body_at }));
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
    let mut arguments = Vec::new();
    if cursor.at_mark(b'(') {
        let mut inside = cursor.clone();
        inside.take();
        read_arguments(inside, &mut arguments);
    }
    out(Effect::Execute(Execute { name, name_at, planned_only, arguments: arguments.into() }));
    Some(())
}

/// What stands in parentheses, up to what closes them, or to where the text was cut.
fn read_arguments(mut cursor: Cursor<'_>, found: &mut Vec<Option<Value>>) -> Option<()> {
    while found.len() < ARGUMENTS_KEPT {
        let mut ahead = cursor.clone();
        let constant = read_constant(&mut ahead);
        let whole = ahead.at_mark(b',') || ahead.at_mark(b')');
        let text = constant.filter(|(token, _)| whole && is_string(token.kind));
        let text = text.and_then(|(_, bytes)| literal::decode(bytes, cursor.rules()));
        found.push(text.map(|text| Value::Literal(text.into())));
        let mut brackets = 0_u32;
        loop {
            match cursor.take()?.kind {
                Kind::Mark(b'(') => cursor.skip_parenthesis(),
                Kind::Mark(b'[') => brackets = brackets.saturating_add(1),
                Kind::Mark(b']') => brackets = brackets.saturating_sub(1),
                Kind::Mark(b')') => return Some(()),
                Kind::Mark(b',') if brackets == 0 => break,
                _ => {}
            }
        }
    }
    Some(())
}

fn is_string(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Dollar)
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
