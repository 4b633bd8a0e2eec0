//! Prints what scanning costs, in ns per byte and per statement: `cargo run --release -p trunkline-sql --example
//! scan_speed`.
#![allow(clippy::print_stdout, reason = "a program that prints")]
#![allow(clippy::disallowed_methods, reason = "a program that measures time")]
#![allow(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "numbers for people to read"
)]

use std::hint::black_box;
use std::time::Instant;

use trunkline_sql::{Rules, Scanner, scan};

const ROUNDS: u32 = 300_000;

fn main() {
    let long_list = format!("SELECT * FROM t WHERE id IN ({})", vec!["12345"; 500].join(", "));
    let long_text = format!("INSERT INTO t VALUES ('{}')", "x".repeat(4000));
    let texts = [
        ("select 1", "SELECT 1"),
        ("begin", "BEGIN"),
        ("pgbench -S", "SELECT abalance FROM pgbench_accounts WHERE aid = 90221;"),
        ("pgbench update", "UPDATE pgbench_tellers SET tbalance = tbalance + -3455 WHERE tid = 7;"),
        (
            "pgbench insert",
            "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (7, 1, 90221, -3455, CURRENT_TIMESTAMP);",
        ),
        (
            "orm select",
            "SELECT \"users\".\"id\", \"users\".\"name\", \"users\".\"email\", COUNT(\"orders\".\"id\") AS \"n\" FROM \
             \"users\" LEFT OUTER JOIN \"orders\" ON (\"users\".\"id\" = \"orders\".\"user_id\") WHERE \
             (\"users\".\"active\" AND UPPER(\"users\".\"name\"::text) LIKE UPPER('%a%')) GROUP BY \"users\".\"id\" \
             ORDER BY \"users\".\"name\" ASC LIMIT 21",
        ),
        ("set", "SET application_name = 'x'"),
        ("500 numbers", long_list.as_str()),
        ("4 kB string", long_text.as_str()),
    ];
    for (name, text) in texts {
        let rounds = ROUNDS / u32::try_from(text.len() / 64 + 1).unwrap_or(1);
        let whole =
            time(rounds, || scan(black_box(text.as_bytes()), Rules::default()).statements());
        let pieces = time(rounds, || {
            let mut scanner = Scanner::new(Rules::default());
            black_box(text.as_bytes()).chunks(1024).for_each(|piece| scanner.feed(piece));
            scanner.finish().statements()
        });
        let bytes = text.len() as f64;
        println!(
            "{name:16} {bytes:6} bytes  {whole:8.1} ns  {:6.2} ns/byte  in pieces {:6.2} ns/byte",
            whole / bytes,
            pieces / bytes
        );
    }
}

/// Nanoseconds of one call, the best of five runs.
fn time(rounds: u32, call: impl Fn() -> usize) -> f64 {
    let run = || {
        let start = Instant::now();
        for _ in 0..rounds {
            black_box(call());
        }
        start.elapsed().as_nanos() as f64 / f64::from(rounds)
    };
    (0..5).map(|_| run()).fold(f64::INFINITY, f64::min)
}
