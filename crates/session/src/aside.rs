//! Statements that are answered aside, by the shell: `EXPLAIN ROUTE`, of which no server knows.
//!
//! The session only says when one comes, and keeps those that were prepared: the shell answers the whole group of
//! messages. They stand beside the names of the session's own statements, which come first.

use crate::{
    client::{ClientSession, Unnamed},
    effect::Effects,
    from_client::Step,
    hold::Why,
    name,
    server::{Intake, ServerSession},
};

/// A client keeps no more of them; the oldest goes.
const KEPT_MAX: usize = 4;

/// Longer texts are a server's to refuse.
const TEXT_MAX: usize = 32 << 10;

/// A prepared statement that is answered aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    name: Box<[u8]>,
    /// Its text.
    pub text: Box<[u8]>,
    /// The types of its parameters, as the Parse had them.
    pub types: Box<[u8]>,
}

/// Why a statement that is answered aside is not prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPrepared {
    /// Its text is too long.
    TooLong,
    /// A statement has the name already.
    NameTaken,
}

impl ClientSession {
    /// Whether any statement was prepared that is answered aside.
    pub fn has_asides(&self) -> bool {
        !self.asides.is_empty()
    }

    /// The statement that is answered aside and has this name, if no other statement has.
    pub fn aside(&self, name: &[u8]) -> Option<&Aside> {
        let known = self.asides.iter().find(|it| *it.name == *name)?;
        let other = if name.is_empty() {
            !matches!(self.unnamed, Unnamed::None)
        } else {
            self.names.contains(name::of_protocol(name))
        };
        (!other).then_some(known)
    }

    /// Prepares a statement that is answered aside.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn prepare_aside(
        &mut self,
        name: &[u8],
        text: &[u8],
        types: &[u8],
    ) -> Result<(), NotPrepared> {
        if text.len() > TEXT_MAX {
            return Err(NotPrepared::TooLong);
        }
        if name.is_empty() {
            self.unnamed = Unnamed::None;
        } else if self.names.contains(name::of_protocol(name)) || self.aside(name).is_some() {
            return Err(NotPrepared::NameTaken);
        }
        let asides = &mut self.asides;
        asides.retain(|it| *it.name != *name);
        if asides.len() >= KEPT_MAX {
            asides.remove(0);
        }
        asides.push(Aside { name: name.into(), text: text.into(), types: types.into() });
        Ok(())
    }

    /// Forgets a statement that is answered aside.
    pub fn close_aside(&mut self, name: &[u8]) {
        self.asides.retain(|it| *it.name != *name);
    }

    /// Whether a text of these effects is answered aside, and not amid other messages: there a server is asked, which does
    /// not know it.
    pub(crate) fn is_aside(effects: &Effects, server: &ServerSession) -> bool {
        effects.explains_route() && server.intake == Intake::Messages
    }

    /// The same of a message that names this statement.
    #[inline]
    pub(crate) fn names_aside(&self, name: &[u8], server: &ServerSession) -> bool {
        self.has_asides() && server.intake == Intake::Messages && self.aside(name).is_some()
    }

    /// It waits for the answers to what was sent before it.
    pub(crate) fn step_aside(server: &mut ServerSession) -> Step {
        if server.owes_client_nothing() {
            server.release_hold();
            return Step::Aside;
        }
        server.hold(Why::Aside);
        Step::Wait
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        client::{PoolMode, SessionLimits},
        setting::SettingSet,
    };

    #[test]
    fn a_few_are_kept_and_the_oldest_goes() {
        let limits = SessionLimits::default();
        let mode = PoolMode::Transaction;
        let mut client = ClientSession::new(mode, SettingSet::empty(), Arc::default(), limits);
        assert!(!client.has_asides());
        for name in [b"a", b"b", b"c", b"d", b"e"] {
            assert_eq!(client.prepare_aside(name, b"explain route select 1", b""), Ok(()));
        }
        assert!(client.aside(b"a").is_none() && client.aside(b"e").is_some());
        let again = client.prepare_aside(b"e", b"explain route select 2", b"");
        assert_eq!(again, Err(NotPrepared::NameTaken));
        for text in [b"explain route select 1", b"explain route select 2"] {
            assert_eq!(client.prepare_aside(b"", text, b""), Ok(()), "the unnamed one is replaced");
        }
        assert_eq!(client.aside(b"").map(|it| &*it.text), Some(&b"explain route select 2"[..]));
        for name in [b"b".as_slice(), b"c", b"d", b"e", b""] {
            client.close_aside(name);
        }
        assert!(!client.has_asides());
        let long = vec![b' '; TEXT_MAX + 1];
        assert_eq!(client.prepare_aside(b"f", &long, b""), Err(NotPrepared::TooLong));
    }
}
