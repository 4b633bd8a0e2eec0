//! A table on its way to the client: columns, values, and both of their forms on the wire.

use bytes::{BufMut, BytesMut};
use trunkline_wire::backend::{self, format};

/// The type of a column. The same as PgBouncer uses for the same column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `text`.
    Text,
    /// `int4`.
    Int4,
    /// `numeric`, always a whole number: counters do not fit `int8` for ever.
    Numeric,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

impl Column {
    pub(crate) const fn text(name: &'static str) -> Self {
        Self { name, kind: Kind::Text }
    }

    pub(crate) const fn int4(name: &'static str) -> Self {
        Self { name, kind: Kind::Int4 }
    }

    pub(crate) const fn numeric(name: &'static str) -> Self {
        Self { name, kind: Kind::Numeric }
    }
}

/// A value; its variant is that of its column, or `Null`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Text(String),
    Int4(i32),
    Numeric(u64),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A count that does not reach two thousand million in practice; one that does stays at the largest `int4`.
    pub(crate) fn count(count: impl TryInto<i32>) -> Self {
        Self::Int4(count.try_into().unwrap_or(i32::MAX))
    }

    /// PgBouncer's way of saying yes or no in a number.
    pub(crate) fn flag(flag: bool) -> Self {
        Self::Int4(flag.into())
    }

    /// A text if there is one.
    pub(crate) fn optional(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    fn encode(&self, binary: bool) -> Option<Vec<u8>> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Int4(number) if binary => Some(number.to_be_bytes().to_vec()),
            Self::Int4(number) => Some(number.to_string().into_bytes()),
            Self::Numeric(number) if binary => Some(numeric_binary(*number)),
            Self::Numeric(number) => Some(number.to_string().into_bytes()),
        }
    }
}

/// A row: as many values as there are columns.
pub(crate) type Row = Vec<Value>;

/// The formats in which a result is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Formats {
    /// The same for all columns.
    All(bool),
    /// For each column whether it is wanted in binary.
    Each(Vec<bool>),
}

impl Formats {
    /// Everything as text: the simple protocol.
    pub(crate) const TEXT: Self = Self::All(false);

    fn is_binary(&self, column: usize) -> bool {
        match self {
            Self::All(binary) => *binary,
            Self::Each(each) => each.get(column).copied().unwrap_or(false),
        }
    }
}

/// Appends the `RowDescription`.
pub(crate) fn write_columns(out: &mut BytesMut, columns: &[Column], formats: &Formats) {
    let columns: Vec<backend::Column<'_>> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let (oid, len) = match column.kind {
                Kind::Text => (25, -1),
                Kind::Int4 => (23, 4),
                Kind::Numeric => (1700, -1),
            };
            let mut column = backend::Column::typed(column.name.as_bytes(), oid, len);
            column.format = if formats.is_binary(at) { format::BINARY } else { format::TEXT };
            column
        })
        .collect();
    backend::row_description(out, &columns);
}

/// Appends one `DataRow`.
pub(crate) fn write_row(out: &mut BytesMut, row: &[Value], formats: &Formats) {
    let values: Vec<Option<Vec<u8>>> =
        row.iter().enumerate().map(|(at, value)| value.encode(formats.is_binary(at))).collect();
    backend::data_row(out, values.iter().map(Option::as_deref));
}

/// The base of the digits of a binary `numeric` (`NBASE` in `src/backend/utils/adt/numeric.c`).
const NBASE: u64 = 10_000;

/// A whole number in `numeric`'s binary form (`numeric_send`): number of digits, weight of the first, sign, digits
/// behind the point, then digits to the base 10,000 without trailing zeros.
fn numeric_binary(number: u64) -> Vec<u8> {
    let mut digits = Vec::new();
    let mut rest = number;
    while rest > 0 {
        digits.push(u16::try_from(rest % NBASE).unwrap_or(0));
        rest /= NBASE;
    }
    // 64 bits have at most five such digits.
    let weight = i16::try_from(digits.len()).unwrap_or(0).saturating_sub(1).max(0);
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    let kept = digits.iter().skip(zeros).rev();
    let mut out = Vec::new();
    out.put_u16(u16::try_from(digits.len().saturating_sub(zeros)).unwrap_or(0));
    out.put_i16(weight);
    out.put_u16(0);
    out.put_u16(0);
    for digit in kept {
        out.put_u16(*digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numerics_have_the_bytes_that_postgresql_sends() {
        // `SELECT numeric_send(n)` in PostgreSQL 15.
        for (number, hex) in [
            (0, "0000000000000000"),
            (1, "00010000000000000001"),
            (10_000, "00010001000000000001"),
            (12_345, "000200010000000000010929"),
            (100_000_001, "0003000200000000000100000001"),
            (18_446_744_073_709_551_615, "000500040000000007341a5802e103bb064f"),
        ] {
            let bytes = numeric_binary(number);
            let found: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found.concat(), hex, "{number}");
        }
    }

    #[test]
    fn a_count_beyond_int4_stays_at_its_end() {
        assert_eq!(Value::count(5_usize), Value::Int4(5));
        assert_eq!(Value::count(usize::MAX), Value::Int4(i32::MAX));
    }

    #[test]
    fn each_column_may_have_its_own_format() {
        let mut out = BytesMut::new();
        let row = [Value::Int4(7), Value::Int4(7), Value::Null, Value::text("x")];
        write_row(&mut out, &row, &Formats::Each(vec![true, false, true, true]));
        let expected =
            b"D\0\0\0\x1c\0\x04\0\0\0\x04\0\0\0\x07\0\0\0\x017\xff\xff\xff\xff\0\0\0\x01x";
        assert_eq!(&out[..], expected);
    }
}
