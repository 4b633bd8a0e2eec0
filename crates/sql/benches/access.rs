//! What it costs to know what a text reads, writes and calls: known byte for byte, known by its shape, and judged.
//!
//! `cargo bench -p trunkline-sql --bench access`; the times are for comparisons on one machine in one run.

use divan::{Bencher, black_box};
use trunkline_sql::access::cache::{Cache, Found, Key, Limits};
use trunkline_sql::access::{QUICK, Secret, access, shape};
use trunkline_sql::{Rules, scan};

/// Statements as drivers and mappers send them, each with a text of the same shape.
const TEXTS: [(&str, &str); 4] = [
    ("SELECT 1", "SELECT 2"),
    (
        "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;",
        "SELECT abalance FROM pgbench_accounts WHERE aid = 90221;",
    ),
    (
        "SELECT \"t\".\"id\", \"t\".\"name\" FROM \"t\" WHERE \"t\".\"id\" IN (1, 2, 3) LIMIT 21",
        "SELECT \"t\".\"id\", \"t\".\"name\" FROM \"t\" WHERE \"t\".\"id\" IN (7, 8, 9, 10) LIMIT 1",
    ),
    (
        "SELECT u.id, u.name, u.email, p.title FROM users AS u INNER JOIN posts AS p ON p.author_id = \
         u.id WHERE u.active = true AND p.published_at > '2024-01-01' AND p.title LIKE '%pooler%' \
         ORDER BY p.published_at DESC, u.id ASC LIMIT 50 OFFSET 100",
        "SELECT u.id, u.name, u.email, p.title FROM users AS u INNER JOIN posts AS p ON p.author_id = \
         u.id WHERE u.active = true AND p.published_at > '2025-02-02' AND p.title LIKE '%router%' \
         ORDER BY p.published_at DESC, u.id ASC LIMIT 10 OFFSET 0",
    ),
];

/// By their numbers in [`TEXTS`].
const NUMBERS: [usize; 4] = [0, 1, 2, 3];

/// What values are kept for.
const KEY: Key = Key { generation: 1, path: 1 };

fn main() {
    divan::main();
}

fn texts(number: usize) -> (&'static [u8], &'static [u8]) {
    TEXTS.get(number).map(|(one, other)| (one.as_bytes(), other.as_bytes())).unwrap_or_default()
}

/// A cache that knows the first of two texts, and some others.
fn cache(number: usize) -> Cache<u64> {
    let mut cache = Cache::new(Limits::default(), &Secret::new([5; 16]));
    for other in 0..500 {
        cache.entry(format!("SELECT a{other} FROM t{other}").as_bytes(), Rules::default());
    }
    cache.entry(texts(number).0, Rules::default()).0.keep(KEY, 1);
    cache
}

/// A look-up with the value that was kept for a generation and a path.
fn look_up(bencher: Bencher<'_, '_>, number: usize, text: &'static [u8], expected: Found) {
    let mut cache = cache(number);
    assert_eq!(cache.entry(text, Rules::default()).1, expected);
    bencher.bench_local(|| {
        let (entry, _) = cache.entry(black_box(text), black_box(Rules::default()));
        entry.value(black_box(KEY)).copied()
    });
}

#[divan::bench(args = NUMBERS)]
fn the_same_text(bencher: Bencher<'_, '_>, number: usize) {
    look_up(bencher, number, texts(number).0, Found::Text);
}

#[divan::bench(args = NUMBERS)]
fn a_text_of_the_same_shape(bencher: Bencher<'_, '_>, number: usize) {
    look_up(bencher, number, texts(number).1, Found::Shape);
}

/// A text that is judged by the path: what it is under any path is asked first, then what it is under this one.
#[divan::bench(args = NUMBERS)]
fn the_same_text_under_a_path(bencher: Bencher<'_, '_>, number: usize) {
    let (mut cache, text) = (cache(number), texts(number).0);
    let paths = [3, 2].map(|path| Key { path, ..KEY });
    for path in paths {
        cache.entry(text, Rules::default()).0.keep(path, 2);
    }
    bencher.bench_local(|| {
        let (entry, _) = cache.entry(black_box(text), black_box(Rules::default()));
        let anywhere = entry.value(black_box(KEY)).copied();
        anywhere.and_then(|_| entry.value(black_box(paths[1])).copied())
    });
}

#[divan::bench(args = NUMBERS)]
fn shape_as_a_number(bencher: Bencher<'_, '_>, number: usize) {
    let secret = Secret::new([5; 16]);
    bencher.bench_local(|| shape(black_box(texts(number).0), Rules::default(), &secret));
}

#[divan::bench(args = NUMBERS)]
fn judged(bencher: Bencher<'_, '_>, number: usize) {
    bencher.bench_local(|| access(black_box(texts(number).0), Rules::default()));
}

/// Texts as long as a loop judges them itself, made so that it takes long.
const HOSTILE: [&str; 8] = ["(", "NOT ", "- ", "(SELECT ", "CASE WHEN ", "1 + ", "f(", "i IN (1, "];

/// None may hold up the loop for a millisecond.
#[divan::bench(args = HOSTILE)]
fn judged_at_a_loop(bencher: Bencher<'_, '_>, piece: &str) {
    let text = format!("SELECT {}1", piece.repeat(QUICK / piece.len()));
    let text = text.get(..QUICK).unwrap_or(&text).as_bytes();
    bencher.bench_local(|| access(black_box(text), Rules::default()));
}

/// For comparison: what the session is told of a text.
#[divan::bench(args = NUMBERS)]
fn scanned(bencher: Bencher<'_, '_>, number: usize) {
    bencher.bench_local(|| scan(black_box(texts(number).0), Rules::default()).statements());
}
