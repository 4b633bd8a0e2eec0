//! Whatever a catalog holds: nothing that is added to it, or to the path, makes a statement look better than it is.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a wrong index or a panic fails the test, as it should"
)]

#[path = "common/rows.rs"]
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rows::{Made, function, mark, relation, schema, snapshot, uses};
use trunkline_route::{Builder, Call, Named, Path, Reason, Row, Verdict, resolve};

const SCHEMAS: [&str; 3] = ["a", "b", "public"];

/// Names of functions: two of the user's own, one built in and harmless, one built in that is not.
const FUNCTIONS: [&str; 4] = ["f", "g", "round", "nextval"];

/// Names of relations.
const RELATIONS: [&str; 3] = ["t", "u", "v"];

/// An object by its place among those of a catalog.
type Place = usize;

#[derive(Clone, Debug)]
enum Thing {
    Function {
        schema: usize,
        name: usize,
        volatile: bool,
        arguments: u8,
        defaults: u8,
        calls: Vec<usize>,
    },
    Relation {
        schema: usize,
        name: usize,
        kind: Kind,
        uses: Vec<Place>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Table,
    Unlogged,
    View,
}

fn a_function() -> impl Strategy<Value = Thing> {
    let calls = prop::collection::vec(0..FUNCTIONS.len(), 0..2);
    (0..SCHEMAS.len(), 0..FUNCTIONS.len(), prop::bool::weighted(0.2), 0..3_u8, 0..2_u8, calls)
        .prop_map(|(schema, name, volatile, arguments, defaults, calls)| {
            let defaults = defaults.min(arguments);
            Thing::Function { schema, name, volatile, arguments, defaults, calls }
        })
}

fn a_relation() -> impl Strategy<Value = Thing> {
    let kind =
        prop_oneof![2 => Just(Kind::Table), 1 => Just(Kind::Unlogged), 3 => Just(Kind::View)];
    (0..SCHEMAS.len(), 0..RELATIONS.len(), kind, prop::collection::vec(0..12_usize, 0..3))
        .prop_map(|(schema, name, kind, uses)| Thing::Relation { schema, name, kind, uses })
}

fn things() -> impl Strategy<Value = Vec<Thing>> {
    prop::collection::vec(prop_oneof![a_function(), a_relation()], 0..12)
}

/// The number of the object at a place.
fn number(place: Place) -> u32 {
    20_000 + u32::try_from(place).expect("few")
}

/// The rows of a catalog; a relation's users beyond its end are left out.
fn catalog(things: &[Thing]) -> Vec<Made> {
    let mut rows = vec![mark()];
    rows.extend(SCHEMAS.map(schema));
    for (place, thing) in things.iter().enumerate() {
        match thing {
            Thing::Function { schema, name, volatile, arguments, defaults, calls } => {
                let letter = if *volatile { 'v' } else { 's' };
                let traits = format!("{letter} f {arguments} {defaults} f f sql");
                let calls: Vec<&str> = calls.iter().map(|call| FUNCTIONS[*call]).collect();
                let body = format!("SELECT {} (1)", calls.join(" (1), "));
                rows.push(function(
                    number(place),
                    SCHEMAS[*schema],
                    FUNCTIONS[*name],
                    &traits,
                    &body,
                ));
            }
            Thing::Relation { schema, name, kind, uses: used } => {
                let traits = match kind {
                    Kind::Table => "r p f",
                    Kind::Unlogged => "r u f",
                    Kind::View => "v p f",
                };
                rows.push(relation(number(place), SCHEMAS[*schema], RELATIONS[*name], traits));
                if *kind == Kind::View {
                    rows.push(uses("relation uses", number(place), &list(things, used)));
                }
            }
        }
    }
    rows
}

fn list(things: &[Thing], used: &[Place]) -> String {
    let items = used.iter().filter_map(|place| match things.get(*place)? {
        Thing::Function { .. } => Some(format!("f{} ", number(*place))),
        Thing::Relation { .. } => Some(format!("r{} ", number(*place))),
    });
    items.collect()
}

/// Which objects are harmless, found the slow way: those from which nothing that is not can be reached.
fn harmless(things: &[Thing]) -> Vec<bool> {
    let named = |call: usize| {
        let places = things.iter().enumerate();
        places
            .filter(
                move |(_, thing)| matches!(thing, Thing::Function { name, .. } if *name == call),
            )
            .map(|(place, _)| place)
    };
    let mut next: BTreeMap<Place, Vec<Place>> = BTreeMap::new();
    let mut bad = BTreeSet::new();
    for (place, thing) in things.iter().enumerate() {
        match thing {
            Thing::Function { volatile: true, .. }
            | Thing::Relation { kind: Kind::Unlogged, .. } => {
                bad.insert(place);
            }
            Thing::Function { calls, .. } => {
                if calls.iter().any(|call| FUNCTIONS[*call] == "nextval") {
                    bad.insert(place);
                }
                next.insert(place, calls.iter().flat_map(|call| named(*call)).collect());
            }
            Thing::Relation { kind: Kind::View, uses, .. } => {
                next.insert(
                    place,
                    uses.iter().copied().filter(|place| *place < things.len()).collect(),
                );
            }
            Thing::Relation { .. } => {}
        }
    }
    (0..things.len())
        .map(|start| {
            let mut seen = BTreeSet::from([start]);
            let mut left = vec![start];
            while let Some(place) = left.pop() {
                let more = next.get(&place).into_iter().flatten();
                left.extend(more.copied().filter(|place| seen.insert(*place)));
            }
            seen.is_disjoint(&bad)
        })
        .collect()
}

/// What is asked: a call or a relation, with a schema or without.
#[derive(Clone, Debug)]
enum Question {
    Call(Option<usize>, usize, usize),
    Relation(Option<usize>, usize),
}

fn question() -> impl Strategy<Value = Question> {
    let schema = || prop::option::weighted(0.3, 0..SCHEMAS.len());
    prop_oneof![
        (schema(), 0..FUNCTIONS.len(), 0..4_usize)
            .prop_map(|(schema, name, n)| Question::Call(schema, name, n)),
        (schema(), 0..RELATIONS.len()).prop_map(|(schema, name)| Question::Relation(schema, name)),
    ]
}

/// The reason; nothing if it is harmless.
fn ask(things: &[Thing], path: Path<'_>, question: &Question) -> Option<Reason> {
    ask_of(&catalog(things), path, question)
}

/// The same of rows.
fn ask_of(rows: &[Made], path: Path<'_>, question: &Question) -> Option<Reason> {
    let snapshot = snapshot(rows);
    assert_eq!(snapshot.why_unknown(), None);
    let named = |schema: Option<usize>, name| Named { schema: schema.map(|it| SCHEMAS[it]), name };
    let verdict = match *question {
        Question::Call(schema, name, arguments) => {
            let function = named(schema, FUNCTIONS[name]);
            resolve(&snapshot, path, [Call { function, arguments, literal: None }], [])
        }
        Question::Relation(schema, name) => {
            resolve(&snapshot, path, [], [named(schema, RELATIONS[name])])
        }
    };
    match verdict {
        Verdict::Harmless => None,
        Verdict::Primary(cause) => Some(cause.step().reason),
    }
}

/// Whether a reason may go away when something is added: only that it was not known at all.
fn may_go(reason: Option<Reason>) -> bool {
    matches!(reason, None | Some(Reason::UnknownFunction | Reason::UnknownRelation))
}

fn path(chosen: &[usize]) -> Vec<&'static str> {
    chosen.iter().map(|schema| SCHEMAS[*schema]).collect()
}

