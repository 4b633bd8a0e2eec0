//! A loop's own judge of texts.

use std::{fmt, hash::RandomState, sync::Arc};

use trunkline_route::{Because, Call, Cause, Named, Path, Plain, Verdict, resolve};
use trunkline_session::ClientSession;
use trunkline_sql::{
    Name, Rules,
    access::{
        self, Access, Class, Hint, Secret,
        cache::{Cache, Entry, Key, Limits},
    },
};

use super::{
    catalog::Known,
    whereabouts::{NO_PATH, Whereabouts},
};
use crate::pool::Family;

/// Longer texts are not judged, and go to the primary: it would hold up the other clients of the loop.
const JUDGED_MAX: usize = 4 << 10;

/// A loop's own judge of texts; it lets nothing go to standbys if it has no cache.
#[derive(Default)]
pub(crate) struct Router(Option<Box<Desk>>);

/// What it works with.
struct Desk {
    cache: Cache<Because>,
    /// What the keys of paths are made with.
    chance: RandomState,
}

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
    path: &'a Whereabouts,
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
            self.0 = on.then(|| {
                let cache = Cache::new(Limits::default(), &Secret::new(chance));
                Box::new(Desk { cache, chance: RandomState::new() })
            });
        }
    }

    /// A judge for a client of this family; none if nothing goes to standbys, or if the catalog of its database is not known.
    /// `path` is what was known before of where its names are looked for.
    pub(crate) fn judge<'a>(
        &'a mut self,
        family: &Family,
        session: &ClientSession,
        path: &'a mut Whereabouts,
    ) -> Option<Judge<'a>> {
        let Desk { cache, chance } = self.0.as_deref_mut()?;
        let utf8 = matches!(session.encoding(), b"UTF8" | b"");
        let known = family.catalog.known()?;
        path.update(session, family, (&known.snapshot, chance));
        Some(Judge { cache, known, path, rules: session.rules(), utf8 })
    }
}

impl Judge<'_> {
    /// [`Because::READ`] if a text only reads, and may do so on a standby; else why it belongs on the primary.
    pub(crate) fn judge(&mut self, text: &[u8]) -> Because {
        if self.is_out_of_reach(text) {
            return Plain::OutOfReach.into();
        }
        let generation = self.known.snapshot.generation();
        let (entry, _) = self.cache.entry(text, self.rules);
        // Most texts are the same under any path, and are kept once then.
        let anywhere = Key { generation, path: NO_PATH };
        let anywhere = kept(entry, anywhere, |access| judge(&self.known, None, access));
        let path = self.path.key();
        if path == NO_PATH || !matches!(anywhere, Because::Cause(_)) {
            return anywhere;
        }
        kept(entry, Key { generation, path }, |access| {
            judge(&self.known, self.path.schemas().as_deref(), access)
        })
    }

    /// Says where a text goes by itself, and why.
    pub(crate) fn explain(&mut self, text: &[u8]) -> Explained {
        let because = self.judge(text);
        let access = access::access(text, self.rules);
        let mut steps = Vec::new();
        let cause = matches!(because, Because::Cause(_)).then(|| {
            with_cause(&self.known, self.path.schemas().as_deref(), &access, |cause| {
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
        let key = Key { generation: self.known.snapshot.generation(), path: NO_PATH };
        self.cache.entry(text, self.rules).0.keep(key, Plain::Learnt.into());
    }
}

/// What is kept of a text under a key; what is not is judged, and kept.
#[inline]
fn kept(entry: &mut Entry<Because>, key: Key, judge: impl FnOnce(&Access) -> Because) -> Because {
    if let Some(because) = entry.value(key) {
        return *because;
    }
    let because = judge(entry.access());
    entry.keep(key, because);
    because
}

fn judge(known: &Known, schemas: Option<&[&str]>, access: &Access) -> Because {
    match access.class {
        Class::Read if access.hint == Some(Hint::Primary) => Plain::Hint.into(),
        Class::Read => {
            let because = |cause: Cause<'_>| Because::Cause(cause.step().reason);
            with_cause(known, schemas, access, because).unwrap_or(Because::READ)
        }
        Class::Empty => Because::READ,
        class => Because::Class(class),
    }
}

/// What of that which a text calls and names keeps it on the primary.
fn with_cause<T>(
    known: &Known,
    schemas: Option<&[&str]>,
    access: &Access,
    look: impl FnOnce(Cause<'_>) -> T,
) -> Option<T> {
    // Which of them the role may look into is not known.
    let path = schemas.map_or(Path::Unknown, Path::Possible);
    let in_strings: Vec<_> = access.calls.iter().filter_map(access::Call::relation).collect();
    let calls = access.calls.iter().map(|call| Call {
        function: named((&call.database, &call.schema, &call.name)),
        arguments: call.arguments,
        literal: call.literal.as_ref().and_then(text),
    });
    let relations = access.relations.iter().chain(&in_strings);
    let relations = relations.map(|it| named((&it.database, &it.schema, &it.name)));
    match resolve(&known.snapshot, path, calls, relations) {
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
