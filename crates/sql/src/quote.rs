//! Writing SQL: literals, identifiers, and the statement that gives a setting its value again.

use crate::effect::{Parameter, Value};
use crate::settings::is_quoted_list;

/// Appends `text` as a string constant that means the same whatever `standard_conforming_strings` is: with a backslash
/// in it, it becomes `E'…'` (as `quote_literal()` does).
pub fn write_literal(out: &mut Vec<u8>, text: &[u8]) {
    if text.contains(&b'\\') {
        out.extend_from_slice(b" E");
    }
    out.push(b'\'');
    for byte in text {
        if matches!(byte, b'\'' | b'\\') {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(b'\'');
}

/// Appends `name` as a quoted identifier; quoted always, so that no list of keywords is needed.
pub fn write_identifier(out: &mut Vec<u8>, name: &[u8]) {
    out.push(b'"');
    for byte in name {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// Appends the statement, without a semicolon, that gives a setting this value for the session. The client's own text
/// is repeated as it was written.
///
/// Settings that are lists of names and come from `set_config` are set by `SELECT pg_catalog.set_config(…)`, which
/// answers with a row, because `SET` would take the list for one name; see [`answers_with_row`].
pub fn write_set(out: &mut Vec<u8>, parameter: &Parameter, value: &Value) {
    write_set_for(out, parameter, value, false);
}

/// As [`write_set`], but until the end of the transaction only.
pub fn write_set_local(out: &mut Vec<u8>, parameter: &Parameter, value: &Value) {
    write_set_for(out, parameter, value, true);
}

fn write_set_for(out: &mut Vec<u8>, parameter: &Parameter, value: &Value, local: bool) {
    if answers_with_row(parameter, value) {
        out.extend_from_slice(b"SELECT pg_catalog.set_config(");
        write_literal(out, parameter.name());
        out.push(b',');
        write_literal(out, value.as_bytes());
        out.extend_from_slice(if local { b",true)" } else { b",false)" });
        return;
    }
    out.extend_from_slice(if local { b"SET LOCAL " } else { b"SET " });
    match (parameter, value) {
        (Parameter::SessionAuthorization, _) => out.extend_from_slice(b"SESSION AUTHORIZATION "),
        (Parameter::Role, _) => out.extend_from_slice(b"ROLE "),
        (Parameter::Ordinary(_), Value::TimeZone(_)) => out.extend_from_slice(b"TIME ZONE "),
        (Parameter::Ordinary(name), _) => {
            write_parts(out, name.as_bytes());
            out.extend_from_slice(b" TO ");
        }
    }
    match value {
        Value::Written(text) | Value::TimeZone(text) => out.extend_from_slice(text),
        Value::Literal(text) => write_literal(out, text),
    }
}

/// Whether the statement of [`write_set`] is a `SELECT`, whose row must be swallowed too.
pub fn answers_with_row(parameter: &Parameter, value: &Value) -> bool {
    matches!((parameter, value), (Parameter::Ordinary(name), Value::Literal(_)) if is_quoted_list(name.as_bytes()))
}

/// Appends the statement, without a semicolon, that gives a setting its default again.
pub fn write_reset(out: &mut Vec<u8>, parameter: &Parameter) {
    out.extend_from_slice(b"RESET ");
    match parameter {
        Parameter::SessionAuthorization => out.extend_from_slice(b"SESSION AUTHORIZATION"),
        Parameter::Role => out.extend_from_slice(b"ROLE"),
        Parameter::Ordinary(name) => write_parts(out, name.as_bytes()),
    }
}

/// Appends the statement, without a semicolon, that gives a setting its default until the end of the transaction.
pub fn write_default_local(out: &mut Vec<u8>, parameter: &Parameter) {
    out.extend_from_slice(b"SET LOCAL ");
    write_parts(out, parameter.name());
    out.extend_from_slice(b" TO DEFAULT");
}

/// The name of a setting, each of its parts quoted.
fn write_parts(out: &mut Vec<u8>, name: &[u8]) {
    for (index, part) in name.split(|byte| *byte == b'.').enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        write_identifier(out, part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &Value) -> String {
        let mut out = Vec::new();
        write_set(&mut out, &Parameter::named(name.as_bytes()), value);
        String::from_utf8(out).unwrap()
    }

    fn written(text: &str) -> Value {
        Value::Written(text.as_bytes().into())
    }

    fn literal(text: &str) -> Value {
        Value::Literal(text.as_bytes().into())
    }

    #[test]
    fn the_clients_text_is_repeated() {
        assert_eq!(
            set("search_path", &written("\"$user\", public")),
            "SET \"search_path\" TO \"$user\", public"
        );
        assert_eq!(set("app.tenant", &written("42")), "SET \"app\".\"tenant\" TO 42");
        assert_eq!(set("role", &written("NONE")), "SET ROLE NONE");
        assert_eq!(set("session_authorization", &written("bob")), "SET SESSION AUTHORIZATION bob");
        let zone = Value::TimeZone(b"INTERVAL '1' HOUR".as_slice().into());
        assert_eq!(set("timezone", &zone), "SET TIME ZONE INTERVAL '1' HOUR");
    }

    #[test]
    fn values_are_quoted() {
        assert_eq!(set("work_mem", &literal("4MB")), "SET \"work_mem\" TO '4MB'");
        assert_eq!(set("app.x", &literal("a'b\\c")), "SET \"app\".\"x\" TO  E'a''b\\\\c'");
        assert_eq!(set("role", &literal("bob")), "SET ROLE 'bob'");
    }

    #[test]
    fn lists_of_names_are_not_made_one_name() {
        let value = literal("a, b");
        assert_eq!(
            set("search_path", &value),
            "SELECT pg_catalog.set_config('search_path','a, b',false)"
        );
        assert!(answers_with_row(&Parameter::named(b"Search_Path"), &value));
        assert!(!answers_with_row(&Parameter::named(b"search_path"), &written("a")));
    }

    #[test]
    fn a_transaction_has_values_of_its_own() {
        let local = |name: &str, value: Option<Value>| {
            let (mut out, parameter) = (Vec::new(), Parameter::named(name.as_bytes()));
            match value {
                Some(value) => write_set_local(&mut out, &parameter, &value),
                None => write_default_local(&mut out, &parameter),
            }
            String::from_utf8(out).unwrap()
        };
        assert_eq!(local("work_mem", Some(literal("4MB"))), "SET LOCAL \"work_mem\" TO '4MB'");
        assert_eq!(local("role", Some(written("bob"))), "SET LOCAL ROLE bob");
        assert_eq!(local("role", None), "SET LOCAL \"role\" TO DEFAULT");
        assert_eq!(
            local("search_path", Some(literal("a, b"))),
            "SELECT pg_catalog.set_config('search_path','a, b',true)"
        );
    }

    #[test]
    fn resets_are_written() {
        let mut out = Vec::new();
        write_reset(&mut out, &Parameter::named(b"Work_Mem"));
        out.push(b';');
        write_reset(&mut out, &Parameter::SessionAuthorization);
        assert_eq!(out, b"RESET \"work_mem\";RESET SESSION AUTHORIZATION");
    }

    #[test]
    fn quotes_are_doubled_in_identifiers() {
        let mut out = Vec::new();
        write_identifier(&mut out, b"a\"b");
        assert_eq!(out, b"\"a\"\"b\"");
    }
}
