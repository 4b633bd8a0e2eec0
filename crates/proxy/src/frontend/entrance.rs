//! Accepting connections, and what all logins share.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::JoinHandle;
use trunkline_route::Wish;
use trunkline_settings::{Settings, User};

use super::answers::PasswordSource;
use super::config::LoginConfig;
use super::listen::{Listener, Listeners};
use super::login::login;
use super::salts::mock_secret;
use super::slots::Slots;
use super::users::Users;
use crate::backend::KeyRing;
use crate::handover::Handoff;
use crate::net::Allowance;
use crate::panics::Panics;
use crate::tls::TlsConfigError;

/// How long accepting rests after an error that will not go away at once, such as too many open files.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// The least time between two warnings about failed accepts of one listener.
const ACCEPT_WARNING: Duration = Duration::from_secs(10);

/// Which part of `limits.held_total` clients may take beside it that are not logged in yet.
const BEFORE_LOGIN: usize = 8;

/// Memory for messages of clients that are not logged in yet.
fn before_login(settings: &Settings) -> usize {
    settings.limits.held_total / BEFORE_LOGIN
}

/// Lets clients in.
#[derive(Clone)]
pub struct Frontend(Arc<Shared>);

/// What logins share.
pub(super) struct Shared {
    config: ArcSwap<LoginConfig>,
    pub(super) users: Users,
    pub(super) ring: Arc<KeyRing>,
    pub(super) handoff: Arc<dyn Handoff>,
    /// Places for clients.
    pub(super) clients: Slots,
    /// Places for consoles when those for clients are gone.
    pub(super) consoles: Slots,
    /// Connections between accept and the end of their login.
    pending: AtomicUsize,
    /// What all of them may take.
    pub(super) allowance: Arc<Allowance>,
    draining: AtomicBool,
    panics: Panics,
}

/// The running listeners. Dropped, they are closed; logins under way go on.
#[derive(Debug)]
pub struct Serving(Vec<JoinHandle<()>>);

impl Frontend {
    /// Prepares logins. `source` finds users the settings do not know.
    pub fn new(
        settings: &Arc<Settings>,
        handoff: Arc<dyn Handoff>,
        ring: Arc<KeyRing>,
        source: Option<Arc<dyn PasswordSource>>,
    ) -> Result<Self, TlsConfigError> {
        Ok(Self(Arc::new(Shared {
            config: ArcSwap::from_pointee(LoginConfig::new(Arc::clone(settings))?),
            users: Users::new(source, Arc::clone(&ring), mock_secret(settings)),
            ring,
            handoff,
            clients: Slots::new(settings.general.max_clients),
            consoles: Slots::new(settings.general.admin_slots),
            pending: AtomicUsize::new(0),
            allowance: Arc::new(Allowance::new(before_login(settings))),
            draining: AtomicBool::new(false),
            panics: Panics::default(),
        })))
    }

    /// Takes new settings for the logins that begin from now on. If TLS cannot be set up by them, nothing
    /// changes.
    pub fn reload(&self, settings: &Arc<Settings>) -> Result<(), TlsConfigError> {
        let config = LoginConfig::new(Arc::clone(settings))?;
        let before = self.0.config.swap(Arc::new(config));
        // What a login has shown was shown against the old password.
        let changed = |name: &str, user: &User| {
            settings.user(name).map(|now| &now.password) != Some(&user.password)
        };
        for (name, user) in &before.settings.users.0 {
            if changed(name, user) {
                self.0.ring.forget(name);
            }
        }
        self.0.allowance.set(before_login(settings));
        self.0.clients.set_limit(settings.general.max_clients);
        self.0.consoles.set_limit(settings.general.admin_slots);
        Ok(())
    }

    /// Accepts on these sockets, in the runtime this is called in, until the answer is dropped.
    pub fn serve(&self, listeners: Listeners) -> Serving {
        let accept = |listener| tokio::spawn(accept(listener, Arc::clone(&self.0)));
        Serving(listeners.0.into_iter().map(accept).collect())
    }

    /// From now on clients are told that we are shutting down (57P03); cancel requests are still taken.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Clients and consoles that are logged in.
    pub fn clients(&self) -> usize {
        self.0.clients.taken() + self.0.consoles.taken()
    }

    /// Panics caught during logins.
    pub fn panics(&self) -> u64 {
        self.0.panics.count()
    }

    /// Connections between accept and the end of their login.
    pub fn pending(&self) -> usize {
        self.0.pending.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
impl Frontend {
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.0)
    }
}

impl Shared {
    /// What logins that begin now go by.
    pub(super) fn config(&self) -> Arc<LoginConfig> {
        self.config.load_full()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frontend")
            .field("clients", &self.clients())
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Serving {
    /// Closes the listeners and waits until their sockets are.
    pub async fn close(mut self) {
        for task in std::mem::take(&mut self.0) {
            task.abort();
            // The only outcome is that it was aborted.
            task.await.ok();
        }
    }
}

async fn accept(listener: Listener, shared: Arc<Shared>) {
    let role = listener.role;
    match role {
        Wish::Any => tracing::info!(address = %listener.name, "listening"),
        Wish::Primary | Wish::Standby => {
            let role = if role == Wish::Primary { "primary" } else { "standby" };
            tracing::info!(address = %listener.name, role, "listening");
        }
    }
    let mut quiet_until = None;
    loop {
        match listener.accept().await {
            Ok(socket) => {
                // Not before accept, which may have waited through a reload.
                let config = shared.config();
                let Some(pending) = Pending::enter(&shared, &config) else {
                    // There are as many strangers as allowed; this one finds out by the closed connection.
                    continue;
                };
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let panics = shared.panics.clone();
                    panics.contain(login((socket, role), shared, config)).await;
                    drop(pending);
                });
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                let now = tokio::time::Instant::now();
                if quiet_until.is_none_or(|until| until <= now) {
                    tracing::warn!(address = %listener.name, %error, "cannot accept connections");
                    quiet_until = Some(now + ACCEPT_WARNING);
                }
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Whether only this one connection is affected: it was gone before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted)
}

/// One of the connections that are being logged in.
struct Pending(Arc<Shared>);

impl Pending {
    /// Counts one more; `None` when there are enough.
    fn enter(shared: &Arc<Shared>, config: &LoginConfig) -> Option<Self> {
        let limit = config.settings.general.max_pending_logins;
        let one_more = |pending| (pending < limit).then_some(pending + 1);
        let entered =
            shared.pending.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok();
        entered.then(|| Self(Arc::clone(shared)))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }
}
