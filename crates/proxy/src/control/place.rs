//! Where a node is while its name may come to mean another machine.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::backend::{Endpoint, OpenTarget, addresses};

/// Watches whether the address that a node is known at is still one of its name's. The name service may be slow, or say
/// nothing for long: nobody waits for it, and there is one question to it at a time.
#[derive(Debug)]
pub(super) struct Place {
    /// Where the last connection led.
    known: Option<Endpoint>,
    /// The question under way.
    asked: Option<JoinHandle<Option<Vec<Endpoint>>>>,
    /// No question before this.
    next: Instant,
    /// The least time between two questions.
    gap: Duration,
}

impl Place {
    /// Not known yet; names are looked up once in `gap` at most.
    pub(super) fn new(gap: Duration) -> Self {
        Self { known: None, asked: None, next: Instant::now(), gap }
    }

    /// A connection was made; says whether it leads to another place than the one before.
    pub(super) fn reached(&mut self, endpoint: &Endpoint) -> bool {
        let before = self.known.replace(endpoint.clone());
        before.is_some_and(|before| before != *endpoint)
    }

    /// Asks what the name means, and says whether an earlier answer was without the known place.
    pub(super) async fn is_lost(&mut self, target: &OpenTarget) -> bool {
        let answer = match self.asked.take() {
            Some(asked) if !asked.is_finished() => {
                self.asked = Some(asked);
                return false;
            }
            // It has ended; if that was by a panic, it has no answer.
            Some(asked) => asked.await.ok().flatten(),
            None => None,
        };
        if self.next <= Instant::now() && target.address.is_name() {
            let (address, names) = (target.address.clone(), target.names.clone());
            self.asked = Some(tokio::spawn(async move { addresses(&address, &names).await.ok() }));
            self.next = Instant::now() + self.gap;
        }
        match (&self.known, answer) {
            (Some(known), Some(found)) => !found.is_empty() && !found.contains(known),
            _ => false,
        }
    }
}
