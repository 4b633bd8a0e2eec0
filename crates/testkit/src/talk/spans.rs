//! Where in the body of a message a mask lies.

use std::collections::BTreeMap;
use std::ops::Range;

use super::masks::Part;
use crate::peer::Frame;

/// The first OID that is not given at `initdb` (`FirstNormalObjectId` in `access/transam.h`).
const OID_NORMAL_MIN: u32 = 16_384;

/// What must be known of the messages before, for one connection.
#[derive(Debug, Default)]
pub(super) struct Before {
    columns: Vec<Vec<u8>>,
}

impl Before {
    /// Takes note of a message before the next one is looked at.
    pub(super) fn note(&mut self, frame: &Frame) {
        if frame.tag == b'T' {
            self.columns = columns(&frame.body).into_iter().map(|(name, _)| name).collect();
        }
    }
}

/// What `part` hides in `frame`: ranges of its body, in order.
pub(super) fn find(
    part: &Part,
    frame: &Frame,
    before: &Before,
    database: &str,
) -> Vec<Range<usize>> {
    let body = frame.body.as_ref();
    match (part, frame.tag) {
        (Part::KeyPid, b'K') | (Part::NotificationPid, b'A') | (Part::NegotiatedVersion, b'v')
            if body.len() >= 4 =>
        {
            whole(0..4)
        }
        (Part::KeySecret, b'K') | (Part::AuthenticationData, b'R') if body.len() > 4 => {
            whole(4..body.len())
        }
        (Part::ReportSource, b'E' | b'N') => source(body),
        (Part::ReportNumbers(field), b'E' | b'N') => numbers(body, *field),
        (Part::Oids, b'T') => oids(&columns(body), body),
        (Part::Oids, b't') => parameter_oids(body),
        (Part::Column(name), b'D') => values(body, name.as_bytes(), before),
        (Part::Database, _) => occurrences(body, database.as_bytes()),
        _ => Vec::new(),
    }
}

/// A list of one.
fn whole(range: Range<usize>) -> Vec<Range<usize>> {
    std::iter::once(range).collect()
}

/// The fields of an error or notice: code and range of the whole field with its zero byte.
fn fields(body: &[u8]) -> BTreeMap<u8, Range<usize>> {
    let mut fields = BTreeMap::new();
    let mut start = 0;
    for field in body.split_inclusive(|&byte| byte == 0) {
        let end = start + field.len();
        if let Some(&code) = field.first().filter(|&&code| code != 0) {
            fields.insert(code, start..end);
        }
        start = end;
    }
    fields
}

fn source(body: &[u8]) -> Vec<Range<usize>> {
    let fields = fields(body);
    let mut ranges: Vec<_> = b"FLR".iter().filter_map(|code| fields.get(code).cloned()).collect();
    ranges.sort_by_key(|range| range.start);
    ranges
}

fn numbers(body: &[u8], field: u8) -> Vec<Range<usize>> {
    let Some(text) = fields(body).remove(&field) else { return Vec::new() };
    let mut found: Vec<Range<usize>> = Vec::new();
    for at in text {
        if !body.get(at).is_some_and(u8::is_ascii_digit) {
            continue;
        }
        match found.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => found.push(at..at + 1),
        }
    }
    found
}

/// The columns of a `RowDescription`: name, and where its fixed fields begin.
fn columns(body: &[u8]) -> Vec<(Vec<u8>, usize)> {
    /// Table, attribute, type, size, modifier, format.
    const FIXED_BYTES: usize = 18;
    let mut columns = Vec::new();
    let mut at = 2;
    while let Some(rest) = body.get(at..) {
        let Some(length) = rest.iter().position(|&byte| byte == 0) else { break };
        let name = rest.get(..length).unwrap_or_default().to_vec();
        at += length + 1;
        columns.push((name, at));
        at += FIXED_BYTES;
    }
    columns
}

fn oids(columns: &[(Vec<u8>, usize)], body: &[u8]) -> Vec<Range<usize>> {
    /// Where the type stands behind the table and the attribute.
    const TYPE_AT: usize = 6;
    let places = columns.iter().flat_map(|&(_, at)| [at, at + TYPE_AT]);
    places.map(|at| at..at + 4).filter(|range| is_normal_oid(body, range)).collect()
}

fn parameter_oids(body: &[u8]) -> Vec<Range<usize>> {
    let places = (2..body.len()).step_by(4);
    places.map(|at| at..at + 4).filter(|range| is_normal_oid(body, range)).collect()
}

fn is_normal_oid(body: &[u8], range: &Range<usize>) -> bool {
    let bytes = body.get(range.clone()).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_be_bytes).is_some_and(|oid| oid >= OID_NORMAL_MIN)
}

/// The values of the columns with this name, with their lengths; NULLs are left as they are.
fn values(body: &[u8], name: &[u8], before: &Before) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 2;
    for column in &before.columns {
        let length = body.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        let Some(length) = length.map(i32::from_be_bytes) else { break };
        let start = at;
        at += 4;
        if let Ok(length) = usize::try_from(length) {
            at += length;
            if column == name {
                found.push(start..at);
            }
        }
    }
    found
}

fn occurrences(body: &[u8], wanted: &[u8]) -> Vec<Range<usize>> {
    let starts = body.windows(wanted.len().max(1)).enumerate();
    let starts = starts.filter(|(_, window)| *window == wanted).map(|(start, _)| start);
    starts.map(|start| start..start + wanted.len()).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn hidden(part: &Part, tag: u8, body: &'static [u8]) -> Vec<&'static [u8]> {
        let frame = Frame { tag, body: Bytes::from_static(body) };
        let mut before = Before::default();
        let columns = b"\0\x02a\0\0\0\x40\x01\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0pid\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
        before.note(&Frame { tag: b'T', body: Bytes::from_static(columns) });
        find(part, &frame, &before, "c7_d").into_iter().map(|range| &body[range]).collect()
    }

    #[test]
    fn the_source_of_an_error_is_three_fields() {
        let body = b"SERROR\0C42P01\0DProcess 12 waits for 7.\0Fparse.c\0L13\0Rf\0\0";
        assert_eq!(
            hidden(&Part::ReportSource, b'E', body),
            [&b"Fparse.c\0"[..], b"L13\0", b"Rf\0"]
        );
        assert_eq!(hidden(&Part::ReportNumbers(b'D'), b'E', body), [b"12", &b"7"[..]]);
    }

    #[test]
    fn a_column_is_known_by_the_last_description() {
        let row = b"\0\x02\0\0\0\x015\0\0\0\x0299";
        assert_eq!(hidden(&Part::Column("pid".into()), b'D', row), [b"\0\0\0\x0299"]);
        let null = b"\0\x02\0\0\0\x015\xff\xff\xff\xff";
        assert!(hidden(&Part::Column("pid".into()), b'D', null).is_empty());
    }

    #[test]
    fn only_oids_of_the_users_are_hidden() {
        let columns = b"\0\x01a\0\0\0\x40\x01\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
        assert_eq!(hidden(&Part::Oids, b'T', columns), [b"\0\0\x40\x01"]);
        assert_eq!(hidden(&Part::Oids, b't', b"\0\x02\0\0\0\x17\0\0\x41\0"), [b"\0\0\x41\0"]);
    }

    #[test]
    fn the_database_is_hidden_wherever_it_stands() {
        assert_eq!(hidden(&Part::Database, b'S', b"x\0c7_d c7_d\0"), [b"c7_d", b"c7_d"]);
    }
}
