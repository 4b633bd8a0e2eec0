//! Nobody waits for longer than his share, no connection idles beside a client that waits, and the
//! cap holds at every moment.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::{DATABASE, Scene, ensure, run};
use tokio::task::JoinHandle;
use trunkline_testkit::cluster::query_text;
use trunkline_testkit::peer::{Answers, Peer, RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Result, Trunkline};

/// Clients that all want a server all the time.
const CLIENTS: usize = 500;

/// Statements that a client has on average when a run ends.
const MEAN: usize = 24;

/// Looks at the number of servers during a run, at least.
const LOOKS: usize = 10;

/// Lets a pool of 20 be dealt to 4 loops.
const DEALT: &str = "slots_per_worker = 5";

/// Logins at a time.
const LOGINS: usize = 25;

async fn crowd(trunkline: &Trunkline, user: &str, count: usize) -> Result<Vec<RawClient>> {
    let mut clients = Vec::new();
    while clients.len() < count {
        let logins = (0..LOGINS.min(count - clients.len())).map(|_| {
            let (address, user) = (trunkline.address(), user.to_owned());
            tokio::spawn(async move {
                RawClient::logged_in(address, &user, common::PASSWORD, DATABASE).await
            })
        });
        for login in logins.collect::<Vec<_>>() {
            clients.push(login.await??);
        }
    }
    Ok(clients)
}

/// Clients that each send one statement after the other until told to stop.
struct Rush {
    tasks: Vec<JoinHandle<Result<usize>>>,
    total: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Rush {
    fn start(clients: Vec<RawClient>) -> Self {
        let (total, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let rush = |mut client: RawClient| {
            let (total, stop) = (Arc::clone(&total), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut own = 0;
                while !stop.load(Ordering::Relaxed) {
                    run(&mut client, "SELECT 1").await?;
                    own += 1;
                    total.fetch_add(1, Ordering::Relaxed);
                }
                Result::<usize>::Ok(own)
            })
        };
        let tasks = clients.into_iter().map(rush).collect();
        Self { tasks, total, stop }
    }

    /// Whether the clients have had [`MEAN`] statements each on average; an error if none goes on.
    fn is_over(&self) -> Result<bool> {
        let failed = self.tasks.iter().all(JoinHandle::is_finished);
        ensure(!failed, "every client has failed")?;
        Ok(self.total.load(Ordering::Relaxed) >= self.tasks.len() * MEAN)
    }

    /// Statements of each client.
    async fn counts(self) -> Result<Vec<usize>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut counts = Vec::new();
        for task in self.tasks {
            counts.push(task.await??);
        }
        Ok(counts)
    }
}

/// The servers of this test are played by the test itself. PostgreSQL's are processes, each in a session of its own, of
/// which a busy machine may leave one standing for a second while the others run; the client it serves then has less,
/// whatever the pooler does.
async fn everybody_gets_a_share(size: usize) -> Result<()> {
    everybody_gets_a_share_with(size, "").await
}

async fn everybody_gets_a_share_with(size: usize, more: &str) -> Result<()> {
    let answers = Answers::new()
        .on(
            "pg_is_in_recovery",
            &["in_recovery", "system_identifier", "timeline"],
            &[&[Some("f"), Some("7000000000000000001"), Some("1")]],
        )
        .on("SELECT 1", &["?column?"], &[&[Some("1")]]);
    let peer = Peer::start_with(|_| true, answers).await?;
    let trunkline = Trunkline::builder()
        .node("pg1", peer.address())
        .user("alice", common::PASSWORD)
        .config(&format!("{}\n{more}", config(size)))
        .config("[server_tls]\nmode = \"disable\"")
        .start()
        .await?;
    let rush = Rush::start(crowd(&trunkline, "alice", CLIENTS).await?);
    wait_for("the run is over", PATIENCE, async || ensure(rush.is_over()?, "it goes on")).await?;
    let counts = rush.counts().await?;
    let mean = counts.iter().sum::<usize>() / counts.len();
    let least = counts.iter().min().copied().unwrap_or_default();
    assert!(least * 2 >= mean, "the mean is {mean}, the least {least}: {counts:?}");
    Ok(())
}

fn config(size: usize) -> String {
    format!("[general]\nworkers = 4\n[pool]\nsize = {size}\nwait_timeout = \"5m\"")
}

#[tokio::test]
async fn everybody_gets_a_share_of_one_server() -> Result<()> {
    everybody_gets_a_share(1).await
}

#[tokio::test]
async fn everybody_gets_a_share_of_two_servers() -> Result<()> {
    everybody_gets_a_share(2).await
}

#[tokio::test]
async fn everybody_gets_a_share_of_twenty_servers() -> Result<()> {
    everybody_gets_a_share(20).await
}

