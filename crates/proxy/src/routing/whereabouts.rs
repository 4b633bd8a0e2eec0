//! How a client's texts are read, and in which schemas their names are looked for, kept from one decision to the next.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use trunkline_route::Snapshot;
use trunkline_session::ClientSession;
use trunkline_sql::Rules;
use trunkline_wire::Reported;

use super::level::serializes;
use crate::pool::Family;

/// The key of a path that is not known.
pub(crate) const NO_PATH: u64 = 0;

/// The setting.
const SEARCH_PATH: &str = "search_path";

/// How a client's texts are read, in which schemas their names are looked for, and by what that was found out.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    by: Option<Found>,
    rules: Rules,
    /// Texts are in UTF-8.
    utf8: bool,
    /// None: it is not known.
    schemas: Option<Vec<Box<str>>>,
    /// Told from those of other paths by it; [`NO_PATH`] if it is not known.
    key: u64,
    /// How often it was found out.
    version: u64,
    /// Transactions of such a client are serializable if neither they nor its session say otherwise.
    serializes: bool,
}

/// All that the path depends on.
#[derive(Debug)]
struct Found {
    /// What the client was told by its server; another one if any of it is another.
    reported: Arc<Reported>,
    naming: Box<[u8]>,
    beginnings: u32,
    generation: u64,
}

impl Whereabouts {
    /// Finds out where a client is now. While nothing has changed that costs a few comparisons.
    #[inline]
    pub(crate) fn update(
        &mut self,
        session: &ClientSession,
        family: &Family,
        (snapshot, chance): (&Snapshot, &RandomState),
    ) {
        if !self.is_current(session, family, snapshot) {
            self.find(session, family, snapshot);
            // By chance, so that nobody can make two paths that have one key.
            let schemas = self.schemas.as_deref();
            self.key = schemas.map_or(NO_PATH, |schemas| chance.hash_one(schemas) | 1);
        }
    }

    /// Whether it is known where the client is now.
    #[inline]
    pub(crate) fn is_current(
        &self,
        session: &ClientSession,
        family: &Family,
        snapshot: &Snapshot,
    ) -> bool {
        self.by.as_ref().is_some_and(|by| {
            Arc::ptr_eq(&by.reported, session.reported())
                && *by.naming == *session.naming()
                && by.beginnings == family.scope.beginnings_changed()
                && by.generation == snapshot.generation()
        })
    }

    /// As long as this is the same, so is all the rest.
    #[inline]
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    #[cold]
    fn find(&mut self, session: &ClientSession, family: &Family, snapshot: &Snapshot) {
        self.version = self.version.wrapping_add(1);
        self.by = Some(Found {
            reported: Arc::clone(session.reported()),
            naming: session.naming().into(),
            // Before they are looked at, so that a change meanwhile is seen the next time.
            beginnings: family.scope.beginnings_changed(),
            generation: snapshot.generation(),
        });
        (self.rules, self.utf8) = (session.rules(), matches!(session.encoding(), b"UTF8" | b""));
        let mut asked = family.startup.others.iter();
        let by_startup = asked.any(|(name, _)| name.eq_ignore_ascii_case(SEARCH_PATH));
        let policy = family.policy.load();
        let default = snapshot.default_of(SEARCH_PATH, &policy.server_user);
        self.schemas = session.schemas(default, by_startup);
        self.serializes = serializes(family, snapshot);
    }

    /// Of a session of which nothing is known but that its texts are in UTF-8.
    pub(crate) fn nowhere() -> Self {
        Self { utf8: true, ..Self::default() }
    }

    /// How the texts are read.
    #[inline]
    pub(crate) const fn rules(&self) -> Rules {
        self.rules
    }

    /// Whether statements of a session that are no part of a transaction are serializable, which a standby refuses.
    #[inline]
    pub(crate) fn serializes(&self, session: &ClientSession) -> bool {
        session.is_serializable(self.serializes)
    }

    /// Whether texts are in UTF-8.
    #[inline]
    pub(crate) const fn is_utf8(&self) -> bool {
        self.utf8
    }

    /// The schemas; none if they are not known.
    pub(crate) fn schemas(&self) -> Option<Vec<&str>> {
        self.schemas.as_ref().map(|schemas| schemas.iter().map(AsRef::as_ref).collect())
    }

    /// What tells this path from others.
    #[inline]
    pub(crate) const fn key(&self) -> u64 {
        self.key
    }
}
