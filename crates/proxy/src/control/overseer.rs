//! The one owner of the cluster's state: takes events, publishes views.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use trunkline_cluster::{Action, Event, Moment, NodeId, Readers, State, View};

/// Events that may wait. Probes wait for room, so that a slow owner slows them down and loses nothing.
const EVENTS_MAX: usize = 256;

/// The task that owns the state, as others see it.
#[derive(Debug)]
pub struct Overseer {
    /// Takes events: from probes, from a reload, from an operator.
    pub events: mpsc::Sender<Event>,
    /// The view in force; `None` until the first event.
    pub view: watch::Receiver<Option<Arc<View>>>,
    /// Which nodes may be read from besides the primary, and how far behind they are.
    pub readers: watch::Receiver<Readers>,
    /// Nodes whose probes had failed and that have answered again.
    pub recovered: mpsc::Receiver<NodeId>,
    task: JoinHandle<()>,
}

/// Starts the owner of this state.
pub fn oversee(state: State) -> Overseer {
    let (events, inbox) = mpsc::channel(EVENTS_MAX);
    let (publish, view) = watch::channel(None);
    let (tell, recovered) = mpsc::channel(EVENTS_MAX);
    let (publish_readers, readers) = watch::channel(Readers::default());
    let tellers = Tellers { view: publish, readers: publish_readers, recovered: tell };
    Overseer { events, view, readers, recovered, task: tokio::spawn(run(state, inbox, tellers)) }
}

/// Those who are told.
struct Tellers {
    view: watch::Sender<Option<Arc<View>>>,
    readers: watch::Sender<Readers>,
    recovered: mpsc::Sender<NodeId>,
}

async fn run(mut state: State, mut inbox: mpsc::Receiver<Event>, tellers: Tellers) {
    let beginning = Instant::now();
    while let Some(event) = inbox.recv().await {
        let (next, actions) = state.step(Moment::after(beginning.elapsed()), event);
        state = next;
        for action in actions {
            match action {
                Action::Publish(view) => drop(tellers.view.send_replace(Some(Arc::new(view)))),
                Action::Readers(readers) => drop(tellers.readers.send_replace(readers)),
                // Nobody waits for it if so much is unread: who waits for the node tries it again by himself.
                Action::Recovered(node) => drop(tellers.recovered.try_send(node)),
            }
        }
    }
}

impl Drop for Overseer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
