//! Whether a client is who it says: the rule that is for it, its certificate, its password.

use bytes::BytesMut;
use trunkline_settings::hba::{CertificateDemand, ClientName, Decision, Method};
use trunkline_settings::{AuthMethod, ClientTlsMode};
use trunkline_wire::SqlState;

use super::config::LoginConfig;
use super::exchange::{Exchange, Proof};
use super::handshake::Request;
use super::refusal::{Ended, Refusal};
use super::users::Users;
use crate::net::{Channel, Peer};
use crate::tls::Subject;

/// A client that is who it says it is.
pub(super) struct Proven {
    /// The method that was used, for display.
    pub(super) method: &'static str,
    /// What the login has taught us for logging in to servers.
    pub(super) proof: Proof,
    /// Messages that go out in front of `AuthenticationOk`.
    pub(super) last_words: BytesMut,
}

/// Finds the rule for the client and makes it prove what the rule asks.
pub(super) async fn authenticate(
    channel: &mut Channel,
    request: &mut Request,
    peer: &Peer,
    config: &LoginConfig,
    users: &Users,
) -> Result<Proven, Ended> {
    let encrypted = channel.tls().is_some();
    let method = match config.decide(peer, encrypted, request) {
        Decision::Ask(method) => raise_demand(method, config, peer),
        Decision::Refuse(message) => {
            return Err(Refusal::new(SqlState::INVALID_AUTHORIZATION, message).into());
        }
    };
    check_certificate(channel, request, config, &method)?;
    let mut exchange = Exchange {
        channel,
        user: &request.user,
        settings: &config.settings,
        endpoint: config.tls.acceptor.as_ref().and_then(|acceptor| acceptor.endpoint_hash.clone()),
        users,
        out: std::mem::take(&mut request.preface),
    };
    let (name, proof) = match method.auth {
        AuthMethod::Trust => ("trust", Proof::Nothing),
        AuthMethod::Cert => ("cert", Proof::Nothing),
        AuthMethod::Password => ("password", exchange.clear().await?),
        AuthMethod::Md5 => exchange.md5_or_scram().await?,
        AuthMethod::ScramSha256 => ("scram-sha-256", exchange.scram_only().await?),
        AuthMethod::Reject => {
            let message = "connection is rejected by the settings";
            return Err(Refusal::new(SqlState::INVALID_AUTHORIZATION, message).into());
        }
    };
    Ok(Proven { method: name, proof, last_words: exchange.out })
}

/// The mode in `[client_tls]` asks of everyone what a rule may ask of some.
fn raise_demand(mut method: Method, config: &LoginConfig, peer: &Peer) -> Method {
    if config.tls.mode == ClientTlsMode::VerifyFull && matches!(peer, Peer::Tcp(_)) {
        method.certificate = CertificateDemand::Full;
    }
    method
}

/// The authority has been checked in the handshake; here it counts that there is a certificate, and whom it
/// names.
fn check_certificate(
    channel: &Channel,
    request: &Request,
    config: &LoginConfig,
    method: &Method,
) -> Result<(), Ended> {
    if method.certificate == CertificateDemand::Nothing {
        return Ok(());
    }
    let invalid = |message: String| Refusal::new(SqlState::INVALID_AUTHORIZATION, message);
    let Some(certificate) = channel.tls().and_then(|tls| tls.peer_certificate()) else {
        return Err(invalid("connection requires a valid client certificate".to_owned()).into());
    };
    if method.certificate == CertificateDemand::Authority {
        return Ok(());
    }
    let name = Subject::of(certificate).and_then(|subject| match method.client_name {
        ClientName::CommonName => subject.common_name,
        ClientName::DistinguishedName => Some(subject.distinguished_name),
    });
    let user = &*request.user;
    let ident = &config.settings.access.ident;
    let fits = name.as_ref().is_some_and(|name| ident.allows(method.map.as_deref(), name, user));
    if fits {
        return Ok(());
    }
    let shown = name.as_deref().unwrap_or("nobody");
    Err(invalid(format!("certificate authentication failed for user \"{user}\""))
        .because(format!("the certificate names \"{shown}\""))
        .into())
}
