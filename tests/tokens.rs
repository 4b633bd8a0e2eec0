//! `SHOW trunkline.lsn` and `SET trunkline.after_lsn`: what one session has done, another one finds, wherever it reads.

mod common;
mod reading;

use std::process::Stdio;

use common::{PASSWORD, Scene, ensure, fails, one, run, words};
use reading::{ON, cluster, on_a_standby, pause, place, resume, scene};
use tokio::process::Command;
use trunkline_testkit::peer::{Frame, RawClient, say, tags};
use trunkline_testkit::{Cluster, Result};

/// A session that has written where no standby has replayed it, the token it was told, and a reader at a standby.
async fn written(scene: &Scene<'_>, cluster: &Cluster) -> Result<(RawClient, String, RawClient)> {
    let (mut writer, mut reader) = (scene.raw().await?, scene.raw().await?);
    run(&mut writer, "CREATE TABLE t AS SELECT 0 AS n").await?;
    cluster.caught_up().await?;
    on_a_standby(&mut reader, cluster).await?;
    // What is known of the cluster from the first sample on.
    on_a_standby(&mut writer, cluster).await?;
    pause(cluster).await?;
    run(&mut writer, "UPDATE t SET n = 1").await?;
    let token = one(&mut writer, "SHOW trunkline.lsn").await?;
    assert_eq!(one(&mut reader, "SELECT n FROM t").await?, "0", "it is told of nothing");
    assert!(place(&mut reader, cluster).await? > 0);
    Ok((writer, token, reader))
}

fn set(token: &str) -> String {
    format!("SET trunkline.after_lsn = '{token}'")
}

/// Waits until the client reads from a standby, and looks there.
async fn finds_it_at_a_standby(reader: &mut RawClient, cluster: &Cluster) -> Result<()> {
    on_a_standby(reader, cluster).await?;
    assert_eq!(one(reader, "SELECT n FROM t").await?, "1");
    Ok(())
}

#[tokio::test]
async fn who_is_told_a_token_finds_what_was_done_before_it() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "told", ON).await?;
    let (_writer, token, mut reader) = written(&scene, &cluster).await?;
    let frames = reader.query(&set(&token)).await?;
    assert_eq!(tags(&frames), "CZ");
    assert_eq!(frames.first().map(|it| &it.body[..]), Some(&b"SET\0"[..]));
    for _ in 0..20 {
        assert_eq!(one(&mut reader, "SELECT n FROM t").await?, "1");
        assert_eq!(place(&mut reader, &cluster).await?, 0);
    }
    // In the extended protocol as well, as drivers send it.
    let mut other = scene.raw().await?;
    on_a_standby(&mut other, &cluster).await?;
    let messages = [
        say::parse("", &set(&token), &[]),
        say::bind("", "", &[]),
        say::describe_portal(""),
        say::execute("", 0),
        say::sync(),
    ];
    assert_eq!(tags(&other.exchange(&messages.concat(), 1).await?), "12nCZ");
    assert_eq!(one(&mut other, "SELECT n FROM t").await?, "1");
    resume(&cluster).await?;
    finds_it_at_a_standby(&mut reader, &cluster).await?;
    finds_it_at_a_standby(&mut other, &cluster).await
}

#[tokio::test]
async fn a_token_that_a_standby_has_replayed_keeps_nobody_from_it() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "early", ON).await?;
    let mut writer = scene.raw().await?;
    run(&mut writer, "CREATE TABLE t AS SELECT 1 AS n").await?;
    let token = one(&mut writer, "SHOW trunkline.lsn").await?;
    let mut reader = scene.raw().await?;
    on_a_standby(&mut reader, &cluster).await?;
    finds_it_at_a_standby(&mut writer, &cluster).await?;
    cluster.caught_up().await?;
    pause(&cluster).await?;
    // Whatever the primary goes on to do.
    cluster.primary().execute(common::DATABASE, "CREATE TABLE more (i int)").await?;
    run(&mut reader, &set(&token)).await?;
    assert!(place(&mut reader, &cluster).await? > 0);
    resume(&cluster).await
}

/// All ways in which a driver may ask.
async fn answers(client: &mut RawClient) -> Result<Vec<Vec<Frame>>> {
    const SHOW: &str = "show trunkline.lsn";
    let unnamed = say::extended(SHOW, &[]);
    let named = [say::parse("s", SHOW, &[]), say::describe_statement("s"), say::sync()];
    let used = [say::bind("", "s", &[]), say::execute("", 0), say::sync()];
    Ok(vec![
        client.query(SHOW).await?,
        client.exchange(&unnamed, 1).await?,
        client.exchange(&named.concat(), 1).await?,
        client.exchange(&used.concat(), 1).await?,
        client.exchange(&[say::close_statement("s"), say::sync()].concat(), 1).await?,
    ])
}

