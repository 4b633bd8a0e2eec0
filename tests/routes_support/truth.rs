//! What a text does on a primary and on its standby, one beside the other.

use trunkline_testkit::cluster::{Cluster, SUPERUSER, SUPERUSER_PASSWORD};
use trunkline_testkit::peer::{Frame, RawClient, say};
use trunkline_testkit::{Node, Result};

use super::corpus::Case;

/// What makes the rows of a text others each time, or on each server, and why.
pub(crate) const VARYING: [(&str, &str); 10] = [
    ("explain analyze", TIMES),
    ("explain (analyze", TIMES),
    ("select now()", CLOCK),
    ("concat('a', 1, now())", CLOCK),
    ("current_timestamp", CLOCK),
    ("clock_timestamp()", CLOCK),
    ("age(placed_at)", CLOCK),
    ("select random()", CHANCE),
    ("gen_random_uuid()", CHANCE),
    ("from sampled", CHANCE),
];

const TIMES: &str = "it shows how long it took";
const CLOCK: &str = "it shows the time, or the day";
const CHANCE: &str = "its rows are drawn";

/// A text that writes moves the end of the log each time; the server itself only now and then.
const TRIES: usize = 3;

/// What a text could leave behind in an open transaction: where the log ends, the transaction's number, locks other
/// than those of every read, and settings.
const TRACES: &str = "SELECT pg_catalog.pg_current_wal_insert_lsn(), pg_catalog.pg_current_xact_id_if_assigned(),
    (SELECT pg_catalog.string_agg(l.locktype || ' ' || l.mode, ', ') FROM pg_catalog.pg_locks l
      WHERE l.pid = pg_catalog.pg_backend_pid() AND l.mode <> 'AccessShareLock' AND l.locktype <> 'virtualxid'),
    (SELECT pg_catalog.string_agg(s.name || ' = ' || s.setting, chr(10) ORDER BY s.name) FROM pg_catalog.pg_settings s)";

/// A session with each server.
#[derive(Debug)]
pub(crate) struct Pair {
    primary: RawClient,
    standby: RawClient,
}

/// What a text has done.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// The SQLSTATE, if it has failed.
    failed: Option<String>,
    /// All answers but rows, then the rows without their order.
    answers: Vec<String>,
}

impl Pair {
    /// Sessions with the primary and the first standby.
    pub(crate) async fn connect(cluster: &Cluster, database: &str) -> Result<Self> {
        let primary = session(cluster.primary(), database).await?;
        let standby = session(cluster.standby(0)?, database).await?;
        Ok(Self { primary, standby })
    }

    /// Runs a case on both; what is wrong with it is the answer.
    pub(crate) async fn compare(&mut self, case: &Case) -> Result<Option<String>> {
        let path = set_path(case);
        self.primary.rows(&path).await?;
        self.standby.rows(&path).await?;
        let (mut here, mut traces) = traced(&mut self.primary, &case.sql).await?;
        for _ in 1..TRIES {
            if traces.is_none() {
                break;
            }
            (here, traces) = traced(&mut self.primary, &case.sql).await?;
        }
        if traces.is_some() {
            return Ok(traces);
        }
        self.standby.rows("BEGIN").await?;
        let there = outcome(&mut self.standby, &case.sql).await?;
        self.standby.rows("ROLLBACK").await?;
        if here.failed.is_some() && !case.refused {
            return Ok(Some(format!("fails: {here:#?}")));
        }
        let sql = case.sql.to_lowercase();
        let varies = VARYING.iter().any(|(words, _)| sql.contains(words));
        let alike = here.failed == there.failed && (varies || here == there);
        Ok((!alike).then(|| difference(&here, &there)))
    }
}

/// What gives a session the path of a case.
fn set_path(case: &Case) -> String {
    let path = if case.path == "*" { "\"$user\", public" } else { &case.path };
    format!("SELECT pg_catalog.set_config('search_path', '{path}', false)")
}

