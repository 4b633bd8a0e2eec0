//! A client's portals, as far as it matters what they are bound to.

use std::sync::Arc;

use crate::{client::ClientSession, effect::Effects, name, statement::Statement};

/// So many portals at most are remembered for the sake of what their statements look like.
const TOLD_MAX: usize = 16;

/// A portal that is bound to a statement that leaves something behind when it is executed, or of which clients do not know
/// yet what it looks like.
#[derive(Debug)]
pub(crate) struct Portal {
    name: Box<[u8]>,
    effects: Effects,
    untold: Option<Arc<Statement>>,
}

impl ClientSession {
    /// A portal is bound to something with these effects.
    #[inline]
    pub(crate) fn note_portal(&mut self, portal: &[u8], effects: Effects) {
        if !self.portals.is_empty() || !effects.is_none() {
            self.note_portal_that_matters(portal, effects, None);
        }
    }

    /// The same of a statement of ours.
    #[inline]
    pub(crate) fn note_portal_of(
        &mut self,
        statement: &Arc<Statement>,
        portal: &[u8],
        effects: Effects,
    ) {
        let untold = statement.told().is_untold() && self.portals.len() < TOLD_MAX;
        if untold || !self.portals.is_empty() || !effects.is_none() {
            let untold = untold.then(|| Arc::clone(statement));
            self.note_portal_that_matters(portal, effects, untold);
        }
    }

    fn note_portal_that_matters(
        &mut self,
        portal: &[u8],
        effects: Effects,
        untold: Option<Arc<Statement>>,
    ) {
        let name = name::of_protocol(portal);
        self.portals.retain(|known| known.name.as_ref() != name);
        if !effects.is_none() || untold.is_some() {
            self.portals.push(Portal { name: name.into(), effects, untold });
        }
    }

    /// What executing a portal leaves behind.
    pub(crate) fn effects_of_portal(&self, portal: &[u8]) -> Effects {
        self.portal(portal).map_or(Effects::None, |portal| portal.effects.clone())
    }

    /// The statement of a portal, if clients do not know yet what it looks like.
    pub(crate) fn untold_of_portal(&self, portal: &[u8]) -> Option<Arc<Statement>> {
        self.portal(portal)?.untold.clone()
    }

    fn portal(&self, portal: &[u8]) -> Option<&Portal> {
        let name = name::of_protocol(portal);
        self.portals.iter().find(|known| known.name.as_ref() == name)
    }
}
