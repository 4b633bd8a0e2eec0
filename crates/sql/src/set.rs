//! `SET`, `RESET`, `DISCARD`.

use crate::cursor::Cursor;
use crate::effect::{Discard, Effect, Isolation, Modes, Parameter, Pin, Value};
use crate::lexer::Kind;
use crate::literal;
use crate::name::Name;
use crate::statement::Sink;
use crate::stream::is_temp_schema;
use crate::transaction::read_modes;

/// `SET …`. What cannot be read counts as a setting that is not known.
pub(crate) fn read_set(cursor: &mut Cursor<'_>, out: &mut Sink<'_>) {
    cursor.take();
    let mut local = false;
    // `SESSION` and `LOCAL` may be names of settings too.
    if !names_a_setting(cursor) {
        local = cursor.eat_word(b"local");
        let session = !local && cursor.eat_word(b"session");
        if session && cursor.eat_words(&[b"characteristics", b"as", b"transaction"]) {
            let modes = read_modes(cursor);
            set_characteristics(modes, out);
            return;
        }
    }
    if read_special(cursor, local, out).is_none() && read_general(cursor, local, out).is_none() {
        out(Effect::SetComputed { parameter: None, local, argument: None });
    }
}

/// Whether the next word is the name of a setting, whatever else it may mean.
fn names_a_setting(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    ahead.take();
    ahead.at_mark(b'.') || ahead.at_mark(b'=') || ahead.at_word(b"to")
}

/// The forms of `SET` that SQL has besides `SET name TO value`. Nothing if it is none of them.
fn read_special(cursor: &mut Cursor<'_>, local: bool, out: &mut Sink<'_>) -> Option<()> {
    if names_a_setting(cursor) {
        return None;
    }
    if cursor.eat_word(b"constraints") {
        return Some(());
    }
    if cursor.eat_word(b"transaction") {
        let modes = if cursor.at_word(b"snapshot") { Modes::default() } else { read_modes(cursor) };
        out(Effect::SetTransaction(modes));
        return Some(());
    }
    if cursor.eat_words(&[b"time", b"zone"]) {
        let value = if cursor.eat_word(b"local") { Assigned::Default } else { read_value(cursor)? };
        assign(Parameter::named(b"timezone"), value.map(Value::TimeZone), local, out);
        return Some(());
    }
    let parameter = if cursor.eat_word(b"names") {
        Parameter::named(b"client_encoding")
    } else if cursor.eat_word(b"schema") {
        Parameter::named(b"search_path")
    } else if cursor.eat_words(&[b"xml", b"option"]) {
        Parameter::named(b"xmloption")
    } else if cursor.eat_word(b"role") {
        Parameter::Role
    } else if cursor.eat_words(&[b"session", b"authorization"]) || cursor.eat_word(b"authorization")
    {
        Parameter::SessionAuthorization
    } else {
        return None;
    };
    let value = if cursor.is_done() { Assigned::Default } else { read_value(cursor)? };
    assign(parameter, value.map(Value::Written), local, out);
    Some(())
}

/// `SET name {TO | =} value`, `SET name FROM CURRENT`.
fn read_general(cursor: &mut Cursor<'_>, local: bool, out: &mut Sink<'_>) -> Option<()> {
    let parameter = read_parameter(cursor)?;
    if cursor.eat_words(&[b"from", b"current"]) {
        out(Effect::SetComputed { parameter: Some(parameter), local, argument: None });
        return Some(());
    }
    if !cursor.eat_mark(b'=') && !cursor.eat_word(b"to") {
        return None;
    }
    let ahead = cursor.clone();
    let Some(value) = read_value(cursor) else {
        out(Effect::SetComputed { parameter: Some(parameter), local, argument: None });
        return Some(());
    };
    if leads_to_temp(&parameter, ahead) {
        out(Effect::Pin(Pin::TempObject { on_commit_drop: false }));
    }
    assign(parameter, value.map(Value::Written), local, out);
    Some(())
}

/// The name of a setting: words joined by dots, in any case.
fn read_parameter(cursor: &mut Cursor<'_>) -> Option<Parameter> {
    let (first, _) = cursor.name()?;
    let mut name = first.as_bytes().to_vec();
    while cursor.eat_mark(b'.') {
        name.push(b'.');
        name.extend_from_slice(cursor.name()?.0.as_bytes());
    }
    Some(Parameter::named(&name))
}

/// What is assigned.
enum Assigned<'a> {
    Default,
    Text(&'a [u8]),
}

impl Assigned<'_> {
    fn map(&self, form: impl Fn(Box<[u8]>) -> Value) -> Option<Value> {
        match self {
            Self::Default => None,
            Self::Text(bytes) => Some(form((*bytes).into())),
        }
    }
}

/// The text up to the end of the statement, or that it is `DEFAULT`. Nothing if there is none, if it was cut,
/// or if its meaning depends on `standard_conforming_strings`, so that it cannot be written again elsewhere.
fn read_value<'a>(cursor: &mut Cursor<'a>) -> Option<Assigned<'a>> {
    let start = cursor.peek()?.start;
    let mut tokens = 0_usize;
    let default = cursor.at_word(b"default");
    while let Some(token) = cursor.take() {
        tokens += 1;
        let bytes = cursor.bytes_of(token);
        if token.kind == Kind::Text
            && !cursor.rules().standard_conforming_strings
            && bytes.contains(&b'\\')
        {
            return None;
        }
    }
    if !cursor.is_done() {
        return None;
    }
    Some(if default && tokens == 1 {
        Assigned::Default
    } else {
        Assigned::Text(cursor.bytes(start, cursor.end()))
    })
}

