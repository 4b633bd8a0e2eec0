//! The socket, and what a connection may cost.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::routes;
use crate::{console::Console, pooler::Pooler, serve::stopped};

/// Connections at once. A handful of scrapers and health checks keep one each.
const MAX_CONNECTIONS: usize = 64;

/// How long a client may take to send a request's head, and how long a connection may lie idle between requests.
/// Prometheus asks every 15 to 60 s over one connection; one that is closed in between is opened again.
const HEAD_DEADLINE: Duration = Duration::from_secs(75);

/// Bytes of a request's head. hyper takes no less than 8 KiB.
const MAX_HEAD: usize = 16 << 10;

/// Lines in a request's head.
const MAX_HEADERS: usize = 64;

/// How long a connection may take to end once everything is to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(2);

/// How long to wait after an accept that failed, as it does when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why HTTP is not served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address can be reached from other machines.
    #[error(
        "http.address is {0}, which other machines can reach: HTTP has neither TLS nor authentication yet, so it is \
        served on loopback addresses only (127.0.0.1 or [::1]); put a proxy before it to make it public"
    )]
    NotLoopback(SocketAddr),
    /// The system does not give us the address.
    #[error("cannot listen on {address} (http.address): {source}")]
    Bind {
        /// The address of the settings.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// The socket on which HTTP is served.
#[derive(Debug)]
pub struct HttpListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl HttpListener {
    /// Takes the address; nothing is served before [`serve`](crate::serve).
    ///
    /// # Errors
    /// When the address is no loopback address, or is not to be had.
    pub async fn bind(address: SocketAddr) -> Result<Self, HttpError> {
        if !address.ip().to_canonical().is_loopback() {
            return Err(HttpError::NotLoopback(address));
        }
        let failed = |source| HttpError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address, with the port that was taken if 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves connections until everything is to stop; then waits for those that are answering a request.
pub(crate) async fn serve<P: Pooler>(
    listener: HttpListener,
    console: Arc<Console<P>>,
    mut stop: watch::Receiver<bool>,
) {
    let router = routes::router(console);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // Without a place nothing is accepted: the kernel keeps those who wait.
        let accepted = async {
            // The semaphore is never closed.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.listener.accept().await)
        };
        tokio::select! {
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let connection = connection(stream, router.clone(), stop.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!("cannot accept an HTTP connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, router: Router, mut stop: watch::Receiver<bool>) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS);
    let service = TowerToHyperService::new(router);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = served.as_mut() => Some(result),
        () = stopped(&mut stop) => {
            served.as_mut().graceful_shutdown();
            timeout(STOP_DEADLINE, served).await.ok()
        }
    };
    if let Some(Err(error)) = result {
        tracing::debug!("an HTTP connection ended: {error}");
    }
}

#[cfg(test)]
mod tests;
