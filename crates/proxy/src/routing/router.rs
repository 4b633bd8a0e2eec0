//! A loop's own judge of texts.

use std::{fmt, sync::Arc};

use trunkline_route::{Because, Call, Cause, Named, Path, Plain, Verdict, resolve};
use trunkline_session::ClientSession;
use trunkline_sql::{
    Name, Rules,
    access::{
        self, Access, Class, Hint, Secret,
        cache::{Cache, Key, Limits},
    },
};

use super::catalog::Known;
use crate::pool::Family;

/// The key of a path that is not known.
const NO_PATH: u64 = 0;

/// Longer texts are not judged, and go to the primary: it would hold up the other clients of the loop.
const JUDGED_MAX: usize = 4 << 10;

/// A loop's own judge of texts; it lets nothing go to standbys if it has no cache.
#[derive(Default)]
pub(crate) struct Router(Option<Box<Cache<Because>>>);

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Router").field(&self.is_on()).finish()
    }
}

/// What texts are judged by: for one client at one moment.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    cache: &'a mut Cache<Because>,
    known: Arc<Known>,
    rules: Rules,
    /// Texts are in UTF-8; else only those are judged that are the same in it.
    utf8: bool,
}

/// What there is to say of where a text goes.
#[derive(Debug)]
pub(crate) struct Explained {
    /// `standby` or `primary`.
    pub(crate) route: &'static str,
    /// In one or a few words.
    pub(crate) reason: String,
    /// What that is, step by step.
    pub(crate) because: Vec<String>,
    pub(crate) relations: Vec<String>,
    pub(crate) calls: Vec<String>,
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

    /// A judge for a client of this family; none if nothing goes to standbys, or if the catalog of its database is not known.
    /// In which schemas its names are looked for is not known either: all count.
    pub(crate) fn judge(&mut self, family: &Family, session: &ClientSession) -> Option<Judge<'_>> {
        let cache = self.0.as_deref_mut()?;
        let utf8 = matches!(session.encoding(), b"UTF8" | b"");
        Some(Judge { cache, known: family.catalog.known()?, rules: session.rules(), utf8 })
    }
}

impl Judge<'_> {
    /// [`Because::READ`] if a text only reads, and may do so on a standby; else why it belongs on the primary.
    pub(crate) fn judge(&mut self, text: &[u8]) -> Because {
        if self.is_out_of_reach(text) {
            return Plain::OutOfReach.into();
        }
        let key = self.key();
        let (entry, _) = self.cache.entry(text, self.rules);
        if let Some(verdict) = entry.value(key) {
            return *verdict;
        }
        let verdict = judge(&self.known, entry.access());
        entry.keep(key, verdict);
        verdict
    }

    /// Says where a text goes by itself, and why.
    pub(crate) fn explain(&mut self, text: &[u8]) -> Explained {
        let because = self.judge(text);
        let access = access::access(text, self.rules);
        let mut steps = Vec::new();
        let cause = matches!(because, Because::Cause(_)).then(|| {
            with_cause(&self.known, &access, |cause| {
                steps.extend(cause.steps().map(|step| step.to_string()));
                cause.to_string()
            })
        });
        let shown = |schema: &Option<Name>, name: &Name| match schema {
            Some(schema) => format!("{schema}.{name}"),
            None => name.to_string(),
        };
        Explained {
            route: if because.is_to_standby() { "standby" } else { "primary" },
            reason: cause.flatten().unwrap_or_else(|| because.to_string()),
            because: steps,
            relations: access.relations.iter().map(|it| shown(&it.schema, &it.name)).collect(),
            calls: access
                .calls
                .iter()
                .map(|it| format!("{}/{}", shown(&it.schema, &it.name), it.arguments))
                .collect(),
        }
    }

    fn is_out_of_reach(&self, text: &[u8]) -> bool {
        text.len() > JUDGED_MAX || !self.utf8 && !text.is_ascii()
    }

    /// A standby has shown that a text is no read.
    pub(crate) fn learn(&mut self, text: &[u8]) {
        let key = self.key();
        self.cache.entry(text, self.rules).0.keep(key, Plain::Learnt.into());
    }

    fn key(&self) -> Key {
        Key { generation: self.known.snapshot.generation(), path: NO_PATH }
    }
}

fn judge(known: &Known, access: &Access) -> Because {
    match access.class {
        Class::Read if access.hint == Some(Hint::Primary) => Plain::Hint.into(),
        Class::Read => with_cause(known, access, |cause| Because::Cause(cause.step().reason))
            .unwrap_or(Because::READ),
        Class::Empty => Because::READ,
        class => Because::Class(class),
    }
}

/// What of that which a text calls and names keeps it on the primary.
fn with_cause<T>(known: &Known, access: &Access, look: impl FnOnce(Cause<'_>) -> T) -> Option<T> {
    let in_strings: Vec<_> = access.calls.iter().filter_map(access::Call::relation).collect();
    let calls = access.calls.iter().map(|call| Call {
        function: named((&call.database, &call.schema, &call.name)),
        arguments: call.arguments,
        literal: call.literal.as_ref().and_then(text),
    });
    let relations = access.relations.iter().chain(&in_strings);
    let relations = relations.map(|it| named((&it.database, &it.schema, &it.name)));
    match resolve(&known.snapshot, Path::Unknown, calls, relations) {
        Verdict::Harmless => None,
        Verdict::Primary(cause) => Some(look(cause)),
    }
}

/// No name is this.
const NOWHERE: &str = "";

/// A name as the catalog has it; one that names a database, or is none in UTF-8, is in a schema that is not there.
fn named<'a>((database, schema, name): (&Option<Name>, &'a Option<Name>, &'a Name)) -> Named<'a> {
    let schema = match (database, schema) {
        (Some(_), _) => Some(NOWHERE),
        (None, Some(schema)) => Some(text(schema).unwrap_or(NOWHERE)),
        (None, None) => text(name).is_none().then_some(NOWHERE),
    };
    Named { schema, name: text(name).unwrap_or(NOWHERE) }
}

fn text(name: &Name) -> Option<&str> {
    std::str::from_utf8(name.as_bytes()).ok()
}
