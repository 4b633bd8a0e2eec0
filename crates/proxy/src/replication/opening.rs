//! Opening the server connection of a replication connection.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use trunkline_wire::{SqlState, backend::Report, startup::ProtocolVersion};

use super::{office::Office, seat::Seat};
use crate::{
    backend::{self, Names, OpenTarget},
    cluster::NodeId,
    frontend::StartupParams,
    handover::{ErrorReport, NewServer, OpenError},
};

/// What those are told who have waited for as long as anyone waits for a server.
const IN_VAIN: &str = "no server connection for replication could be opened in time";

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
    let mut wait = Duration::ZERO;
    loop {
        // Without anybody who watches the nodes it is the end, and the order to go is given.
        let seen = traffic.wait_for(|traffic| traffic.primary.is_some()).await;
        let primary = seen.ok().and_then(|traffic| traffic.primary);
        let found = primary.and_then(|node| Some((node, target(office, seat, node)?)));
        let Some((node, target)) = found else { return Err(no_place(seat)) };
        match backend::open(&target).await {
            Ok(new) if traffic.borrow().primary == Some(node) => return Ok((node, new)),
            // It is not the primary any more.
            Ok(_) => continue,
            Err(OpenError::Final(report) | OpenError::NodeFull(report)) => return Err(report),
            Err(OpenError::NoCredential(lacking)) => return Err(lacking.report(&seat.user)),
            Err(OpenError::Away(away)) => {
                office.shared.suspect(node);
                *last = Some(away.to_string());
            }
            Err(OpenError::Broken) => {}
        }
        let settings = Arc::clone(&office.in_force.load().settings);
        let (shortest, longest) =
            (settings.pool.retry_backoff_min, settings.pool.retry_backoff_max);
        wait = wait.saturating_mul(2).clamp(shortest, longest.max(shortest));
        sleep(wait).await;
    }
}

/// The user's database was removed from the settings meanwhile.
fn no_place(seat: &Seat) -> ErrorReport {
    let name = seat.database.as_deref().unwrap_or_default();
    let message = format!("database \"{name}\" does not exist");
    ErrorReport::ours(&Report::fatal(SqlState::INVALID_CATALOG_NAME, &message))
}

/// Where the connection leads and how it is opened; none if the settings know of no such place.
fn target(office: &Office, seat: &Seat, node: NodeId) -> Option<OpenTarget> {
    let in_force = office.in_force.load();
    let entry = in_force.nodes.get(&node)?;
    let policy = in_force.settings.replication_for(seat.database.as_deref(), &seat.user)?;
    let asked = ("replication".into(), seat.kind.parameter().into());
    let others = std::iter::once(asked).chain(seat.startup.others.iter().cloned()).collect();
    Some(OpenTarget {
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
