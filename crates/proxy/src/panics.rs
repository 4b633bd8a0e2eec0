//! Panics beside the loops. Each is a bug; it costs the task that it happened in and nobody else, and is counted.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

/// How many there were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Panics(Arc<AtomicU64>);

impl Panics {
    /// So many.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Carries out the work of a task; none when it has panicked. What the work held is dropped.
    pub(crate) async fn contain<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            // After a panic the work is not polled again, so that nobody sees what it has left half-done.
            if let Ok(poll) = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
                return poll.map(Some);
            }
            self.0.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(None)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_has_no_outcome_and_is_counted() {
        let panics = Panics::default();
        assert_eq!(panics.contain(async { 7 }).await, Some(7));
        let bad = async {
            tokio::task::yield_now().await;
            std::panic::resume_unwind(Box::new("a bug"));
        };
        assert_eq!(panics.contain(bad).await, None::<()>);
        assert_eq!(panics.count(), 1);
    }
}
