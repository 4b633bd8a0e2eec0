//! The task that listens in one database: it follows the primary, keeps a connection for as long as anybody listens, and
//! tells the loops what it hears.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};
use trunkline_session::Channel;
use trunkline_wire::backend::{self, Fields, NotificationResponse, tag};

use super::{
    board::{Audience, Batch, Board, Place, Seat},
    calls::{Ask, Ticket},
    hubs::{Hubs, Lead},
    talk::{ANSWER_MAX, Talk},
};
use crate::{
    backoff::Backoff,
    cluster::NodeId,
    control::{ControlConnection, ControlError},
    engine::{Message, Shared},
    handover::OpenError,
    net::Message as ServerMessage,
};

/// How long a `LISTEN` waits for the listener; then its client keeps its server.
const ASK_MAX: Duration = Duration::from_secs(5);

/// How long the connection is kept when nobody listens any more.
const LINGER: Duration = Duration::from_secs(30);

/// Messages to the loops that are not taken by them yet. With more, nothing more is read, and the server keeps what it
/// has.
const UNDER_WAY_MAX: usize = 4096;

/// A notification, on its way to a loop.
#[derive(Debug)]
pub(crate) struct Heard {
    /// The clients of the loop that are told.
    pub(crate) to: Audience,
    pub(crate) channel: Arc<[u8]>,
    /// The message as they are told it.
    pub(crate) frame: Bytes,
    /// Its place among those under way.
    _place: OwnedSemaphorePermit,
}

/// One database, and who listens there.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) place: Place,
    board: Mutex<Board>,
    /// There is something to do.
    work: Notify,
    under_way: Arc<Semaphore>,
    /// When the connection was made, in the engine's microseconds; 0 while there is none.
    pub(super) since: AtomicU64,
    pub(super) reconnects: AtomicU64,
    /// Notifications heard, and times that clients were told one.
    pub(super) heard: AtomicU64,
    pub(super) told: AtomicU64,
}

/// Why there is no connection any more.
#[derive(Debug)]
enum End {
    /// Nobody listens.
    Deserted,
    /// It is to go to another place.
    Moved,
    /// It is lost.
    Lost(String),
}

/// Why a connection could not be made.
#[derive(Debug)]
struct Failure {
    why: String,
    /// It may be possible soon: the server cannot be reached, but has not said no.
    soon: bool,
}

impl Failure {
    /// A connection that was made has broken.
    fn of(error: &ControlError) -> Self {
        Self { why: error.to_string(), soon: true }
    }
}