#[tokio::test]
async fn a_place_is_told_in_every_protocol_and_transaction() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "asking", ON).await?;
    let mut client = scene.raw().await?;
    for (begin, ready) in [
        ("SELECT 1", 'I'),
        ("BEGIN", 'T'),
        ("BEGIN READ ONLY", 'T'),
        ("CREATE TEMPORARY TABLE kept (i int)", 'I'),
    ] {
        on_a_standby(&mut client, &cluster).await?;
        run(&mut client, begin).await?;
        let mut told = Vec::new();
        for frames in answers(&mut client).await? {
            assert_eq!(frames.last().and_then(Frame::status), Some(ready), "{begin}");
            assert!(!tags(&frames).contains('E'), "{begin}: {frames:?}");
            for frame in frames.iter().filter(|frame| frame.tag == b'D') {
                told.extend(frame.row()?.into_iter().flatten());
            }
        }
        assert_eq!(told.len(), 3, "{begin}: {told:?}");
        for token in told {
            let (system, place) = token.split_once('/').expect("a token has a slash");
            assert!(system.parse::<u64>().is_ok() && place.starts_with("00000001:"), "{token}");
            // A token is one that is taken.
            let mut other = scene.raw().await?;
            run(&mut other, &set(&token)).await?;
        }
        if ready == 'T' {
            run(&mut client, "ROLLBACK").await?;
        }
    }
    // In a failed transaction PostgreSQL has its say.
    let mut client = scene.raw().await?;
    run(&mut client, "BEGIN").await?;
    fails(&mut client, "SELECT nothing", "42703").await?;
    fails(&mut client, "SHOW trunkline.lsn", "25P02").await?;
    Ok(())
}

#[tokio::test]
async fn what_is_no_token_of_this_cluster_is_refused() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "wrong", ON).await?;
    let mut client = scene.raw().await?;
    on_a_standby(&mut client, &cluster).await?;
    run(&mut client, "CREATE TABLE t (i int)").await?;
    on_a_standby(&mut client, &cluster).await?;
    let foreign = "7/00000001:0/1";
    for begin in [None, Some("BEGIN")] {
        for (token, expected) in
            [("", ""), ("it is none", "it is none"), (foreign, foreign), ("0/16B3748", "0/16B3748")]
        {
            if let Some(begin) = begin {
                run(&mut client, begin).await?;
            }
            if token.is_empty() {
                run(&mut client, &set(token)).await?;
            } else {
                let error = fails(&mut client, &set(token), "22023").await?;
                let message =
                    format!("invalid value for parameter \"trunkline.after_lsn\": \"{expected}\"");
                assert!(words(&error).starts_with(&message), "{error:?}");
                ensure(
                    token != foreign || words(&error).contains("another cluster"),
                    words(&error),
                )?;
                let frames = client.exchange(&say::extended(&set(token), &[]), 1).await?;
                let codes: Vec<_> =
                    frames.iter().filter(|it| it.tag == b'E').map(Frame::sqlstate).collect();
                // Behind the first error of a transaction there is only one.
                let code = if begin.is_some() { "25P02" } else { "22023" };
                ensure(codes == ["22023"] || codes == [code], format!("{token}: {frames:?}"))?;
            }
            if begin.is_some() {
                run(&mut client, "ROLLBACK").await?;
            }
        }
    }
    // It has raised nothing, and the session goes on.
    on_a_standby(&mut client, &cluster).await?;
    Ok(())
}

#[tokio::test]
async fn a_token_is_set_in_transactions_where_that_is_of_use() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "blocks", ON).await?;
    let (_writer, token, mut reader) = written(&scene, &cluster).await?;
    // One that a standby serves cannot go elsewhere.
    run(&mut reader, "BEGIN READ ONLY").await?;
    let error = fails(&mut reader, &set(&token), "25001").await?;
    assert!(words(&error).contains("before the transaction"), "{error:?}");
    run(&mut reader, "ROLLBACK").await?;
    run(&mut reader, "BEGIN").await?;
    run(&mut reader, &set(&token)).await?;
    assert_eq!(one(&mut reader, "SELECT n FROM t").await?, "1");
    run(&mut reader, "COMMIT").await?;
    assert_eq!(one(&mut reader, "SELECT n FROM t").await?, "1");
    // Nothing of it is left on servers, or kept for the session.
    let mut other = scene.raw().await?;
    run(&mut other, "BEGIN").await?;
    let left = one(&mut other, "SELECT coalesce(current_setting('trunkline.after_lsn', true), '')");
    assert_eq!(left.await?, "");
    run(&mut other, "ROLLBACK").await?;
    resume(&cluster).await
}

#[tokio::test]
async fn without_routing_tokens_are_told_and_taken_as_well() -> Result<()> {
    let scene = Scene::calm("plain", "").await?;
    let mut client = scene.raw().await?;
    let token = one(&mut client, "SHOW trunkline.lsn").await?;
    run(&mut client, &set(&token)).await?;
    fails(&mut client, &set("none"), "22023").await?;
    assert_eq!(one(&mut client, "SELECT 1").await?, "1");
    Ok(())
}

/// The example of the README.
#[tokio::test]
async fn two_services_of_psycopg_hand_a_token_on() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "services", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY, item text)")
        .await?;
    cluster.caught_up().await?;
    on_a_standby(&mut client, &cluster).await?;
    pause(&cluster).await?;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let address = format!(
        "host=127.0.0.1 port={} user=services password={PASSWORD} dbname={}",
        scene.trunkline.port(),
        common::DATABASE
    );
    let output = Command::new(root.join(".venv/bin/python"))
        .arg(root.join("tests/drivers/python/two_services.py"))
        .arg(address)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .await?;
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    ensure(output.status.success(), told)?;
    resume(&cluster).await
}
