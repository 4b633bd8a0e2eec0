//! Messages in any order, right and wrong ones mixed, are answered as by PostgreSQL, and leave nothing behind.

mod common;

use std::fmt::Write as _;

use bytes::Bytes;
use common::{DATABASE, PASSWORD, Scene, ensure, one, run};
use trunkline_testkit::peer::{Frame, RawClient, say};
use trunkline_testkit::{Error, Result};

/// Asks for another number of conversations than [`CONVERSATIONS`].
const CONVERSATIONS_VARIABLE: &str = "TRUNKLINE_TEST_DISORDER";

/// Conversations that are played unless the variable says otherwise.
const CONVERSATIONS: u64 = 250;

/// Messages of one conversation.
const LENGTH_MAX: u64 = 12;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        usize::try_from((self.0 >> 33) % limit).expect("a small number")
    }
}

fn raw(tag: u8, body: &[u8]) -> Bytes {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    [&[tag][..], &length.to_be_bytes(), body].concat().into()
}

/// What a conversation is made of. Those that come first come more often.
fn messages() -> Vec<(&'static str, Bytes)> {
    vec![
        ("sync", say::sync()),
        ("flush", say::flush()),
        ("parse", say::parse("", "SELECT $1::int", &[])),
        ("parse s", say::parse("s", "SELECT $1::text", &[])),
        ("bind", say::bind("", "", &[Some("1")])),
        ("bind s", say::bind("", "s", &[Some("one")])),
        ("execute", say::execute("", 0)),
        ("select", say::query("SELECT 1")),
        ("begin", say::query("BEGIN")),
        ("commit", say::query("COMMIT")),
        ("bind p s", say::bind("p", "s", &[Some("two")])),
        ("execute p", say::execute("p", 1)),
        ("describe", say::describe_portal("")),
        ("describe s", say::describe_statement("s")),
        ("close s", say::close_statement("s")),
        ("close", say::close_statement("")),
        ("close p", say::close_portal("p")),
        ("parse t", say::parse("t", "BEGIN", &[])),
        ("bind t", say::bind("", "t", &[])),
        ("rollback", say::query("ROLLBACK")),
        ("fail", say::query("SELECT 1/0")),
        ("many", say::query("SELECT 1; SELECT 2/0; SELECT 3")),
        ("parse wrong", say::parse("w", "SELEC", &[])),
        ("bind wrong", say::bind("", "s", &[])),
        ("not a number", say::bind("", "", &[Some("x")])),
        ("half a bind", raw(b'B', b"\0\0\0\x05\0\0")),
        ("half a parse", raw(b'P', b"name\0SELECT 1")),
        ("flush with a body", raw(b'H', b"x")),
        ("sync with a body", raw(b'S', b"x")),
        ("copy out", say::query("COPY (SELECT 1) TO STDOUT")),
        ("call of nothing", raw(b'F', b"\0\0\0\0\0\0\0\0\0\0")),
        ("data", say::copy_data(b"1\n")),
        ("done", say::copy_done()),
        ("fail copy", say::copy_fail("why")),
        ("unknown", raw(b'~', b"")),
        ("goodbye", say::terminate()),
    ]
}

/// Messages that may come while data is expected.
fn messages_of_copy() -> Vec<(&'static str, Bytes)> {
    let short = Bytes::from_static(b"d\0\0\0\x03");
    vec![
        ("data", say::copy_data(b"1\n")),
        ("sync", say::sync()),
        ("wrong data", say::copy_data(b"one\n")),
        ("sync", say::sync()),
        ("flush", say::flush()),
        ("done", say::copy_done()),
        ("select", say::query("SELECT 1")),
        ("fail", say::copy_fail("why")),
        ("parse s", say::parse("s", "SELECT $1::text", &[])),
        ("close s", say::close_statement("s")),
        ("parse", say::parse("", "SELECT 2", &[])),
        ("describe s", say::describe_statement("s")),
        ("execute", say::execute("", 0)),
        ("copy", say::query("COPY taken FROM STDIN")),
        ("copies", say::query("COPY taken FROM STDIN; COPY taken FROM STDIN; SELECT 3")),
        ("begin", say::query("BEGIN")),
        ("unknown", raw(b'~', b"")),
        ("a bad length", short),
        ("goodbye", say::terminate()),
    ]
}

