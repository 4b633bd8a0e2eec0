//! Changes of a database's catalog that clients make.
//!
//! A server analyses a statement when it is prepared, and refuses it later if its result has become another since (0A000,
//! plancache.c). So what is prepared behind such a change is a statement of its own, and is not shared with what others have
//! prepared before; and a statement that a server has refused is prepared anew when it is used next.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::{
    change::Change,
    client::ClientSession,
    draft,
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