fn assign(parameter: Parameter, value: Option<Value>, local: bool, out: &mut Sink<'_>) {
    out(match (parameter, value) {
        (Parameter::Ordinary(name), value) if is_transaction_mode(&name) => {
            Effect::SetTransaction(mode_from_setting(&name, value.as_ref()))
        }
        (parameter, Some(value)) => Effect::Set { parameter, value, local },
        (parameter, None) => Effect::Reset { parameter, local },
    });
}

fn is_transaction_mode(name: &Name) -> bool {
    crate::settings::is_transaction_local(name.as_bytes())
}

/// `SET transaction_read_only TO on` and its like are `SET TRANSACTION` by another name.
fn mode_from_setting(name: &Name, value: Option<&Value>) -> Modes {
    let mut modes = Modes::default();
    let word: Vec<u8> = value
        .map(|value| {
            value
                .as_bytes()
                .iter()
                .filter(|byte| **byte != b'\'')
                .map(u8::to_ascii_lowercase)
                .collect()
        })
        .unwrap_or_default();
    match name.as_bytes() {
        b"transaction_isolation" => {
            let levels = [
                Isolation::ReadUncommitted,
                Isolation::ReadCommitted,
                Isolation::RepeatableRead,
                Isolation::Serializable,
            ];
            modes.isolation = levels.into_iter().find(|level| level.as_str().as_bytes() == word);
        }
        b"transaction_read_only" => modes.read_only = read_switch(&word),
        b"transaction_deferrable" => modes.deferrable = read_switch(&word),
        _ => {}
    }
    modes
}

/// The spellings of a boolean setting that are in use.
fn read_switch(word: &[u8]) -> Option<bool> {
    match word {
        b"on" | b"true" | b"yes" | b"1" | b"t" | b"y" => Some(true),
        b"off" | b"false" | b"no" | b"0" | b"f" | b"n" => Some(false),
        _ => None,
    }
}

/// `SET SESSION CHARACTERISTICS AS TRANSACTION …` sets the defaults of transactions to come.
fn set_characteristics(modes: Modes, out: &mut Sink<'_>) {
    let switch = |on: bool| if on { "on" } else { "off" };
    let values = [
        ("default_transaction_isolation", modes.isolation.map(Isolation::as_str)),
        ("default_transaction_read_only", modes.read_only.map(switch)),
        ("default_transaction_deferrable", modes.deferrable.map(switch)),
    ];
    for (name, value) in values {
        if let Some(value) = value {
            let value = Value::Written(format!("'{value}'").into_bytes().into());
            out(Effect::Set { parameter: Parameter::named(name.as_bytes()), value, local: false });
        }
    }
}

/// Whether this is `search_path` with `pg_temp` as its first schema: then tables made without a schema are temporary.
fn leads_to_temp(parameter: &Parameter, mut value: Cursor<'_>) -> bool {
    if parameter.name() != b"search_path" {
        return false;
    }
    let Some(token) = value.take() else { return false };
    let bytes = value.bytes_of(token);
    let first = match token.kind {
        Kind::Word => Name::from_word(bytes),
        Kind::Quoted => Name::from_quoted(bytes),
        Kind::Text => Name::new(&literal::decode(bytes, value.rules()).unwrap_or_default()),
        _ => return false,
    };
    is_temp_schema(first.as_bytes())
}

/// `RESET {name | ALL | TIME ZONE | TRANSACTION ISOLATION LEVEL | SESSION AUTHORIZATION}`.
pub(crate) fn read_reset(cursor: &mut Cursor<'_>, out: &mut Sink<'_>) -> Option<()> {
    cursor.take();
    let parameter = if cursor.eat_word(b"all") {
        out(Effect::ResetAll);
        return Some(());
    } else if cursor.eat_words(&[b"time", b"zone"]) {
        Parameter::named(b"timezone")
    } else if cursor.eat_words(&[b"session", b"authorization"]) {
        Parameter::SessionAuthorization
    } else if cursor.eat_words(&[b"transaction", b"isolation", b"level"]) {
        Parameter::named(b"transaction_isolation")
    } else {
        read_parameter(cursor)?
    };
    assign(parameter, None, false, out);
    Some(())
}

/// `DISCARD {ALL | PLANS | SEQUENCES | TEMP | TEMPORARY}`.
pub(crate) fn read_discard(cursor: &mut Cursor<'_>, out: &mut Sink<'_>) -> Option<()> {
    cursor.take();
    let what = if cursor.eat_word(b"all") {
        Discard::All
    } else if cursor.eat_word(b"plans") {
        Discard::Plans
    } else if cursor.eat_word(b"sequences") {
        Discard::Sequences
    } else if cursor.eat_any(&[b"temp", b"temporary"]) {
        Discard::Temp
    } else {
        return None;
    };
    out(Effect::Discard(what));
    Some(())
}
