//! The scripted server and the raw client: with each other, and the client before a real server.

use std::time::Duration;

use trunkline_testkit::certs::Authority;
use trunkline_testkit::peer::frame::transcript;
use trunkline_testkit::peer::{Answers, Peer, RawClient, Script, Tls, answer, say, tags};
use trunkline_testkit::wait::PATIENCE;
use trunkline_testkit::{Cluster, Result, wait_for};

/// A client and the server's side of its session.
async fn pair(peer: &mut Peer) -> Result<(RawClient, trunkline_testkit::peer::Talk)> {
    let mut client = RawClient::tcp(peer.address()).await?;
    let (welcome, talk) = tokio::join!(client.login("alice", "", "shop"), peer.accept());
    welcome?;
    Ok((client, talk?))
}

#[tokio::test]
async fn a_conversation_goes_back_and_forth() -> Result<()> {
    let mut peer = Peer::start().await?;
    let (mut client, mut talk) = pair(&mut peer).await?;
    assert_eq!(talk.startup().parameter("database"), "shop");
    client.send(&say::extended("SELECT $1", &[Some("7"), None])).await?;
    let said = talk.expect_all(b"PBDES").await?;
    assert_eq!(&said[0].body[..], b"\0SELECT $1\0\0\0");
    talk.send(&answer::notice("NOTICE", "00000", "by the way")).await?;
    talk.send(&answer::table(&["a"], &[&[Some("7")], &[None]])).await?;
    let frames = client.read_until(b'Z').await?;
    assert_eq!(tags(&frames), "NTDDCZ");
    assert_eq!(frames[2].row()?, vec![Some("7".to_owned())]);
    assert_eq!(frames[3].row()?, vec![None]);
    drop(client);
    talk.expect_closed().await
}

#[tokio::test]
async fn a_wrong_message_is_told_with_what_was_wanted() -> Result<()> {
    let mut peer = Peer::start().await?;
    let (mut client, mut talk) = pair(&mut peer).await?;
    client.send(&say::sync()).await?;
    let error = talk.expect(b'Q').await.unwrap_err();
    assert_eq!(error.to_string(), "the client should send 'Q', but sends 'S' \"\"");
    Ok(())
}

#[tokio::test]
async fn a_script_trickles_cuts_a_message_and_resets() -> Result<()> {
    let mut peer = Peer::start().await?;
    let row = answer::data_row(&[Some("whole")]);
    let script = Script::new()
        .expect_query("SELECT 1")
        .trickle(row.clone(), 1, Duration::from_millis(1))
        .send_part(&row, 7)
        .finish()
        .expect_closed();
    let reset = Script::new().expect(b'Q').reset();
    let address = peer.address();
    let playing = tokio::spawn(async move { peer.play(&[script, reset]).await });

    let mut client = RawClient::logged_in(address, "alice", "", "shop").await?;
    client.send(&say::query("SELECT 1")).await?;
    assert_eq!(client.expect(b'D').await?.row()?, [Some("whole".to_owned())]);
    let cut = client.expect_closed().await.unwrap_err();
    assert!(format!("{cut:#}").contains("closed inside a message after 7 bytes"), "{cut:#}");
    drop(client);

    let mut client = RawClient::logged_in(address, "alice", "", "shop").await?;
    client.send(&say::query("SELECT 1")).await?;
    assert!(client.expect_closed().await?.is_empty());
    playing.await?
}

#[tokio::test]
async fn a_cancel_is_held_open_until_the_test_lets_go() -> Result<()> {
    let mut peer = Peer::start().await?;
    let mut client = RawClient::tcp(peer.address()).await?;
    let (welcome, talk) = tokio::join!(client.login("alice", "", "shop"), peer.accept());
    let (welcome, talk) = (welcome?, talk?);
    let address = peer.address();
    let cancelling = tokio::spawn(async move { RawClient::cancel(address, &welcome).await });
    let call = peer.cancel().await?;
    assert_eq!((call.pid, &call.key[..]), (talk.pid(), &talk.key()[..]));
    assert!(!cancelling.is_finished());
    drop(call);
    cancelling.await?
}

#[tokio::test]
async fn wanted_sessions_are_answered_from_the_table() -> Result<()> {
    let answers = Answers::new().on("pg_is_in_recovery", &["r"], &[&[Some("f")]]);
    let mut peer = Peer::start_with(|it| it.parameter("user") == "probe", answers).await?;
    let mut probe = RawClient::logged_in(peer.address(), "probe", "", "postgres").await?;
    assert_eq!(probe.rows("SELECT pg_is_in_recovery()").await?, [[Some("f".to_owned())]]);
    let frames = probe.exchange(&say::extended("SELECT pg_is_in_recovery()", &[]), 1).await?;
    assert_eq!(tags(&frames), "12TDCZ");
    let frames = probe.exchange(&say::extended("SELECT 2", &[]), 1).await?;
    assert_eq!(tags(&frames), "12nEZ");
    assert_eq!(tags(&probe.query("SELECT 2").await?), "EZ");
    let (mut client, mut talk) = pair(&mut peer).await?;
    client.send(&say::query("SELECT 3")).await?;
    talk.answer_query("SELECT 3", &["a"], &[]).await?;
    assert_eq!(tags(&client.read_until(b'Z').await?), "TCZ");
    Ok(())
}

