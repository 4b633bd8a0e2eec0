//! Asking a server to cancel a statement.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::timeout;
use trunkline_wire::startup::cancel_request;

use super::connect::{Way, start_tls};
use super::dial::{Endpoint, NodeAddress, dial, io_failed};
use crate::handover::{Away, OpenError};
use crate::net::{Channel, TcpOptions};
use crate::tls::ServerSide;

/// Where to send the request: to the same address as the connection whose statement it is about, because a
/// name may stand for several servers.
#[derive(Debug, Clone)]
pub struct CancelTarget {
    /// [`NewServer::endpoint`](crate::handover::NewServer::endpoint) of the connection.
    pub endpoint: Endpoint,
    /// The node, for the name in its certificate.
    pub address: NodeAddress,
    /// Whether that connection is encrypted; then the request, which carries its key, is too.
    pub encrypted: bool,
    /// How TLS is done with servers.
    pub tls: Arc<ServerSide>,
    /// Options for TCP sockets.
    pub tcp: TcpOptions,
    /// For everything together (`timeouts.cancel`).
    pub timeout: Duration,
}

/// Sends a cancel request and waits until the server has closed the connection, which is when the signal has
/// been sent: only then can it be told which statement it hits.
pub async fn cancel(target: &CancelTarget, pid: i32, key: &[u8]) -> Result<(), OpenError> {
    match timeout(target.timeout, send(target, pid, key)).await {
        Ok(sent) => sent,
        Err(_) => Err(OpenError::Away(Away::Timeout { address: target.endpoint.to_string() })),
    }
}

async fn send(target: &CancelTarget, pid: i32, key: &[u8]) -> Result<(), OpenError> {
    let lost = |error: io::Error| OpenError::Away(io_failed(&target.endpoint, &error));
    let socket = dial(&target.endpoint, &target.tcp).await.map_err(lost)?;
    let mut channel = Channel::new(socket);
    if target.encrypted {
        start_tls(&mut channel, &target.tls, &target.address, &target.endpoint, Way::Tls).await?;
    }
    let mut request = BytesMut::new();
    cancel_request(&mut request, pid, key);
    channel.send(&request).await.map_err(lost)?;
    // The server answers nothing; what it says all the same is not looked at. Under TLS some servers close
    // without a goodbye or reset the connection, which is an end like any other.
    while matches!(channel.fill().await, Ok(read) if read > 0) {
        channel.received().clear();
    }
    Ok(())
}
