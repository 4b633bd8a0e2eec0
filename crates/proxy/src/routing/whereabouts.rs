//! In which schemas the names of a client's texts are looked for, kept from one decision to the next.

use std::hash::{BuildHasher as _, RandomState};

use trunkline_route::Snapshot;
use trunkline_session::ClientSession;

use crate::pool::Family;

/// The key of a path that is not known.
pub(crate) const NO_PATH: u64 = 0;

/// The setting.
const SEARCH_PATH: &str = "search_path";

/// In which schemas a client's names are looked for, and by what that was found out.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    by: Option<Found>,
    /// None: it is not known.
    schemas: Option<Vec<Box<str>>>,
    /// Told from those of other paths by it; [`NO_PATH`] if it is not known.
    key: u64,
}

/// All that the path depends on.
#[derive(Debug)]
struct Found {
    naming: Box<[u8]>,
    utf8: bool,
    beginnings: u32,
    generation: u64,
}

impl Whereabouts {
    /// Finds out where a client is now, whose texts are in UTF-8 or not. While nothing has changed that costs a few comparisons.
    #[inline]
    pub(crate) fn update(
        &mut self,
        (session, utf8): (&ClientSession, bool),
        family: &Family,
        (snapshot, chance): (&Snapshot, &RandomState),
    ) {
        let same = self.by.as_ref().is_some_and(|by| {
            *by.naming == *session.naming()
                && by.utf8 == utf8
                && by.beginnings == family.scope.beginnings_changed()
                && by.generation == snapshot.generation()
        });
        if !same {
            self.find((session, utf8), family, snapshot);
            // By chance, so that nobody can make two paths that have one key.
            let schemas = self.schemas.as_deref();
            self.key = schemas.map_or(NO_PATH, |schemas| chance.hash_one(schemas) | 1);
        }
    }

    #[cold]
    fn find(
        &mut self,
        (session, utf8): (&ClientSession, bool),
        family: &Family,
        snapshot: &Snapshot,
    ) {
        self.by = Some(Found {
            naming: session.naming().into(),
            utf8,
            // Before they are looked at, so that a change meanwhile is seen the next time.
            beginnings: family.scope.beginnings_changed(),
            generation: snapshot.generation(),
        });
        let mut asked = family.startup.others.iter();
        let by_startup = asked.any(|(name, _)| name.eq_ignore_ascii_case(SEARCH_PATH));
        let policy = family.policy.load();
        let default = snapshot.default_of(SEARCH_PATH, &policy.server_user);
        self.schemas = session.schemas(default, by_startup);
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
