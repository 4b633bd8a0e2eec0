//! Everything of this crate, running.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc::UnboundedReceiver, watch},
    task::JoinSet,
    time::{Instant, interval_at, timeout},
};
use trunkline_proxy::{handover::ConsoleLogin, seats::Seat};

use crate::{
    averages::{Mark, Marks, PERIOD},
    console::{Console, ShutdownMode, serve_login},
    http::{self, HttpListener},
    pooler::Pooler,
    pools, snapshot,
};

/// Called when an operator says `SHUTDOWN`. Must not block.
pub type ShutdownHook = Arc<dyn Fn(ShutdownMode) + Send + Sync>;

/// What is served, and what the console may do beyond the [`Pooler`].
#[derive(Default)]
pub struct Options {
    /// The socket for HTTP; without one there is no HTTP.
    pub http: Option<HttpListener>,
    /// Stops the program; without one `SHUTDOWN` is refused.
    pub shutdown: Option<ShutdownHook>,
    /// True once operators are to go who are not waiting for a command to end. Without it they stay until everything
    /// stops.
    pub closing: Option<watch::Receiver<bool>>,
}

/// When the sessions of operators end.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    /// As soon as no command is under way.
    pub(crate) closing: watch::Receiver<bool>,
    /// Now.
    pub(crate) stop: watch::Receiver<bool>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("http", &self.http)
            .field("shutdown", &self.shutdown.is_some())
            .field("closing", &self.closing)
            .finish()
    }
}

/// How long sessions and requests may take to end once everything is to stop. Each has deadlines of its own that are
/// shorter; this one is for what was not thought of.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// Serves operators who have logged in, and HTTP, until `stop` is true or its sender is gone. Stop it last: during a
/// shutdown that waits for clients, load balancers want to see the readiness.
///
/// Must be called inside a tokio runtime with time and I/O.
pub async fn serve<P: Pooler>(
    pooler: P,
    mut consoles: UnboundedReceiver<(ConsoleLogin, Seat)>,
    options: Options,
    mut stop: watch::Receiver<bool>,
) {
    let origin = Instant::now();
    let (sender, marks) = watch::channel(Arc::default());
    let console = Arc::new(Console { pooler, marks, origin, shutdown: options.shutdown });
    let mut tasks = JoinSet::new();
    tasks.spawn(take_marks(Arc::clone(&console), sender, stop.clone()));
    if let Some(listener) = options.http {
        tasks.spawn(http::serve(listener, Arc::clone(&console), stop.clone()));
    }
    let ends =
        Ends { closing: options.closing.unwrap_or_else(|| stop.clone()), stop: stop.clone() };
    let mut open = true;
    loop {
        tokio::select! {
            login = consoles.recv(), if open => match login {
                Some((login, seat)) => {
                    tasks.spawn(serve_login(Arc::clone(&console), login, seat, ends.clone()));
                }
                // No more logins will come; HTTP and the sessions go on.
                None => open = false,
            },
            // Sessions that have ended are forgotten at once; one that panicked is told of by the runtime's hook.
            Some(_) = tasks.join_next() => {}
            () = stopped(&mut stop) => break,
        }
    }
    let all = async { while tasks.join_next().await.is_some() {} };
    if timeout(STOP_DEADLINE, all).await.is_err() {
        tracing::warn!("{} console sessions or HTTP servers did not end in time", tasks.len());
    }
}

/// Waits until everything is to stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone will say nothing more; its end means the same.
    drop(stop.wait_for(|stop| *stop).await);
}

/// Remembers the counters of every database once in a period.
async fn take_marks<P: Pooler>(
    console: Arc<Console<P>>,
    marks: watch::Sender<Arc<Marks>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut ticks = interval_at(console.origin + PERIOD, PERIOD);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stopped(&mut stop) => return,
        }
        let totals: BTreeMap<_, _> = match snapshot::report(&console.pooler).await {
            Ok(loops) => pools::by_database(&pools::counters(&loops)),
            Err(error) => {
                tracing::warn!("averages skip a period: {error}");
                continue;
            }
        };
        let at_us = u64::try_from(console.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        marks.send_modify(|marks| {
            let last = Marks::clone(marks);
            *marks = Arc::new(last.advance(Mark { at_us, totals }));
        });
    }
}

#[cfg(test)]
mod tests;
