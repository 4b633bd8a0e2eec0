//! What an `ErrorResponse` says, and how it is told to the client.

use bytes::{BufMut, BytesMut};
use trunkline_wire::SqlState;

use crate::{
    change::Change,
    client::{ClientSession, PoolMode},
    effect::Effects,
    expect::{Bound, Owed},
    name, overfull, preference, shape,
    statement::RESERVED_PREFIX,
    token,
};

/// Errors and descriptions are judged whole up to this length, so that names in them can be told as the client knows them,
/// and what is described compared; a longer one is judged by its beginning and streams. PostgreSQL's own errors are mostly
/// below 300 bytes.
pub(crate) const WHOLE_MAX: usize = 8 << 10;

/// The fields of a report, `(code, value)`; ends early if the body is cut.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields of the body of an `ErrorResponse`.
    pub(crate) const fn of(body: &'a [u8]) -> Self {
        Self(body)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&field, after) = self.0.split_first()?;
        let end = after.iter().position(|byte| *byte == 0).filter(|_| field != 0)?;
        let (value, tail) = after.split_at(end);
        self.0 = tail.get(1..).unwrap_or_default();
        Some((field, value))
    }
}

/// Whether the body has all its fields, up to the zero byte behind them.
pub(crate) fn is_whole(body: &[u8]) -> bool {
    let mut fields = Fields(body);
    fields.by_ref().for_each(drop);
    fields.0 == [0]
}

/// Severity FATAL or PANIC: the server closes the connection after it. The field 'V' is not localised.
pub(crate) fn is_fatal(body: &[u8]) -> bool {
    Fields(body)
        .find(|(field, _)| *field == b'V')
        .is_some_and(|(_, severity)| matches!(severity, b"FATAL" | b"PANIC"))
}

/// The SQLSTATE of an `ErrorResponse` whose body may be cut.
pub fn error_code(body: &[u8]) -> Option<SqlState> {
    let (_, code) = Fields(body).find(|(field, _)| *field == b'C')?;
    SqlState::from_bytes(code)
}

/// Whether a server refuses to run a statement because its result is another since it was prepared: "cached plan must not
/// change result type" (plancache.c), in whatever language. Others that are told with the same code, what the statement
/// itself does for instance, say nothing about the statement.
#[cold]
pub(crate) fn is_stale(body: &[u8]) -> bool {
    error_code(body) == Some(SqlState::FEATURE_NOT_SUPPORTED)
        && Fields(body).any(|field| field == (b'R', b"RevalidateCachedQuery"))
}

/// The detail of the error of a statement that was cancelled because it has taken too long. PostgreSQL itself takes the
/// cancel for the user's.
const TIMED_OUT: &[u8] =
    b"DThe pooler has canceled it because it ran for longer than timeouts.query allows.\0";

/// The error, as it is told otherwise already or as it came, with the reason of the cancel if it is about that.
#[cold]
pub(crate) fn say_why(retold: Option<Vec<u8>>, body: &[u8]) -> Option<Vec<u8>> {
    let told = retold.as_deref().unwrap_or(body);
    if error_code(told) != Some(SqlState::QUERY_CANCELED) || !is_whole(told) {
        return retold;
    }
    let mut out = Vec::with_capacity(told.len().saturating_add(TIMED_OUT.len()));
    for (field, value) in Fields(told).filter(|(field, _)| *field != b'D') {
        out.push(field);
        out.extend_from_slice(value);
        out.push(0);
    }
    out.extend_from_slice(TIMED_OUT);
    out.push(0);
    Some(out)
}

/// A copy of an error, if all of it is there.
pub(crate) fn copy_of(body: &[u8]) -> Option<Box<[u8]>> {
    is_whole(body).then(|| body.into())
}

