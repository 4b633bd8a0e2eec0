//! One connection: two directions, each a reader that notes when bytes came and a writer that lets
//! them pass when the conditions allow it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::Counters;
use super::conditions::{Conditions, Direction, Ending};

/// Bytes read at once.
const PIECE_BYTES: usize = 16 * 1024;

/// Pieces under way in one direction of a connection: 4 MiB, what a long fast line may hold.
const PIECES_MAX: usize = 256;

/// With a limited rate, this many pieces go out per second, so that a limit is smooth.
const PIECES_PER_SECOND: u32 = 50;

/// A piece and the moment it was read.
type Piece = (Instant, Bytes);

/// Carries a connection until one side or the link ends it.
pub(super) async fn carry(
    mut client: TcpStream,
    server: SocketAddr,
    conditions: watch::Receiver<Conditions>,
    counters: Arc<Counters>,
) {
    counters.open.fetch_add(1, Ordering::SeqCst);
    let born = conditions.borrow().cuts;
    let mut far = None;
    let ending = tokio::select! {
        ending = cut(conditions.clone(), born) => ending,
        ending = both_ways(&mut client, server, &mut far, &conditions, &counters) => ending,
    };
    if ending == Ending::Reset {
        for stream in [Some(&client), far.as_ref()].into_iter().flatten() {
            // Fails only if the socket has gone already.
            drop(SockRef::from(stream).set_linger(Some(Duration::ZERO)));
        }
    }
    drop((client, far));
    counters.open.fetch_sub(1, Ordering::SeqCst);
}

/// Ends when the connections of this time are cut.
async fn cut(mut conditions: watch::Receiver<Conditions>, born: u64) -> Ending {
    match conditions.wait_for(|now| now.cuts != born).await {
        Ok(now) => now.last_cut.unwrap_or(Ending::Reset),
        // The link has gone.
        Err(_) => Ending::Reset,
    }
}

/// Connects to the server, as soon as anything may pass, and moves bytes both ways. The connection
/// is left in `far`, for the caller to close.
async fn both_ways(
    client: &mut TcpStream,
    server: SocketAddr,
    far: &mut Option<TcpStream>,
    conditions: &watch::Receiver<Conditions>,
    counters: &Counters,
) -> Ending {
    let passable = |now: &Conditions| !now.way(Direction::ToServer).held;
    if conditions.clone().wait_for(passable).await.is_err() {
        return Ending::Reset;
    }
    let Ok(stream) = TcpStream::connect(server).await else { return Ending::Reset };
    let server = far.insert(stream);
    if client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).is_err() {
        return Ending::Reset;
    }
    // Halves that are borrowed: owned ones would say FIN when they are dropped.
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let way = |direction| Pump { direction, conditions: conditions.clone(), counters };
    let outcome = tokio::try_join!(
        way(Direction::ToServer).run(from_client, to_server),
        way(Direction::ToClient).run(from_server, to_client),
    );
    outcome.err().unwrap_or(Ending::Close)
}

/// One direction of one connection.
struct Pump<'a> {
    direction: Direction,
    conditions: watch::Receiver<Conditions>,
    counters: &'a Counters,
}

impl Pump<'_> {
    /// Moves bytes until the reader's side has said its last, which is passed on; the error is how
    /// the whole connection is to end.
    async fn run(self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> Result<(), Ending> {
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        tokio::try_join!(read(from, sender), self.write(to, receiver))?;
        Ok(())
    }

    async fn write(
        mut self,
        mut to: WriteHalf<'_>,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> Result<(), Ending> {
        let mut passed = 0;
        while let Some((came, mut piece)) = pieces.recv().await {
            while !piece.is_empty() {
                self.may_pass(came).await?;
                let part = piece.split_to(self.allowed(passed, piece.len())?);
                to.write_all(&part).await.map_err(|_| Ending::Reset)?;
                let count = u64::try_from(part.len()).unwrap_or(u64::MAX);
                passed += count;
                self.counters.bytes(self.direction).fetch_add(count, Ordering::SeqCst);
                // Looked at again, so that a cut comes right after its byte.
                self.allowed(passed, 1)?;
                self.pause_for(part.len()).await;
            }
        }
        self.may_pass(Instant::now()).await?;
        to.shutdown().await.map_err(|_| Ending::Reset)
    }

    /// Waits until a piece that came then may pass: the way is not held and the delay is over.
    async fn may_pass(&mut self, came: Instant) -> Result<(), Ending> {
        let direction = self.direction;
        let delay = self.conditions.borrow().way(direction).delay;
        sleep_until(came + delay).await;
        let open = self.conditions.wait_for(|now| !now.way(direction).held).await;
        open.map(drop).map_err(|_| Ending::Reset)
    }

    /// How much of so many bytes may be written at once, after so many have passed: at least 1.
    fn allowed(&self, passed: u64, wanted: usize) -> Result<usize, Ending> {
        let conditions = self.conditions.borrow();
        let way = conditions.way(self.direction);
        let mut allowed = wanted;
        if let Some((byte, ending)) = way.cut_at {
            let left = byte.saturating_sub(passed);
            if left == 0 {
                return Err(ending);
            }
            allowed = allowed.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        if let Some(rate) = way.bytes_per_second {
            let piece = (rate / PIECES_PER_SECOND).max(1);
            allowed = allowed.min(usize::try_from(piece).unwrap_or(usize::MAX));
        }
        Ok(allowed)
    }

    /// Waits as long as so many bytes take at a limited rate.
    async fn pause_for(&self, count: usize) {
        let rate = self.conditions.borrow().way(self.direction).bytes_per_second;
        if let Some(rate) = rate {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            sleep(Duration::from_secs(1) * count / rate).await;
        }
    }
}

/// Reads until the end and notes when each piece came.
async fn read(mut from: ReadHalf<'_>, pieces: mpsc::Sender<Piece>) -> Result<(), Ending> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE_BYTES);
        match from.read_buf(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(_) => {
                let piece = (Instant::now(), buffer.split().freeze());
                // The writer has ended, and has said how.
                if pieces.send(piece).await.is_err() {
                    return Ok(());
                }
            }
            Err(_) => return Err(Ending::Reset),
        }
    }
}