proptest! {
    #[test]
    fn adding_an_object_never_makes_a_statement_harmless(
        before in things(),
        added in prop_oneof![a_function(), a_relation()],
        chosen in prop::collection::vec(0..SCHEMAS.len(), 0..3),
        question in question(),
    ) {
        let path = path(&chosen);
        // At the end, so that no view gets something to read that it did not read before.
        let count = before.len();
        let before: Vec<Thing> = before.into_iter().map(|thing| bounded(thing, count)).collect();
        let mut after = before.clone();
        after.push(bounded(added, count));
        let was = ask(&before, Path::Known(&path), &question);
        let is_call = matches!(question, Question::Call(..));
        if !may_go(was) && is_call {
            prop_assert!(ask(&after, Path::Known(&path), &question).is_some());
        }
        if !may_go(ask(&before, Path::Possible(&path), &question)) {
            prop_assert!(ask(&after, Path::Possible(&path), &question).is_some());
        }
    }

    #[test]
    fn adding_a_schema_to_the_path_never_makes_a_statement_harmless(
        things in things(),
        chosen in prop::collection::vec(0..SCHEMAS.len(), 0..3),
        place in 0..4_usize,
        added in 0..SCHEMAS.len(),
        question in question(),
    ) {
        let shorter = path(&chosen);
        let mut longer = shorter.clone();
        longer.insert(place.min(longer.len()), SCHEMAS[added]);
        let was = ask(&things, Path::Possible(&shorter), &question);
        if !may_go(was) {
            prop_assert!(ask(&things, Path::Possible(&longer), &question).is_some());
            prop_assert!(ask(&things, Path::Unknown, &question).is_some());
        }
        // Where the first relation counts, one that comes before it is another matter.
        let last = longer.len() == place.min(shorter.len()) + 1;
        let was = ask(&things, Path::Known(&shorter), &question);
        if !may_go(was) && (last || matches!(question, Question::Call(..))) {
            prop_assert!(ask(&things, Path::Known(&longer), &question).is_some());
        }
    }

    #[test]
    fn of_relations_the_first_of_the_path_counts(
        things in things(),
        chosen in prop::collection::vec(0..SCHEMAS.len(), 0..4),
        name in 0..RELATIONS.len(),
    ) {
        let schemas = path(&chosen);
        let answers: Vec<_> = chosen
            .iter()
            .map(|schema| ask(&things, Path::Known(&[]), &Question::Relation(Some(*schema), name)))
            .collect();
        let found = answers.iter().find(|reason| **reason != Some(Reason::UnknownRelation));
        let expected = found.copied().unwrap_or(Some(Reason::UnknownRelation));
        let seen = ask(&things, Path::Known(&schemas), &Question::Relation(None, name));
        prop_assert_eq!(seen.is_some(), expected.is_some());
    }

    #[test]
    fn what_is_reached_through_anything_counts(things in things()) {
        let expected = harmless(&things);
        for (place, thing) in things.iter().enumerate() {
            // Under its own schema there may be another one of that name, which counts too.
            let question = match thing {
                Thing::Function { schema, name, arguments, .. } =>
                    Question::Call(Some(*schema), *name, usize::from(*arguments)),
                Thing::Relation { schema, name, .. } => Question::Relation(Some(*schema), *name),
            };
            let reason = ask(&things, Path::Known(&[]), &question);
            if !expected[place] {
                prop_assert!(reason.is_some(), "{thing:?}");
            } else if reason.is_some() {
                let other = things.iter().zip(&expected).any(|(other, good)| !good && shares_name(other, thing));
                prop_assert!(other, "{thing:?}: {reason:?}");
            }
        }
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter(things in things(), seed in 0..u64::MAX, question in question()) {
        let expected = ask(&things, Path::Unknown, &question).is_some();
        let mut rows = catalog(&things);
        // Fisher and Yates by a linear congruence.
        let mut state = seed;
        for last in (1..rows.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            rows.swap(last, usize::try_from(state >> 33).expect("31 bits") % (last + 1));
        }
        let seen = ask_of(&rows, Path::Unknown, &question).is_some();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn rows_of_any_kind_end_in_a_snapshot(
        rows in prop::collection::vec((kind(), text(), text(), text(), text(), text()), 0..8),
    ) {
        let mut builder = Builder::new(7);
        for (kind, number, schema, name, traits, detail) in &rows {
            builder.row(&Row {
                kind,
                number: number.as_deref(),
                schema: schema.as_deref(),
                name: name.as_deref(),
                traits: traits.as_deref(),
                detail: detail.as_deref(),
            });
        }
        let snapshot = builder.finish();
        for name in ["f", "nextval", ""] {
            let named = Named { schema: None, name };
            let call = Call { function: named, arguments: 1, literal: None };
            let verdict = resolve(&snapshot, Path::Unknown, [call], [named]);
            prop_assert!(snapshot.why_unknown().is_none() || verdict != Verdict::Harmless);
        }
    }
}

/// Without what a view reads beyond so many objects.
fn bounded(thing: Thing, count: usize) -> Thing {
    match thing {
        Thing::Relation { schema, name, kind, uses } => {
            let uses = uses.into_iter().filter(|place| *place < count).collect();
            Thing::Relation { schema, name, kind, uses }
        }
        other @ Thing::Function { .. } => other,
    }
}

/// Whether two objects can be meant by one name, under one schema.
fn shares_name(one: &Thing, other: &Thing) -> bool {
    match (one, other) {
        (
            Thing::Function { schema, name, .. },
            Thing::Function { schema: its, name: called, .. },
        )
        | (
            Thing::Relation { schema, name, .. },
            Thing::Relation { schema: its, name: called, .. },
        ) => schema == its && name == called,
        _ => false,
    }
}

fn kind() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "mark",
        "schema",
        "function",
        "relation",
        "function uses",
        "relation uses",
        "policy uses",
        "domain uses",
        "child",
        "operator",
        "cast",
        "domain",
        "excess",
        "other",
    ])
    .prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(
        0.8,
        prop_oneof![
            "[a-z0-9 ]{0,8}",
            "\\PC{0,12}",
            Just("16384".to_owned()),
            Just("s f 1 0 f f sql".to_owned()),
            Just("v p f".to_owned()),
            Just("f1574 r16384 s1,2,3,4,97 ?".to_owned()),
            Just("f".to_owned()),
        ],
    )
}
