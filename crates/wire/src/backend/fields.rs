//! The fields of an `ErrorResponse` or `NoticeResponse`, read and rewritten.
//! (PostgreSQL documentation, "Error and Notice Message Fields".)

use bytes::{BufMut, BytesMut};

use super::report::Severity;
use crate::quiet::{quiet_debug, text};
use crate::read::{Malformed, Reader};
use crate::sqlstate::SqlState;
use crate::write::{framed, put_cstr};

/// Field types.
pub(super) mod field {
    pub(crate) const SEVERITY_LOCALIZED: u8 = b'S';
    pub(crate) const SEVERITY: u8 = b'V';
    pub(crate) const CODE: u8 = b'C';
    pub(crate) const MESSAGE: u8 = b'M';
    pub(crate) const DETAIL: u8 = b'D';
    pub(crate) const HINT: u8 = b'H';
    pub(crate) const POSITION: u8 = b'P';
}

/// The fields of a report.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The fields, each a type byte and a string with its NUL; the terminator is not part of it.
    bytes: &'a [u8],
}

quiet_debug!(Fields, fields, severity = fields.severity().map(text), code = fields.code());

impl<'a> Fields<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        while reader.u8()? != 0 {
            reader.cstr()?;
        }
        reader.end()?;
        Ok(Self { bytes: body.get(..body.len() - 1).unwrap_or_default() })
    }

    /// Field types and values, in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + Clone + use<'a> {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || Some((reader.u8().ok()?, reader.cstr().ok()?)))
    }

    /// The value of the first field of type `field`.
    pub fn field(&self, field: u8) -> Option<&'a [u8]> {
        self.iter().find(|(found, _)| *found == field).map(|(_, value)| value)
    }

    /// How bad it is: the field that is never translated (`V`, from PostgreSQL 9.6 on), else the one that
    /// may be (`S`).
    pub fn severity(&self) -> Option<&'a [u8]> {
        self.field(field::SEVERITY).or_else(|| self.field(field::SEVERITY_LOCALIZED))
    }

    /// Whether the connection ends with this report: severity FATAL or PANIC.
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity(), Some(b"FATAL" | b"PANIC"))
    }

    /// The SQLSTATE, when it is one.
    pub fn code(&self) -> Option<SqlState> {
        self.field(field::CODE).and_then(SqlState::from_bytes)
    }

    /// What happened.
    pub fn message(&self) -> Option<&'a [u8]> {
        self.field(field::MESSAGE)
    }

    /// More about it.
    pub fn detail(&self) -> Option<&'a [u8]> {
        self.field(field::DETAIL)
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'a [u8]> {
        self.field(field::HINT)
    }

    /// Where in the statement text, in characters from 1.
    pub fn position(&self) -> Option<u32> {
        parse_position(self.field(field::POSITION)?)
    }
}

fn parse_position(value: &[u8]) -> Option<u32> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Appends the report `fields` under `tag` with its position changed by `map`, which gets the position in
/// the statement the server saw, in characters from 1, and answers with the one in the client's own
/// statement, or `None` when it has no such place. All other fields are kept.
pub fn map_position(
    out: &mut BytesMut,
    tag: u8,
    fields: Fields<'_>,
    map: impl FnOnce(u32) -> Option<u32>,
) {
    let mut map = Some(map);
    rewritten(out, tag, fields, |out, field, value| {
        if field == field::POSITION
            && let Some(position) = parse_position(value)
            && let Some(map) = map.take()
        {
            if let Some(mapped) = map(position) {
                put_cstr_field(out, field, mapped.to_string().as_bytes());
            }
        } else {
            put_cstr_field(out, field, value);
        }
    });
}

/// Appends the report `fields` under `tag` with its position moved by `by` characters. A position that
/// would leave the statement is dropped.
pub fn shift_position(out: &mut BytesMut, tag: u8, fields: Fields<'_>, by: i32) {
    map_position(out, tag, fields, |position| {
        position.checked_add_signed(by).filter(|moved| *moved > 0)
    });
}

/// Appends the report `fields` under `tag` with another severity. All other fields are kept.
pub fn with_severity(out: &mut BytesMut, tag: u8, fields: Fields<'_>, severity: Severity) {
    rewritten(out, tag, fields, |out, field, value| match field {
        field::SEVERITY_LOCALIZED | field::SEVERITY => {
            put_cstr_field(out, field, severity.as_str().as_bytes());
        }
        _ => put_cstr_field(out, field, value),
    });
}

fn rewritten(
    out: &mut BytesMut,
    tag: u8,
    fields: Fields<'_>,
    mut put: impl FnMut(&mut BytesMut, u8, &[u8]),
) {
    framed(out, tag, |out| {
        for (field, value) in fields.iter() {
            put(out, field, value);
        }
        out.put_u8(0);
    });
}

pub(super) fn put_cstr_field(out: &mut BytesMut, field: u8, value: &[u8]) {
    out.put_u8(field);
    put_cstr(out, value);
}