#[tokio::test]
async fn the_raw_client_logs_in_by_every_password_method() -> Result<()> {
    let cluster = Cluster::builder()
        .hba("host all trusted 127.0.0.1/32 trust")
        .hba("host all plain 127.0.0.1/32 password")
        .hba("host all old 127.0.0.1/32 md5")
        .initial_sql("postgres", "CREATE ROLE trusted LOGIN")
        .user("plain", "p")
        .initial_sql(
            "postgres",
            "SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD 'o'",
        )
        .user("new", "n")
        .start()
        .await?;
    let address = cluster.primary().address();
    for (user, password) in [("trusted", ""), ("plain", "p"), ("old", "o"), ("new", "n")] {
        let mut client = RawClient::logged_in(address, user, password, "postgres").await?;
        let rows = client.rows("SELECT current_user").await?;
        assert_eq!(rows, [[Some(user.to_owned())]]);
        if !password.is_empty() {
            let refused = RawClient::logged_in(address, user, "wrong", "postgres").await;
            assert!(format!("{:#}", refused.unwrap_err()).contains("28P01"), "{user}");
        }
    }
    let directory = cluster.primary().socket_directory();
    let mut client = RawClient::unix(directory, cluster.primary().port()).await?;
    let welcome = client.login("postgres", "", "postgres").await?;
    assert_eq!(welcome.key.len(), 4);
    assert_eq!(welcome.parameters["TimeZone"], "UTC");
    Ok(())
}

#[tokio::test]
async fn the_same_conversation_gives_the_same_transcript_twice() -> Result<()> {
    let cluster = Cluster::builder().start().await?;
    let mut transcripts = Vec::new();
    for _ in 0..2 {
        let directory = cluster.primary().socket_directory();
        let mut client = RawClient::unix(directory, cluster.primary().port()).await?;
        client.login("postgres", "", "postgres").await?;
        let bytes = [
            say::query("SELECT 1; SELECT nothing; SELECT 2"),
            say::extended("SELECT $1::int", &[Some("5")]),
            say::query("COPY (SELECT 1) TO STDOUT"),
        ];
        let frames = client.exchange(&bytes.concat(), 3).await?;
        assert_eq!(tags(&frames), "TDCEZ12TDCZHdcCZ");
        transcripts.push(transcript(&frames));
    }
    assert_eq!(transcripts[0], transcripts[1]);
    assert!(transcripts[0].contains("42703"), "{}", transcripts[0]);
    Ok(())
}

#[tokio::test]
async fn a_real_server_ends_a_statement_at_a_cancel() -> Result<()> {
    let cluster = Cluster::builder().user("alice", "a").start().await?;
    let address = cluster.primary().address();
    let mut client = RawClient::tcp(address).await?;
    let welcome = client.login("alice", "a", "postgres").await?;
    client.send(&say::query("SELECT pg_sleep(600)")).await?;
    wait_for("the statement runs", PATIENCE, async || {
        let sql = "SELECT state || ': ' || query FROM pg_stat_activity WHERE usename = 'alice'";
        let seen = cluster.primary().query_text("postgres", sql).await?;
        anyhow::ensure!(seen == "active: SELECT pg_sleep(600)", "{seen}");
        Ok(())
    })
    .await?;
    RawClient::cancel(address, &welcome).await?;
    client.expect(b'T').await?;
    client.expect_error("57014").await?;
    Ok(())
}

#[tokio::test]
async fn the_raw_client_speaks_tls_and_binds_scram_to_it() -> Result<()> {
    let authority = Authority::new("Test Authority")?;
    let certificate = authority.server(&["localhost", "127.0.0.1"])?;
    let cluster = Cluster::builder()
        .tls(&certificate)
        .client_authority(&authority)
        .hba("hostssl all carol 127.0.0.1/32 cert")
        .hba("hostnossl all carol 127.0.0.1/32 reject")
        .user("alice", "a")
        .initial_sql("postgres", "CREATE ROLE carol LOGIN")
        .start()
        .await?;
    let address = cluster.primary().address();
    let tls = Tls::new(&authority, "localhost");

    let mut client = RawClient::tcp(address).await?.request_tls(&tls).await?;
    assert_eq!(client.login("alice", "a", "postgres").await?.method, "SCRAM-SHA-256-PLUS");
    assert_eq!(client.rows("SELECT 1").await?, [[Some("1".to_owned())]]);

    let carol = authority.client("carol")?;
    let shown = Tls { certificate: Some(&carol), ..tls };
    let mut client = RawClient::tcp(address).await?.request_tls(&shown).await?;
    assert_eq!(client.login("carol", "", "postgres").await?.method, "");
    let mut client = RawClient::tcp(address).await?.request_tls(&tls).await?;
    assert!(client.login("carol", "", "postgres").await.is_err());

    let stranger = Authority::new("Test Authority")?;
    let distrusted = Tls::new(&stranger, "localhost");
    assert!(RawClient::tcp(address).await?.request_tls(&distrusted).await.is_err());
    let misnamed = Tls::new(&authority, "example.com");
    assert!(RawClient::tcp(address).await?.request_tls(&misnamed).await.is_err());
    Ok(())
}