/// A few of these messages. The ones that come first in the list come more often.
fn some_of(all: &[(&'static str, Bytes)], dice: &mut Dice) -> Vec<(&'static str, Bytes)> {
    let count = u64::try_from(all.len()).expect("a few messages");
    (0..=dice.below(LENGTH_MAX))
        .filter_map(|_| all.get(dice.below(count).min(dice.below(count))).cloned())
        .collect()
}

/// How a conversation is sent.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// All of it in one write.
    Pipelined,
    /// What follows an answer that is due waits for it.
    InTurn,
    /// After the answer to a COPY from the client, begun in the simple protocol or the extended one, the rest in one
    /// write.
    InCopy { simple: bool },
    /// The same, all of it in one write.
    WithCopy { simple: bool },
}

/// An answer without more, whatever state the session is in: it tells that all before it is answered.
fn mark() -> Bytes {
    [say::sync(), say::query("")].concat().into()
}

/// What is heard: tags, statuses and SQLSTATEs.
struct Heard<'a> {
    client: &'a mut RawClient,
    told: String,
}

impl Heard<'_> {
    /// Reads up to a message of which `is_last` holds; false when the server has closed.
    async fn until(&mut self, is_last: impl Fn(&Frame) -> bool) -> Result<bool> {
        loop {
            let frame = match self.client.read().await {
                Ok(frame) => frame,
                Err(error) if is_end(&error) => {
                    self.told.push_str("end");
                    return Ok(false);
                }
                Err(error) => return Err(error.context(self.told.clone())),
            };
            let status = frame.status().filter(|_| frame.tag == b'Z');
            let status = status.map(String::from).unwrap_or_default();
            let message = if frame.tag == b'E' { frame.fields().remove(&'M') } else { None };
            let message = message.unwrap_or_default();
            write!(self.told, "{}{}{message}{status} ", char::from(frame.tag), frame.sqlstate())?;
            if is_last(&frame) {
                return Ok(true);
            }
        }
    }
}

fn is_end(error: &Error) -> bool {
    let told = format!("{error:#}");
    ["clos", "reset", "pipe"].iter().any(|word| told.contains(word))
}

