//! Opening the server connection of a replication connection.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use trunkline_wire::{SqlState, backend::Report, startup::ProtocolVersion};

use super::{
    office::{ADMIN, Office},
    seat::Seat,
};
use crate::{
    backend::{self, Names, OpenTarget},
    backoff::Backoff,
    cluster::{NodeId, Traffic},
    frontend::StartupParams,
    handover::{ErrorReport, NewServer, OpenError},
};

/// What those are told who have waited for as long as anyone waits for a server.
const IN_VAIN: &str = "no server connection for replication could be opened in time";

/// Why nothing could be opened if the settings have taken the primary away and nobody knows of another one yet.
const NODE_GONE: &str = "The node that is the primary is not in the settings any more.";

/// Opens a connection to the primary. Waits for one, and for a node that is away, as long as clients of pools wait for a
/// server; what the client is told in the end is the server's own word where it has said one.
pub(super) async fn open(
    office: &Arc<Office>,
    seat: &Seat,
) -> Result<(NodeId, NewServer), ErrorReport> {
    let limit = office.in_force.load().settings.pool.wait_timeout;
    let mut last = None;
    let found = keep_trying(office, seat, &mut last);
    if limit.is_zero() {
        return found.await;
    }
    match timeout(limit, found).await {
        Ok(outcome) => outcome,
        Err(_) => Err(in_vain(last.as_deref())),
    }
}

fn in_vain(last: Option<&str>) -> ErrorReport {
    let detail = last.unwrap_or("No node is known to be the primary.");
    let report = Report::fatal(SqlState::TOO_MANY_CONNECTIONS, IN_VAIN).with_detail(detail);
    ErrorReport::ours(&report.with_hint("The limit is pool.wait_timeout."))
}

/// Leaves in `last` why the last attempt has failed.
async fn keep_trying(
    office: &Arc<Office>,
    seat: &Seat,
    last: &mut Option<String>,
) -> Result<(NodeId, NewServer), ErrorReport> {
    let mut traffic = office.traffic.clone();
    let mut backoff = Backoff::default();
    loop {
        let Some(node) = primary(&mut traffic).await else { return Err(at_the_end()) };
        match attempt(office, seat, node).await? {
            Ok(new) if traffic.borrow().primary == Some(node) => return Ok((node, new)),
            // It is not the primary any more.
            Ok(_) => continue,
            Err(why) => *last = Some(why),
        }
        let settings = Arc::clone(&office.in_force.load().settings);
        let limits = (settings.pool.retry_backoff_min, settings.pool.retry_backoff_max);
        sleep(backoff.next(limits, Duration::ZERO, rand::random())).await;
    }
}

/// Waits until there is one; none if nobody watches the nodes any more.
async fn primary(traffic: &mut watch::Receiver<Traffic>) -> Option<NodeId> {
    let seen = traffic.wait_for(|traffic| traffic.primary.is_some()).await;
    seen.ok().and_then(|traffic| traffic.primary)
}

/// Tries it once: a connection, or why another attempt may do better; an error if none will.
async fn attempt(
    office: &Office,
    seat: &Seat,
    node: NodeId,
) -> Result<Result<NewServer, String>, ErrorReport> {
    let target = match target(office, seat, node) {
        Ok(target) => target,
        Err(Nowhere::Node) => return Ok(Err(NODE_GONE.to_owned())),
        Err(Nowhere::Database(name)) => return Err(no_database(&name)),
    };
    match backend::open(&target).await {
        Ok(new) => Ok(Ok(new)),
        Err(OpenError::Final(report) | OpenError::NodeFull(report)) => Err(report),
        Err(OpenError::NoCredential(lacking)) => Err(lacking.report(&seat.user)),
        Err(OpenError::Away(away)) => {
            office.shared.suspect(node);
            Ok(Err(away.to_string()))
        }
        Err(error @ OpenError::Broken) => Ok(Err(error.to_string())),
    }
}

/// Nobody is left who watches the nodes: the order to go is about to be given.
fn at_the_end() -> ErrorReport {
    ErrorReport::ours(&Report::fatal(SqlState::ADMIN_SHUTDOWN, ADMIN))
}

/// The user's database was removed from the settings meanwhile.
fn no_database(name: &str) -> ErrorReport {
    let message = format!("database \"{name}\" does not exist");
    ErrorReport::ours(&Report::fatal(SqlState::INVALID_CATALOG_NAME, &message))
}

/// What the settings do not know.
#[derive(Debug)]
enum Nowhere {
    Node,
    Database(Arc<str>),
}

/// Where the connection leads and how it is opened.
fn target(office: &Office, seat: &Seat, node: NodeId) -> Result<OpenTarget, Nowhere> {
    let in_force = office.in_force.load();
    let entry = in_force.nodes.get(&node).ok_or(Nowhere::Node)?;
    let policy = in_force.settings.replication_for(seat.database.as_deref(), &seat.user);
    let policy =
        policy.ok_or_else(|| Nowhere::Database(seat.database.clone().unwrap_or_default()))?;
    let asked = ("replication".into(), seat.kind.parameter().into());
    let others = std::iter::once(asked).chain(seat.startup.others.iter().cloned()).collect();
    Ok(OpenTarget {
        address: entry.address.clone(),
        names: Names::default(),
        database: policy.server_database.into(),
        user: policy.server_user.into(),
        secret: policy.server_secret,
        ring: Arc::clone(&office.ring),
        startup: StartupParams { others, ..seat.startup.clone() },
        tls: Arc::clone(&in_force.server_tls),
        protocol: ProtocolVersion::V3_0,
        connect_timeout: in_force.settings.pool.connect_timeout,
        tcp: in_force.tcp,
        allow_cleartext: in_force.settings.auth.allow_cleartext_to_server,
    })
}
