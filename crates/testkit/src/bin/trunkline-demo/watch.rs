//! What the servers say of the connections that Trunkline makes: looked at again and again while
//! something runs, on a connection that does not go through Trunkline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use trunkline_testkit::{Cluster, Node};

use super::scene::USER;

/// Time between two looks at each server.
const LOOK_PAUSE: Duration = Duration::from_millis(25);

/// The server processes of the demo's user, whatever they are doing.
const CONNECTIONS: &str = "SELECT count(*)::int FROM pg_stat_activity WHERE usename = $1 \
                           AND backend_type = 'client backend'";

/// Watches every server of a cluster until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    servers: Vec<Server>,
    over: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Server {
    name: String,
    most: Arc<AtomicUsize>,
    looks: Arc<AtomicUsize>,
    looking: JoinHandle<Result<()>>,
}

/// What was seen of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its name.
    pub(crate) name: String,
    /// The most connections of the demo's user at one look.
    pub(crate) most: usize,
    /// How often was looked.
    pub(crate) looks: usize,
}

impl Watch {
    pub(crate) async fn begin(cluster: &Cluster) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let mut servers = Vec::new();
        for node in cluster.nodes() {
            servers.push(Server::watch(node, Arc::clone(&over)).await?);
        }
        Ok(Self { servers, over })
    }

    /// Ends the watch and tells what was seen; an error if a server could not be looked at.
    pub(crate) async fn end(mut self) -> Result<Vec<Seen>> {
        self.over.store(true, Ordering::SeqCst);
        let mut seen = Vec::new();
        for server in std::mem::take(&mut self.servers) {
            server.looking.await?.with_context(|| format!("watching {}", server.name))?;
            seen.push(Seen {
                name: server.name,
                most: server.most.load(Ordering::SeqCst),
                looks: server.looks.load(Ordering::SeqCst),
            });
        }
        Ok(seen)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for server in &self.servers {
            server.looking.abort();
        }
    }
}

impl Server {
    async fn watch(node: &Node, over: Arc<AtomicBool>) -> Result<Self> {
        let client = node.connect("postgres").await?;
        let (most, looks) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let looking = tokio::spawn(look(client, over, Arc::clone(&most), Arc::clone(&looks)));
        Ok(Self { name: node.name().to_owned(), most, looks, looking })
    }
}

async fn look(
    client: Client,
    over: Arc<AtomicBool>,
    most: Arc<AtomicUsize>,
    looks: Arc<AtomicUsize>,
) -> Result<()> {
    let statement = client.prepare(CONNECTIONS).await?;
    while !over.load(Ordering::SeqCst) {
        let count: i32 = client.query_one(&statement, &[&USER]).await?.try_get(0)?;
        most.fetch_max(usize::try_from(count)?, Ordering::SeqCst);
        looks.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    Ok(())
}
