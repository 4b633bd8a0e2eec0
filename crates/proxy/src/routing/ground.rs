//! What a text that has been read is found to be, by the catalog of its database and the lists in the settings.

use trunkline_route::{Because, Call, Cause, Named, Path, Plain, Reason, Trust, Verdict, resolve};
use trunkline_sql::{
    Name,
    access::{self, Access, Class, Hint},
};

use super::{catalog::Known, overrides::Lists};

/// What a text is judged by besides its own words.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) known: &'a Known,
    pub(super) lists: &'a Lists,
    /// Where its names are looked for, as far as that is known.
    pub(super) schemas: Option<&'a [&'a str]>,
}

/// Whether a text may be found to be something else if it is known where its names are looked for.
pub(super) fn depends_on_path(found: Because) -> bool {
    matches!(found, Because::Cause(_) | Because::Plain(Plain::Trusted))
}

pub(super) fn judge(ground: Ground<'_>, access: &Access, trust: Trust) -> Because {
    match access.class {
        Class::Read => judge_read(ground, access, trust),
        Class::Empty => Because::READ,
        class => Because::Class(class),
    }
}

/// How far a wish for a standby is taken at its word, where a hint may be one.
pub(super) fn trust_in(access: &Access, trust: Trust) -> Trust {
    if access.hint == Some(Hint::Standby) { Trust::Lists } else { trust }
}

pub(super) fn judge_read(ground: Ground<'_>, access: &Access, trust: Trust) -> Because {
    let (trust, hint) = (trust_in(access, trust), access.hint == Some(Hint::Primary));
    if !hint && trust != Trust::Lists && ground.lists.keep(access) {
        return Plain::List.into();
    }
    let mut doubted = false;
    let objection = with_cause(ground, access, |cause| {
        let passes = trust != Trust::None && is_doubt(cause);
        doubted |= passes;
        (!passes).then_some(Because::Cause(cause.step().reason))
    });
    match objection {
        Some(because) => because,
        None if hint => Plain::Hint.into(),
        None if access.hint == Some(Hint::Standby) => Plain::StandbyHint.into(),
        None if doubted => Plain::Trusted.into(),
        None => Because::READ,
    }
}

/// Whether it is only not known of a function that it does no harm, directly or behind views.
pub(super) fn is_doubt(cause: Cause<'_>) -> bool {
    let mut last = false;
    cause.steps().all(|step| {
        last = step.reason.is_doubt();
        last || step.reason == Reason::View
    }) && last
}

/// What is made of the first thing that a text calls or names which keeps it on the primary, and of which something is made.
pub(super) fn with_cause<T>(
    ground: Ground<'_>,
    access: &Access,
    mut look: impl FnMut(Cause<'_>) -> Option<T>,
) -> Option<T> {
    let in_strings: Vec<_> = access.calls.iter().filter_map(access::Call::relation).collect();
    let calls = access.calls.iter().filter(|call| !ground.lists.trust(call)).map(|call| Call {
        function: named((&call.database, &call.schema, &call.name)),
        arguments: call.arguments,
        literal: call.literal.as_ref().and_then(text),
    });
    let relations = access.relations.iter().chain(&in_strings);
    let relations = relations.map(|it| named((&it.database, &it.schema, &it.name)));
    // Which of them the role may look into is not known.
    let path = ground.schemas.map_or(Path::Unknown, Path::Possible);
    let snapshot = &ground.known.snapshot;
    let mut found = |verdict: Verdict<'_>| match verdict {
        Verdict::Harmless => None,
        Verdict::Primary(cause) => look(cause),
    };
    for call in calls {
        if let Some(found) = found(resolve(snapshot, path, [call], [])) {
            return Some(found);
        }
    }
    for relation in relations {
        if let Some(found) = found(resolve(snapshot, path, [], [relation])) {
            return Some(found);
        }
    }
    None
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
