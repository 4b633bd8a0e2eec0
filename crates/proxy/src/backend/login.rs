//! The client's part of a login on a fresh connection to a server.

use std::io;

use bytes::BytesMut;
use trunkline_settings::{Secret, ServerSecret};
use trunkline_wire::auth::{
    self, BindingPolicy, ClientError, EndPointHash, ExpectServerFinal, Md5Hash, RAW_NONCE,
};
use trunkline_wire::backend::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, Strings, tag,
};
use trunkline_wire::frontend::{password, sasl_initial, sasl_response};
use trunkline_wire::startup::{ProtocolVersion, startup_message};
use trunkline_wire::{Malformed, Reported, SqlState};
use zeroize::Zeroize;

use super::connect::OpenTarget;
use super::dial::{Endpoint, io_failed};
use super::keyring::Learnt;
use super::verdict::{judge, refuse};
use crate::handover::{Away, NewServer, NoCredential, OpenError};
use crate::net::{Channel, Message};

/// The longest message accepted before the server is ready. Long enough for any error or notice with its
/// context, short enough that many logins at once cost little.
const MAX_MESSAGE: usize = 64 * 1024;

/// Messages accepted before the server is ready. PostgreSQL sends about 20.
const MAX_MESSAGES: usize = 1000;

/// Sends the startup packet and answers what the server asks until it is ready.
pub(super) async fn login(
    channel: Channel,
    target: &OpenTarget,
    endpoint: &Endpoint,
) -> Result<NewServer, OpenError> {
    let mut login =
        Login { channel, target, endpoint, protocol: target.protocol, messages: 0, learnt: None };
    let outcome = match login.authenticate().await {
        Ok(()) => login.become_ready().await,
        Err(error) => Err(error),
    };
    if let (Err(error), Some(learnt)) = (&outcome, &login.learnt)
        && shows_another_password(error)
    {
        target.ring.forget_refused(&target.user, learnt);
    }
    let welcome = outcome?;
    let protocol = login.protocol;
    let parts =
        login.channel.into_parts().map_err(|error| OpenError::Away(io_failed(endpoint, &error)))?;
    Ok(NewServer {
        socket: parts.socket,
        tls: parts.tls,
        endpoint: endpoint.clone(),
        reported: welcome.reported,
        pid: welcome.pid,
        cancel_key: welcome.cancel_key,
        protocol,
        early: parts.received,
    })
}

/// Whether the password that the server knows is not the one that the client's login has shown.
fn shows_another_password(error: &OpenError) -> bool {
    match error {
        OpenError::Final(report) => report.code == SqlState::INVALID_PASSWORD,
        OpenError::NoCredential(NoCredential::OtherVerifier) => true,
        _ => false,
    }
}

struct Login<'a> {
    channel: Channel,
    target: &'a OpenTarget,
    endpoint: &'a Endpoint,
    protocol: ProtocolVersion,
    /// Read so far; at most [`MAX_MESSAGES`].
    messages: usize,
    /// The learnt secret that was used, to be forgotten when the server refuses it.
    learnt: Option<Learnt>,
}

/// What the server tells between `AuthenticationOk` and `ReadyForQuery`.
struct Welcome {
    reported: Reported,
    pid: i32,
    cancel_key: Box<[u8]>,
}

/// What there is to prove oneself with.
enum Known {
    Password(Secret),
    Md5(Md5Hash),
    Keys(std::sync::Arc<(auth::ClientKeys, auth::Verifier)>),
}

