//! Names of functions and relations, as SQL has them.

use std::fmt;

use crate::value::{Field, Value};

/// The name of a function or a relation, with a schema or without: folded to lower case unless it is quoted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// Its schema; none for all of them.
    pub schema: Option<String>,
    /// Its own name.
    pub name: String,
}

impl ObjectName {
    /// Reads a name as in SQL: `name`, `schema.name`, with double quotes around either part.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("`{text}` is not a name as in SQL: {what}");
        let (first, rest) = part(text).map_err(wrong)?;
        let Some(rest) = rest.strip_prefix('.') else {
            return if rest.is_empty() {
                Ok(Self { schema: None, name: first })
            } else {
                Err(wrong("something follows it"))
            };
        };
        let (name, rest) = part(rest).map_err(wrong)?;
        if rest.is_empty() {
            Ok(Self { schema: Some(first), name })
        } else {
            Err(wrong("something follows it"))
        }
    }

    /// Whether what a text says may mean this: as far as both say a schema, it must be the same.
    pub fn may_be(&self, schema: Option<&str>, name: &str) -> bool {
        let same = |own: &String| schema.is_none_or(|schema| schema == own);
        self.name == name && self.schema.as_ref().is_none_or(same)
    }

    /// Whether what a text says means this for certain, as far as it says it.
    pub fn is(&self, schema: Option<&str>, name: &str) -> bool {
        self.name == name && self.schema.as_deref().is_none_or(|own| schema == Some(own))
    }
}

/// One part of a name, and what stands behind it.
fn part(text: &str) -> Result<(String, &str), &'static str> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut rest = quoted;
        loop {
            let (inside, behind) = rest.split_once('"').ok_or("a quote is not closed")?;
            name.push_str(inside);
            match behind.strip_prefix('"') {
                Some(more) => {
                    name.push('"');
                    rest = more;
                }
                None if name.is_empty() => return Err("a part of it is empty"),
                None => return Ok((name, behind)),
            }
        }
    }
    let is_ours = |c: char| c == '_' || c == '$' || c.is_alphanumeric();
    let length = text.find(|c| !is_ours(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(length).unwrap_or((text, ""));
    match name.chars().next() {
        None => Err("a part of it is missing"),
        Some(first) if first.is_ascii_digit() || first == '$' => Err("it begins with a digit"),
        // PostgreSQL folds ASCII only where the encoding has more than one byte for a letter.
        Some(_) => Ok((name.to_ascii_lowercase(), rest)),
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", Shown(schema))?;
        }
        Shown(&self.name).fmt(f)
    }
}

/// One part as it is written: in quotes if it must be.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if part(self.0).is_ok_and(|(name, rest)| name == self.0 && rest.is_empty()) {
            f.write_str(self.0)
        } else {
            write!(f, "\"{}\"", self.0.replace('"', "\"\""))
        }
    }
}

impl Field for Vec<ObjectName> {
    fn show(&self) -> Value {
        Value::List(self.iter().map(ToString::to_string).collect())
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let Value::List(texts) = value else { return Err("expected an array of strings".into()) };
        *self = texts.iter().map(|text| ObjectName::parse(text)).collect::<Result<_, _>>()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_in_sql_and_shown_as_they_are_read() {
        for (text, schema, name) in [
            ("f", None, "f"),
            ("Shop.Total", Some("shop"), "total"),
            ("\"Shop\".\"a\"\"b\"", Some("Shop"), "a\"b"),
            ("_x.f$1", Some("_x"), "f$1"),
            ("größe", None, "größe"),
        ] {
            let read = ObjectName::parse(text).unwrap();
            assert_eq!((read.schema.as_deref(), read.name.as_str()), (schema, name), "{text}");
            assert_eq!(ObjectName::parse(&read.to_string()).unwrap(), read, "{text}");
        }
        for text in ["", ".", "a.", ".a", "a.b.c", "a b", "\"a", "\"\"", "1a", "f()", "a.*"] {
            assert!(ObjectName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_without_a_schema_means_all_and_one_with_a_schema_only_what_says_it() {
        let (bare, full) = (ObjectName::parse("f").unwrap(), ObjectName::parse("s.f").unwrap());
        for (schema, may, is) in
            [(None, (true, true), (true, false)), (Some("s"), (true, true), (true, true))]
        {
            assert_eq!((bare.may_be(schema, "f"), full.may_be(schema, "f")), may);
            assert_eq!((bare.is(schema, "f"), full.is(schema, "f")), is);
        }
        assert!(bare.is(Some("other"), "f") && !full.may_be(Some("other"), "f"));
        assert!(!bare.may_be(None, "g"));
    }
}
