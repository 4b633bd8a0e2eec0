//! Nobody waits for longer than his share, no connection idles beside a client that waits, and the
//! cap holds at every moment.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::{DATABASE, Scene, ensure, run};
use trunkline_testkit::Result;
use trunkline_testkit::cluster::query_text;
use trunkline_testkit::peer::{RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// Clients that all want a server all the time.
const CLIENTS: usize = 500;

/// Statements that a client has on average when the run ends.
const MEAN: usize = 12;

/// Looks at the number of servers during a run, at least.
const LOOKS: usize = 10;

/// Logins at a time.
const LOGINS: usize = 25;

async fn crowd(scene: &Scene<'_>, count: usize) -> Result<Vec<RawClient>> {
    let mut clients = Vec::new();
    while clients.len() < count {
        let logins = (0..LOGINS.min(count - clients.len())).map(|_| {
            let (address, user) = (scene.trunkline.address(), scene.user.clone());
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

/// Runs all clients until they have [`MEAN`] statements each on average, and gives the counts.
async fn rush(scene: &Scene<'_>, size: usize) -> Result<Vec<usize>> {
    let clients = crowd(scene, CLIENTS).await?;
    let (total, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
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
        })
        .collect();
    let looker = scene.node.connect(DATABASE).await?;
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", scene.user);
    let mut looks = 0;
    while looks < LOOKS || total.load(Ordering::Relaxed) < CLIENTS * MEAN {
        let servers: usize = query_text(&looker, &sql).await?.parse()?;
        ensure(servers <= size, format!("{servers} servers in a pool of {size}"))?;
        looks += 1;
        ensure(tasks.iter().any(|task| !task.is_finished()), "every client has failed")?;
    }
    stop.store(true, Ordering::Relaxed);
    let mut counts = Vec::new();
    for task in tasks {
        counts.push(task.await??);
    }
    Ok(counts)
}

async fn everybody_gets_a_share(user: &str, size: usize) -> Result<()> {
    let config = format!("[general]\nworkers = 4\n[pool]\nsize = {size}\nwait_timeout = \"5m\"");
    let scene = Scene::calm(user, &config).await?;
    let counts = rush(&scene, size).await?;
    let mean = counts.iter().sum::<usize>() / counts.len();
    let least = counts.iter().min().copied().unwrap_or_default();
    assert!(least * 2 >= mean, "the mean is {mean}, the least {least}: {counts:?}");
    Ok(())
}

#[tokio::test]
async fn everybody_gets_a_share_of_one_server() -> Result<()> {
    everybody_gets_a_share("fair1", 1).await
}

#[tokio::test]
async fn everybody_gets_a_share_of_two_servers() -> Result<()> {
    everybody_gets_a_share("fair2", 2).await
}

#[tokio::test]
async fn a_free_server_serves_a_client_on_whichever_loop_it_waits() -> Result<()> {
    let config = "[general]\nworkers = 4\n[pool]\nsize = 32";
    let scene = Scene::calm("spread", config).await?;
    let mut holders = crowd(&scene, 32).await?;
    for holder in &mut holders {
        run(holder, "BEGIN").await?;
    }
    // Each in turn is the only one whose server comes free, for clients of all loops.
    let mut others = crowd(&scene, 8).await?;
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
        ensure(seen == 32, seen)
    })
    .await
}
