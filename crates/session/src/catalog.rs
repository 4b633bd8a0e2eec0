//! Changes of a database's catalog that clients make.
//!
//! A server analyses a statement when it is prepared, and refuses it later if its result has become another since (0A000,
//! plancache.c). So what is prepared behind such a change is a statement of its own, and is not shared with what others have
//! prepared before; and a statement that a server has refused is prepared anew when it is used next.
//!
//! A client that asks for the description of each result before it reads it, as libpq does, does not rely on an older one. Its
//! statements are prepared anew as soon as the catalog has changed, so that it is not told the error at all.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use trunkline_wire::frontend::Bind;

use crate::{
    change::Change,
    client::{ClientSession, Surroundings},
    draft,
    environment::Meaning,
    name,
    outgoing::Outgoing,
    server::{ServerSession, TxStatus},
    statement::Statement,
};

/// What is counted for one database.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    changes: AtomicU32,
}

impl Catalog {
    /// How often it has changed, as far as texts have shown.
    #[inline]
    pub(crate) fn changes(&self) -> u32 {
        self.changes.load(Ordering::Relaxed)
    }

    fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

impl ClientSession {
    /// Something is sent that may do this, or has done it.
    pub(crate) fn note_catalog_change(&mut self, change: &Change) {
        self.catalog_changed |= *change == Change::CatalogChange;
    }

    /// If the transaction is over in which the catalog was changed, it counts: others see it from now on.
    #[cold]
    pub(crate) fn count_catalog_change(&mut self, server: &ServerSession) {
        if server.status == TxStatus::Idle {
            self.tell_catalog_change();
        }
    }

    /// The change counts, if there is one, whether it is known to be done or not.
    pub(crate) fn tell_catalog_change(&mut self) {
        if std::mem::take(&mut self.catalog_changed) {
            self.scope.facts().catalog().note_change();
        }
    }

    /// What a Bind means, which ends at `end` of the burst, if the description of its portal is asked for right behind it.
    #[inline]
    pub(crate) fn by_catalog_of_now(
        &mut self,
        meaning: Meaning,
        (bind, end): (&Bind<'_>, usize),
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
        around: &mut impl Surroundings,
    ) -> Meaning {
        let outdated = match &meaning {
            Meaning::Ours(statement) => self.is_outdated(statement),
            Meaning::Stale(_) => true,
            _ => false,
        };
        if !outdated || !out.describes_portal_at(end, bind.portal) {
            return meaning;
        }
        self.mean_as_before();
        match &meaning {
            Meaning::Stale(stale) => self.prepare_anew(stale),
            _ => self.renew(bind.statement),
        }
        self.statement(bind.statement, server, out, around)
    }

    /// Whether the catalog has changed since it was prepared.
    #[inline]
    fn is_outdated(&self, statement: &Statement) -> bool {
        statement.changes() != self.scope.facts().catalog().changes()
    }

    /// If the catalog has changed since the statement of this name was prepared, the name means one that is to be prepared
    /// as it is now.
    pub(crate) fn renew(&mut self, name: &[u8]) {
        let name = name::of_protocol(name);
        let Some(old) = self.names.get(name).filter(|known| self.is_outdated(known)) else {
            return;
        };
        let renewed = draft::renewed(old, self.scope.facts().catalog().changes());
        self.names.insert(name.into(), renewed);
    }

    /// A server has refused to run a statement any more: the client's names for it mean one that is to be prepared anew.
    #[cold]
    pub(crate) fn prepare_anew(&mut self, stale: &Arc<Statement>) {
        stale.retire();
        let names = self.names.iter().filter(|(_, statement)| statement.id == stale.id);
        let names: Vec<Box<[u8]>> = names.map(|(name, _)| name.into()).collect();
        for name in names {
            self.names.insert(name, draft::instead_of(stale));
        }
    }
}