#[tokio::test]
async fn everybody_gets_a_share_of_servers_that_are_dealt_to_all_loops() -> Result<()> {
    everybody_gets_a_share_with(20, DEALT).await
}

#[tokio::test]
async fn everybody_gets_a_share_of_a_pool_that_is_large_enough_to_be_dealt_out() -> Result<()> {
    everybody_gets_a_share(64).await
}

/// Looks at the number of servers of a pool of this size while all clients rush.
async fn there_are_never_more_servers(
    user: &str,
    size: usize,
    clients: usize,
    more: &str,
) -> Result<()> {
    let scene = Scene::calm(user, &format!("{}\n{more}", config(size))).await?;
    let rush = Rush::start(crowd(&scene.trunkline, user, clients).await?);
    let looker = scene.node.connect(DATABASE).await?;
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}'");
    let mut looks = 0;
    while looks < LOOKS || !rush.is_over()? {
        let servers: usize = query_text(&looker, &sql).await?.parse()?;
        ensure(servers <= size, format!("{servers} servers in a pool of {size}"))?;
        looks += 1;
    }
    rush.counts().await?;
    Ok(())
}

#[tokio::test]
async fn there_are_never_more_servers_than_the_pool_may_have() -> Result<()> {
    for size in [1, 2, 20] {
        there_are_never_more_servers(&format!("cap{size}"), size, CLIENTS, "").await?;
    }
    there_are_never_more_servers("dealt", 20, CLIENTS, DEALT).await
}

#[tokio::test]
async fn servers_on_their_way_out_count_until_they_have_gone() -> Result<()> {
    // None is used for longer than this.
    there_are_never_more_servers("fleeting", 20, 100, "max_age = \"50ms\"").await
}

#[tokio::test]
async fn a_server_that_takes_longer_to_begin_than_it_may_live_serves_once() -> Result<()> {
    let config = "[pool]\nsize = 1\nmax_age = \"1ms\"";
    let scene = Scene::calm("mayfly", config).await?;
    let mut client = scene.raw().await?;
    for _ in 0..5 {
        run(&mut client, "SELECT 1").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_free_server_serves_a_client_on_whichever_loop_it_waits() -> Result<()> {
    let config = format!("[general]\nworkers = 4\n[pool]\nsize = 20\n{DEALT}");
    let scene = Scene::calm("spread", &config).await?;
    let mut holders = crowd(&scene.trunkline, &scene.user, 20).await?;
    for holder in &mut holders {
        run(holder, "BEGIN").await?;
    }
    // Each in turn is the only one whose server comes free, for clients of all loops.
    let mut others = crowd(&scene.trunkline, &scene.user, 8).await?;
    for holder in &mut holders {
        for other in &mut others {
            other.send(&say::query("SELECT 1")).await?;
        }
        run(holder, "COMMIT").await?;
        for other in &mut others {
            assert_eq!(tags(&other.read_until(b'Z').await?), "TDCZ");
        }
        run(holder, "BEGIN").await?;
    }
    wait_for("all servers are held again", PATIENCE, async || {
        let seen = scene.servers().await?.len();
        ensure(seen == 20, seen)
    })
    .await
}

/// Sends statement after statement, always some ahead of the answers, until told to stop; says how many were answered.
async fn hurry(mut client: RawClient, group: Vec<u8>, stop: Arc<AtomicBool>) -> Result<usize> {
    const AHEAD: usize = 50;
    let mut answered = 0;
    client.send(&group.repeat(2 * AHEAD)).await?;
    while !stop.load(Ordering::Relaxed) {
        client.send(&group.repeat(AHEAD)).await?;
        for _ in 0..AHEAD {
            client.read_until(b'Z').await?;
        }
        answered += AHEAD;
    }
    Ok(answered)
}

#[tokio::test]
async fn a_client_that_never_pauses_does_not_keep_its_server() -> Result<()> {
    let config = "[pool]\nsize = 1\nwait_timeout = \"10s\"";
    let scene = Scene::calm("hasty", config).await?;
    for group in [say::query("SELECT 1"), say::extended("SELECT 1", &[])] {
        let stop = Arc::new(AtomicBool::new(false));
        let hasty = tokio::spawn(hurry(scene.raw().await?, group.to_vec(), Arc::clone(&stop)));
        let mut patient = scene.raw().await?;
        for _ in 0..20 {
            run(&mut patient, "SELECT 2").await?;
        }
        ensure(!hasty.is_finished(), "the hasty client has stopped")?;
        stop.store(true, Ordering::Relaxed);
        let answered = hasty.await??;
        ensure(answered > 0, "the hasty client was not served")?;
    }
    Ok(())
}
