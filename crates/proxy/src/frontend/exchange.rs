//! The password exchanges, played towards a client. A user that does not exist goes the same way as one
//! that does: the same messages, in the same order, after the same work.

use std::sync::Arc;

use bytes::BytesMut;
use trunkline_settings::{Secret, Settings, UserPassword};
use trunkline_wire::SqlState;
use trunkline_wire::auth::{
    Authenticated, ClientKey, EndPointHash, ExpectClientFirst, MAX_PASSWORD, MAX_SCRAM_MESSAGE,
    Md5Hash, RAW_NONCE, ScramError, StoredPassword, Verifier, offered,
};
use trunkline_wire::backend::{Authentication, authentication, authentication_sasl};
use trunkline_wire::frontend::{Password, SaslInitial, tag};
use zeroize::Zeroizing;

use super::refusal::{Ended, Refusal};
use super::users::{Known, Users};
use crate::backend::Learnt;
use crate::net::{Channel, Message};

/// Bytes of a message around a password or SASL token: type, length, mechanism name, terminators.
const MESSAGE_ROOM: usize = 64;

/// What a client is to answer with.
#[derive(Debug, Clone, Copy)]
struct Expected {
    /// As PostgreSQL calls it.
    name: &'static str,
    /// Bytes it may have at most.
    longest: usize,
}

const PASSWORD_TEXT: Expected = Expected { name: "password response", longest: MAX_PASSWORD };
const SASL_RESPONSE: Expected = Expected { name: "SASL response", longest: MAX_SCRAM_MESSAGE };

/// What a client has shown, as far as servers can be shown the same.
pub(super) enum Proof {
    /// Nothing of use.
    Nothing,
    /// That it knows the key of a verifier.
    Key(ClientKey, Verifier),
    /// A secret.
    Secret(Learnt),
}

/// One client being asked.
pub(super) struct Exchange<'a> {
    pub(super) channel: &'a mut Channel,
    pub(super) user: &'a Arc<str>,
    pub(super) settings: &'a Settings,
    /// The channel binding of our certificate.
    pub(super) endpoint: Option<EndPointHash>,
    pub(super) users: &'a Users,
    /// Messages not sent yet; they go with the next one.
    pub(super) out: BytesMut,
}

