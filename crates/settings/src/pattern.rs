//! A regular expression that knows its text, so that two can be compared.

use std::fmt;

use regex::{Captures, Regex, RegexBuilder};

use crate::value::{Field, Value};

/// A regular expression of `pg_hba.conf` or `pg_ident.conf`, written there as `/text`. It may match anywhere in a
/// name unless it has anchors. The syntax is that of the `regex` crate, which agrees with PostgreSQL's for what such
/// files hold; look-around and back-references are refused.
#[derive(Clone)]
pub struct Pattern(Regex);

/// What a name has to be: the same, or what `/` and a regular expression match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePattern {
    /// The same.
    Exact(String),
    /// Matched somewhere.
    Pattern(Pattern),
}

impl NamePattern {
    /// Whether a name is such.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Pattern(pattern) => pattern.matches(name),
        }
    }
}

impl Field for Option<NamePattern> {
    fn show(&self) -> Value {
        match self {
            None => Value::Unset,
            Some(NamePattern::Exact(name)) => Value::Text(name.clone()),
            Some(NamePattern::Pattern(pattern)) => Value::Text(format!("/{}", pattern.as_str())),
        }
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let text = value.into_text()?;
        *self = Some(match text.strip_prefix('/') {
            None if text.is_empty() => return Err("the name is empty: leave it out for any".into()),
            None => NamePattern::Exact(text),
            Some(pattern) => NamePattern::Pattern(Pattern::new(pattern)?),
        });
        Ok(())
    }
}

impl Field for Vec<Pattern> {
    fn show(&self) -> Value {
        Value::List(self.iter().map(|pattern| pattern.as_str().to_owned()).collect())
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let Value::List(texts) = value else { return Err("expected an array of strings".into()) };
        *self = texts.iter().map(|text| Pattern::new(text)).collect::<Result<_, _>>()?;
        Ok(())
    }
}

/// The largest compiled expression, in bytes: far more than a rule about names needs.
const MAX_COMPILED: usize = 1 << 20;

impl Pattern {
    /// Compiles an expression; the error is one line.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(text).size_limit(MAX_COMPILED).build();
        regex.map(Self).map_err(|error| {
            let text = error.to_string();
            let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            last.trim().trim_start_matches("error: ").to_owned()
        })
    }

    /// Whether it matches somewhere in the name.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// The groups of its first match in the name.
    pub(crate) fn captures<'a>(&self, name: &'a str) -> Option<Captures<'a>> {
        self.0.captures(name)
    }

    /// How many groups it has.
    pub(crate) fn groups(&self) -> usize {
        self.0.captures_len().saturating_sub(1)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.as_str())
    }
}
