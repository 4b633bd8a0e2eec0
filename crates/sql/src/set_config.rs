//! `SELECT set_config('name', 'value', false)`, where it can be told that it happens, and to which value.

use crate::cursor::{Cursor, Text};
use crate::effect::{Effect, Parameter, Value};
use crate::lexer::{Kind, Rules, Token};
use crate::literal;
use crate::settings::is_transaction_local;
use crate::statement::Sink;

/// Says what the `set_config` calls of a statement do. Only a `SELECT` without `FROM` and the like, whose calls stand
/// by themselves in its list, runs each of them once for certain; all else is a computed setting.
pub(crate) fn read(text: Text<'_>, out: &mut Sink<'_>) {
    let mut found = Vec::new();
    if read_select(&mut Cursor::new(text), &mut found).is_some() {
        found.into_iter().for_each(out);
    } else {
        let local = all_are_local(Cursor::new(text));
        out(Effect::SetComputed { parameter: None, local, argument: None });
    }
}

/// Whether every call says that it is local, by a constant.
fn all_are_local(mut cursor: Cursor<'_>) -> bool {
    while cursor.peek().is_some() {
        if !cursor.eat_word(b"set_config") {
            let quoted =
                cursor.take().is_some_and(|token| cursor.bytes_of(token) == b"\"set_config\"");
            if quoted {
                return false;
            }
            continue;
        }
        match read_call(&mut cursor) {
            Some(Effect::Set { local: true, .. } | Effect::SetComputed { local: true, .. }) => {}
            _ => return false,
        }
    }
    cursor.is_done()
}

/// `SELECT item [[AS] label], …`.
fn read_select(cursor: &mut Cursor<'_>, found: &mut Vec<Effect>) -> Option<()> {
    if !cursor.eat_word(b"select") {
        return None;
    }
    loop {
        read_item(cursor, found)?;
        read_label(cursor)?;
        if cursor.is_done() {
            return Some(());
        }
        if !cursor.eat_mark(b',') {
            return None;
        }
    }
}

/// A call of `set_config` or of `current_setting`, or a constant.
fn read_item(cursor: &mut Cursor<'_>, found: &mut Vec<Effect>) -> Option<()> {
    cursor.eat_words(&[b"pg_catalog"]);
    cursor.eat_mark(b'.');
    if cursor.eat_word(b"set_config") {
        found.push(read_call(cursor)?);
        return Some(());
    }
    if cursor.eat_word(b"current_setting") {
        if !cursor.eat_mark(b'(') {
            return None;
        }
        read_constant(cursor)?;
        return cursor.eat_mark(b')').then_some(());
    }
    read_constant(cursor).map(|_| ())
}

fn read_label(cursor: &mut Cursor<'_>) -> Option<()> {
    let named = cursor.eat_word(b"as");
    let is_name =
        cursor.peek().is_some_and(|token| matches!(token.kind, Kind::Word | Kind::Quoted));
    if !is_name {
        return (!named).then_some(());
    }
    let keyword = [
        b"from".as_slice(),
        b"where",
        b"limit",
        b"offset",
        b"group",
        b"having",
        b"union",
        b"order",
    ];
    if !named && keyword.iter().any(|keyword| cursor.at_word(keyword)) {
        return None;
    }
    cursor.take();
    Some(())
}

/// `(name, value, is_local)`. With an argument that is not a constant, it is a computed setting.
fn read_call(cursor: &mut Cursor<'_>) -> Option<Effect> {
    if !cursor.eat_mark(b'(') {
        return None;
    }
    let name = read_text_argument(cursor);
    let argument = read_parameter_argument(cursor.clone());
    let value = read_text_argument(cursor);
    let local = read_switch_argument(cursor);
    let parameter = name.map(|name| Parameter::named(&name));
    let known = parameter.clone().filter(|parameter| !is_transaction_local(parameter.name()));
    Some(match (known, value, local) {
        (Some(parameter), Some(value), Some(local)) => {
            Effect::Set { parameter, value: Value::Literal(value.into()), local }
        }
        (known, ..) => {
            let argument = argument.filter(|_| known.is_some() && local == Some(false));
            Effect::SetComputed { parameter, local: local == Some(true), argument }
        }
    })
}

/// A constant of type text with the comma behind it; else the argument is skipped.
fn read_text_argument(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    let rules = cursor.rules();
    let text = read_constant(cursor).and_then(|(token, bytes)| decode(token, bytes, rules));
    let whole = cursor.at_mark(b',');
    skip_argument(cursor);
    text.filter(|_| whole)
}

/// The number of a parameter of the statement with the comma behind it.
fn read_parameter_argument(mut cursor: Cursor<'_>) -> Option<u16> {
    let (token, bytes) = read_constant(&mut cursor)?;
    if token.kind != Kind::Parameter || !cursor.at_mark(b',') {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.strip_prefix('$')?.parse().ok()
}

/// `true` or `false` with the parenthesis behind it; else the rest of the call is skipped.
fn read_switch_argument(cursor: &mut Cursor<'_>) -> Option<bool> {
    let mut switch = None;
    if cursor.eat_word(b"false") {
        switch = Some(false);
    } else if cursor.eat_word(b"true") {
        switch = Some(true);
    } else if cursor.peek().is_some_and(|token| token.kind == Kind::Text) {
        let rules = cursor.rules();
        let text = read_constant(cursor).and_then(|(token, bytes)| decode(token, bytes, rules))?;
        switch = match text.to_ascii_lowercase().as_slice() {
            b"f" | b"false" | b"off" | b"no" | b"0" => Some(false),
            b"t" | b"true" | b"on" | b"yes" | b"1" => Some(true),
            _ => None,
        };
    }
    let whole = cursor.at_mark(b')');
    skip_argument(cursor);
    switch.filter(|_| whole)
}

/// Takes everything up to the comma or the parenthesis that ends the argument, and this mark too.
fn skip_argument(cursor: &mut Cursor<'_>) {
    while let Some(token) = cursor.take() {
        match token.kind {
            Kind::Mark(b',' | b')') => return,
            Kind::Mark(b'(') => cursor.skip_parenthesis(),
            _ => {}
        }
    }
}

fn decode(token: Token, bytes: &[u8], rules: Rules) -> Option<Vec<u8>> {
    matches!(token.kind, Kind::Text | Kind::Dollar).then(|| literal::decode(bytes, rules)).flatten()
}

/// A string, number or parameter, with a cast to a built-in type of text or none.
pub(crate) fn read_constant<'a>(cursor: &mut Cursor<'a>) -> Option<(Token, &'a [u8])> {
    let token = cursor.peek()?;
    if !matches!(token.kind, Kind::Text | Kind::Dollar | Kind::Number | Kind::Parameter) {
        return None;
    }
    cursor.take();
    if cursor.eat_mark(b':') && !(cursor.eat_mark(b':') && cursor.eat_any(&[b"text", b"varchar"])) {
        return None;
    }
    Some((token, cursor.bytes_of(token)))
}
