//! The same scripted conversations, with PostgreSQL directly and through Trunkline, get the same
//! answers byte for byte, apart from the masks of `conversations/masks.txt`.
//!
//! `TRUNKLINE_CONVERSATION=copy/` plays only those whose name holds this.
//! `trunkline_testkit::talk` tells how a conversation is written.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::talk::suite::TEMPLATE;
use trunkline_testkit::talk::{Report, Suite, Target, Way};
use trunkline_testkit::{Result, Trunkline};

/// Who holds the conversations. It owns the databases and is no superuser.
const USER: &str = "talker";
const PASSWORD: &str = "talker-password";

/// Servers of one pool: as many as a conversation has connections, and one for the noisy client.
const POOL_SIZE: i64 = 3;

/// The fewest conversations that make the comparison worth its name.
const CONVERSATIONS_MIN: usize = 300;

/// The version of PostgreSQL for which `masks.txt` is complete.
const LISTED_VERSION: u32 = 15;

/// Chooses conversations by a part of their name.
const PART_VARIABLE: &str = "TRUNKLINE_CONVERSATION";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations")
}

fn suite() -> Result<Suite> {
    let suite = Suite::load(&directory())?;
    assert!(suite.len() >= CONVERSATIONS_MIN, "{} conversations", suite.len());
    Ok(match std::env::var(PART_VARIABLE) {
        Ok(part) => suite.only(&part),
        Err(_) => suite,
    })
}

/// A server with the template of all databases.
async fn cluster() -> Result<Cluster> {
    let template = std::fs::read_to_string(directory().join("template.sql"))?;
    Cluster::builder()
        .setting("autovacuum", "off")
        .setting("max_connections", 200)
        .setting("max_prepared_transactions", 20)
        .user(USER, PASSWORD)
        .initial_sql("postgres", "CREATE ROLE talker_friend")
        .initial_sql("postgres", "GRANT talker_friend TO talker")
        .initial_sql("postgres", "GRANT SET ON PARAMETER deadlock_timeout TO talker")
        .database(TEMPLATE, USER)
        .initial_sql(TEMPLATE, &template)
        .start()
        .await
}

async fn trunkline(cluster: &Cluster, mode: &str) -> Result<Trunkline> {
    Trunkline::builder()
        .cluster(cluster)
        .user(USER, PASSWORD)
        .set("pool", "mode", mode)
        .set("pool", "size", POOL_SIZE)
        .start()
        .await
}

fn way(name: &str, address: std::net::SocketAddr) -> Way {
    let (user, password) = (USER.to_owned(), PASSWORD.to_owned());
    Way { name: name.to_owned(), target: Target { address, user, password, noisy: false } }
}

/// Whether the masks are listed for this server's version. With another one some of them have nothing to hide.
fn masks_are_for(cluster: &Cluster) -> bool {
    cluster.binaries().major() == LISTED_VERSION
}

/// Prints what the masks hid whatever comes of the test, and fails with the transcripts.
fn judge(report: &Report, cluster: &Cluster) {
    // Not `println!`, which the harness keeps to itself when a test passes.
    let mut out = std::io::stderr();
    writeln!(out, "{}", report.summary()).expect("stderr takes a few lines");
    assert!(report.failures.is_empty(), "\n{report}");
    let unused = report.tally.unused();
    let whole = std::env::var(PART_VARIABLE).is_err() && masks_are_for(cluster);
    assert!(unused.is_empty() || !whole, "never used: {unused:?}");
}

#[tokio::test]
async fn postgresql_gives_the_same_answers_twice() -> Result<()> {
    let cluster = cluster().await?;
    let address = cluster.primary().address();
    let again = vec![way("again", address)];
    let suite = suite()?;
    let report = Box::pin(suite.run(cluster.primary(), way("direct", address), again)).await?;
    judge(&report, &cluster);
    Ok(())
}

#[tokio::test]
async fn trunkline_gives_the_answers_of_postgresql() -> Result<()> {
    let cluster = cluster().await?;
    let session = trunkline(&cluster, "session").await?;
    let transaction = trunkline(&cluster, "transaction").await?;
    let mut noisy = way("noisy", transaction.address());
    noisy.target.noisy = true;
    let ways =
        vec![way("session", session.address()), way("transaction", transaction.address()), noisy];
    let direct = way("direct", cluster.primary().address());
    let suite = suite()?;
    let report = Box::pin(suite.run(cluster.primary(), direct, ways)).await?;
    judge(&report, &cluster);
    Ok(())
}
