//! One replication connection, from its login to its end.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{io::AsyncWriteExt as _, sync::watch, time::timeout};
use trunkline_wire::{
    SqlState,
    backend::{self, Report},
};

use super::{
    office::Office,
    opening::open,
    pump::{Pump, Side},
    seat::{Order, Seat, Stage},
};
use crate::{
    cluster::{NodeId, Traffic},
    handover::{NewServer, ReplicationLogin},
    net::{AsyncSocket, Channel},
};

/// How long a client may take to read why it is closed, or that it is let in.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

/// How long a server may take to hear that its client has gone, and to end: what it still says is carried that long.
const LEAVING: Duration = Duration::from_secs(5);

/// Bytes of a client that are read before it has a server; more stay in its socket, and then it is not noticed if it goes.
const EARLY_MAX: usize = 16 * 1024;

/// Why a connection is closed whose node is not the primary any more.
const CHANGED: &str = "terminating connection because the primary has changed";

/// Serves a client to its end.
pub(super) async fn visit(office: Arc<Office>, login: ReplicationLogin) {
    let Ok(seated) = office.take_seat(&login) else {
        let mut client = login.channel;
        return tell(&mut client, &full()).await;
    };
    let seat = &*seated.seat;
    // Its place is given back when it has gone.
    let ReplicationLogin { channel: mut client, slot: _slot, .. } = login;
    let opened = tokio::select! {
        opened = open(&office, seat) => opened,
        () = gone(&mut client) => return,
        why = told_to_go(&office, seat, None) => return tell(&mut client, &closed(why)).await,
    };
    match opened {
        Ok((node, new)) => {
            seat.served_by(node, &new);
            serve(&office, seat, &mut client, node, new).await;
        }
        Err(report) => {
            if office.in_force.load().settings.log.pooler_errors {
                tracing::warn!(client = %seat.peer, user = %seat.user, "no replication: {report}");
            }
            part(&mut client, &report.whole()).await;
        }
    }
    if office.in_force.load().settings.log.disconnections {
        tracing::info!(client = %seat.peer, user = %seat.user, "a replication connection has ended");
    }
}

/// Welcomes a client, whose server is there, and carries bytes until the end.
async fn serve(office: &Office, seat: &Seat, client: &mut Channel, node: NodeId, new: NewServer) {
    let words = welcome(seat, &new);
    let mut server = match AsyncSocket::new(new.socket) {
        Ok(socket) => Channel::resume(socket, new.tls, new.early),
        Err(error) => return tracing::warn!(%error, "a server connection could not be used"),
    };
    if !matches!(timeout(FAREWELL, client.send(&words)).await, Ok(Ok(()))) {
        return;
    }
    let mut pump = Pump::new(office, seat);
    let ended = tokio::select! {
        side = pump.carry(client, &mut server) => Ok(side),
        why = told_to_go(office, seat, Some(node)) => Err(why),
    };
    match ended {
        Ok(Side::Server) => part(client, &[]).await,
        Ok(Side::Client) => {
            // The server ends, and says so to who has only stopped sending.
            let rest = async {
                // If it has ended already, that cannot be told, and what it has said is carried all the same.
                server.shutdown().await.ok();
                pump.carry_rest(client, &mut server).await;
            };
            timeout(LEAVING, rest).await.ok();
            part(client, &[]).await;
        }
        Err(why) => {
            drop(server);
            // Amid a message there is no place for words of ours.
            let settled = timeout(FAREWELL, pump.settle(client)).await;
            if matches!(settled, Ok(Ok(true))) {
                tell(client, &closed(why)).await;
            }
        }
    }
}

/// What PostgreSQL says after a login.
fn welcome(seat: &Seat, new: &NewServer) -> BytesMut {
    let mut words = BytesMut::new();
    new.reported.write(&mut words);
    backend::backend_key_data(&mut words, seat.pid, seat.key());
    backend::ready_for_query(&mut words, b'I');
    words
}

/// Ends when the client has gone, while it has no server.
async fn gone(client: &mut Channel) {
    while client.received().len() < EARLY_MAX {
        match client.fill().await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    std::future::pending::<()>().await;
}

/// Ends when the connection is to be closed, and says why; `node` is that of its server.
async fn told_to_go(office: &Office, seat: &Seat, node: Option<NodeId>) -> &'static str {
    let (mut order, mut stage) = (seat.order.subscribe(), seat.stage.subscribe());
    let mut traffic = office.traffic.clone();
    loop {
        let at_rest = *stage.borrow_and_update() != Stage::Busy;
        match *order.borrow_and_update() {
            Order::Now(why) => return why,
            Order::AtRest(why) if at_rest => return why,
            Order::AtRest(_) | Order::Stay => {}
        }
        if is_elsewhere(&mut traffic, node) {
            return CHANGED;
        }
        tokio::select! {
            Ok(()) = order.changed() => {}
            Ok(()) = stage.changed() => {}
            Ok(()) = traffic.changed() => {}
            else => std::future::pending().await,
        }
    }
}

/// Whether it is certain that the node is not the primary any more.
fn is_elsewhere(traffic: &mut watch::Receiver<Traffic>, node: Option<NodeId>) -> bool {
    let traffic = traffic.borrow_and_update();
    node.is_some_and(|node| !traffic.may_go_on(node))
}

fn full() -> Report<'static> {
    let report = Report::fatal(SqlState::TOO_MANY_CONNECTIONS, "too many replication connections");
    report.with_hint("The limit is limits.replication.")
}

fn closed(why: &'static str) -> Report<'static> {
    Report::fatal(SqlState::ADMIN_SHUTDOWN, why)
}

/// Says a last word and closes.
async fn tell(client: &mut Channel, report: &Report<'_>) {
    let mut words = BytesMut::new();
    backend::error_response(&mut words, report);
    part(client, &words).await;
}

/// Closes in order.
async fn part(client: &mut Channel, last_words: &[u8]) {
    // Nobody is owed more than the attempt.
    timeout(FAREWELL, client.farewell(last_words)).await.ok();
}
