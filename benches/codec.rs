//! What it costs to find frames, read and rewrite messages, and scan statement text.
//!
//! `cargo bench --bench codec`; the times are for comparisons on one machine in one run.

use bytes::BytesMut;
use divan::{Bencher, black_box};
use trunkline_sql::{Rules, scan};
use trunkline_testkit::peer::say;
use trunkline_wire::frame::Frames;
use trunkline_wire::frontend::{self, Bind, Parse};

/// Statements as drivers and mappers send them.
const TEXTS: [&str; 3] = [
    "SELECT 1",
    "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;",
    "SELECT u.id, u.name, u.email, p.title FROM users AS u INNER JOIN posts AS p ON p.author_id = \
     u.id WHERE u.active = true AND p.published_at > '2024-01-01' AND p.title LIKE '%pooler%' \
     ORDER BY p.published_at DESC, u.id ASC LIMIT 50 OFFSET 100",
];

/// Rows of one burst: what 64 KiB hold of short ones.
const ROWS: usize = 2000;

fn main() {
    divan::main();
}

/// Finding the frames of a burst of short `DataRow` messages, per frame.
#[divan::bench]
fn frames_of_a_burst_of_rows(bencher: Bencher<'_, '_>) {
    let burst: Vec<u8> = row().repeat(ROWS);
    bencher.counter(divan::counter::ItemsCount::new(ROWS)).bench(|| {
        Frames::new(black_box(&burst))
            .filter(|frame| frame.as_ref().is_ok_and(|frame| frame.tag == b'D'))
            .count()
    });
}

/// A `DataRow` with one short column.
fn row() -> Vec<u8> {
    let mut row = vec![b'D'];
    row.extend_from_slice(&14_u32.to_be_bytes());
    row.extend_from_slice(&1_u16.to_be_bytes());
    row.extend_from_slice(&4_u32.to_be_bytes());
    row.extend_from_slice(b"4711");
    row
}

/// Reading a named Parse and writing it under our name.
#[divan::bench]
fn parse_is_rewritten(bencher: Bencher<'_, '_>) {
    let message = say::parse("a_driver_name", TEXTS[1], &[23]);
    let mut out = BytesMut::with_capacity(1024);
    bencher.bench_local(|| {
        out.clear();
        let body = message.get(5..).unwrap_or_default();
        if let Ok(parse) = Parse::parse(black_box(body)) {
            frontend::parse(&mut out, b"trunkline_1", parse.text, parse.types);
        }
        out.len()
    });
}

/// Reading a Bind of a named statement and writing it under our name.
#[divan::bench]
fn bind_is_rewritten(bencher: Bencher<'_, '_>) {
    let message = say::bind("", "a_driver_name", &[Some("4711"), None, Some("text")]);
    let mut out = BytesMut::with_capacity(1024);
    bencher.bench_local(|| {
        out.clear();
        let body = message.get(5..).unwrap_or_default();
        if let Ok(bind) = Bind::parse(black_box(body)) {
            frontend::bind(&mut out, bind.portal, b"trunkline_1", bind.rest);
        }
        out.len()
    });
}

/// Scanning statement text for what it leaves behind, per byte.
#[divan::bench(args = TEXTS)]
fn scan_of_text(bencher: Bencher<'_, '_>, text: &str) {
    bencher
        .counter(divan::counter::BytesCount::new(text.len()))
        .bench(|| scan(black_box(text.as_bytes()), Rules::default()).statements());
}
