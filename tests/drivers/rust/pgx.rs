//! The messages that Go's pgx 5 sends with its default settings: statements are prepared under names that are made of
//! their texts, and batches are pipelines, in which all new statements are described before they are used.

use std::collections::BTreeSet;

use anyhow::ensure;
use trunkline_testkit::Result;
use trunkline_testkit::peer::{Frame, RawClient, say, tags};

use crate::common::Seesaw;
use crate::program::Place;

/// Connections of the pool: more than there are servers.
const CROWD: usize = 8;

/// How often each of them is at work: twice on each server.
const ROUNDS: usize = 6;

/// A statement of the cache: its name, and how many rows it gives for one parameter.
struct Cached {
    name: String,
    text: String,
}

/// One connection, with the statements that it has prepared.
struct Connection {
    client: RawClient,
    cached: Vec<Cached>,
    /// The servers on which it has been.
    servers: BTreeSet<String>,
}

impl Connection {
    async fn open(place: &Place) -> Result<Self> {
        let address = ([127, 0, 0, 1], place.port).into();
        let mut client = RawClient::tcp(address).await?;
        client.login(place.user, place.password, &place.database).await?;
        Ok(Self { client, cached: Vec::new(), servers: BTreeSet::new() })
    }

    /// The name in the cache; new ones are to be prepared.
    fn name(&mut self, text: &str) -> (String, bool) {
        if let Some(known) = self.cached.iter().find(|known| known.text == text) {
            return (known.name.clone(), false);
        }
        let digest = text.bytes().fold(17_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
        let name = format!("stmtcache_{digest:016x}");
        self.cached.push(Cached { name: name.clone(), text: text.to_owned() });
        (name, true)
    }

    /// `Conn.Query`: a new statement is described first, in a round trip of its own.
    async fn query(&mut self, text: &str, value: &str) -> Result<Vec<Frame>> {
        let (name, new) = self.name(text);
        if new {
            let prepare =
                [say::parse(&name, text, &[]), say::describe_statement(&name), say::sync()];
            let said = self.client.exchange(&prepare.concat(), 1).await?;
            ensure!(tags(&said) == "1tTZ", "{said:?}");
        }
        self.client.exchange(&[&executed(&name, value)[..], &say::sync()].concat(), 1).await
    }

    /// `Conn.SendBatch`: all new statements, then all executions with one Sync.
    async fn batch(&mut self, all: &[(&str, &str)]) -> Result<Vec<Frame>> {
        let (mut prepare, mut execute, mut fresh) = (Vec::new(), Vec::new(), 0);
        for (text, value) in all {
            let (name, new) = self.name(text);
            if new {
                prepare.extend_from_slice(&say::parse(&name, text, &[]));
                prepare.extend_from_slice(&say::describe_statement(&name));
                // Each with a Sync of its own, so that one that fails does not end the others.
                prepare.extend_from_slice(&say::sync());
                fresh += 1;
            }
            execute.extend_from_slice(&executed(&name, value));
        }
        if fresh > 0 {
            let said = self.client.exchange(&prepare, fresh).await?;
            ensure!(tags(&said) == "1tTZ".repeat(fresh), "{said:?}");
        }
        execute.extend_from_slice(&say::sync());
        self.client.exchange(&execute, 1).await
    }

    /// The cache gives up its oldest statement.
    async fn evict(&mut self) -> Result<()> {
        let oldest = self.cached.remove(0);
        let close = [say::close_statement(&oldest.name), say::sync()].concat();
        let said = self.client.exchange(&close, 1).await?;
        ensure!(tags(&said) == "3Z", "{said:?}");
        Ok(())
    }

    async fn simple(&mut self, text: &str) -> Result<String> {
        Ok(tags(&self.client.query(text).await?))
    }
}

fn executed(name: &str, value: &str) -> Vec<u8> {
    [say::bind("", name, &[Some(value)]), say::describe_portal(""), say::execute("", 0)].concat()
}

/// The first value of each row.
fn values(frames: &[Frame]) -> Result<Vec<String>> {
    let rows = frames.iter().filter(|frame| frame.tag == b'D').map(Frame::row);
    rows.map(|row| Ok(row?.into_iter().next().flatten().unwrap_or_default())).collect()
}

/// Statements of all connections have the same names and texts, or the same texts under other names.
const TEXTS: [&str; 4] = [
    "SELECT $1::int + 1",
    "SELECT $1::text || '!'",
    "SELECT count(*) FROM generate_series(1, $1::int)",
    "SELECT $1::int / 10",
];

/// Many connections on few servers, each with batches, transactions and a cache that is small.
pub(crate) async fn check_all(place: &Place, servers: usize) -> Result<()> {
    let mut holders = Vec::new();
    for _ in 0..servers {
        holders.push(Connection::open(place).await?.client);
    }
    let mut seesaw = Seesaw::held_by(holders).await?;
    let mut connections = Vec::new();
    for _ in 0..CROWD {
        connections.push(Connection::open(place).await?);
    }
    // Each in turn, so that each finds the server that the one before has left; in the next round it is another one.
    for round in 0..ROUNDS {
        for (seed, connection) in connections.iter_mut().enumerate() {
            let value = (seed * 10).to_string();
            let all: Vec<_> = TEXTS.iter().map(|text| (*text, value.as_str())).collect();
            let said = connection.batch(&all).await?;
            ensure!(tags(&said) == "2TDC".repeat(TEXTS.len()) + "Z", "{said:?}");
            let (plus, bang) = (seed * 10 + 1, format!("{value}!"));
            let wanted = [plus.to_string(), bang, value.clone(), seed.to_string()];
            ensure!(values(&said)? == wanted, "{said:?}");
            if round % 2 == 1 {
                connection.evict().await?;
            }
            transaction(connection, seed).await?;
        }
        seesaw.tilt().await?;
    }
    for connection in &connections {
        ensure!(connection.servers.len() == servers, "not on every server");
    }
    fails_within(&mut connections).await
}

/// `Conn.Begin`, statements, and `Tx.Commit`: simple queries around the statements of the cache.
async fn transaction(connection: &mut Connection, seed: usize) -> Result<()> {
    ensure!(connection.simple("begin").await? == "CZ");
    let said = connection.query(TEXTS[0], &seed.to_string()).await?;
    ensure!(values(&said)? == [(seed + 1).to_string()], "{said:?}");
    let server = connection.client.query("SELECT pg_backend_pid()").await?;
    connection.servers.extend(values(&server)?);
    ensure!(connection.simple("commit").await? == "CZ");
    // `Conn.Ping`.
    ensure!(connection.simple("-- ping").await? == "IZ");
    Ok(())
}

/// A batch is one implicit transaction: what fails in it undoes the rest, and the connection goes on.
async fn fails_within(connections: &mut [Connection]) -> Result<()> {
    for connection in connections {
        let said = connection.batch(&[(TEXTS[0], "1"), (TEXTS[0], "x"), (TEXTS[1], "3")]).await?;
        ensure!(tags(&said) == "2TDCEZ", "{said:?}");
        let said = connection.query(TEXTS[1], "on").await?;
        ensure!(values(&said)? == ["on!"], "{said:?}");
    }
    Ok(())
}
