//! Queries made by chance, whose relations and calls are known because they were put in; and texts of one shape.

use std::collections::BTreeMap;

use proptest::prelude::*;
use trunkline_sql::access::{Access, Class, Secret, access, shape};
use trunkline_sql::{Rules, fuzz};

/// A piece of a query, and the relations and calls in it, in the order of the text.
#[derive(Clone, Debug, Default)]
struct Piece {
    text: String,
    relations: Vec<String>,
    calls: Vec<String>,
}

impl Piece {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// One piece behind the other.
    fn then(mut self, other: &Self) -> Self {
        self.text.push_str(&other.text);
        self.relations.extend_from_slice(&other.relations);
        self.calls.extend_from_slice(&other.calls);
        self
    }

    fn text(self, text: &str) -> Self {
        self.then(&Self::new(text))
    }

    fn joined(pieces: &[Self], between: &str) -> Self {
        let mut all = Self::default();
        for (number, piece) in pieces.iter().enumerate() {
            if number > 0 {
                all = all.text(between);
            }
            all = all.then(piece);
        }
        all
    }
}

/// Names of relations and functions, as they are written and as they are meant.
const NAMES: [(&str, &str); 7] = [
    ("t", "t"),
    ("Orders", "orders"),
    ("\"Mixed Case\"", "Mixed Case"),
    ("app.t", "app.t"),
    ("\"S\".\"select\"", "S.select"),
    ("format", "format"),
    ("größe", "größe"),
];

const ATOMS: [&str; 22] = [
    "1",
    "'a'",
    "E'\\''",
    "$1",
    "a",
    "t.a",
    "\"from\"",
    "NULL",
    "1.5e-3",
    ".5",
    "$$ from x() $$",
    "'1'::int",
    "current_date",
    "interval '1 day'",
    "date '2020-01-01'",
    "(a).b",
    "a[1]",
    "ARRAY[1, 2]",
    "x::numeric(1, 2)",
    "/* FROM y */ 1",
    "'for update'",
    "U&'\\0041'",
];

const OPERATORS: [&str; 16] = [
    " + ",
    "*",
    " AND ",
    " OR ",
    "||",
    " = ",
    " <> ",
    "->>",
    " @> ",
    " ~* ",
    " LIKE ",
    " IS DISTINCT FROM ",
    "-",
    " OPERATOR(pg_catalog.+) ",
    " BETWEEN 1 AND ",
    " NOT ILIKE ",
];

fn name() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(&NAMES[..])
}

fn expression(query: BoxedStrategy<Piece>) -> BoxedStrategy<Piece> {
    let leaf = prop::sample::select(&ATOMS[..]).prop_map(Piece::new);
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            (name(), list.clone()).prop_map(|((written, meant), arguments)| {
                let mut call = Piece::new(format!("{written}("));
                call.calls.push(format!("{meant}/{}", arguments.len()));
                call.then(&Piece::joined(&arguments, ", ")).text(")")
            }),
            (inner.clone(), prop::sample::select(&OPERATORS[..]), inner.clone())
                .prop_map(|(left, operator, right)| left.text(operator).then(&right)),
            inner.clone().prop_map(|it| Piece::new("(").then(&it).text(")")),
            inner
                .clone()
                .prop_map(|it| Piece::new("CAST(").then(&it).text(" AS double precision)")),
            inner.clone().prop_map(|it| Piece::new("extract(year FROM ").then(&it).text(")")),
            inner.clone().prop_map(|it| Piece::new("trim(both 'x' from ").then(&it).text(")")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| {
                Piece::new("CASE WHEN ").then(&one).text(" THEN ").then(&other).text(" END")
            }),
            (inner.clone(), list).prop_map(|(one, list)| {
                let list =
                    if list.is_empty() { Piece::new("1") } else { Piece::joined(&list, ",") };
                Piece::new("(").then(&one).text(") IN (").then(&list).text(")")
            }),
            query.clone().prop_map(|it| Piece::new("(").then(&it).text(")")),
            query.clone().prop_map(|it| Piece::new("EXISTS (").then(&it).text(")")),
            (inner, query.clone()).prop_map(|(one, query)| {
                Piece::new("(").then(&one).text(") = ANY (").then(&query).text(")")
            }),
        ]
    })
    .boxed()
}