impl ClientSession {
    /// The error of the front entry as the client must be told it: with the client's own name where the server has
    /// quoted one of ours. Nothing if it can go on as it is.
    pub(crate) fn retold(&self, front: Option<&Owed>, body: &[u8]) -> Option<Vec<u8>> {
        if let Some(Owed::Overfull(limit)) = front {
            return overfull::told(*limit, body);
        }
        if let Some(Owed::Unroutable(value)) = front {
            return preference::told(value, body);
        }
        if let Some(Owed::Query(effects, _)) = front
            && let Some(value) = effects.unroutable()
        {
            return preference::told(value, body);
        }
        if let Some(refusal) = front.and_then(token::refusal_of) {
            return refusal.told(body);
        }
        if let Some(Owed::Stale(_)) = front {
            return shape::told(body);
        }
        if self.mode == PoolMode::Session
            || find(body, RESERVED_PREFIX).is_none()
            || !is_whole(body)
        {
            return None;
        }
        // A strange name with our prefix was sent with one more underscore.
        let mut told = replaced(body, b"\"___trunkline_", b"\"__trunkline_");
        if let Some(Owed::Bind(Some(Bound { statement, tail, .. }))) = front {
            let mut own = self.names.iter().filter(|(_, known)| known.id == statement.id);
            let first = own.clone().next();
            let named = own.find(|(name, _)| name::tail(name) == *tail).or(first);
            if let Some((theirs, _)) = named {
                told = replaced(&told, &quoted(&statement.name), &quoted(theirs));
            }
        }
        if let Some(Owed::Query(Effects::Many(changes), _)) = front {
            for (_, change) in changes.iter() {
                if let Change::Renamed(renamed) = change {
                    told = replaced(&told, &quoted(&renamed.ours), &quoted(&renamed.name));
                }
            }
        }
        (told != body).then_some(told)
    }
}

/// Writes an `ErrorResponse` with this body.
pub(crate) fn write_error(out: &mut BytesMut, body: &[u8]) {
    out.put_u8(b'E');
    out.put_u32(u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX));
    out.extend_from_slice(body);
}

fn quoted(name: &[u8]) -> Vec<u8> {
    [b"\"", name, b"\""].concat()
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn replaced(text: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(at) = find(rest, old) {
        let (before, behind) = rest.split_at(at);
        out.extend_from_slice(before);
        out.extend_from_slice(new);
        rest = behind.get(old.len()..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"SERROR\0VERROR\0C08P01\0Mprepared statement \"s\"\0\0";

    #[test]
    fn code_and_severity_are_read_from_a_part_of_the_body() {
        assert_eq!(error_code(BODY), Some(SqlState::PROTOCOL_VIOLATION));
        assert_eq!(error_code(&BODY[..22]), Some(SqlState::PROTOCOL_VIOLATION));
        assert_eq!(error_code(&BODY[..15]), None);
        assert!(!is_fatal(BODY));
        assert!(is_fatal(b"SFATAL\0VFATAL\0C57P01\0"));
    }

    #[test]
    fn a_cancel_for_want_of_time_is_told_as_one() {
        let cancelled = b"SERROR\0VERROR\0C57014\0Mcanceling\0Dold\0Fpostgres.c\0\0";
        let told = say_why(None, cancelled).expect("it is about the cancel");
        let fields: Vec<_> = Fields(&told).collect();
        assert!(is_whole(&told) && fields.len() == 6);
        let detail = fields.last().expect("six of them");
        assert!(detail.0 == b'D' && find(detail.1, b"timeouts.query").is_some());
        // Another error is not.
        assert_eq!(say_why(None, BODY), None);
        assert_eq!(say_why(Some(BODY.to_vec()), cancelled), Some(BODY.to_vec()));
        assert_eq!(say_why(None, &cancelled[..30]), None);
        assert_eq!(copy_of(cancelled).as_deref(), Some(cancelled.as_slice()));
        assert_eq!(copy_of(&cancelled[..30]), None);
    }

    #[test]
    fn a_cut_body_is_known_for_it() {
        assert!(is_whole(BODY));
        for end in 0..BODY.len() {
            assert!(!is_whole(&BODY[..end]), "cut at {end}");
        }
    }

    #[test]
    fn all_of_a_name_is_replaced_everywhere() {
        assert_eq!(
            replaced(b"a \"x\" b \"x\" \"xy\"", b"\"x\"", b"\"long\""),
            b"a \"long\" b \"long\" \"xy\""
        );
        assert_eq!(replaced(b"none", b"x", b"y"), b"none");
    }
}
