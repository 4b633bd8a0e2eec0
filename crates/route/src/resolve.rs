//! What a statement calls and names, found in the catalog: harmless, or the first reason why not.
//!
//! Which of several functions of one name PostgreSQL would take depends on types, which a text does not show. So every
//! function counts that a call may mean, in every schema of the path and in `pg_catalog`; a `public.round(int)` that writes is
//! called by `SELECT round(1)`. Of relations PostgreSQL takes the first of the path.

use crate::{
    Cause, Reason, Snapshot, Step,
    builtin::{self, Builtin},
    snapshot::{Object, TroubleId},
};

/// The schema of what PostgreSQL brings along; every path has it.
const SYSTEM: &str = "pg_catalog";

/// What the schemas of temporary objects begin with.
const TEMPORARY: &str = "pg_temp";

/// Where names without a schema are looked for: in `pg_catalog`, and in the schemas of the path, with `$user` replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path<'a> {
    /// In all of these, in this order.
    Known(&'a [&'a str]),
    /// In these, but for those that the user may not look into: so of relations every one counts, too.
    Possible(&'a [&'a str]),
    /// Anywhere.
    Unknown,
}

impl Path<'_> {
    #[inline]
    fn has(self, schema: &str) -> bool {
        match self {
            Self::Known(schemas) | Self::Possible(schemas) => {
                schema == SYSTEM || schemas.contains(&schema)
            }
            Self::Unknown => true,
        }
    }

    /// At which place a schema comes, if places count. `pg_catalog` is the first unless the path names it.
    #[inline]
    fn place(self, schema: &str) -> usize {
        let Self::Known(schemas) = self else { return 0 };
        schemas.iter().position(|known| *known == schema).map_or(0, |place| place + 1)
    }
}

/// A relation that a text names. Unquoted names are in lower case, as PostgreSQL has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// The schema, if the text says one.
    pub schema: Option<&'a str>,
    /// The name.
    pub name: &'a str,
}

/// A call in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// The function.
    pub function: Named<'a>,
    /// How many arguments it is given.
    pub arguments: usize,
    /// The first argument, if it is a plain string: `current_setting` depends on it.
    pub literal: Option<&'a str>,
}

/// What became of a statement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict<'a> {
    /// Nothing that it calls or names keeps it from a standby.
    Harmless,
    /// This does.
    Primary(Cause<'a>),
}

/// Judges a statement by what it calls and names, calls first. Harmless ones cost no allocation, nor do others.
///
/// Temporary objects are in no snapshot: a session that has some is not to be asked for, since they may hide others.
#[inline]
pub fn resolve<'a>(
    snapshot: &'a Snapshot,
    path: Path<'_>,
    calls: impl IntoIterator<Item = Call<'a>>,
    relations: impl IntoIterator<Item = Named<'a>>,
) -> Verdict<'a> {
    let called = calls.into_iter().find_map(|call| of_call(snapshot, path, call));
    called
        .or_else(|| relations.into_iter().find_map(|named| of_relation(snapshot, path, named)))
        .map_or(Verdict::Harmless, Verdict::Primary)
}

/// What is the matter with a call.
fn of_call<'a>(snapshot: &'a Snapshot, path: Path<'_>, call: Call<'a>) -> Option<Cause<'a>> {
    match of_candidates(snapshot, path, call) {
        Candidates::Harmless => None,
        Candidates::Trouble(cause) => Some(cause),
        Candidates::None => Some(of_nowhere(snapshot, call)),
    }
}

/// The functions that a call may mean.
enum Candidates<'a> {
    /// There is none.
    None,
    Harmless,
    Trouble(Cause<'a>),
}

fn of_candidates<'a>(snapshot: &'a Snapshot, path: Path<'_>, call: Call<'a>) -> Candidates<'a> {
    let Named { schema, name } = call.function;
    let mut known = false;
    if schema.is_none_or(|schema| schema == SYSTEM)
        && let Some(builtin) = builtin::call(name, call.arguments)
    {
        known = true;
        if let Some(reason) = builtin.class.trouble(call.literal) {
            return Candidates::Trouble(of_builtin(snapshot, builtin, reason));
        }
    }
    let unknown = || unheard_of(snapshot, Reason::UnknownFunction, call.function);
    if snapshot.unknown.is_some() && schema != Some(SYSTEM) {
        return Candidates::Trouble(unknown());
    }
    let possible = |object: &&Object| {
        takes(object, call.arguments) && is_meant(snapshot, path, schema, object)
    };
    for object in snapshot.functions_named(name).filter(possible) {
        known = true;
        if let Some(trouble) = object.trouble {
            return Candidates::Trouble(snapshot.cause(trouble).unwrap_or_else(unknown));
        }
    }
    if known { Candidates::Harmless } else { Candidates::None }
}

/// No function is meant. If nobody knows the schema, what functions of that name do elsewhere tells more.
fn of_nowhere<'a>(snapshot: &'a Snapshot, call: Call<'a>) -> Cause<'a> {
    if call.function.schema.is_some_and(|schema| !snapshot.has_schema(schema)) {
        let anywhere = Call { function: Named { schema: None, ..call.function }, ..call };
        if let Candidates::Trouble(cause) = of_candidates(snapshot, Path::Unknown, anywhere) {
            return cause;
        }
    }
    unheard_of(snapshot, Reason::UnknownFunction, call.function)
}

/// What is the matter with a relation.
fn of_relation<'a>(snapshot: &'a Snapshot, path: Path<'_>, named: Named<'a>) -> Option<Cause<'a>> {
    if named.schema.is_some_and(|schema| schema.starts_with(TEMPORARY)) {
        return Some(unheard_of(snapshot, Reason::TemporaryTable, named));
    }
    let mut first: Option<(usize, Option<TroubleId>)> = None;
    let possible = |object: &&Object| is_meant(snapshot, path, named.schema, object);
    for object in snapshot.relations_named(named.name).filter(possible) {
        let place = path.place(snapshot.text(object.schema));
        // Where places do not count, one that is not harmless counts before those that are.
        if first.is_none_or(|(known, trouble)| place < known || place == known && trouble.is_none())
        {
            first = Some((place, object.trouble));
        }
    }
    let unknown = || unheard_of(snapshot, Reason::UnknownRelation, named);
    match first {
        Some((_, trouble)) => {
            trouble.map(|trouble| snapshot.cause(trouble).unwrap_or_else(unknown))
        }
        None => Some(unknown()),
    }
}

/// Whether a function may be given so many arguments.
#[inline]
fn takes(function: &Object, arguments: usize) -> bool {
    arguments >= usize::from(function.least)
        && (function.most == u8::MAX || arguments <= usize::from(function.most))
}

/// Whether a name, with a schema or without, may mean this object.
#[inline]
fn is_meant(snapshot: &Snapshot, path: Path<'_>, schema: Option<&str>, object: &Object) -> bool {
    let own = snapshot.text(object.schema);
    schema.map_or_else(|| path.has(own), |schema| schema == own)
}

fn of_builtin(snapshot: &Snapshot, builtin: Builtin, reason: Reason) -> Cause<'_> {
    let step = Step { reason, schema: Some(SYSTEM), name: builtin.name };
    Cause { snapshot, step, next: None }
}

fn unheard_of<'a>(snapshot: &'a Snapshot, reason: Reason, named: Named<'a>) -> Cause<'a> {
    let step = Step { reason, schema: named.schema, name: named.name };
    Cause { snapshot, step, next: None }
}
