//! Many clients that have worked and now are idle: what each costs a pooler in memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

use crate::certs::Authority;
use crate::peer::{RawClient, Tls, say};
use crate::process::Usage;

/// Clients that log in at the same time.
const LOGINS_AT_ONCE: usize = 32;

/// Transactions of each client before it rests.
const TRANSACTIONS: usize = 10;

/// How long all are idle before memory is looked at: what is freed late has been freed.
const REST: Duration = Duration::from_secs(5);

/// Who the clients are, and what they do before they rest.
#[derive(Debug, Clone)]
pub struct IdleClients<'a> {
    /// The pooler.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// The role, which must be asked for its password by SCRAM.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// The database.
    pub database: &'a str,
    /// How many.
    pub count: usize,
    /// Whether the transactions use a named statement; else the unnamed one.
    pub named: bool,
    /// Whose certificate the pooler shows, for clients that use TLS.
    pub authority: Option<Arc<Authority>>,
}

impl IdleClients<'_> {
    /// Bytes of resident memory per idle client: the difference between none and all of them.
    ///
    /// One batch of clients comes and goes before, so that what the first clients cost once (pools,
    /// buffers, threads) is not counted.
    pub async fn bytes_per_client(&self) -> Result<f64> {
        drop(self.connect(LOGINS_AT_ONCE).await?);
        tokio::time::sleep(REST / 5).await;
        let before = Usage::of(self.pid)?.resident_bytes;
        let clients = self.connect(self.count).await?;
        tokio::time::sleep(REST).await;
        let after = Usage::of(self.pid)?.resident_bytes;
        let grown = u32::try_from(after.saturating_sub(before) / 1024)?;
        let count = u32::try_from(clients.len())?;
        Ok(f64::from(grown) * 1024.0 / f64::from(count))
    }

    async fn connect(&self, count: usize) -> Result<Vec<RawClient>> {
        let mut clients = Vec::with_capacity(count);
        let mut logins = JoinSet::new();
        for started in 0..count {
            if started >= LOGINS_AT_ONCE {
                clients.push(logins.join_next().await.context("no login is under way")???);
            }
            let (address, named) = (self.address, self.named);
            let who = [self.user, self.password, self.database].map(str::to_owned);
            let authority = self.authority.clone();
            logins.spawn(async move { visit(address, &who, authority.as_deref(), named).await });
        }
        while let Some(client) = logins.join_next().await {
            clients.push(client??);
        }
        Ok(clients)
    }
}

/// Logs in, works, and stays.
async fn visit(
    address: SocketAddr,
    who: &[String; 3],
    authority: Option<&Authority>,
    named: bool,
) -> Result<RawClient> {
    let [user, password, database] = who;
    let mut client = RawClient::tcp(address).await?;
    if let Some(authority) = authority {
        client = client.request_tls(&Tls::new(authority, "localhost")).await?;
    }
    let welcome = client.login(user, password, database).await?;
    ensure!(welcome.method.starts_with("SCRAM"), "asked by {:?}, not SCRAM", welcome.method);
    client.rows("SET statement_timeout = '1min'").await?;
    let name = if named { "named" } else { "" };
    let parse = say::parse(name, "SELECT abalance FROM pgbench_accounts WHERE aid = $1", &[23]);
    if named {
        client.exchange(&[&parse[..], &say::sync()].concat(), 1).await?;
    }
    let work = [say::bind("", name, &[Some("1")]), say::execute("", 0), say::sync()].concat();
    let message = if named { work } else { [&parse[..], &work].concat() };
    for _ in 0..TRANSACTIONS {
        let frames = client.exchange(&message, 1).await?;
        let row = frames.iter().any(|frame| frame.tag == b'D');
        ensure!(row, "a transaction brings no row: {frames:?}");
    }
    Ok(client)
}
