//! One login from the first byte to the hand-over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::timeout;
use trunkline_route::Wish;
use trunkline_session::wrong_route;
use trunkline_settings::{Reload, Settings};
use trunkline_wire::SqlState;
use trunkline_wire::backend::{Authentication, authentication};

use super::auth::{Proven, authenticate};
use super::config::LoginConfig;
use super::entrance::Shared;
use super::exchange::Proof;
use super::handshake::{Greeting, Request, greet};
use super::params::OptionsError;
use super::refusal::{Ended, Refusal};
use super::replication::Replication;
use super::slots::{ClientSlot, SlotsFull};
use crate::handover::{CancelTicket, ConsoleLogin, ConsoleRights, LoggedIn, ReplicationLogin};
use crate::net::{AsyncSocket, Channel, Peer};
use crate::tls::TlsCodec;

/// How long a client that was refused may take to read why, and one that has cancelled to close as well.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves one connection until it is handed over or closed.
pub(super) async fn login(
    (socket, role): (AsyncSocket, Wish),
    shared: Arc<Shared>,
    config: Arc<LoginConfig>,
) {
    let peer = match prepare(&socket, &config) {
        Ok(peer) => peer,
        Err(error) => return tracing::debug!(%error, "the client left at once"),
    };
    let channel = Channel::new(socket).within(shared.allowance.part());
    let mut attempt = Attempt { channel, peer, role, shared, config, asked: None };
    let limit = attempt.config.settings.general.login_timeout;
    let Ok(ended) = timeout(limit, attempt.run()).await else {
        // As PostgreSQL, which may be in the middle of a message by then.
        return tracing::info!(client = %peer, "the login took longer than general.login_timeout");
    };
    match ended {
        Ok(_) if attempt.is_outdated() => attempt.refuse(&removed()).await,
        Ok(Done::Cancelled) => attempt.part(&[]).await,
        Ok(Done::Client { request, method, slot }) => {
            attempt.hand_over_client(request, method, slot);
        }
        Ok(Done::Console { request, rights, slot }) => {
            attempt.hand_over_console(request, rights, slot);
        }
        Ok(Done::Replication { request, kind, method, slot }) => {
            attempt.hand_over_replication(request, kind, method, slot);
        }
        Err(Ended::Silently(reason)) => tracing::debug!(client = %peer, %reason, "no login"),
        Err(Ended::WithoutTls(reason)) => attempt.log_handshake(&reason),
        Err(Ended::Refused(refusal)) => attempt.refuse(&refusal).await,
    }
}

fn prepare(socket: &AsyncSocket, config: &LoginConfig) -> io::Result<Peer> {
    if let AsyncSocket::Tcp(tcp) = socket {
        config.tcp.apply(tcp)?;
    }
    socket.peer()
}

struct Attempt {
    channel: Channel,
    peer: Peer,
    /// Where the listener sends clients.
    role: Wish,
    shared: Arc<Shared>,
    config: Arc<LoginConfig>,
    /// User and database, once the client has said them.
    asked: Option<(Arc<str>, Arc<str>)>,
}

/// What came of a connection.
enum Done {
    /// It was a cancel request, which has been passed on.
    Cancelled,
    Client {
        request: Request,
        method: &'static str,
        slot: ClientSlot,
    },
    Console {
        request: Request,
        rights: ConsoleRights,
        slot: ClientSlot,
    },
    Replication {
        request: Request,
        kind: Replication,
        method: &'static str,
        slot: ClientSlot,
    },
}

impl Attempt {
    async fn run(&mut self) -> Result<Done, Ended> {
        let (channel, peer, config) = (&mut self.channel, &self.peer, &*self.config);
        let mut request = match greet(channel, peer, config).await? {
            Greeting::Cancel { pid, key } => {
                let (ticket, dealt_with) = CancelTicket::new();
                self.shared.handoff.cancel(pid, &key, ticket);
                dealt_with.await;
                return Ok(Done::Cancelled);
            }
            Greeting::Login(request) => *request,
        };
        self.asked = Some((Arc::clone(&request.user), Arc::clone(&request.database)));
        if self.shared.is_draining() {
            let message = "the database system is shutting down";
            return Err(Refusal::new(SqlState::CANNOT_CONNECT_NOW, message).into());
        }
        let users = &self.shared.users;
        let proven = authenticate(channel, &mut request, peer, config, users).await?;
        let fault = request.fault.take();
        let done = self.admit(request, &proven)?;
        self.remember(&done, proven.proof);
        let mut out = proven.last_words;
        authentication(&mut out, &Authentication::Ok);
        self.channel.send(&out).await?;
        match fault {
            Some(fault) => Err(misled(&fault).into()),
            None => Ok(done),
        }
    }

