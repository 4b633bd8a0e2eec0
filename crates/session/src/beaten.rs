//! The burst that a client has sent last, to be known again: what it does is the same then, whatever values it binds.
//!
//! Drivers send the same messages again and again, with other values. Where such a burst goes need not be found out anew as
//! long as the names in it mean what they did.

use trunkline_wire::{frame::HEADER, frontend::tag};

use crate::{client::ClientSession, horizon::whole};

/// A longer burst is not kept; the values of what it binds do not count.
const KEPT_MAX: usize = 256;

/// A burst with one Bind, but for the values that this binds.
#[derive(Debug, Default)]
pub struct Beaten {
    /// What stands before the Bind, its names, and what stands behind it.
    kept: Vec<u8>,
    /// Where the first two of these end; 0 if nothing is kept.
    before: usize,
    named: usize,
    /// What the names of statements meant.
    names: u64,
}

impl Beaten {
    /// There is none.
    #[inline]
    pub fn forget(&mut self) {
        self.kept.clear();
        (self.before, self.named) = (0, 0);
    }

    /// Keeps a burst that is all there, if it is made of messages of the extended protocol, one of them a Bind, and uses no
    /// unnamed statement that it has not parsed itself; else none is kept.
    pub fn keep(&mut self, session: &ClientSession, data: &[u8]) {
        self.forget();
        if data.first() == Some(&tag::QUERY) {
            return;
        }
        self.names = session.names.version();
        if self.fill(data).is_none() || self.named == 0 {
            self.forget();
        }
    }

    fn fill(&mut self, data: &[u8]) -> Option<()> {
        let (mut at, mut parsed) = (0_usize, false);
        while at < data.len() {
            let frame = whole(data, at)?;
            at = at.saturating_add(frame.bytes.len());
            match frame.tag {
                tag::BIND if self.named == 0 => {
                    let names = frame.body.get(..names_of(frame.body)?)?;
                    if names.ends_with(b"\0\0") && !parsed {
                        return None;
                    }
                    self.before = self.kept.len();
                    self.kept.extend_from_slice(names);
                    self.named = self.kept.len();
                }
                // Of the unnamed statement of before.
                tag::DESCRIBE if frame.body == b"S\0" && !parsed => return None,
                tag::PARSE | tag::DESCRIBE | tag::EXECUTE | tag::SYNC => {
                    parsed |= frame.tag == tag::PARSE && frame.body.first() == Some(&0);
                    self.kept.extend_from_slice(frame.bytes);
                }
                _ => return None,
            }
            if self.kept.len() > KEPT_MAX {
                return None;
            }
        }
        Some(())
    }

    /// Whether a burst is this one, whatever values it binds.
    #[inline]
    fn is(&self, data: &[u8]) -> bool {
        let Some((before, rest)) = data.split_at_checked(self.before) else { return false };
        let [tag::BIND, a, b, c, d, ..] = *rest else { return false };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let Some((bind, behind)) = rest.split_at_checked(length.saturating_add(1)) else {
            return false;
        };
        let names = self.kept.get(self.before..self.named).unwrap_or_default();
        self.kept.get(..self.before) == Some(before)
            && bind.get(HEADER..).is_some_and(|body| body.starts_with(names))
            && self.kept.get(self.named..) == Some(behind)
    }
}

impl ClientSession {
    /// Whether a burst is the one that was kept, whatever values it binds, and its names mean what they did.
    #[inline]
    pub fn repeats(&self, beaten: &Beaten, data: &[u8]) -> bool {
        beaten.named > 0 && beaten.names == self.names.version() && beaten.is(data)
    }
}