/// The first thing in which two outcomes differ.
fn difference(here: &Outcome, there: &Outcome) -> String {
    let differs = |(here, there): &(&String, &String)| here != there;
    let first = here.answers.iter().zip(&there.answers).find(differs);
    format!(
        "on the primary: failed {:?}, {} answers\non the standby: failed {:?}, {} answers\n{first:#?}",
        here.failed,
        here.answers.len(),
        there.failed,
        there.answers.len()
    )
}

async fn session(node: &Node, database: &str) -> Result<RawClient> {
    let mut client = RawClient::tcp(node.address()).await?;
    client.login(SUPERUSER, SUPERUSER_PASSWORD, database).await?;
    client.rows("SET app.tenant = 'red'").await?;
    Ok(client)
}

/// Runs a text in a transaction that is rolled back; tells what it would have left behind.
async fn traced(client: &mut RawClient, sql: &str) -> Result<(Outcome, Option<String>)> {
    client.rows("BEGIN").await?;
    let before = client.rows(TRACES).await?;
    let outcome = outcome(client, sql).await?;
    if outcome.failed.is_some() {
        client.rows("ROLLBACK").await?;
        return Ok((outcome, None));
    }
    let after = client.rows(TRACES).await?;
    client.rows("ROLLBACK").await?;
    let left = (before != after).then(|| format!("leaves\n{after:?}\nwhere was\n{before:?}"));
    Ok((outcome, left))
}

/// Runs a text: all at once, or with NULL for each of its parameters.
async fn outcome(client: &mut RawClient, sql: &str) -> Result<Outcome> {
    let parameters = if sql.contains('$') { parameters(client, sql).await? } else { 0 };
    let frames = if parameters == 0 {
        client.query(sql).await?
    } else {
        client.exchange(&say::extended(sql, &vec![None; parameters]), 1).await?
    };
    let mut outcome = Outcome { failed: None, answers: Vec::new() };
    let mut rows = Vec::new();
    for frame in frames.iter().filter(|frame| !frame.is_asynchronous()) {
        match frame.tag {
            b'E' => outcome.failed = Some(frame.sqlstate()),
            b'D' | b'd' => rows.push(whole(frame)),
            b'Z' => {}
            _ => outcome.answers.push(whole(frame)),
        }
    }
    rows.sort();
    outcome.answers.extend(rows);
    Ok(outcome)
}

/// A message with all of its body, for people and for comparing.
fn whole(frame: &Frame) -> String {
    format!("{} {}", char::from(frame.tag), frame.body.escape_ascii())
}

/// How many parameters a text has; none if it is no single statement.
async fn parameters(client: &mut RawClient, sql: &str) -> Result<usize> {
    client.rows("SAVEPOINT looked").await?;
    let asked = [say::parse("", sql, &[]), say::describe_statement(""), say::sync()];
    let frames = client.exchange(&asked.concat(), 1).await?;
    client.rows("ROLLBACK TO looked").await?;
    let told = frames.iter().find(|frame| frame.tag == b't').and_then(|it| it.body.get(..2));
    let told = told.and_then(|count| <[u8; 2]>::try_from(count).ok());
    Ok(told.map_or(0, |count| usize::from(u16::from_be_bytes(count))))
}

/// Whether a node carries a text out, alone or in a transaction.
pub(crate) async fn is_carried_out(node: &Node, database: &str, case: &Case) -> Result<bool> {
    for begin in ["", "BEGIN"] {
        let mut client = session(node, database).await?;
        client.rows(&set_path(case)).await?;
        client.query(begin).await?;
        if is_answered(&mut client, &case.sql).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the answer to a text is no error, and not the end of the session; data to copy are not given.
async fn is_answered(client: &mut RawClient, sql: &str) -> Result<bool> {
    let parameters = if sql.contains('$') { parameters(client, sql).await } else { Ok(0) };
    let Ok(parameters) = parameters else { return Ok(false) };
    if parameters == 0 {
        client.send(&say::query(sql)).await?;
    } else {
        client.send(&say::extended(sql, &vec![None; parameters])).await?;
    }
    let mut answered = true;
    loop {
        let frame = client.read().await?;
        match frame.tag {
            b'E' => answered = false,
            b'G' => client.send(&say::copy_fail("there is nothing")).await?,
            b'Z' => return Ok(answered),
            _ => {}
        }
    }
}
