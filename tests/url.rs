//! A connection URL in the place of a settings file: who logs in to the servers, and who is let in.

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use common::{DATABASE, PASSWORD, create_role, error_in, one, refused};
use trunkline_testkit::peer::{RawClient, say};
use trunkline_testkit::{Cluster, Result, Trunkline, TrunklineOptions};

/// A cluster that asks the role `trusted` for nothing.
async fn trusting() -> Result<Cluster> {
    let cluster = Cluster::builder().hba("host all trusted 127.0.0.1/32 trust").start().await?;
    create_role(cluster.primary(), "trusted").await?;
    Ok(cluster)
}

/// A program with a URL that names neither user nor password, and none of this process's own in its environment.
fn bare(cluster: &Cluster, home: &std::path::Path) -> TrunklineOptions {
    Trunkline::builder()
        .url(format!("postgres://{}/{DATABASE}", cluster.primary().address()))
        .environment("HOME", &home.display().to_string())
        .environment("PGUSER", "")
        .environment("PGPASSWORD", "")
        .environment("PGPASSFILE", "")
}

#[tokio::test]
async fn without_a_password_clients_of_this_machine_are_let_in_as_the_urls_user() -> Result<()> {
    let cluster = trusting().await?;
    let home = tempfile::tempdir()?;
    let trunkline = bare(&cluster, home.path()).environment("PGUSER", "trusted").start().await?;
    trunkline.logged("every process on this machine is let in as `trusted`").await?;

    // No password is asked for: AuthenticationOk comes at once.
    let mut client = RawClient::tcp(trunkline.address()).await?;
    let parameters = [("user", "trusted"), ("database", DATABASE)];
    client.send(&say::startup(say::PROTOCOL_3_0, &parameters)).await?;
    let first = client.read_until(b'Z').await?.into_iter().next();
    assert!(first.is_some_and(|frame| frame.tag == b'R' && frame.body[..] == [0, 0, 0, 0]));
    assert_eq!(one(&mut client, "SELECT current_user").await?, "trusted");

    refused(trunkline.raw("postgres", PASSWORD, DATABASE).await, "28000")?;
    let mut console = trunkline.raw("trusted", "", "trunkline").await?;
    console.send(&say::query("SHOW POOLS")).await?;
    console.read_until(b'Z').await?;
    console.send(&say::query("PAUSE")).await?;
    error_in(&console.read_until(b'Z').await?, "42501").map(drop)
}

#[tokio::test]
async fn the_password_file_serves_servers_and_clients_unless_others_may_read_it() -> Result<()> {
    let cluster = trusting().await?;
    create_role(cluster.primary(), "filed").await?;
    let home = tempfile::tempdir()?;
    let file = home.path().join(".pgpass");
    let port = cluster.primary().port();
    fs::write(&file, format!("*:1:*:*:other\n127.0.0.1:{port}:*:filed:{PASSWORD}\n"))?;
    fs::set_permissions(&file, Permissions::from_mode(0o600))?;
    let options = bare(&cluster, home.path()).environment("PGUSER", "filed");
    let trunkline = options.clone().start().await?;
    let mut client = trunkline.raw("filed", PASSWORD, DATABASE).await?;
    assert_eq!(one(&mut client, "SELECT current_user").await?, "filed");
    refused(trunkline.raw("filed", "wrong", DATABASE).await, "28P01")?;
    refused(trunkline.raw("trusted", "", DATABASE).await, "28P01")?;

    fs::set_permissions(&file, Permissions::from_mode(0o644))?;
    let trunkline = options.environment("TRUNKLINE__POOL__WAIT_TIMEOUT", "1s").start().await?;
    trunkline.logged(".pgpass is not used").await?;
    // The server asks for a password, and nobody has given one.
    refused(trunkline.raw("filed", PASSWORD, DATABASE).await, "57P03")
}
