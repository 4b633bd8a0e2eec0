//! The life of a running pooler: signals, reloads, and an orderly end.

use std::{io, sync::atomic::Ordering, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, Interval, MissedTickBehavior, interval, sleep_until},
};

use crate::{engine::Message, handle::Ending, pooler::Pooler};

/// How often the settings file, and the files that it names, are looked at for a change, and the pools for some that
/// nobody uses any more. Symbolic links that are swapped (Kubernetes) are noticed, because the file behind the name is
/// looked at.
const FILE_LOOK: Duration = Duration::from_secs(1);

/// How often an orderly end looks whether all clients have gone.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Signals the pooler answers to.
#[derive(Debug)]
pub struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    pause: Signal,
    resume: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Reload,
    /// TERM: says "not ready", waits `general.drain_delay`, then ends as soon as clients are between transactions.
    Drain,
    /// INT: the same without the delay.
    DrainNow,
    /// QUIT.
    End,
    Pause,
    Resume,
}

/// How somebody wants it to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Each client at its next idle moment; after `general.drain_delay`, if there is to be one.
    InOrder {
        delay: bool,
    },
    AtOnce,
}

/// How the pooler ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every client was between transactions when it was closed, or there was none.
    Orderly,
    /// Clients were cut off, by a deadline or a second signal.
    Forced,
}

impl Signals {
    /// Takes over the signals, before anything is started that they could interrupt.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            pause: signal(SignalKind::user_defined1())?,
            resume: signal(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.hangup.recv() => Wish::Reload,
            _ = self.terminate.recv() => Wish::Drain,
            _ = self.interrupt.recv() => Wish::DrainNow,
            _ = self.quit.recv() => Wish::End,
            _ = self.pause.recv() => Wish::Pause,
            _ = self.resume.recv() => Wish::Resume,
        }
    }
}

impl Pooler {
    /// Serves until told to end.
    pub async fn run(mut self, mut signals: Signals) -> Ended {
        let mut look = interval(FILE_LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            match self.serve_until(None, &mut signals, &mut look).await {
                None => {}
                Some(Last::InOrder { delay }) => {
                    return self.drain(&mut signals, &mut look, delay).await;
                }
                Some(Last::AtOnce) => return self.end_at_once().await,
            }
        }
    }

    /// Does what signals and operators ask for, until this moment; earlier if that is to end.
    async fn serve_until(
        &mut self,
        until: Option<Instant>,
        signals: &mut Signals,
        look: &mut Interval,
    ) -> Option<Last> {
        loop {
            let time = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = time => return None,
                wish = signals.next() => match wish {
                    Wish::Reload => self.reload_and_log("SIGHUP").await,
                    Wish::Drain => return Some(Last::InOrder { delay: true }),
                    Wish::DrainNow => return Some(Last::InOrder { delay: false }),
                    Wish::End => return Some(Last::AtOnce),
                    Wish::Pause => {
                        self.handle.pause(None);
                        tracing::info!("all pools are paused");
                    }
                    Wish::Resume => {
                        self.handle.resume(None);
                        tracing::info!("all pools go on");
                    }
                },
                Some(ending) = self.endings.recv() => return Some(match ending {
                    Ending::InOrder => Last::InOrder { delay: false },
                    Ending::AtOnce => Last::AtOnce,
                }),
                Some(answer) = self.reloads.recv() => {
                    let outcome = self.reload().await;
                    log_reload("console", &outcome);
                    // Who asked may have gone.
                    drop(answer.send(outcome));
                }
                _ = look.tick() => {
                    let shared = &self.handle.0.shared;
                    shared.registry.sweep(shared.now_us());
                    if let Some(path) = self.source.changed() {
                        self.reload_and_log(&path.display().to_string()).await;
                    }
                }
            }
        }
    }

    async fn reload_and_log(&self, cause: &str) {
        log_reload(cause, &self.reload().await);
    }

    async fn drain(mut self, signals: &mut Signals, look: &mut Interval, delay: bool) -> Ended {
        let settings = self.handle.settings();
        self.handle.0.draining.store(true, Ordering::Release);
        let delay = if delay { settings.general.drain_delay } else { Duration::ZERO };
        tracing::info!(clients = self.frontend.clients(), "shutting down");
        let start = Instant::now();
        let deadline = start + delay + settings.general.shutdown_timeout;
        // Any further wish to end means: at once.
        if !delay.is_zero() && self.serve_until(Some(start + delay), signals, look).await.is_some()
        {
            return self.end_at_once().await;
        }
        // From now on only cancel requests are taken.
        self.frontend.drain();
        self.handle.0.closing.send_replace(true);
        self.handle.0.shared.send_all(|| Message::Drain);
        self.handle.0.replication.drain();
        while self.frontend.clients() > 0 {
            if Instant::now() >= deadline {
                tracing::warn!(
                    clients = self.frontend.clients(),
                    "closing clients at general.shutdown_timeout"
                );
                return self.end(Ended::Forced).await;
            }
            let next = Instant::now() + DRAIN_LOOK;
            if self.serve_until(Some(next), signals, look).await.is_some() {
                return self.end_at_once().await;
            }
        }
        self.end(Ended::Orderly).await
    }

    /// Cuts off whoever is there.
    async fn end_at_once(self) -> Ended {
        let nobody = self.frontend.clients() == 0;
        self.end(if nobody { Ended::Orderly } else { Ended::Forced }).await
    }

    async fn end(self, how: Ended) -> Ended {
        self.serving.close().await;
        self.handle.0.replication.close().await;
        let engine = self.engine;
        // Joining threads blocks.
        if tokio::task::spawn_blocking(move || engine.stop()).await.is_err() {
            tracing::error!("the worker loops could not be ended");
        }
        tracing::info!("ended");
        how
    }
}

fn log_reload(cause: &str, outcome: &Result<Vec<String>, String>) {
    match outcome {
        Ok(changes) if changes.is_empty() => {
            tracing::info!(cause, "settings read again: nothing changed");
        }
        Ok(changes) => {
            for change in changes {
                tracing::info!(cause, "setting changed: {change}");
            }
        }
        Err(error) => tracing::error!(cause, "settings not changed:\n{error}"),
    }
}