impl Exchange<'_> {
    /// Asks for the password in clear.
    pub(super) async fn clear(&mut self) -> Result<Proof, Ended> {
        authentication(&mut self.out, &Authentication::CleartextPassword);
        let message = self.ask(PASSWORD_TEXT).await?;
        let password = Zeroizing::new(parse_password(&message)?.to_vec());
        let known = self.find().await?;
        let mut right = self.is_right(&known, &password).await?;
        if !right && let Some(newer) = self.users.refresh(self.settings, self.user, &known).await {
            right = self.is_right(&newer, &password).await?;
        }
        if !right {
            return Err(self.wrong(&known).into());
        }
        // Only as text can it be sent on; a password in another encoding serves here alone.
        let text = std::str::from_utf8(&password).map(Secret::new);
        Ok(text.map_or(Proof::Nothing, |text| Proof::Secret(Learnt::Password(text))))
    }

    async fn is_right(&self, known: &Known, password: &Zeroizing<Vec<u8>>) -> Result<bool, Ended> {
        let stored = known.stored.as_ref();
        let checked = self.users.check_clear(self.user, stored, password.clone()).await;
        checked.map_err(|error| self.cannot_check(&error).into())
    }

    /// As PostgreSQL with `md5`: a user with a SCRAM verifier is asked for SCRAM, everyone else for md5.
    pub(super) async fn md5_or_scram(&mut self) -> Result<(&'static str, Proof), Ended> {
        let known = self.find().await?;
        let scram = match known.stored.as_deref() {
            Some(StoredPassword::Scram(_)) => true,
            Some(_) => false,
            None => !md5_is_usual(self.settings),
        };
        if scram {
            return Ok(("scram-sha-256", self.scram(known).await?));
        }
        Ok(("md5", self.md5(known).await?))
    }

    async fn md5(&mut self, known: Known) -> Result<Proof, Ended> {
        let salt: [u8; 4] = rand::random();
        authentication(&mut self.out, &Authentication::Md5Password { salt });
        let message = self.ask(PASSWORD_TEXT).await?;
        let answer = parse_password(&message)?;
        let user = self.user.as_bytes();
        let md5 = |known: &Known| known.stored.as_ref().and_then(|stored| stored.md5(user));
        let mut hash = md5(&known);
        // A hash that nobody knows takes the place of the one that is missing.
        let against =
            hash.clone().unwrap_or_else(|| Md5Hash::new(&rand::random::<[u8; 32]>(), user));
        let mut right = against.verify(answer, salt) && hash.is_some();
        if !right && let Some(newer) = self.users.refresh(self.settings, self.user, &known).await {
            hash = md5(&newer);
            right = hash.as_ref().is_some_and(|hash| hash.verify(answer, salt));
        }
        match hash {
            Some(hash) if right => Ok(Proof::Secret(Learnt::Md5(hash))),
            _ => Err(self.wrong(&known).into()),
        }
    }

    /// SCRAM, whatever is stored.
    pub(super) async fn scram_only(&mut self) -> Result<Proof, Ended> {
        let known = self.find().await?;
        self.scram(known).await
    }

    async fn scram(&mut self, known: Known) -> Result<Proof, Ended> {
        let real = match &known.stored {
            Some(stored) => {
                let made = self.users.verifier(self.user, stored).await;
                made.map_err(|error| self.cannot_check(&error))?
            }
            None => None,
        };
        let verifier = real.unwrap_or_else(|| self.users.mock(self.user));
        let binding = self.endpoint.take().filter(|_| self.channel.tls().is_some());
        authentication_sasl(&mut self.out, offered(binding.as_ref()).iter().copied());
        let message = self.ask(SASL_RESPONSE).await?;
        let initial = SaslInitial::parse(message.body()).map_err(|error| protocol(&error))?;
        let expecting = ExpectClientFirst::new(verifier.clone(), binding, initial.mechanism)
            .map_err(|error| self.scram_refused(&error, &known))?;
        let first = match initial.data {
            Some(data) => data.to_vec(),
            None => self.sasl(&[]).await?.body().to_vec(),
        };
        let nonce: [u8; RAW_NONCE] = rand::random();
        let (expecting, challenge) = expecting
            .client_first(&first, &nonce)
            .map_err(|error| self.scram_refused(&error, &known))?;
        let last = self.sasl(&challenge).await?;
        let Authenticated { client_key, server_final } = match expecting.client_final(last.body()) {
            Ok(authenticated) => authenticated,
            Err(error) => {
                // So that at least the next attempt meets the password as it is now: this exchange is bound
                // to the salt it began with.
                if error == ScramError::WrongProof {
                    self.users.refresh(self.settings, self.user, &known).await;
                }
                return Err(self.scram_refused(&error, &known).into());
            }
        };
        authentication(&mut self.out, &Authentication::SaslFinal { data: &server_final });
        Ok(match known.stored.as_deref() {
            Some(StoredPassword::Scram(_)) => Proof::Key(client_key, verifier),
            _ => Proof::Nothing,
        })
    }

    /// Sends a SASL message and reads the answer.
    async fn sasl(&mut self, data: &[u8]) -> Result<Message, Ended> {
        authentication(&mut self.out, &Authentication::SaslContinue { data });
        self.ask(SASL_RESPONSE).await
    }

    async fn find(&self) -> Result<Known, Ended> {
        let known = self.users.find(self.settings, self.user).await;
        known.map_err(|error| self.cannot_check(&error).into())
    }

    /// Sends what is queued and reads the answer, which is a password message whatever was asked.
    async fn ask(&mut self, expected: Expected) -> Result<Message, Ended> {
        self.channel.send(&self.out).await?;
        self.out.clear();
        let message = self.channel.message(expected.longest + MESSAGE_ROOM).await?;
        match message.tag {
            tag::PASSWORD => Ok(message),
            other => {
                let message = format!("expected {}, got message type {other}", expected.name);
                Err(Refusal::new(SqlState::PROTOCOL_VIOLATION, message).into())
            }
        }
    }

    fn wrong(&self, known: &Known) -> Refusal {
        let message = format!("password authentication failed for user \"{}\"", self.user);
        let reason = match known.stored.as_deref() {
            None => "the user is not known, or has no password",
            Some(StoredPassword::Md5(_)) => {
                "the password is wrong, or it is stored as md5 and SCRAM was asked for"
            }
            Some(_) => "the password is wrong",
        };
        Refusal::new(SqlState::INVALID_PASSWORD, message).because(reason)
    }

    fn scram_refused(&self, error: &ScramError, known: &Known) -> Refusal {
        if *error == ScramError::WrongProof {
            return self.wrong(known);
        }
        let mut refusal = Refusal::new(error.sqlstate(), error.to_string());
        refusal.detail = error.detail();
        refusal
    }

    fn cannot_check(&self, error: &dyn std::fmt::Display) -> Refusal {
        let message = format!("the password of user \"{}\" cannot be checked now", self.user);
        Refusal::new(SqlState::CANNOT_CONNECT_NOW, message).because(error.to_string())
    }
}

/// The password in the message. An empty one is refused, as by PostgreSQL: some servers would take it for
/// a login without one.
fn parse_password(message: &Message) -> Result<&[u8], Ended> {
    match Password::parse(message.body()).map_err(|error| protocol(&error))?.password {
        [] => {
            Err(Refusal::new(SqlState::INVALID_PASSWORD, "empty password returned by client")
                .into())
        }
        password => Ok(password),
    }
}

fn protocol(error: &trunkline_wire::Malformed) -> Refusal {
    Refusal::new(error.sqlstate(), error.to_string())
}

/// Whether an unknown user of an `md5` rule should be asked for md5: if that is what the known ones are
/// asked for.
fn md5_is_usual(settings: &Settings) -> bool {
    let is_scram =
        |user: &trunkline_settings::User| matches!(user.password, Some(UserPassword::Scram(_)));
    settings.auth.auth_query.is_empty() && !settings.users.0.values().any(is_scram)
}