fn relation() -> BoxedStrategy<Piece> {
    name()
        .prop_map(|(written, meant)| {
            let relations = vec![meant.to_owned()];
            Piece { text: written.to_owned(), relations, ..Piece::default() }
        })
        .boxed()
}

fn select(query: BoxedStrategy<Piece>) -> BoxedStrategy<Piece> {
    let item = prop_oneof![
        3 => relation(),
        1 => relation().prop_map(|it| Piece::new("ONLY ").then(&it).text(" AS x")),
        1 => relation().prop_map(|it| it.text(" settings")),
        1 => query.clone().prop_map(|it| Piece::new("(").then(&it).text(") y")),
        1 => query.clone().prop_map(|it| Piece::new("LATERAL (").then(&it).text(") AS z(a, b)")),
        1 => Just(Piece { calls: vec!["generate_series/2".to_owned()], ..Piece::new("generate_series(1, 2) AS g(i)") }),
    ];
    let from =
        (item.clone(), prop::collection::vec((0..3_usize, item, expression(query.clone())), 0..3));
    let from = from.prop_map(|(first, joins)| {
        joins.into_iter().fold(first, |from, (kind, item, on)| match kind {
            0 => from.text(", ").then(&item),
            1 => from.text(" CROSS JOIN ").then(&item),
            _ => from.text(" LEFT JOIN ").then(&item).text(" ON ").then(&on),
        })
    });
    let expression = expression(query);
    (
        prop::collection::vec(expression.clone(), 1..3),
        prop::option::of(from),
        prop::option::of(expression.clone()),
        prop::option::of(expression),
    )
        .prop_map(|(list, from, filter, order)| {
            let mut select = Piece::new("SELECT ").then(&Piece::joined(&list, ", "));
            for (word, piece) in [(" FROM ", from), (" WHERE ", filter), (" ORDER BY ", order)] {
                if let Some(piece) = piece {
                    select = select.text(word).then(&piece);
                }
            }
            select
        })
        .boxed()
}

fn query(depth: usize) -> BoxedStrategy<Piece> {
    if depth == 0 {
        return prop_oneof![
            Just(Piece::new("SELECT 1")),
            relation().prop_map(|it| Piece::new("TABLE ").then(&it)),
            Just(Piece::new("VALUES (1), (2)")),
        ]
        .boxed();
    }
    let inner = query(depth - 1);
    prop_oneof![
        4 => select(inner.clone()),
        1 => (inner.clone(), inner.clone())
            .prop_map(|(one, other)| Piece::new("(").then(&one).text(") UNION ALL (").then(&other).text(")")),
        1 => (inner.clone(), inner).prop_map(|(one, other)| {
            // No relation is called so, nor is anything else.
            Piece::new("WITH cte AS (").then(&one).text(") SELECT * FROM cte, (").then(&other).text(") w")
        }),
    ]
    .boxed()
}

fn unique(names: &[String]) -> Vec<String> {
    let mut unique = Vec::new();
    for name in names {
        if !unique.contains(name) {
            unique.push(name.clone());
        }
    }
    unique
}

fn named(access: &Access) -> (Vec<String>, Vec<String>) {
    let dotted = |schema: Option<String>, name: String| {
        schema.iter().chain([&name]).cloned().collect::<Vec<_>>().join(".")
    };
    let relations = access
        .relations
        .iter()
        .map(|it| dotted(it.schema.as_ref().map(ToString::to_string), it.name.to_string()));
    let calls = access.calls.iter().map(|it| {
        let name = dotted(it.schema.as_ref().map(ToString::to_string), it.name.to_string());
        format!("{name}/{}", it.arguments)
    });
    (relations.collect(), calls.collect())
}

