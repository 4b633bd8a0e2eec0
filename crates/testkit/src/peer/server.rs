//! The scripted server: accepts, sorts what comes in, and hands it to the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, anyhow};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::canned::Answers;
use super::socket::Socket;
use super::startup::{self, Opening};
use super::{CancelCall, Script, Startup, Talk};
use crate::wait::PATIENCE;

/// Connections that may wait for the test to take them; one more waits in the kernel.
const WAITING_MAX: usize = 64;

/// Which sessions are answered from a table instead of being handed to the test.
type Wanted = dyn Fn(&Startup) -> bool + Send + Sync;

/// A PostgreSQL server that does what the test says, on a TCP port of 127.0.0.1.
///
/// Dropping it closes the listener and what waits to be taken; sessions that the test has taken
/// live on.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    sessions: Receiver<Result<Talk>>,
    cancels: Receiver<CancelCall>,
    accepted: Arc<AtomicU32>,
    listening: JoinHandle<()>,
}

impl Peer {
    /// Listens. Every session waits for [`Self::accept`].
    pub async fn start() -> Result<Self> {
        Self::start_with(|_| false, Answers::new()).await
    }

    /// Listens; sessions whose startup is `wanted` (say, those of Trunkline's own probes) are let
    /// in and answered from `answers`, the others wait for [`Self::accept`].
    pub async fn start_with(
        wanted: impl Fn(&Startup) -> bool + Send + Sync + 'static,
        answers: Answers,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (to_sessions, sessions) = mpsc::channel(WAITING_MAX);
        let (to_cancels, cancels) = mpsc::channel(WAITING_MAX);
        let accepted = Arc::new(AtomicU32::new(0));
        let desk = Desk {
            accepted: Arc::clone(&accepted),
            wanted: Arc::new(wanted),
            answers: Arc::new(answers),
            to_sessions,
            to_cancels,
        };
        let listening = tokio::spawn(listen(listener, desk));
        Ok(Self { address, sessions, cancels, accepted, listening })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far, of every kind.
    pub fn accepted(&self) -> u32 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// The next session, let in without a password.
    pub async fn accept(&mut self) -> Result<Talk> {
        let mut talk = self.accept_unanswered().await?;
        talk.welcome().await?;
        Ok(talk)
    }

    /// The next session, whose `StartupMessage` has been read and not been answered.
    pub async fn accept_unanswered(&mut self) -> Result<Talk> {
        let next = timeout(PATIENCE, self.sessions.recv()).await;
        let next = next.map_err(|_| anyhow!("no session came for {PATIENCE:?}"))?;
        next.context("the peer has stopped listening")?
    }

    /// The next `CancelRequest`.
    pub async fn cancel(&mut self) -> Result<CancelCall> {
        let next = timeout(PATIENCE, self.cancels.recv()).await;
        let next = next.map_err(|_| anyhow!("no CancelRequest came for {PATIENCE:?}"))?;
        next.context("the peer has stopped listening")
    }

    /// Takes one session after the other and plays the scripts with them, one each; tells the first
    /// step that did not go as written.
    pub async fn play(&mut self, scripts: &[Script]) -> Result<()> {
        for (number, script) in scripts.iter().enumerate() {
            let talk = self.accept().await?;
            script.play(talk).await.with_context(|| format!("script {number}"))?;
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Where a connection goes once it has said what it wants.
#[derive(Clone)]
struct Desk {
    accepted: Arc<AtomicU32>,
    wanted: Arc<Wanted>,
    answers: Arc<Answers>,
    to_sessions: Sender<Result<Talk>>,
    to_cancels: Sender<CancelCall>,
}

/// Accepts until aborted. Each connection has a task of its own, so that a slow one holds up no
/// other.
async fn listen(listener: TcpListener, desk: Desk) {
    while let Ok((stream, _)) = listener.accept().await {
        let pid = desk.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::spawn(desk.clone().sort(stream, pid));
    }
}

impl Desk {
    /// Reads how the connection begins and hands it over. A failure to hand it over means that the
    /// test is over.
    async fn sort(self, stream: TcpStream, pid: u32) {
        let opening = match Socket::tcp(stream) {
            Ok(socket) => startup::read(socket).await,
            Err(error) => Err(error),
        };
        match opening {
            Ok(Opening::Cancel(call)) => drop(self.to_cancels.send(call).await),
            Ok(Opening::Startup(startup, socket)) => {
                let canned = (self.wanted)(&startup);
                let talk = Talk::new(startup, pid, socket);
                if canned {
                    // How such a session ends is of no interest to the test.
                    drop(self.answers.serve(talk).await);
                } else {
                    drop(self.to_sessions.send(Ok(talk)).await);
                }
            }
            Err(error) => drop(self.to_sessions.send(Err(error)).await),
        }
    }
}