    /// Whether there is such a database for this user, and a place for the client.
    fn admit(&self, request: Request, proven: &Proven) -> Result<Done, Ended> {
        let settings = &*self.config.settings;
        if let Some(kind) = request.replication {
            return self.admit_replication(request, kind, proven);
        }
        if settings.is_console(&request.database) {
            let rights = console_rights(settings, &request.user)?;
            let slots = &self.shared;
            // The reserve is for when the ordinary places are gone.
            let slot = slots
                .clients
                .take(&request.user, None)
                .or_else(|_| slots.consoles.take(&request.user, None));
            let slot = slot.map_err(|full| too_many(full, &request.user))?;
            return Ok(Done::Console { request, rights, slot });
        }
        let policy = settings.pool_for(&request.database, &request.user);
        let policy = policy.ok_or_else(|| no_database(&request.database))?;
        let slot = self.take_slot(&request.user, policy.max_user_clients)?;
        Ok(Done::Client { request, method: proven.method, slot })
    }

    /// The same for a replication connection.
    fn admit_replication(
        &self,
        request: Request,
        kind: Replication,
        proven: &Proven,
    ) -> Result<Done, Ended> {
        let database = (kind == Replication::Logical).then_some(&*request.database);
        let policy = self.config.settings.replication_for(database, &request.user);
        let policy = policy.ok_or_else(|| no_database(&request.database))?;
        let slot = self.take_slot(&request.user, policy.max_user_clients)?;
        Ok(Done::Replication { request, kind, method: proven.method, slot })
    }

    /// A place for a client of a user who may have so many; 0 for any number.
    fn take_slot(&self, user: &Arc<str>, limit: usize) -> Result<ClientSlot, Refusal> {
        let slot = self.shared.clients.take(user, Some(limit).filter(|limit| *limit > 0));
        slot.map_err(|full| too_many(full, user))
    }

    /// Whether the user was removed from the settings since the login began.
    fn is_outdated(&self) -> bool {
        let now = self.shared.config();
        let reload = Reload { old: &self.config.settings, new: &now.settings };
        self.asked.as_ref().is_some_and(|(user, _)| reload.is_removed(user))
    }

    /// Keeps what the login has shown for logging in to servers. A login to the console shows the same, but
    /// is for someone who may have no business there.
    fn remember(&self, done: &Done, proof: Proof) {
        let (Done::Client { request, .. } | Done::Replication { request, .. }) = done else {
            return;
        };
        match proof {
            Proof::Nothing => {}
            Proof::Key(key, verifier) => self.shared.ring.learn_key(&request.user, key, verifier),
            Proof::Secret(learnt) => self.shared.ring.learn(&request.user, learnt),
        }
    }

    fn hand_over_console(mut self, request: Request, rights: ConsoleRights, slot: ClientSlot) {
        tracing::info!(client = %self.peer, user = %request.user, "console login");
        // The console has limits of its own.
        self.channel.release();
        self.shared.handoff.console(ConsoleLogin {
            stream: Box::new(self.channel),
            user: request.user,
            database: request.database,
            rights,
            startup: request.params,
            peer: self.peer,
            slot,
        });
    }

    fn hand_over_replication(
        mut self,
        request: Request,
        kind: Replication,
        method: &'static str,
        slot: ClientSlot,
    ) {
        self.log_login(&request, method);
        // Its buffers are bounded, and so is the number of such connections.
        self.channel.release();
        self.shared.handoff.replication(ReplicationLogin {
            channel: self.channel,
            user: request.user,
            database: (kind == Replication::Logical).then_some(request.database),
            kind,
            startup: request.params,
            protocol: request.protocol,
            peer: self.peer,
            slot,
        });
    }

    fn log_login(&self, request: &Request, method: &'static str) {
        if self.config.settings.log.connections {
            let tls = self.channel.tls().and_then(TlsCodec::version);
            tracing::info!(
                client = %self.peer, user = %request.user, database = %request.database, method,
                tls = tls.and_then(|version| version.as_str()).unwrap_or("off"),
                replication = request.replication.map(Replication::as_str),
                "login",
            );
        }
    }

