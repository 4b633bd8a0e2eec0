//! A loop's own judge of texts.

use std::{fmt, sync::Arc};

use trunkline_route::{Call, Named, Path, Reason, Verdict, resolve};
use trunkline_sql::{
    Name, Rules,
    access::{
        self, Access, Class, Hint, Secret,
        cache::{Cache, Key, Limits},
    },
};

use super::catalog::Known;
use crate::pool::Family;

/// Why a text belongs on the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// What it is.
    Class,
    /// What it calls or names.
    Cause,
    /// It asks for the primary.
    Hint,
    /// A standby has refused it as one that writes.
    Learnt,
}

/// The key of a path that is not known.
const NO_PATH: u64 = 0;

/// A loop's own judge of texts; it lets nothing go to standbys if it has no cache.
#[derive(Default)]
pub(crate) struct Router(Option<Box<Cache<Option<Why>>>>);

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Router").field(&self.is_on()).finish()
    }
}

/// What texts are judged by: for one client at one moment.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    cache: &'a mut Cache<Option<Why>>,
    known: Arc<Known>,
    rules: Rules,
}

impl Router {
    /// Whether anything may go to a standby.
    #[inline]
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Lets something go to standbys, or nothing. `chance` is to be known to nobody.
    pub(crate) fn set(&mut self, on: bool, chance: [u8; 16]) {
        if self.is_on() != on {
            let cache = || Box::new(Cache::new(Limits::default(), &Secret::new(chance)));
            self.0 = on.then(cache);
        }
    }

    /// A judge for clients of this family whose texts are read by these rules; none if nothing goes to standbys, or if the
    /// catalog of their database is not known. In which schemas their names are looked for is not known either: all count.
    pub(crate) fn judge(&mut self, family: &Family, rules: Rules) -> Option<Judge<'_>> {
        let cache = self.0.as_deref_mut()?;
        Some(Judge { cache, known: family.catalog.known()?, rules })
    }
}

impl Judge<'_> {
    /// Why a text belongs on the primary; none if it only reads, and may do so on a standby.
    pub(crate) fn why_not(&mut self, text: &[u8]) -> Option<Why> {
        let key = self.key();
        let (entry, _) = self.cache.entry(text, self.rules);
        if let Some(verdict) = entry.value(key) {
            return *verdict;
        }
        let verdict = judge(&self.known, entry.access());
        entry.keep(key, verdict);
        verdict
    }

    /// A standby has shown that a text is no read.
    pub(crate) fn learn(&mut self, text: &[u8]) {
        let key = self.key();
        self.cache.entry(text, self.rules).0.keep(key, Some(Why::Learnt));
    }

    fn key(&self) -> Key {
        Key { generation: self.known.snapshot.generation(), path: NO_PATH }
    }
}

fn judge(known: &Known, access: &Access) -> Option<Why> {
    if access.hint == Some(Hint::Primary) {
        return Some(Why::Hint);
    }
    match access.class {
        Class::Read => cause(known, access).map(|_| Why::Cause),
        Class::Empty => None,
        _ => Some(Why::Class),
    }
}

/// What of that which a text calls and names keeps it on the primary.
fn cause(known: &Known, access: &Access) -> Option<Reason> {
    let mut calls = Vec::with_capacity(access.calls.len());
    let mut relations = Vec::with_capacity(access.relations.len());
    let in_strings: Vec<_> = access.calls.iter().filter_map(access::Call::relation).collect();
    for call in &access.calls {
        let function = named((&call.database, &call.schema, &call.name));
        let Some(function) = function else { return Some(Reason::UnknownFunction) };
        let literal = call.literal.as_ref().and_then(text);
        calls.push(Call { function, arguments: call.arguments, literal });
    }
    for relation in access.relations.iter().chain(&in_strings) {
        let relation = named((&relation.database, &relation.schema, &relation.name));
        let Some(relation) = relation else { return Some(Reason::UnknownRelation) };
        relations.push(relation);
    }
    match resolve(&known.snapshot, Path::Unknown, calls, relations) {
        Verdict::Harmless => None,
        Verdict::Primary(cause) => Some(cause.step().reason),
    }
}

/// A name as the catalog has it; none if it names a database, or is none in UTF-8.
fn named<'a>(
    (database, schema, name): (&Option<Name>, &'a Option<Name>, &'a Name),
) -> Option<Named<'a>> {
    if database.is_some() {
        return None;
    }
    let schema = match schema {
        Some(schema) => Some(text(schema)?),
        None => None,
    };
    Some(Named { schema, name: text(name)? })
}

fn text(name: &Name) -> Option<&str> {
    std::str::from_utf8(name.as_bytes()).ok()
}
