//! What was typed: tables, arrays and scalars with the place of each, before any setting is known.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Place, Report};
use crate::source::Source;

/// Where a key or value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A range of bytes of the settings file.
    Text(Range<usize>),
    /// An environment variable.
    Variable(String),
    /// The connection URL.
    Url,
}

/// A table: key to value.
pub(crate) type Table = BTreeMap<String, Item>;

/// A value with the places of its key and of itself.
pub(crate) struct Item {
    pub(crate) key: Origin,
    pub(crate) value: Origin,
    pub(crate) tree: Tree,
}

/// What a value is.
pub(crate) enum Tree {
    Table(Table),
    Array(Vec<Item>),
    Boolean(bool),
    /// As digits, with sign; `None` if it does not fit 64 bits.
    Integer(Option<i64>),
    Float(f64),
    Text(String),
    Date,
    /// Text of an environment variable, to be read as the setting's kind demands.
    Bare(String),
}

impl Tree {
    /// The name of its type, with an article where it is named in a sentence: "found an integer".
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::Array(_) => "an array",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) | Self::Bare(_) => "a string",
            Self::Date => "a date",
        }
    }
}

/// The largest settings file: room for thousands of databases and users.
const MAX_SETTINGS_BYTES: usize = 4 << 20;

/// Reads the text of a settings file. All syntax errors are reported; what could be read is returned anyway.
pub(crate) fn parse(source: &Source<'_>, report: &mut Report) -> Table {
    if source.text.len() > MAX_SETTINGS_BYTES {
        let place = Place::File(source.path.to_owned());
        report.error(
            place,
            format!("the settings file is larger than {} MiB", MAX_SETTINGS_BYTES >> 20),
        );
        return Table::new();
    }
    let (table, errors) = DeTable::parse_recoverable(source.text);
    for error in errors {
        let place = error
            .span()
            .map_or_else(|| Place::File(source.path.to_owned()), |span| source.broken_place(&span));
        report.add(Diagnostic::error(place, tidy(error.message())));
    }
    from_toml(table.into_inner())
}

/// The first sentence of toml's message on one line; it never repeats a value.
fn tidy(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

fn from_toml(table: DeTable<'_>) -> Table {
    table
        .into_iter()
        .map(|(key, value)| {
            let origin = Origin::Text(key.span());
            (key.into_inner().into_owned(), item(origin, value))
        })
        .collect()
}

/// Reads a value that was written as TOML outside the file: the array in an environment variable.
pub(crate) fn parse_value(text: &str, origin: &Origin) -> Option<Tree> {
    let value = DeValue::parse(text).ok()?;
    Some(relocate(item(origin.clone(), value), origin).tree)
}

/// Gives everything in a value one place.
fn relocate(mut item: Item, origin: &Origin) -> Item {
    item.value = origin.clone();
    item.key = origin.clone();
    item.tree = match item.tree {
        Tree::Array(items) => {
            Tree::Array(items.into_iter().map(|item| relocate(item, origin)).collect())
        }
        Tree::Table(table) => Tree::Table(
            table.into_iter().map(|(key, item)| (key, relocate(item, origin))).collect(),
        ),
        scalar => scalar,
    };
    item
}

fn item(key: Origin, value: Spanned<DeValue<'_>>) -> Item {
    let span = value.span();
    let tree = match value.into_inner() {
        DeValue::Table(table) => Tree::Table(from_toml(table)),
        DeValue::Array(array) => Tree::Array(
            array.into_iter().map(|element| item(Origin::Text(element.span()), element)).collect(),
        ),
        DeValue::Boolean(on) => Tree::Boolean(on),
        DeValue::Integer(number) => {
            Tree::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok())
        }
        DeValue::Float(number) => Tree::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::String(text) => Tree::Text(text.into_owned()),
        DeValue::Datetime(_) => Tree::Date,
    };
    Item { key, value: Origin::Text(span), tree }
}
