//! The life of a running pooler: signals, reloads, and an orderly end.

use std::{io, sync::atomic::Ordering, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{engine::Message, handle::Ending, pooler::Pooler};

/// How often the settings file is looked at for a change, and the pools for some that nobody uses any more. Symbolic links that are swapped (Kubernetes) are noticed,
/// because the file behind the name is looked at.
const FILE_LOOK: Duration = Duration::from_secs(2);

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

/// How the pooler ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every client was between transactions when it was closed.
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
            tokio::select! {
                wish = signals.next() => match wish {
                    Wish::Reload => self.reload_and_log("SIGHUP").await,
                    Wish::Drain => return self.drain(&mut signals, true).await,
                    Wish::DrainNow => return self.drain(&mut signals, false).await,
                    Wish::End => return self.end(Ended::Forced).await,
                    Wish::Pause => {
                        self.handle.pause(None);
                        tracing::info!("all pools are paused");
                    }
                    Wish::Resume => {
                        self.handle.resume(None);
                        tracing::info!("all pools go on");
                    }
                },
                Some(ending) = self.endings.recv() => match ending {
                    Ending::InOrder => return self.drain(&mut signals, false).await,
                    Ending::AtOnce => return self.end(Ended::Forced).await,
                },
                Some(answer) = self.reloads.recv() => {
                    let outcome = self.reload().await;
                    log_reload("console", &outcome);
                    // Who asked may have gone.
                    drop(answer.send(outcome));
                }
                _ = look.tick() => {
                    let shared = &self.handle.0.shared;
                    shared.registry.sweep(shared.now_us());
                    if self.source.has_changed() {
                        self.reload_and_log("the settings file").await;
                    }
                }
            }
        }
    }

    async fn reload_and_log(&self, cause: &str) {
        log_reload(cause, &self.reload().await);
    }

    async fn drain(mut self, signals: &mut Signals, delay: bool) -> Ended {
        let settings = self.handle.settings();
        self.handle.0.draining.store(true, Ordering::Release);
        let delay = if delay { settings.general.drain_delay } else { Duration::ZERO };
        tracing::info!(clients = self.frontend.clients(), "shutting down");
        let deadline = Instant::now() + delay + settings.general.shutdown_timeout;
        if !delay.is_zero()
            && !wait_or_told(Instant::now() + delay, signals, &mut self.endings).await
        {
            return self.end(Ended::Forced).await;
        }
        // From now on only cancel requests are taken.
        self.frontend.drain();
        self.handle.0.shared.send_all(|| Message::Drain);
        while self.frontend.clients() > 0 {
            if Instant::now() >= deadline {
                tracing::warn!(
                    clients = self.frontend.clients(),
                    "closing clients at general.shutdown_timeout"
                );
                return self.end(Ended::Forced).await;
            }
            if !wait_or_told(Instant::now() + DRAIN_LOOK, signals, &mut self.endings).await {
                return self.end(Ended::Forced).await;
            }
        }
        self.end(Ended::Orderly).await
    }

    async fn end(self, how: Ended) -> Ended {
        self.serving.close().await;
        let engine = self.engine;
        // Joining threads blocks.
        if tokio::task::spawn_blocking(move || engine.stop()).await.is_err() {
            tracing::error!("the worker loops could not be ended");
        }
        tracing::info!("ended");
        how
    }
}

/// Waits; false when a signal asked to end at once.
async fn wait_or_told(
    until: Instant,
    signals: &mut Signals,
    endings: &mut mpsc::Receiver<Ending>,
) -> bool {
    loop {
        tokio::select! {
            () = sleep_until(until) => return true,
            Some(_) = endings.recv() => return false,
            wish = signals.next() => if matches!(wish, Wish::Drain | Wish::DrainNow | Wish::End) {
                return false;
            }
        }
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
