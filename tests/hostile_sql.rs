//! Texts that are made to hold up, to overflow or to mislead who reads them: each is answered as PostgreSQL itself answers it,
//! and who shares the loop goes on.
//!
//! `TRUNKLINE_TEST_SEED` is for other texts by chance; `scripts/test --long` has others each time.

mod common;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

use common::{DATABASE, PASSWORD, Scene, one, run};
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{Frame, RawClient, say, tags};
use trunkline_testkit::{Error, Result};

/// One loop serves everybody.
const ONE_LOOP: &str =
    "[general]\nworkers = 1\n[routing]\nmode = \"on\"\n[cluster]\nprobe_interval = \"100ms\"";

/// The variable for other texts, or for the same again.
const SEED: &str = "TRUNKLINE_TEST_SEED";

/// Texts of random bytes, and as many of random words.
const RANDOM: usize = 60;

const MEGABYTE: usize = 1 << 20;

/// Numbers by chance (Knuth's multiplier).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % most
    }
}

/// Texts of which each is built to be one thing many times.
fn built() -> Vec<String> {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("SELECT {}{inner}{} FROM t", open.repeat(depth), close.repeat(depth))
    };
    let list = |bytes: usize| {
        let mut text = "SELECT i FROM t WHERE i IN (1".to_owned();
        while text.len() < bytes {
            let _written = write!(text, ",{}", text.len());
        }
        text + ")"
    };
    let mut all = Vec::new();
    for depth in [40, 500, 100_000] {
        all.push(nested("(", "1", ")", depth));
        all.push(nested("NOT ", "true", "", depth));
        all.push(nested("- ", "1", "", depth));
        all.push(nested("(SELECT ", "1", ")", depth));
        all.push(nested("CASE WHEN true THEN ", "1", " END", depth));
        all.push(nested("ARRAY[", "1", "]", depth));
        all.push(nested("/*", "", "*/", depth.min(1_000)).replace(" FROM", " 1 FROM"));
        all.push(format!("SELECT 1{} FROM t", " + 1".repeat(depth)));
        // PostgreSQL itself takes its time for more.
        all.push(format!("SELECT true{} FROM t", " OR i = 1 AND true".repeat(depth.min(1_000))));
        all.push(format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(depth.min(500))));
        all.push(";".repeat(depth));
        all.push(format!("SELECT 1{}", "::int".repeat(depth)));
    }
    for bytes in [900, 20 << 10, MEGABYTE] {
        all.push(list(bytes));
        all.push(format!("SELECT length('{}') FROM t", "x".repeat(bytes)));
        all.push(format!("SELECT length('{}') FROM t", "''".repeat(bytes / 2)));
        all.push(format!("SELECT length(E'{}') FROM t", "\\\\".repeat(bytes / 2)));
        all.push(format!("SELECT length($a${}$a$) FROM t", "$b$ ".repeat(bytes / 4)));
        all.push(format!("SELECT 1 /*{}*/ FROM t", "/*/**/*/".repeat(bytes.min(9_000) / 8)));
        all.push(format!("SELECT '{} FROM t", "x".repeat(bytes)));
        all.push(format!("SELECT 1 FROM {}", "t,".repeat(bytes / 2)));
        all.push("(".repeat(bytes));
        all.push(format!("SELECT \"{}\" FROM t", "\"\"".repeat(bytes / 2)));
    }
    all
}

/// Texts put together by chance.
fn by_chance(chance: &mut Chance) -> Vec<Vec<u8>> {
    const WORDS: [&str; 36] = [
        "SELECT",
        "FROM",
        "t",
        "i",
        "(",
        ")",
        ",",
        "1",
        "'x'",
        "$$",
        "/*",
        "*/",
        "--",
        "\n",
        ";",
        "WITH",
        "AS",
        "INSERT",
        "INTO",
        "UNION",
        "CASE",
        "WHEN",
        "END",
        "E'\\'",
        "U&'\\0041'",
        "::",
        "[",
        "]",
        "COPY",
        "BEGIN",
        "ATOMIC",
        "\"",
        "'",
        "$1",
        "FOR UPDATE",
        "nextval('s')",
    ];
    let mut all = Vec::new();
    for _ in 0..RANDOM {
        let length = 1 + chance.below(2_000);
        // No byte 0, which would end the text.
        all.push((0..length).map(|_| u8::try_from(1 + chance.below(255)).unwrap_or(1)).collect());
        let mut word = || WORDS.get(chance.below(WORDS.len())).copied().unwrap_or_default();
        let words: Vec<_> = (0..length / 8).map(|_| word()).collect();
        all.push(words.join(" ").into_bytes());
    }
    all
}

fn query(text: &[u8]) -> Vec<u8> {
    message(b'Q', &[text, b"\0"].concat())
}

/// The text, parsed, described, and nothing more.
fn parse(text: &[u8]) -> Vec<u8> {
    let parse = message(b'P', &[b"\0", text, b"\0\0\0"].concat());
    [&parse[..], &say::describe_statement(""), &say::sync()].concat()
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("it is no longer than a message may be");
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// What has been answered: the messages, and what the errors are.
fn answered(frames: &[Frame]) -> String {
    let codes = frames.iter().filter(|frame| frame.tag == b'E').map(Frame::sqlstate);
    format!("{} {}", tags(frames), codes.collect::<Vec<_>>().join(" "))
}

/// Tells whoever runs the tests, also when they pass: not `println!`, which the harness keeps to itself.
fn tell(line: &str) {
    let _ignored = writeln!(std::io::stderr(), "{line}");
}

async fn answer(client: &mut RawClient, message: &[u8]) -> Result<String> {
    let frames = client.exchange(message, 1).await?;
    let answered = answered(&frames);
    // One that begins a transaction does not hinder the next.
    if frames.last().and_then(Frame::status) != Some('I') {
        client.query("ROLLBACK").await?;
    }
    Ok(answered)
}

#[tokio::test]
async fn whatever_is_asked_is_answered_as_by_postgresql_and_the_loop_goes_on() -> Result<()> {
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed.parse().map_err(|_| Error::msg(format!("{SEED} is no number")))?,
        Err(_) => 1,
    };
    tell(&format!("hostile_sql: {SEED}={seed}"));
    let cluster = Cluster::builder().standbys(1).setting("max_connections", 60).start().await?;
    let scene = Scene::operated_before(&cluster, "hostile", ONE_LOOP).await?;
    let mut bystander = scene.raw().await?;
    run(&mut bystander, "CREATE TABLE t AS SELECT 1 AS i; CREATE SEQUENCE s").await?;
    cluster.caught_up().await?;
    let mut client = scene.raw().await?;
    let primary = SocketAddr::from(([127, 0, 0, 1], cluster.primary().port()));
    let mut direct = RawClient::logged_in(primary, "hostile", PASSWORD, DATABASE).await?;
    let built = built().into_iter().map(String::into_bytes);
    for text in built.chain(by_chance(&mut Chance(seed))) {
        let begins = String::from_utf8_lossy(&text[..text.len().min(60)]).into_owned();
        for message in [query(&text), parse(&text)] {
            let expected = answer(&mut direct, &message).await?;
            // As a text that nobody knows, and as one that has been judged.
            for _ in 0..2 {
                let found = answer(&mut client, &message).await?;
                assert_eq!(found, expected, "{} bytes: {begins}", text.len());
            }
        }
        assert_eq!(one(&mut bystander, "SELECT i FROM t").await?, "1", "{begins}");
    }
    Ok(())
}