impl Login<'_> {
    async fn authenticate(&mut self) -> Result<(), OpenError> {
        let target = self.target;
        let mut packet = BytesMut::new();
        let names = [("user", &*target.user), ("database", &*target.database)];
        let params = names.into_iter().chain(target.startup.iter());
        let params = params.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        startup_message(&mut packet, self.protocol, params);
        self.send(&packet).await?;
        loop {
            let message = self.next().await?;
            match message.tag {
                tag::NEGOTIATE_PROTOCOL_VERSION => {
                    let answer = self.check(NegotiateProtocolVersion::parse(message.body()))?;
                    self.protocol =
                        answer.accept(self.protocol).map_err(|fault| self.broken(&fault))?;
                }
                tag::AUTHENTICATION => match self.check(Authentication::parse(message.body()))? {
                    Authentication::Ok => return Ok(()),
                    Authentication::CleartextPassword => self.clear_password().await?,
                    Authentication::Md5Password { salt } => self.md5(salt).await?,
                    Authentication::Sasl { mechanisms } => self.scram(mechanisms).await?,
                    other => return Err(self.unknown_method(&other)),
                },
                tag::NOTICE_RESPONSE => {}
                other => return Err(self.unexpected(other)),
            }
        }
    }

    async fn clear_password(&mut self) -> Result<(), OpenError> {
        let protected = self.channel.tls().is_some() || matches!(self.endpoint, Endpoint::Unix(_));
        if !protected && !self.target.allow_cleartext {
            return Err(refuse(
                &format!(
                    "server at {} asks for the password in clear over an unencrypted connection",
                    self.endpoint
                ),
                "Use scram-sha-256 in the server's pg_hba.conf, TLS, or set auth.allow_cleartext_to_server.",
            ));
        }
        match self.known()? {
            Known::Password(secret) => self.send_password(secret.expose().as_bytes()).await,
            Known::Md5(_) | Known::Keys(_) => {
                Err(OpenError::NoCredential(NoCredential::Hashed { method: "a password in clear" }))
            }
        }
    }

    async fn md5(&mut self, salt: [u8; 4]) -> Result<(), OpenError> {
        let hash = match self.known()? {
            Known::Password(secret) => {
                Md5Hash::new(secret.expose().as_bytes(), self.target.user.as_bytes())
            }
            Known::Md5(hash) => hash,
            Known::Keys(_) => {
                return Err(OpenError::NoCredential(NoCredential::Hashed { method: "md5" }));
            }
        };
        self.send_password(&*hash.response(salt)).await
    }

    async fn send_password(&mut self, secret: &[u8]) -> Result<(), OpenError> {
        let mut message = BytesMut::new();
        password(&mut message, secret);
        let sent = self.send(&message).await;
        message.zeroize();
        sent
    }

    /// Plays the exchange up to the server's signature.
    async fn scram(&mut self, mechanisms: Strings<'_>) -> Result<(), OpenError> {
        let known = self.known()?;
        let certificate = self.channel.tls().and_then(|tls| tls.peer_certificate());
        let hash = certificate.and_then(|der| EndPointHash::of_certificate(der).ok().flatten());
        let tls = self.channel.tls().is_some();
        let mechanism = auth::choose(mechanisms.iter(), tls, hash, BindingPolicy::Prefer)
            .map_err(|error| self.scram_failed(error))?;
        let nonce: [u8; RAW_NONCE] = rand::random();
        let (expecting, first) = auth::start(mechanism.binding, &nonce);
        let mut out = BytesMut::new();
        sasl_initial(&mut out, mechanism.name, Some(&first));
        self.send(&out).await?;

        let challenge = self.sasl_message(Step::Continue).await?;
        let challenge =
            expecting.server_first(&challenge).map_err(|error| self.scram_failed(error))?;
        let (expecting, proof) = match known {
            Known::Keys(keys) => {
                challenge.answer_as(&keys.0, &keys.1).map_err(|error| self.scram_failed(error))?
            }
            Known::Password(secret) => {
                let (ring, user) = (&self.target.ring, &self.target.user);
                let derived = ring.derive(user, &secret, challenge.salt(), challenge.iterations());
                let keys = derived.await.map_err(|error| self.broken(&error))?;
                challenge.answer(&keys)
            }
            Known::Md5(_) => return Err(OpenError::NoCredential(NoCredential::Md5Only)),
        };
        self.finish_scram(expecting, &proof).await
    }

    async fn finish_scram(
        &mut self,
        expecting: ExpectServerFinal,
        proof: &[u8],
    ) -> Result<(), OpenError> {
        let mut out = BytesMut::new();
        sasl_response(&mut out, proof);
        self.send(&out).await?;
        let last = self.sasl_message(Step::Final).await?;
        expecting.server_final(&last).map_err(|error| self.scram_failed(error))
    }

    /// The data of the next SASL message, which must be the step due.
    async fn sasl_message(&mut self, due: Step) -> Result<Vec<u8>, OpenError> {
        loop {
            let message = self.next().await?;
            match message.tag {
                tag::NOTICE_RESPONSE => {}
                tag::AUTHENTICATION => {
                    return match (due, self.check(Authentication::parse(message.body()))?) {
                        (Step::Continue, Authentication::SaslContinue { data })
                        | (Step::Final, Authentication::SaslFinal { data }) => Ok(data.to_vec()),
                        // Among others AuthenticationOk: the server has not shown that it knows the password.
                        _ => Err(self.broken(&"SASL authentication ended early")),
                    };
                }
                other => return Err(self.unexpected(other)),
            }
        }
    }

    /// Reads up to the first `ReadyForQuery`.
    async fn become_ready(&mut self) -> Result<Welcome, OpenError> {
        let mut welcome = Welcome { reported: Reported::new(), pid: 0, cancel_key: Box::default() };
        loop {
            let message = self.next().await?;
            match message.tag {
                tag::PARAMETER_STATUS => {
                    let status = self.check(ParameterStatus::parse(message.body()))?;
                    if let Err(error) = welcome.reported.set(status.name, status.value) {
                        // An extension may report what it likes; what is not kept is not told to clients.
                        tracing::debug!(server = %self.endpoint, %error, "a reported setting was not kept");
                    }
                }
                tag::BACKEND_KEY_DATA => {
                    let data = self.check(BackendKeyData::parse(message.body()))?;
                    welcome.pid = data.pid;
                    welcome.cancel_key = data.key.into();
                }
                tag::NOTICE_RESPONSE => {}
                tag::READY_FOR_QUERY => return Ok(welcome),
                other => return Err(self.unexpected(other)),
            }
        }
    }

    /// What there is to prove oneself with, or why there is nothing.
    fn known(&mut self) -> Result<Known, OpenError> {
        match &self.target.secret {
            ServerSecret::Plain(secret) if !secret.expose().is_empty() => {
                Ok(Known::Password(secret.clone()))
            }
            ServerSecret::Md5(text) => Md5Hash::parse(text.expose().as_bytes())
                .map(Known::Md5)
                .ok_or(OpenError::NoCredential(NoCredential::NotConfigured)),
            ServerSecret::Plain(_) | ServerSecret::Nothing => {
                Err(OpenError::NoCredential(NoCredential::NotConfigured))
            }
            ServerSecret::Learnt => {
                self.learnt = self.target.ring.learnt(&self.target.user);
                match self.learnt.clone() {
                    Some(Learnt::Keys(keys)) => Ok(Known::Keys(keys)),
                    Some(Learnt::Md5(hash)) => Ok(Known::Md5(hash)),
                    Some(Learnt::Password(secret)) => Ok(Known::Password(secret)),
                    None => Err(OpenError::NoCredential(NoCredential::NoKeyYet)),
                }
            }
        }
    }

    /// The next message; an `ErrorResponse` becomes the verdict on it.
    async fn next(&mut self) -> Result<Message, OpenError> {
        self.messages += 1;
        if self.messages > MAX_MESSAGES {
            return Err(self.broken(&"too many messages during login"));
        }
        match self.channel.message(MAX_MESSAGE).await {
            Ok(message) if message.tag == tag::ERROR_RESPONSE => {
                Err(judge(message.body(), self.endpoint))
            }
            Ok(message) => Ok(message),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(self.broken(&error)),
            Err(error) => Err(OpenError::Away(io_failed(self.endpoint, &error))),
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), OpenError> {
        let endpoint = self.endpoint;
        self.channel.send(bytes).await.map_err(|error| OpenError::Away(io_failed(endpoint, &error)))
    }

    fn check<T>(&self, parsed: Result<T, Malformed>) -> Result<T, OpenError> {
        parsed.map_err(|error| self.broken(&error))
    }

    fn broken(&self, reason: &impl ToString) -> OpenError {
        let address = self.endpoint.to_string();
        OpenError::Away(Away::Protocol { address, reason: reason.to_string() })
    }

    fn unexpected(&self, tag: u8) -> OpenError {
        self.broken(&format!("unexpected message \"{}\" during login", tag.escape_ascii()))
    }

    fn scram_failed(&self, error: ClientError) -> OpenError {
        match error {
            ClientError::OtherVerifier => OpenError::NoCredential(NoCredential::OtherVerifier),
            error => refuse(
                &format!("server at {}: {error}", self.endpoint),
                "Check that the password is right and that this is the server it should be.",
            ),
        }
    }

    fn unknown_method(&self, request: &Authentication<'_>) -> OpenError {
        refuse(
            &format!(
                "server at {} asks for authentication method {}, which is not supported",
                self.endpoint,
                request.code()
            ),
            "Use scram-sha-256, md5, cert or trust in the server's pg_hba.conf.",
        )
    }
}

/// A step of a SASL exchange.
#[derive(Debug, Clone, Copy)]
enum Step {
    Continue,
    Final,
}