/// `PROPTEST_CASES` asks for more than usual.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(400), ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_put_in_is_found_and_nothing_else(piece in query(2)) {
        let access = access(piece.text.as_bytes(), Rules::default());
        prop_assert_eq!(access.class, Class::Read, "{}", piece.text);
        let (relations, calls) = named(&access);
        prop_assert_eq!(relations, unique(&piece.relations), "{}", piece.text);
        prop_assert_eq!(calls, unique(&piece.calls), "{}", piece.text);
    }

    #[test]
    fn a_write_put_in_anywhere_is_seen(piece in query(2), place in any::<prop::sample::Index>(), kind in 0..4_usize) {
        // Wherever a query stands in parentheses, another may stand.
        let places: Vec<_> = piece.text.match_indices("(SELECT ").map(|(at, _)| at).collect();
        prop_assume!(!places.is_empty());
        let (before, behind) = piece.text.split_at(places[place.index(places.len())] + 1);
        let put = [
            "WITH u AS (DELETE FROM t RETURNING 1) ",
            "WITH u AS MATERIALIZED (INSERT INTO t VALUES (1) RETURNING 1), v AS (SELECT 1) ",
            "WITH u AS (WITH v AS (SELECT 1) UPDATE ONLY t SET a = 1 RETURNING 1) ",
            "SELECT 1 FROM t FOR NO KEY UPDATE) UNION (",
        ][kind];
        let text = format!("{before}{put}{behind}");
        let class = access(text.as_bytes(), Rules::default()).class;
        prop_assert!(matches!(class, Class::WritingCte | Class::RowLock | Class::NotUnderstood), "{class:?}: {text}");
    }

    #[test]
    fn white_space_comments_and_constants_change_neither_shape_nor_names(piece in query(2), number in 2..9_usize) {
        let secret = Secret::new([9; 16]);
        let other = piece.text
            .replace(" FROM ", "\n/* from x */from--y\n")
            .replace(", ", ",")
            .replace("'a'", "'b''c'")
            .replace("1.5e-3", &number.to_string())
            .replace("WHERE", "where");
        let rules = Rules::default();
        let (one, two) = (shape(piece.text.as_bytes(), rules, &secret), shape(other.as_bytes(), rules, &secret));
        // Behind a constant the other one is in a hurry to stop before a comment.
        if one.is_some() && two.is_some() {
            prop_assert_eq!(one, two, "{} / {}", piece.text, other);
        }
        let (one, two) = (access(piece.text.as_bytes(), rules), access(other.as_bytes(), rules));
        prop_assert_eq!(one, two, "{} / {}", piece.text, other);
    }

    #[test]
    fn no_bytes_are_too_strange(data in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz::access(&data);
    }
}

/// Scraps whose neighbourhood matters for a shape.
const SCRAPS: [&str; 30] = [
    "1", "2.", ".5", "e5", "e-5", "'a'", "'b'", "''", "a", "A", "t", "\"a\"", "\"t\"", "$1", "$2",
    "(", ")", ",", " ", "-", "--\n", "/**/", "in", "in(", " from ", "f(", "::", ":", "regclass",
    ";",
];

#[test]
fn texts_of_one_shape_are_judged_alike() {
    let secret = Secret::new([9; 16]);
    let mut shapes: BTreeMap<_, (String, Access)> = BTreeMap::new();
    let (mut texts, mut alike) = (0, 0);
    for number in 0..SCRAPS.len().pow(3) {
        let scrap = |place: u32| SCRAPS[number / SCRAPS.len().pow(place) % SCRAPS.len()];
        for before in ["select ", "select a from t", "select f(a in (1,"] {
            let text = format!("{before}{}{}{}", scrap(0), scrap(1), scrap(2));
            let Some(shape) = shape(text.as_bytes(), Rules::default(), &secret) else { continue };
            texts += 1;
            let judged = access(text.as_bytes(), Rules::default());
            if let Some((first, known)) = shapes.get(&shape) {
                alike += 1;
                assert_eq!(judged.depends_on_literal, known.depends_on_literal, "{first} / {text}");
                assert!(
                    judged.depends_on_literal || judged == *known,
                    "{first} / {text}\n{known:?}\n{judged:?}"
                );
            } else {
                shapes.insert(shape, (text, judged));
            }
        }
    }
    assert!(texts > 50_000 && alike > 10_000, "{texts} texts, {alike} alike");
}
