//! What can be asked of a node, as superuser over its Unix socket.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::{Node, SUPERUSER, SUPERUSER_PASSWORD};
use crate::wait::{PATIENCE, wait_for};

/// The longest that a statement of the kit may take; it only decides how late a hang is reported.
const STATEMENT_TIME_MAX: Duration = Duration::from_secs(60);

impl Node {
    /// A connection as superuser, not through Trunkline. It lives until the client is dropped.
    pub async fn connect(&self, database: &str) -> Result<Client> {
        let mut config = Config::new();
        config.host_path(self.socket_directory()).port(self.port()).dbname(database);
        config.user(SUPERUSER).password(SUPERUSER_PASSWORD).application_name("testkit");
        open(&config).await.with_context(|| format!("{} refuses a connection", self.name()))
    }

    /// A connection over TCP as this user, not through Trunkline.
    pub async fn connect_as(&self, user: &str, password: &str, database: &str) -> Result<Client> {
        connect_tcp(self.port(), user, password, database)
            .await
            .with_context(|| format!("{} refuses {user}", self.name()))
    }

    /// Runs statements, separated by semicolons, in one implicit transaction.
    pub async fn execute(&self, database: &str, sql: &str) -> Result<()> {
        let client = self.connect(database).await?;
        limited(client.batch_execute(sql)).await.with_context(|| format!("{}: {sql}", self.name()))
    }

    /// The first column of the first row as text; empty for NULL.
    pub async fn query_text(&self, database: &str, sql: &str) -> Result<String> {
        let client = self.connect(database).await?;
        query_text(&client, sql).await.with_context(|| self.name().to_owned())
    }

    /// Waits until a standby has replayed the WAL up to `lsn` (`0/16B3748`).
    pub async fn replayed(&self, lsn: &str) -> Result<()> {
        let sql =
            format!("SELECT pg_last_wal_replay_lsn() >= '{lsn}', pg_last_wal_replay_lsn()::text");
        let client = self.connect("postgres").await?;
        wait_for(&format!("{} has replayed {lsn}", self.name()), PATIENCE, async || {
            let row = limited(client.query_one(&sql, &[])).await?;
            let seen: Option<&str> = row.get(1);
            ensure!(row.get::<_, Option<bool>>(0) == Some(true), "it has replayed {seen:?}");
            Ok(())
        })
        .await
    }
}

/// A connection over TCP to whatever speaks the protocol on this port of 127.0.0.1, without TLS.
/// It lives until the client is dropped.
pub async fn connect_tcp(port: u16, user: &str, password: &str, database: &str) -> Result<Client> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).dbname(database).user(user).password(password);
    open(&config).await
}

/// The first column of the first row that the simple protocol gives, as text; empty for NULL.
pub async fn query_text(client: &Client, sql: &str) -> Result<String> {
    let messages = limited(client.simple_query(sql)).await.with_context(|| sql.to_owned())?;
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.with_context(|| format!("no row is the answer to: {sql}"))?;
    Ok(row.try_get(0)?.unwrap_or_default().to_owned())
}

/// Connects and lets a task of its own serve the connection.
async fn open(config: &Config) -> Result<Client> {
    let (client, connection) = limited(config.connect(NoTls)).await?;
    // How a connection ends is told by the failing calls of its client.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// Cuts a call off after [`STATEMENT_TIME_MAX`], and adds what the server says to the error, which
/// by itself is only `db error`.
async fn limited<T>(call: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
    let outcome = tokio::time::timeout(STATEMENT_TIME_MAX, call)
        .await
        .map_err(|_| anyhow!("no answer within {STATEMENT_TIME_MAX:?}"))?;
    Ok(outcome?)
}
