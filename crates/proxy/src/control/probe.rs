//! Asking each node, again and again, what it is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, timeout_at};
use trunkline_cluster::{Event, Failure, Lsn, NodeId, Observation, Position, Role};

use super::connection::{ControlConnection, ControlError, Row};
use super::place::Place;
use crate::backend::OpenTarget;
use crate::handover::{Away, OpenError};

/// In recovery or not, system identifier, timeline; and how far its write-ahead log is (see [`Position`]).
///
/// A primary's timeline is that of the WAL it writes: the control file still shows the old one for a while
/// after a promotion. A standby's is the one it receives, or that of its last restart point while it
/// receives none. What only a primary, or only a standby, can be asked is an error on the other, and so is never
/// asked there.
const QUESTION: &str = "\
SELECT in_recovery,
       (SELECT system_identifier FROM pg_catalog.pg_control_system()),
       CASE WHEN in_recovery
         THEN coalesce((SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver),
                       (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()))
         ELSE ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int4
       END,
       CASE WHEN in_recovery THEN pg_catalog.pg_last_wal_replay_lsn()
         ELSE pg_catalog.pg_current_wal_flush_lsn() END,
       CASE WHEN in_recovery THEN pg_catalog.pg_last_wal_receive_lsn()
         ELSE pg_catalog.pg_current_wal_insert_lsn() END
  FROM (SELECT pg_catalog.pg_is_in_recovery() AS in_recovery OFFSET 0) AS now";

/// The least time between two probes of a node, however many ask for one at once.
const GAP_MIN: Duration = Duration::from_millis(50);

/// A node to watch.
#[derive(Debug, Clone)]
pub struct ProbeTarget {
    /// Its number, for the events.
    pub node: NodeId,
    /// Where and as whom; see [`control_target`](super::control_target).
    pub target: OpenTarget,
}

/// Nodes that have moved and are not told of yet; the probes wait for room.
const MOVED_MAX: usize = 16;

/// The running probes. Dropped, they end.
#[derive(Debug)]
pub struct Probing {
    watched: Vec<Watched>,
    moved: mpsc::Receiver<NodeId>,
}

#[derive(Debug)]
struct Watched {
    node: NodeId,
    at_once: Arc<Notify>,
    task: JoinHandle<()>,
}

/// Begins to probe: each node at once and then every `interval`, each probe at most `limit` long. What comes
/// of it goes to `events`. What the name of a node means is looked up as often.
pub fn probe(
    targets: Vec<ProbeTarget>,
    interval: Duration,
    limit: Duration,
    events: &mpsc::Sender<Event>,
) -> Probing {
    let (tell, moved) = mpsc::channel(MOVED_MAX);
    let watch = |target: ProbeTarget| {
        let node = target.node;
        let at_once = Arc::new(Notify::new());
        let place = Place::new(interval);
        let prober = Prober { target, limit, kept: None, place, moved: tell.clone() };
        let task = prober.run(interval, Arc::clone(&at_once), events.clone());
        Watched { node, at_once, task: tokio::spawn(task) }
    };
    Probing { watched: targets.into_iter().map(watch).collect(), moved }
}

impl Probing {
    /// Asks for a probe of the node now, for instance because a client's connection to it broke.
    pub fn at_once(&self, node: NodeId) {
        if let Some(watched) = self.watched.iter().find(|watched| watched.node == node) {
            watched.at_once.notify_one();
        }
    }

    /// The next node whose probes lead to another address than before: its name has come to mean another machine. None
    /// when no probe runs any more.
    pub async fn moved(&mut self) -> Option<NodeId> {
        self.moved.recv().await
    }

    /// Asks for a probe of every node now.
    pub fn all_at_once(&self) {
        for watched in &self.watched {
            watched.at_once.notify_one();
        }
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        for watched in &self.watched {
            watched.task.abort();
        }
    }
}

struct Prober {
    target: ProbeTarget,
    limit: Duration,
    kept: Option<ControlConnection>,
    place: Place,
    moved: mpsc::Sender<NodeId>,
}