/// Plays a conversation and a last query.
async fn answers(
    client: &mut RawClient,
    pace: Pace,
    messages: &[(&'static str, Bytes)],
) -> Result<String> {
    let mut heard = Heard { client, told: String::new() };
    let mut ahead = Vec::new();
    if let Pace::InCopy { simple } | Pace::WithCopy { simple } = pace {
        let sql = "COPY taken FROM STDIN";
        // Its Sync is ignored.
        ahead = if simple { say::query(sql) } else { say::extended(sql, &[]) }.to_vec();
    }
    if let Pace::InCopy { .. } = pace {
        heard.client.send(&std::mem::take(&mut ahead)).await?;
        heard.until(|frame| frame.tag == b'G').await?;
    }
    for (name, bytes) in messages {
        ahead.extend_from_slice(bytes);
        if matches!(pace, Pace::InTurn) && ENDS.contains(name) {
            ahead.extend_from_slice(&mark());
            heard.client.send(&std::mem::take(&mut ahead)).await?;
            let marked = heard.until(|frame| frame.tag == b'I').await?;
            if !marked || !heard.until(|frame| frame.tag == b'Z').await? {
                return Ok(heard.told);
            }
        }
    }
    let copies = matches!(pace, Pace::InCopy { .. } | Pace::WithCopy { .. });
    let end = if copies { [say::copy_done(), say::copy_done()].concat() } else { Vec::new() };
    // Not in one text: PostgreSQL 18 fails in a ROLLBACK with more behind it that meets an implicit block (XX000).
    let last = [say::query("ROLLBACK"), say::query("SELECT 'last'")].concat();
    let last = [&ahead[..], &end, &say::sync(), &last].concat();
    if let Err(error) = heard.client.send(&last).await
        && !is_end(&error)
    {
        return Err(error);
    }
    let is_last = |frame: &Frame| {
        frame.tag == b'D' && frame.row().is_ok_and(|row| row == [Some("last".to_owned())])
    };
    heard.until(is_last).await?;
    Ok(heard.told)
}

/// Messages behind which an answer is due, or the end.
const ENDS: [&str; 11] = [
    "sync",
    "sync with a body",
    "select",
    "begin",
    "commit",
    "rollback",
    "fail",
    "many",
    "copy out",
    "call of nothing",
    "goodbye",
];

/// PostgreSQL keeps to itself, when it closes without a word, what it was not asked to flush. Trunkline asks for it, to
/// know when all is done, and passes it on.
fn is_same(wanted: &str, got: &str) -> bool {
    match (wanted.strip_suffix("end"), got.strip_suffix("end")) {
        (Some(wanted), Some(got)) => got.starts_with(wanted),
        _ => wanted == got,
    }
}

/// Plays conversations with the server itself and through the scene, and compares.
async fn compare(
    scene: &Scene<'_>,
    seed: u64,
    pace: Pace,
    all: &[(&'static str, Bytes)],
) -> Result<()> {
    let count = std::env::var(CONVERSATIONS_VARIABLE).ok().and_then(|count| count.parse().ok());
    let mut dice = Dice(seed);
    let mut differences = String::new();
    let mut other = scene.raw().await?;
    for _ in 0..count.unwrap_or(CONVERSATIONS) {
        let messages = some_of(all, &mut dice);
        let direct = scene.node.address();
        let mut direct = RawClient::logged_in(direct, &scene.user, PASSWORD, DATABASE).await?;
        let wanted = answers(&mut direct, pace, &messages).await?;
        let mut client = scene.raw().await?;
        let got = answers(&mut client, pace, &messages).await;
        let got = got.unwrap_or_else(|error| format!("{error:#}"));
        let names: Vec<&str> = messages.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        if !is_same(&wanted, &got) {
            writeln!(differences, "{names}\n  directly {wanted}\n  through  {got}")?;
        }
        drop(client);
        assert_eq!(one(&mut other, "SELECT 6 * 7").await?, "42", "after {names}");
    }
    ensure(differences.is_empty(), format!("\n{differences}"))
}

#[tokio::test]
async fn disorder_is_answered_as_by_postgresql() -> Result<()> {
    let scene = Scene::calm("disorderly", "[pool]\nsize = 2").await?;
    compare(&scene, 1, Pace::InTurn, &messages()).await
}

#[tokio::test]
async fn a_conversation_that_is_cut_anywhere_is_answered_as_by_postgresql() -> Result<()> {
    let scene = Scene::calm("cut", "[pool]\nsize = 2").await?;
    let mut other = scene.raw().await?;
    run(&mut other, "CREATE TABLE kept (i int)").await?;
    let whole = [
        say::query("SELECT 1"),
        say::parse("s", "SELECT $1::int", &[]),
        say::bind("", "s", &[Some("2")]),
        say::execute("", 0),
        say::sync(),
        say::query("BEGIN; INSERT INTO kept VALUES (1)"),
    ];
    let whole = whole.concat();
    for cut in 0..=whole.len() {
        let mut heard = Vec::new();
        for address in [scene.node.address(), scene.trunkline.address()] {
            let mut client = RawClient::logged_in(address, &scene.user, PASSWORD, DATABASE).await?;
            client.send(&whole[..cut]).await?;
            client.finish().await?;
            let mut heard_here = Heard { client: &mut client, told: String::new() };
            heard_here.until(|_| false).await?;
            heard.push(heard_here.told);
        }
        ensure(is_same(&heard[0], &heard[1]), format!("cut at {cut}: {heard:?}"))?;
    }
    assert_eq!(one(&mut other, "SELECT count(*) FROM kept").await?, "0");
    Ok(())
}

#[tokio::test]
async fn pipelined_disorder_is_answered_as_by_postgresql_in_session_mode() -> Result<()> {
    let scene = Scene::calm("sessions", "[pool]\nsize = 2\nmode = \"session\"").await?;
    compare(&scene, 2, Pace::Pipelined, &messages()).await
}

#[tokio::test]
async fn disorder_while_data_is_expected_is_answered_as_by_postgresql() -> Result<()> {
    let scene = Scene::calm("copying", "[pool]\nsize = 2").await?;
    let mut maker = scene.raw().await?;
    run(&mut maker, "CREATE TABLE taken (i int)").await?;
    for (seed, simple) in [(3, true), (4, false)] {
        compare(&scene, seed, Pace::InCopy { simple }, &messages_of_copy()).await?;
        compare(&scene, seed, Pace::WithCopy { simple }, &messages_of_copy()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn pipelined_disorder_is_answered_as_by_postgresql_in_transaction_mode() -> Result<()> {
    let scene = Scene::calm("pipelines", "[pool]\nsize = 2").await?;
    compare(&scene, 5, Pace::Pipelined, &messages()).await
}