impl Hub {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            board: Mutex::default(),
            work: Notify::new(),
            under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
            since: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            told: AtomicU64::new(0),
        }
    }

    pub(super) fn on_board<T>(&self, work: impl FnOnce(&mut Board) -> T) -> T {
        work(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A client wants to be told of these channels, or only to know when all is heard that was sent by now.
    pub(super) fn ask(&self, shared: &Arc<Shared>, ask: (Seat, u32), channels: Vec<Channel>) {
        let now = Instant::now();
        let due = now.checked_add(ASK_MAX).unwrap_or(now);
        let ask = Ask::new(Arc::<Shared>::clone(shared), ask, channels, due);
        // What is given back tells the loop when it is dropped, and not under the lock.
        drop(self.on_board(|board| board.ask(ask)));
        self.work.notify_one();
    }

    /// Something else has changed on the board.
    pub(super) fn look(&self) {
        self.work.notify_one();
    }

    /// A server waits until what was sent by it is heard.
    pub(super) fn wait(&self, ticket: Ticket) {
        drop(self.on_board(|board| board.wait(ticket)));
        self.work.notify_one();
    }

    /// Listens for as long as anybody is there to be told.
    pub(super) async fn run(&self, hubs: &Hubs, shared: &Arc<Shared>) {
        let mut backoff = Backoff::default();
        // Whether somebody has perhaps missed something: after a panic, too.
        let mut lost = !self.on_board(|board| board.everybody()).is_empty();
        drop(self.on_board(|board| board.went_down(None)));
        let mut last_why = String::new();
        loop {
            if hubs.closes(self) {
                return;
            }
            let lead = self.primary(hubs).await;
            let Some(node) = lead.node else { continue };
            let begun = Instant::now();
            let opened = tokio::select! {
                opened = self.open(hubs, node, lost) => opened,
                never = self.tend() => match never {},
            };
            let end = match opened {
                Ok(mut ear) => {
                    self.since.store(shared.now_us(), Ordering::Relaxed);
                    let mut batch = None;
                    last_why.clear();
                    let end = self.serve(&mut ear, &mut batch, hubs, shared, lead).await;
                    self.since.store(0, Ordering::Relaxed);
                    drop(self.on_board(|board| board.went_down(batch)));
                    lost = !matches!(end, End::Deserted);
                    end
                }
                Err(Failure { why, soon }) => {
                    if !soon {
                        drop(self.on_board(|board| board.fail(&why)));
                    }
                    End::Lost(why)
                }
            };
            if let End::Lost(why) = end {
                if why != last_why {
                    tracing::warn!(database = %self.place.database, "the listener has no connection: {why}");
                    last_why = why;
                }
                let pause = backoff.next(hubs.backoff(), begun.elapsed(), rand::random());
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = hubs.moved(lead) => {}
                    never = self.tend() => match never {},
                }
            }
        }
    }

    /// Waits until the primary is known; those who cannot wait so long are told. Without one if nobody is left.
    async fn primary(&self, hubs: &Hubs) -> Lead {
        loop {
            let lead = hubs.lead();
            if lead.node.is_some() || self.on_board(|board| board.is_deserted()) {
                return lead;
            }
            tokio::select! {
                () = hubs.moved(lead) => {}
                () = self.work.notified() => {}
                () = self.expire() => {}
            }
        }
    }

    /// While there is no connection, lets nobody wait for too long.
    async fn tend(&self) -> Infallible {
        loop {
            tokio::select! {
                () = self.expire() => {}
                () = self.work.notified() => {}
            }
        }
    }

    /// Waits until somebody has waited for too long, and tells him.
    async fn expire(&self) {
        match self.on_board(|board| board.next_due()) {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
        drop(self.on_board(|board| board.expired(Instant::now())));
    }

    /// Makes a connection that hears what is listened to already. Those who have listened before are told if something
    /// may have been missed.
    async fn open(
        &self,
        hubs: &Hubs,
        node: NodeId,
        lost: bool,
    ) -> Result<ControlConnection, Failure> {
        let target = hubs.target(&self.place, node).ok_or_else(|| Failure {
            why: "its node is not in the settings".to_owned(),
            soon: true,
        })?;
        let mut ear = ControlConnection::connect(&target).await.map_err(|error| Failure {
            why: error.to_string(),
            soon: !matches!(error, OpenError::Final(_) | OpenError::NoCredential(_)),
        })?;
        // Only versions that know the setting would end the connection because it is idle.
        match ear.query("SET idle_session_timeout = 0", ANSWER_MAX).await {
            Ok(_) | Err(ControlError::Server(_)) => {}
            Err(error) => return Err(Failure::of(&error)),
        }
        for text in self.on_board(Board::came_up) {
            let heard = ear.query(&text, ANSWER_MAX).await;
            heard.map_err(|error| Failure::of(&error))?;
        }
        if lost {
            self.reconnects.fetch_add(1, Ordering::Relaxed);
            hubs.note_reconnect();
            for (at, to) in self.on_board(|board| board.everybody()) {
                hubs.tell(at, Message::Missed(to));
            }
        }
        self.on_board(|board| board.is_up = true);
        Ok(ear)
    }

    /// Tells what it hears and does what it is asked for. What it is at when it ends stays in `batch`.
    async fn serve(
        &self,
        ear: &mut ControlConnection,
        batch: &mut Option<Batch>,
        hubs: &Hubs,
        shared: &Arc<Shared>,
        lead: Lead,
    ) -> End {
        let mut talk = Talk::default();
        let mut deserted_since = None;
        loop {
            if batch.is_none() {
                *batch = self.on_board(|board| board.take_batch(talk.singly > 0));
                if let Some(next) = batch {
                    next.refused.clear();
                    if let Err(error) = talk.begin(ear, next).await {
                        return End::Lost(error.to_string());
                    }
                }
            }
            let deserted = self.on_board(|board| board.is_deserted());
            deserted_since =
                deserted_since.filter(|_| deserted).or_else(|| deserted.then(Instant::now));
            let close = deserted_since.and_then(|since: Instant| since.checked_add(LINGER));
            let due = talk.due(batch.is_some());
            let late = batch.as_ref().and_then(Batch::next_due);
            tokio::select! {
                message = ear.hear() => {
                    let taken = match message {
                        Ok(message) if message.tag == tag::NOTIFICATION_RESPONSE => {
                            self.tell(message.body(), hubs, shared, lead).await;
                            // The loops may have taken long.
                            talk.silent_since = Instant::now();
                            Ok(())
                        }
                        Ok(message) => self.take(&message, batch, &mut talk),
                        Err(error) => Err(error.to_string()),
                    };
                    if let Err(why) = taken {
                        return End::Lost(why);
                    }
                }
                // While no primary is known, the one that was it may still be.
                () = hubs.replaced(lead) => return End::Moved,
                () = self.work.notified(), if batch.is_none() => {}
                () = self.expire() => {}
                () = sleep_until(late.unwrap_or(due)), if late.is_some() => {
                    // Much else may come before the answer.
                    drop(batch.as_mut().map(|batch| batch.expired(Instant::now())));
                }
                () = sleep_until(due) => {
                    if batch.is_some() {
                        return End::Lost("the server does not answer".to_owned());
                    }
                    if let Err(error) = talk.begin(ear, batch.insert(Batch::default())).await {
                        return End::Lost(error.to_string());
                    }
                }
                () = sleep_until(close.unwrap_or(due)), if close.is_some() => return End::Deserted,
            }
        }
    }

    /// Takes a message that is no notification.
    fn take(
        &self,
        message: &ServerMessage,
        batch: &mut Option<Batch>,
        talk: &mut Talk,
    ) -> Result<(), String> {
        talk.silent_since = Instant::now();
        match message.tag {
            tag::ERROR_RESPONSE => match Fields::parse(message.body()) {
                Ok(fields) if !fields.is_fatal() => talk.refused = true,
                fields => return Err(said(fields.ok())),
            },
            tag::READY_FOR_QUERY => {
                let refused = std::mem::take(&mut talk.refused);
                if let Some(batch) = batch.take() {
                    talk.singly = talk.singly.saturating_add(self.finish(batch, refused));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The server has answered. Says how many must ask again one by one.
    fn finish(&self, batch: Batch, refused: bool) -> usize {
        let count = batch.ask_count();
        let (asks, tickets) =
            self.on_board(|board| if refused { board.refused(batch) } else { board.done(batch) });
        drop(tickets);
        if refused {
            return count.saturating_sub(asks.len());
        }
        asks.into_iter().for_each(Ask::grant);
        0
    }

    /// Tells the loops of a notification.
    async fn tell(&self, body: &[u8], hubs: &Hubs, shared: &Arc<Shared>, lead: Lead) {
        let Ok(note) = NotificationResponse::parse(body) else { return };
        self.heard.fetch_add(1, Ordering::Relaxed);
        let audiences = self.on_board(|board| board.audience(note.channel));
        if audiences.is_empty() {
            return;
        }
        let client =
            lead.node.and_then(|node| shared.backends().client_of(node, note.pid, shared.now_us()));
        let mut frame = BytesMut::new();
        let pid = client.unwrap_or(note.pid);
        backend::notification_response(&mut frame, pid, note.channel, note.payload);
        let (frame, channel) = (frame.freeze(), Arc::<[u8]>::from(note.channel));
        for (at, to) in audiences {
            // It is never closed.
            let Ok(place) = Arc::clone(&self.under_way).acquire_owned().await else { return };
            let told = u64::try_from(to.len()).unwrap_or(u64::MAX);
            self.told.fetch_add(told, Ordering::Relaxed);
            hubs.note_told(told);
            let (channel, frame) = (Arc::clone(&channel), frame.clone());
            shared.send(at, Message::Heard(Box::new(Heard { to, channel, frame, _place: place })));
        }
    }
}

fn said(fields: Option<Fields<'_>>) -> String {
    let message = fields.as_ref().and_then(Fields::message).unwrap_or_default();
    String::from_utf8_lossy(message).into_owned()
}
