//! A real driver against the console: tokio-postgres asks for every value in binary.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::{Config, NoTls, SimpleQueryMessage, error::SqlState};
use trunkline_proxy::{handover::ConsoleRights, seats::Seats};

use super::support::{console, ends, login};
use crate::{console::serve_login, testing::Puppet};

/// Logs a driver in: what the pooler does before a login reaches the console.
async fn connected(puppet: &Puppet, rights: ConsoleRights) -> tokio_postgres::Client {
    let (login, mut near) = login(rights);
    let (mut server, client) = tokio::io::duplex(4096);
    let (closing, stop, ends) = ends();
    tokio::spawn(serve_login(console(puppet, None), login, Seats::default().take(), ends));
    tokio::spawn(async move {
        let len = server.read_u32().await.unwrap();
        let mut startup = vec![0; usize::try_from(len).unwrap() - 4];
        server.read_exact(&mut startup).await.unwrap();
        server.write_all(b"R\0\0\0\x08\0\0\0\0").await.unwrap();
        tokio::io::copy_bidirectional(&mut server, &mut near).await.unwrap();
        drop((closing, stop));
    });
    let config: Config = "user=postgres dbname=trunkline".parse().unwrap();
    let (driver, connection) = config.connect_raw(client, NoTls).await.unwrap();
    tokio::spawn(connection);
    driver
}

#[tokio::test]
async fn tokio_postgres_reads_typed_values() {
    let driver = connected(&Puppet::new(), ConsoleRights::Read).await;
    let rows = driver.query("SHOW POOLS", &[]).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].get::<_, &str>("database"), "shop");
    assert_eq!(rows[0].get::<_, i32>("cl_active"), 3);
    assert_eq!(rows[0].get::<_, i32>("maxwait"), 2);
    assert_eq!(rows[0].get::<_, Option<&str>>("last_error"), None);
    let rows = driver.query("SHOW CLIENTS", &[]).await.unwrap();
    assert_eq!(rows[1].get::<_, Option<i32>>("server_pid"), None);
}

#[tokio::test]
async fn tokio_postgres_prepares_runs_and_uses_transactions() {
    let puppet = Puppet::new();
    let mut driver = connected(&puppet, ConsoleRights::Admin).await;
    let statement = driver.prepare("RECONNECT").await.unwrap();
    assert_eq!(driver.execute(&statement, &[]).await.unwrap(), 0);
    drop(statement);
    let transaction = driver.transaction().await.unwrap();
    transaction.execute("RECONNECT shop", &[]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(puppet.with(|strings| strings.asked.clone()), ["reconnect *", "reconnect shop"]);
}

#[tokio::test]
async fn tokio_postgres_gets_codes_and_goes_on() {
    let driver = connected(&Puppet::new(), ConsoleRights::Read).await;
    let error = driver.execute("PAUSE", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    let error = driver.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::SYNTAX_ERROR));
    let messages = driver.simple_query("SHOW STATS").await.unwrap();
    let SimpleQueryMessage::Row(row) = &messages[1] else { panic!("{messages:?}") };
    assert_eq!(row.get("total_query_count"), Some("42"));
}