    fn hand_over_client(self, request: Request, method: &'static str, slot: ClientSlot) {
        self.log_login(&request, method);
        match self.channel.into_parts() {
            Ok(parts) => self.shared.handoff.logged_in(LoggedIn {
                socket: parts.socket,
                tls: parts.tls,
                user: request.user,
                database: request.database,
                startup: request.params,
                role: self.role,
                protocol: request.protocol,
                early: parts.received,
                peer: self.peer,
                method,
                slot,
            }),
            Err(error) => tracing::warn!(client = %self.peer, %error, "the login was lost"),
        }
    }

    async fn refuse(self, refusal: &Refusal) {
        if self.config.settings.log.pooler_errors {
            let (user, database) = match &self.asked {
                Some((user, database)) => (&**user, &**database),
                None => ("", ""),
            };
            tracing::warn!(
                client = %self.peer, user, database, sqlstate = %refusal.code,
                reason = refusal.log.as_deref(), "{}", refusal.message,
            );
        }
        let mut out = BytesMut::new();
        refusal.write(&mut out);
        self.part(&out).await;
    }

    /// Closes in order. Without the goodbye of TLS a client cannot tell that from a broken connection: libpq 17
    /// takes a cancel request that ends without one for failed.
    async fn part(mut self, last_words: &[u8]) {
        // Nobody is owed more than the attempt.
        timeout(FAREWELL, self.channel.farewell(last_words)).await.ok();
    }

    /// The client has been told by an alert at most, which many show as a bare number.
    fn log_handshake(&self, reason: &str) {
        if self.config.settings.log.pooler_errors {
            tracing::warn!(client = %self.peer, reason, "the TLS handshake with a client failed");
        }
    }
}

fn console_rights(settings: &Settings, user: &str) -> Result<ConsoleRights, Ended> {
    if settings.is_admin(user) {
        Ok(ConsoleRights::Admin)
    } else if settings.is_stats_user(user) {
        Ok(ConsoleRights::Read)
    } else {
        let message = format!("user \"{user}\" is not allowed to use the admin console");
        let hint = "Name the user in console.admin_users or console.stats_users.";
        Err(Refusal::new(SqlState::INSUFFICIENT_PRIVILEGE, message).with_hint(hint).into())
    }
}

/// What those are told as well who have been logged in for longer.
fn removed() -> Refusal {
    Refusal::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}

/// As PostgreSQL, which looks at `options` when the client has proved who it is.
fn misled(fault: &OptionsError) -> Refusal {
    let refusal = Refusal::new(SqlState::SYNTAX_ERROR, fault.to_string());
    match fault {
        OptionsError::Route(value) => {
            let (message, hint) = wrong_route(value);
            Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message).with_hint(hint)
        }
        OptionsError::NoValue(_) => refusal,
        OptionsError::Unknown(_) => {
            refusal.with_hint("Try \"postgres --help\" for more information.")
        }
    }
}

fn no_database(name: &str) -> Refusal {
    let message = format!("database \"{name}\" does not exist");
    Refusal::new(SqlState::INVALID_CATALOG_NAME, message)
}

fn too_many(full: SlotsFull, user: &str) -> Refusal {
    let message = match full {
        SlotsFull::Clients => full.to_string(),
        SlotsFull::User => format!("{full} \"{user}\""),
    };
    Refusal::new(SqlState::TOO_MANY_CONNECTIONS, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::KeyRing;
    use crate::frontend::Frontend;
    use crate::handover::Handoff;

    /// The most memory one login may take beside its buffers: strangers cause it.
    const MAX_LOGIN: usize = 6 * 1024;

    struct Nobody;

    impl Handoff for Nobody {
        fn logged_in(&self, _: LoggedIn) {}
        fn cancel(&self, _: i32, _: &[u8], _: CancelTicket) {}
        fn console(&self, _: ConsoleLogin) {}
        fn replication(&self, _: ReplicationLogin) {}
    }

    #[tokio::test]
    async fn a_stranger_takes_little_memory() {
        let settings = Arc::new(Settings::default());
        let frontend =
            Frontend::new(&settings, Arc::new(Nobody), Arc::new(KeyRing::new()), None).unwrap();
        let (socket, _other) = tokio::net::UnixStream::pair().unwrap();
        let config = Arc::new(LoginConfig::new(settings).unwrap());
        let size =
            size_of_val(&login((AsyncSocket::Unix(socket), Wish::Any), frontend.shared(), config));
        assert!(size < MAX_LOGIN, "a login takes {size} bytes");
    }
}
