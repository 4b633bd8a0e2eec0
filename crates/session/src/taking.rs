//! Prepared statements that take settings of the startup packet back, of a client in session mode.
//!
//! Nothing else of such a client's statements is followed, and ordinary ones cost nothing: a client whose startup packet
//! the server was opened with is not looked at, and of the others only texts with certain words are read. What such a
//! statement takes back is given back behind its Execute; see [`crate::restore`].

use std::collections::VecDeque;

use trunkline_wire::frontend::{Bind, Parse};

use crate::{
    client::ClientSession, effect::Effects, expect::Owed, name, outgoing::Outgoing, queue::Kind,
    restore::may_take_back, server::ServerSession,
};

/// So many statements are remembered, the latest; a client has a handful of them at most.
const TAKING_MAX: usize = 64;

/// The statements, the oldest first.
///
/// One may have gone with `DEALLOCATE` or a Close: then its name means nothing until it is parsed again, which is noticed.
#[derive(Debug, Default)]
pub(crate) struct Taking(VecDeque<(Box<[u8]>, Effects)>);

/// What a name meant before a Parse that may be refused.
#[derive(Debug)]
pub(crate) struct Renamed {
    /// The part of it that counts.
    pub name: Box<[u8]>,
    /// What its statement took back.
    before: Effects,
}

impl Taking {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, name: &[u8]) -> Effects {
        let found = self.0.iter().find(|(known, _)| **known == *name);
        found.map_or(Effects::None, |(_, effects)| effects.clone())
    }

    /// The statement of this name takes this back from here on. Says what it took back before.
    fn put(&mut self, name: &[u8], effects: Effects) -> Effects {
        let place = self.0.iter().position(|(known, _)| **known == *name);
        let before = place.and_then(|place| self.0.remove(place));
        if !effects.is_none() {
            if self.0.len() >= TAKING_MAX {
                self.0.pop_front();
            }
            self.0.push_back((name.into(), effects));
        }
        before.map_or(Effects::None, |(_, effects)| effects)
    }

    /// The Parse is void.
    pub(crate) fn undo(&mut self, renamed: Renamed) {
        self.put(&renamed.name, renamed.before);
    }
}

impl ClientSession {
    /// A Parse of a client in session mode is about to be sent on, unless it must wait. Says whether it must.
    #[inline]
    pub(crate) fn owe_plain_parse(&mut self, message: &[u8], server: &mut ServerSession) -> bool {
        if self.settings.base().is_empty() {
            server.owed.push_light(Kind::ParseOther);
            return false;
        }
        // A malformed body is for the server to refuse.
        let Ok(parse) = Parse::parse(message) else {
            server.owed.push_light(Kind::ParseOther);
            return false;
        };
        let effects = if may_take_back(parse.text) {
            self.taken_back_by(&self.effects_of(parse.text, server))
        } else {
            Effects::None
        };
        self.owe_parse_that_takes(parse.name, effects, server)
    }

    /// The same of a statement that takes this back.
    pub(crate) fn owe_parse_that_takes(
        &mut self,
        name: &[u8],
        effects: Effects,
        server: &mut ServerSession,
    ) -> bool {
        if effects.is_none() && !self.follows_taking(server) {
            server.owed.push_light(Kind::ParseOther);
            return false;
        }
        let name = name::of_protocol(name);
        if server.awaits_name(name) {
            return true;
        }
        let before = self.taking.put(name, effects);
        server.begin_naming(name);
        server.owed.push(Owed::ParseTaking(Box::new(Renamed { name: name.into(), before })));
        false
    }

    /// A Bind of a client in session mode is about to be sent on, unless it must wait. Says whether it must.
    #[inline]
    pub(crate) fn note_plain_bind(&mut self, message: &[u8], server: &mut ServerSession) -> bool {
        if !self.follows_taking(server) && self.portals.is_empty() {
            return false;
        }
        let Ok(bind) = Bind::parse(message) else { return false };
        let name = name::of_protocol(bind.statement);
        if server.awaits_name(name) {
            return true;
        }
        self.note_portal(bind.portal, self.taking.get(name));
        false
    }

    /// Whether it has statements that take something back, or may have.
    fn follows_taking(&self, server: &ServerSession) -> bool {
        !self.taking.is_empty() || server.unsettled.has_names()
    }

    /// A client in session mode executes a statement that takes this back, and the server has been sent that.
    pub(crate) fn execute_taking(
        &self,
        effects: &Effects,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) {
        server.owed.push_light(Kind::Execute);
        self.restore_behind(effects, server, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Change;

    fn takes() -> Effects {
        Effects::Many([(0, Change::ResetAll)].into())
    }

    #[test]
    fn a_name_means_what_it_meant_when_its_parse_is_undone() {
        let mut taking = Taking::default();
        for (now, before) in [(takes(), Effects::None), (Effects::None, takes())] {
            assert_eq!(taking.put(b"r", now.clone()), before);
            assert_eq!(taking.get(b"r"), now);
        }
        taking.undo(Renamed { name: b"r".as_slice().into(), before: takes() });
        assert_eq!((taking.get(b"r"), taking.get(b"s")), (takes(), Effects::None));
    }

    #[test]
    fn so_many_are_remembered_and_the_oldest_are_forgotten() {
        let mut taking = Taking::default();
        let name = |number: usize| format!("r{number}").into_bytes();
        for number in 0..=TAKING_MAX {
            taking.put(&name(number), takes());
        }
        assert_eq!(taking.0.len(), TAKING_MAX);
        assert!(taking.get(&name(0)).is_none() && !taking.get(&name(TAKING_MAX)).is_none());
    }
}