impl Prober {
    async fn run(mut self, interval: Duration, at_once: Arc<Notify>, events: mpsc::Sender<Event>) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = at_once.notified() => {}
            }
            let node = self.target.node;
            let event = match self.once().await {
                Ok((observation, position)) => Event::Observed { node, observation, position },
                Err(failure) => Event::Failed { node, failure },
            };
            if events.send(event).await.is_err() {
                // Nobody wants to know any more.
                return;
            }
            tokio::time::sleep(GAP_MIN).await;
        }
    }

    async fn once(&mut self) -> Result<(Observation, Position), Failure> {
        let deadline = Instant::now() + self.limit;
        // What is cut off in the middle has been taken out of `kept` before.
        timeout_at(deadline, self.ask(deadline)).await.unwrap_or(Err(Failure::Silent))
    }

    async fn ask(&mut self, deadline: Instant) -> Result<(Observation, Position), Failure> {
        if self.place.is_lost(&self.target.target).await {
            self.kept = None;
        }
        if let Some(mut kept) = self.kept.take() {
            match kept.query(QUESTION, deadline.saturating_duration_since(Instant::now())).await {
                Ok(rows) => {
                    self.kept = Some(kept);
                    return read(&rows).ok_or(Failure::Refused);
                }
                Err(ControlError::Timeout) => return Err(Failure::Silent),
                // The server may have ended this one connection only; a fresh one will tell.
                Err(error) => {
                    tracing::debug!(node = %self.target.target.address, %error, "the kept probe connection is gone");
                }
            }
        }
        let mut fresh = ControlConnection::connect(&self.target.target)
            .await
            .map_err(|error| self.why(&error))?;
        if self.place.reached(fresh.endpoint()) {
            tracing::warn!(
                node = %self.target.target.address, address = %fresh.endpoint(),
                "the node is reached at another address now"
            );
            // An error means that the watch ends.
            self.moved.send(self.target.node).await.ok();
        }
        match fresh.query(QUESTION, deadline.saturating_duration_since(Instant::now())).await {
            Ok(rows) => {
                self.kept = Some(fresh);
                read(&rows).ok_or(Failure::Refused)
            }
            Err(ControlError::Timeout) => Err(Failure::Silent),
            Err(ControlError::Lost(_)) => Err(Failure::Unreachable),
            Err(error) => {
                tracing::warn!(node = %self.target.target.address, %error, "the probe's question failed");
                Err(Failure::Refused)
            }
        }
    }

    fn why(&self, error: &OpenError) -> Failure {
        let failure = match error {
            OpenError::NodeFull(_) => Failure::Full,
            OpenError::Away(Away::Timeout { .. } | Away::Untold { .. }) => Failure::Silent,
            OpenError::Away(Away::Io { .. }) => Failure::Unreachable,
            OpenError::Away(Away::Said(_)) => Failure::NotAccepting,
            OpenError::Final(_)
            | OpenError::NoCredential(_)
            | OpenError::Broken
            | OpenError::Away(Away::Tls { .. } | Away::Protocol { .. }) => Failure::Refused,
        };
        if failure == Failure::Refused {
            tracing::warn!(node = %self.target.target.address, %error, "cannot log in to probe the node");
        } else {
            tracing::debug!(node = %self.target.target.address, %error, "the probe failed");
        }
        failure
    }
}

fn read(rows: &[Row]) -> Option<(Observation, Position)> {
    let [row] = rows else { return None };
    let [Some(in_recovery), Some(system), timeline, log @ ..] = row.as_slice() else { return None };
    let role = match &in_recovery[..] {
        b"t" => Role::Standby,
        b"f" => Role::Primary,
        _ => return None,
    };
    let system = std::str::from_utf8(system).ok()?.parse().ok()?;
    let timeline = match timeline {
        Some(timeline) => Some(std::str::from_utf8(timeline).ok()?.parse().ok()?),
        None => None,
    };
    let place = |column: usize| match log.get(column) {
        Some(Some(text)) => Some(Some(lsn(text)?)),
        _ => Some(None),
    };
    let position = Position { reached: place(0)?, ahead: place(1)? };
    Some((Observation { role, system, timeline }, position))
}

/// A place in the log as the server writes it; none if it is not one.
pub(super) fn lsn(text: &[u8]) -> Option<Lsn> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn row<const N: usize>(values: [Option<&'static str>; N]) -> Vec<Row> {
        vec![values.map(|value| value.map(|text| Bytes::from_static(text.as_bytes()))).to_vec()]
    }

    #[test]
    fn an_answer_is_read_and_an_odd_one_is_not() {
        let answer =
            [Some("f"), Some("7340112233445566778"), Some("3"), Some("1/20"), Some("1/2A")];
        let (primary, position) = read(&row(answer)).unwrap();
        assert_eq!(primary.role, Role::Primary);
        assert_eq!((primary.system, primary.timeline), (7_340_112_233_445_566_778, Some(3)));
        let (reached, ahead) = (Some(Lsn(0x1_0000_0020)), Some(Lsn(0x1_0000_002A)));
        assert_eq!(position, Position { reached, ahead });
        let (standby, position) =
            read(&row([Some("t"), Some("1"), None, Some("0/7"), None])).unwrap();
        assert_eq!((standby.role, standby.timeline), (Role::Standby, None));
        assert_eq!(position, Position { reached: Some(Lsn(7)), ahead: None });
        assert_eq!(read(&row([Some("maybe"), Some("1"), None])), None);
        assert_eq!(read(&row([Some("t"), None, None])), None);
        assert_eq!(read(&row([Some("t"), Some("1"), Some("x")])), None);
        assert_eq!(read(&row([Some("t"), Some("1"), None, Some("seven"), None])), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn a_server_that_says_nothing_of_its_log_is_known_all_the_same() {
        let (_, position) = read(&row([Some("t"), Some("1"), Some("1")])).unwrap();
        assert_eq!(position, Position::default());
    }
}
