//! The objects of a catalog as the server tells of them, before they are judged.

use crate::{HiddenKind, Row};

/// What a row does not say, or not so that it is understood.
#[derive(Debug)]
pub(crate) struct Flaw;

/// The column, which must be there.
pub(crate) fn need(column: Option<&str>) -> Result<String, Flaw> {
    column.map(str::to_owned).ok_or(Flaw)
}

/// A number of the catalog.
pub(crate) fn number(column: Option<&str>) -> Result<u32, Flaw> {
    column.and_then(|text| text.parse().ok()).ok_or(Flaw)
}

/// A function or an aggregate.
#[derive(Debug)]
pub(crate) struct FunctionDraft {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) volatility: Volatility,
    pub(crate) aggregate: bool,
    pub(crate) least: u8,
    pub(crate) most: u8,
    /// It may be called as `row.name`.
    pub(crate) of_row: bool,
    pub(crate) language: String,
    /// Nothing if it is too long.
    pub(crate) body: Option<String>,
}

/// What a function is declared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

impl FunctionDraft {
    pub(crate) fn of(row: &Row<'_>) -> Result<Self, Flaw> {
        let traits = row.traits.ok_or(Flaw)?;
        let mut traits = traits.splitn(7, ' ');
        let mut next = || traits.next().ok_or(Flaw);
        let volatility = match next()? {
            "i" => Volatility::Immutable,
            "s" => Volatility::Stable,
            "v" => Volatility::Volatile,
            _ => return Err(Flaw),
        };
        let aggregate = next()? == "a";
        let arguments: u8 = next()?.parse().map_err(|_| Flaw)?;
        let defaults: u8 = next()?.parse().map_err(|_| Flaw)?;
        let variadic = next()? == "t";
        let of_row = next()? == "t";
        Ok(Self {
            oid: number(row.number)?,
            schema: need(row.schema)?,
            name: need(row.name)?,
            volatility,
            aggregate,
            // Of what VARIADIC takes there must be one.
            least: arguments.saturating_sub(defaults),
            most: if variadic { u8::MAX } else { arguments },
            of_row,
            language: next()?.to_owned(),
            body: row.detail.map(str::to_owned),
        })
    }
}

/// Something that can be read.
#[derive(Debug)]
pub(crate) struct RelationDraft {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) kind: RelationKind,
    pub(crate) unlogged: bool,
    pub(crate) row_security: bool,
}

/// What kind of relation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RelationKind {
    /// Ordinary, partitioned, or a materialized view.
    Table,
    View,
    Foreign,
    Sequence,
}

impl RelationDraft {
    pub(crate) fn of(row: &Row<'_>) -> Result<Self, Flaw> {
        let mut traits = row.traits.ok_or(Flaw)?.split(' ');
        let kind = match traits.next() {
            Some("r" | "p" | "m") => RelationKind::Table,
            Some("v") => RelationKind::View,
            Some("f") => RelationKind::Foreign,
            Some("S") => RelationKind::Sequence,
            _ => return Err(Flaw),
        };
        Ok(Self {
            oid: number(row.number)?,
            schema: need(row.schema)?,
            name: need(row.name)?,
            kind,
            unlogged: traits.next().ok_or(Flaw)? == "u",
            row_security: traits.next().ok_or(Flaw)? == "t",
        })
    }
}

/// An operator, a cast or a domain.
#[derive(Debug)]
pub(crate) struct HiddenDraft {
    pub(crate) kind: HiddenKind,
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
    /// Of a domain, whose checks are told apart.
    pub(crate) oid: Option<u32>,
    pub(crate) uses: Vec<Use>,
}

impl HiddenDraft {
    pub(crate) fn of(row: &Row<'_>, kind: HiddenKind) -> Result<Self, Flaw> {
        Ok(Self {
            kind,
            schema: row.schema.map(str::to_owned),
            name: need(row.name)?,
            oid: row.number.map(|oid| number(Some(oid))).transpose()?,
            uses: uses(row.detail)?,
        })
    }
}

/// What an expression calls or reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Function(u32),
    Relation(u32),
    /// `current_setting` of this name.
    Setting(String),
    /// It was too long to be gone through.
    Unread,
}

/// All that a detail lists.
pub(crate) fn uses(detail: Option<&str>) -> Result<Vec<Use>, Flaw> {
    let list = detail.unwrap_or_default().split_ascii_whitespace();
    list.map(|item| {
        let rest = item.get(1..);
        match item.as_bytes().first() {
            Some(b'f') => number(rest).map(Use::Function),
            Some(b'r') => number(rest).map(Use::Relation),
            Some(b's') => constant(rest.ok_or(Flaw)?).map(Use::Setting),
            Some(b'?') => Ok(Use::Unread),
            _ => Err(Flaw),
        }
    })
    .collect()
}

/// The bytes that hold the length of a text in a constant.
const LENGTH_BYTES: usize = 4;

/// A text by its bytes, which PostgreSQL writes as numbers with a sign.
fn constant(bytes: &str) -> Result<String, Flaw> {
    let bytes = bytes.split(',').skip(LENGTH_BYTES);
    let bytes: Result<Vec<u8>, _> =
        bytes.map(|byte| byte.parse::<i8>().map(i8::cast_unsigned)).collect();
    String::from_utf8(bytes.map_err(|_| Flaw)?).map_err(|_| Flaw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_read_from_their_list() {
        let list =
            uses(Some("f1574 r16385 s36,0,0,0,97,112,112,46,120 s24,0,0,0,-61,-74 ?")).unwrap();
        let setting = |name: &str| Use::Setting(name.to_owned());
        assert_eq!(
            list,
            [
                Use::Function(1574),
                Use::Relation(16385),
                setting("app.x"),
                setting("ö"),
                Use::Unread
            ]
        );
        assert_eq!(uses(None).unwrap(), []);
        for wrong in ["x1", "f", "f-1", "s1,2,3,4,999", "rx"] {
            assert!(uses(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn arguments_are_counted_with_defaults_and_without_end() {
        let function = |traits| {
            let row = Row {
                number: Some("1"),
                schema: Some("a"),
                name: Some("f"),
                traits: Some(traits),
                ..Row::default()
            };
            FunctionDraft::of(&row).map(|draft| (draft.least, draft.most)).ok()
        };
        assert_eq!(function("i f 3 2 f f sql"), Some((1, 3)));
        assert_eq!(function("i f 2 0 t f sql"), Some((2, u8::MAX)));
        assert_eq!(function("i f 1 0 t f a language"), Some((1, u8::MAX)));
        assert_eq!(function("x f 1 0 t f sql"), None);
        assert_eq!(function("i f 1 0 t"), None);
    }
}