/// How long the names of a portal and a statement are at the beginning of a Bind.
fn names_of(body: &[u8]) -> Option<usize> {
    let portal = body.iter().position(|byte| *byte == 0)?.saturating_add(1);
    let statement = body.get(portal..)?.iter().position(|byte| *byte == 0)?.saturating_add(1);
    Some(portal.saturating_add(statement))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::BytesMut;
    use trunkline_wire::frontend;

    use super::*;
    use crate::{
        client::{PoolMode, SessionLimits},
        effect::Effects,
        setting::SettingSet,
        statement::StatementStore,
    };

    fn session() -> ClientSession {
        let limits = SessionLimits::default();
        ClientSession::new(PoolMode::Transaction, SettingSet::empty(), Arc::default(), limits)
    }

    /// One value in text form.
    fn value(value: &str) -> Vec<u8> {
        let length = u32::try_from(value.len()).expect("it is short");
        [&[0, 0, 0, 1][..], &length.to_be_bytes(), value.as_bytes(), &[0, 0]].concat()
    }

    fn named(portal: &str, name: &str, bound: &str) -> Vec<u8> {
        let mut out = BytesMut::new();
        frontend::bind(&mut out, portal.as_bytes(), name.as_bytes(), &value(bound));
        frontend::describe(&mut out, frontend::PORTAL, portal.as_bytes());
        frontend::execute(&mut out, portal.as_bytes(), 0);
        frontend::sync(&mut out);
        out.to_vec()
    }

    fn unnamed(text: &str, bound: &str) -> Vec<u8> {
        let mut out = BytesMut::new();
        frontend::parse(&mut out, b"", text.as_bytes(), b"\0\0");
        out.extend_from_slice(&named("", "", bound));
        out.to_vec()
    }

    fn kept(session: &ClientSession, data: &[u8]) -> Beaten {
        let mut beaten = Beaten::default();
        beaten.keep(session, data);
        beaten
    }

    #[test]
    fn a_burst_is_known_again_whatever_it_binds() {
        let session = session();
        for (burst, same, others) in [
            (
                named("", "s", "1"),
                vec![named("", "s", "1"), named("", "s", "22222"), named("", "s", "")],
                vec![
                    named("", "t", "1"),
                    named("p", "s", "1"),
                    named("", "", "1"),
                    [named("", "s", "1"), named("", "s", "1")].concat(),
                ],
            ),
            (
                unnamed("select $1", "1"),
                vec![unnamed("select $1", "another")],
                vec![unnamed("select $2", "1"), unnamed("select $1 ", "1"), named("", "", "1")],
            ),
        ] {
            let beaten = kept(&session, &burst);
            for data in &same {
                assert!(session.repeats(&beaten, data), "{data:?}");
                for cut in 0..data.len() {
                    assert!(!session.repeats(&beaten, &data[..cut]), "{cut} of {data:?}");
                }
            }
            for data in &others {
                assert!(!session.repeats(&beaten, data), "{data:?}");
            }
        }
    }

    #[test]
    fn what_names_come_to_mean_counts() {
        let (mut session, mut store) = (session(), StatementStore::default());
        let burst = named("", "s", "1");
        let beaten = kept(&session, &burst);
        assert!(session.repeats(&beaten, &burst));
        let parts = (b"insert".as_slice(), b"\0\0".as_slice(), b"\0\0\0\0".as_slice());
        let statement = store.unshared(parts, Effects::None);
        session.names.insert(b"s".as_slice().into(), Arc::clone(&statement));
        assert!(!session.repeats(&beaten, &burst));
        let beaten = kept(&session, &burst);
        session.names.remove(b"s");
        assert!(!session.repeats(&beaten, &burst));
    }

    #[test]
    fn what_says_too_little_by_itself_is_not_kept() {
        let session = session();
        let mut query = BytesMut::new();
        frontend::query(&mut query, b"select 1");
        let mut flush = BytesMut::from(&named("", "s", "1")[..]);
        frontend::flush(&mut flush);
        let long = unnamed(&"x".repeat(KEPT_MAX), "1");
        let cut = &named("", "s", "1")[..12];
        let two = [named("", "s", "1"), named("", "s", "1")].concat();
        for data in [&query[..], &flush, &long, cut, &named("", "", "1"), &two, b""] {
            assert!(!session.repeats(&kept(&session, data), data), "{data:?}");
        }
        // Values may be as long as they like.
        let data = named("", "s", &"x".repeat(10 * KEPT_MAX));
        assert!(session.repeats(&kept(&session, &data), &data));
        let mut beaten = kept(&session, &data);
        beaten.forget();
        assert!(!session.repeats(&beaten, &data));
    }
}
