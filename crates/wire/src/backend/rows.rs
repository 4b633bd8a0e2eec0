//! Results: their columns, their rows, the parameters of a statement.

use crate::quiet::quiet_debug;
use crate::read::{Malformed, Reader};

/// The values of [`Column::format`] and of the formats in COPY responses.
pub mod format {
    /// The type's text form.
    pub const TEXT: u16 = 0;
    /// The type's binary form.
    pub const BINARY: u16 = 1;
}

/// One column of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// The table it comes from, or 0.
    pub table_oid: u32,
    /// Its number in that table, or 0.
    pub attribute: i16,
    /// Its type's object id.
    pub type_oid: u32,
    /// Its type's size in bytes (`pg_type.typlen`); negative when it varies.
    pub type_len: i16,
    /// The type modifier (`pg_attribute.atttypmod`); -1 for none.
    pub type_modifier: i32,
    /// [`format::TEXT`] or [`format::BINARY`].
    pub format: u16,
}

impl<'a> Column<'a> {
    /// A column of type `text` that comes from no table.
    pub const fn text(name: &'a [u8]) -> Self {
        Self::typed(name, 25, -1)
    }

    /// A column of type `int8` that comes from no table.
    pub const fn int8(name: &'a [u8]) -> Self {
        Self::typed(name, 20, 8)
    }

    /// A column of the given type, in text form, that comes from no table.
    pub const fn typed(name: &'a [u8], type_oid: u32, type_len: i16) -> Self {
        Self {
            name,
            table_oid: 0,
            attribute: 0,
            type_oid,
            type_len,
            type_modifier: -1,
            format: format::TEXT,
        }
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            name: reader.cstr()?,
            table_oid: reader.u32()?,
            attribute: reader.i16()?,
            type_oid: reader.u32()?,
            type_len: reader.i16()?,
            type_modifier: reader.i32()?,
            format: reader.u16()?,
        })
    }
}

/// The columns of the rows that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowDescription<'a> {
    count: u16,
    columns: &'a [u8],
}

impl<'a> RowDescription<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let count = reader.u16()?;
        let columns = reader.rest();
        for _ in 0..count {
            Column::take(&mut reader)?;
        }
        reader.end()?;
        Ok(Self { count, columns })
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there are no columns at all.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The columns, left to right.
    pub fn iter(&self) -> impl Iterator<Item = Column<'a>> + Clone + use<'a> {
        let mut reader = Reader::new(self.columns);
        std::iter::from_fn(move || Column::take(&mut reader).ok())
    }
}

/// One row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DataRow<'a> {
    count: u16,
    values: &'a [u8],
}

quiet_debug!(DataRow, row, count = row.count);

impl<'a> DataRow<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let count = reader.u16()?;
        let values = reader.rest();
        for _ in 0..count {
            reader.value()?;
        }
        reader.end()?;
        Ok(Self { count, values })
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there are no values at all.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values, left to right; `None` is SQL NULL.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + Clone + use<'a> {
        let mut reader = Reader::new(self.values);
        std::iter::from_fn(move || reader.value().ok())
    }
}

/// The parameter types of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterDescription<'a> {
    oids: &'a [[u8; 4]],
}

impl<'a> ParameterDescription<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let count = usize::from(reader.u16()?);
        let (oids, _) = reader.take(count * 4)?.as_chunks();
        reader.end()?;
        Ok(Self { oids })
    }

    /// The types' object ids, in the order of the parameters.
    pub fn type_oids(&self) -> impl ExactSizeIterator<Item = u32> + Clone + use<'a> {
        self.oids.iter().map(|oid| u32::from_be_bytes(*oid))
    }
}

/// The result of a `FunctionCall`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FunctionCallResponse<'a> {
    /// The value; `None` is SQL NULL.
    pub value: Option<&'a [u8]>,
}

quiet_debug!(FunctionCallResponse, response, is_null = response.value.is_none());

impl<'a> FunctionCallResponse<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let value = reader.value()?;
        reader.end()?;
        Ok(Self { value })
    }
}
