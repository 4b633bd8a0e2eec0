//! The verbs of the link, between a raw client and a scripted or a real server.

use std::time::Duration;

use trunkline_testkit::link::{Direction, Ending, Link};
use trunkline_testkit::peer::{Peer, RawClient, Talk, answer, say, tags};
use trunkline_testkit::wait::PATIENCE;
use trunkline_testkit::{Cluster, Result, wait_for};

/// Long enough for bytes on loopback, if they are going to come at all. Used only where nothing
/// may come, so that a slow machine cannot make a test fail.
const NOTHING_FOR: Duration = Duration::from_millis(50);

struct Scene {
    peer: Peer,
    link: Link,
    client: RawClient,
    talk: Talk,
}

/// A client that has logged in to a scripted server over a link.
async fn scene() -> Result<Scene> {
    let mut peer = Peer::start().await?;
    let link = Link::to(peer.address()).await?;
    let mut client = RawClient::tcp(link.address()).await?;
    let (welcome, talk) = tokio::join!(client.login("alice", "", "shop"), peer.accept());
    welcome?;
    Ok(Scene { talk: talk?, peer, link, client })
}

async fn silence(client: &mut RawClient) -> bool {
    tokio::time::timeout(NOTHING_FOR, client.read()).await.is_err()
}

#[tokio::test]
async fn a_sound_link_passes_everything_and_counts_it() -> Result<()> {
    let cluster = Cluster::builder().start().await?;
    let link = Link::to(cluster.primary().address()).await?;
    let password = trunkline_testkit::cluster::SUPERUSER_PASSWORD;
    let mut client = RawClient::logged_in(link.address(), "postgres", password, "postgres").await?;
    let sql = "SELECT repeat('x', 1000) FROM generate_series(1, 5000)";
    let frames = client.query(sql).await?;
    assert_eq!(frames.iter().filter(|frame| frame.tag == b'D').count(), 5000);
    assert!(link.passed(Direction::ToClient) > 5_000_000);
    assert!((100..2000).contains(&link.passed(Direction::ToServer)));
    assert_eq!((link.accepted(), link.open_connections()), (1, 1));
    client.send(&say::terminate()).await?;
    assert!(client.expect_closed().await?.is_empty());
    drop(client);
    wait_for("the link has let go", PATIENCE, async || {
        anyhow::ensure!(link.open_connections() == 0, "{} are open", link.open_connections());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_refusing_link_keeps_what_is_open_and_heals() -> Result<()> {
    let mut it = scene().await?;
    it.link.refuse().await;
    let refused = RawClient::tcp(it.link.address()).await.unwrap_err();
    assert!(format!("{refused:#}").contains("refused"), "{refused:#}");
    it.client.send(&say::query("SELECT 1")).await?;
    it.talk.answer_query("SELECT 1", &["a"], &[]).await?;
    assert_eq!(tags(&it.client.read_until(b'Z').await?), "TCZ");
    it.link.heal().await?;
    let mut second = RawClient::tcp(it.link.address()).await?;
    let (welcome, talk) = tokio::join!(second.login("bob", "", "shop"), it.peer.accept());
    welcome?;
    assert_eq!(talk?.startup().parameter("user"), "bob");
    Ok(())
}

#[tokio::test]
async fn a_cut_ends_both_sides_as_asked() -> Result<()> {
    let mut it = scene().await?;
    it.link.cut(Ending::Close);
    assert!(it.client.expect_closed().await?.is_empty());
    it.talk.expect_closed().await?;

    let mut it = scene().await?;
    it.link.cut(Ending::Reset);
    let error = it.client.read().await.unwrap_err();
    assert!(format!("{error:#}").contains("reset"), "{error:#}");
    Ok(())
}

#[tokio::test]
async fn a_held_link_keeps_bytes_back_until_it_is_healed() -> Result<()> {
    let mut it = scene().await?;
    it.link.hold();
    it.talk.send(&answer::complete("HELD")).await?;
    assert!(silence(&mut it.client).await);
    it.link.heal().await?;
    it.client.expect(b'C').await?;
    Ok(())
}

#[tokio::test]
async fn one_way_may_be_held_while_the_other_passes() -> Result<()> {
    let mut it = scene().await?;
    it.link.hold_one_way(Direction::ToClient);
    it.client.send(&say::query("SELECT 1")).await?;
    it.talk.answer_query("SELECT 1", &["a"], &[]).await?;
    assert!(silence(&mut it.client).await);
    it.link.heal().await?;
    assert_eq!(tags(&it.client.read_until(b'Z').await?), "TCZ");
    Ok(())
}

#[tokio::test]
async fn a_vanished_host_does_not_even_refuse() -> Result<()> {
    let mut it = scene().await?;
    it.link.vanish().await?;
    let connecting = tokio::time::timeout(NOTHING_FOR, RawClient::tcp(it.link.address())).await;
    assert!(connecting.is_err(), "a SYN gets no answer");
    it.talk.send(&answer::complete("HELD")).await?;
    assert!(silence(&mut it.client).await);
    it.link.heal().await?;
    it.client.expect(b'C').await?;
    RawClient::tcp(it.link.address()).await?;
    Ok(())
}

#[tokio::test]
async fn a_connection_is_cut_at_the_byte() -> Result<()> {
    let mut it = scene().await?;
    let message = answer::complete("SELECT 1");
    let before = it.link.passed(Direction::ToClient);
    it.link.cut_at(Direction::ToClient, before + 7, Ending::Close);
    it.talk.send(&message).await?;
    let error = it.client.expect_closed().await.unwrap_err();
    assert!(format!("{error:#}").contains("closed inside a message after 7 bytes"), "{error:#}");
    assert_eq!(it.link.passed(Direction::ToClient), before + 7);
    Ok(())
}

#[tokio::test]
async fn a_delay_is_at_least_kept() -> Result<()> {
    let mut it = scene().await?;
    let delay = Duration::from_millis(40);
    it.link.delay(Direction::ToServer, delay);
    let begin = tokio::time::Instant::now();
    it.client.send(&say::sync()).await?;
    it.talk.expect(b'S').await?;
    assert!(begin.elapsed() >= delay);
    Ok(())
}

#[tokio::test]
async fn a_limited_rate_is_not_exceeded() -> Result<()> {
    let mut it = scene().await?;
    it.link.limit(Direction::ToClient, 100_000);
    let data = answer::data_row(&[Some(&"x".repeat(10_000))]);
    let begin = tokio::time::Instant::now();
    it.talk.send(&data).await?;
    it.client.expect(b'D').await?;
    // The last piece is not waited for.
    assert!(begin.elapsed() >= Duration::from_millis(75), "{:?}", begin.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_server_that_refuses_shows_as_a_reset() -> Result<()> {
    let mut it = scene().await?;
    drop(it.peer);
    let mut client = RawClient::tcp(it.link.address()).await?;
    assert!(client.expect_closed().await?.is_empty());
    // The session taken before lives on.
    it.client.send(&say::sync()).await?;
    it.talk.expect(b'S').await?;
    Ok(())
}
