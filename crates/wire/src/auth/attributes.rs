//! The text of SCRAM messages: attributes of one letter, separated by commas. And what can be wrong with
//! it, in PostgreSQL's words (`src/backend/libpq/auth-scram.c`).

use std::fmt;

use crate::sqlstate::SqlState;

/// Why a client's message ends its SCRAM exchange.
///
/// `Display` is the message PostgreSQL would send, [`ScramError::detail`] its detail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// The mechanism is not one that was offered.
    #[error("client selected an invalid SASL authentication mechanism")]
    Mechanism,
    /// The message is longer than any honest one.
    #[error("invalid message length")]
    TooLong,
    /// The message is not of the form the exchange is at.
    #[error("malformed SCRAM message")]
    Malformed(Flaw),
    /// The client supports channel binding and was told that we do not: someone tampers with the offer.
    #[error("SCRAM channel binding negotiation error")]
    Downgrade,
    /// Binding to something other than the server's certificate.
    #[error("unsupported SCRAM channel-binding type \"{0}\"")]
    BindingType(String),
    /// The client is connected by TLS to someone else than to us.
    #[error("SCRAM channel binding check failed")]
    BindingMismatch,
    /// The last message does not repeat the first one's channel binding header.
    #[error("unexpected SCRAM channel-binding attribute in client-final-message")]
    BindingAttribute,
    /// The client wants to log in as one user and act as another.
    #[error("client uses authorization identity, but it is not supported")]
    AuthorizationIdentity,
    /// The client insists on an extension.
    #[error("client requires an unsupported SCRAM extension")]
    Extension,
    /// The client's nonce holds what a nonce may not.
    #[error("non-printable characters in SCRAM nonce")]
    NonceNotPrintable,
    /// The last message repeats another nonce.
    #[error("invalid SCRAM response")]
    NonceMismatch,
    /// The proof is wrong, or the user does not exist. To the client, PostgreSQL adds `for user "…"`.
    #[error("password authentication failed")]
    WrongProof,
}

impl ScramError {
    /// The SQLSTATE PostgreSQL reports the fault with.
    pub const fn sqlstate(&self) -> SqlState {
        match self {
            Self::Downgrade | Self::BindingMismatch => SqlState::INVALID_AUTHORIZATION,
            Self::AuthorizationIdentity | Self::Extension => SqlState::FEATURE_NOT_SUPPORTED,
            Self::WrongProof => SqlState::INVALID_PASSWORD,
            _ => SqlState::PROTOCOL_VIOLATION,
        }
    }

    /// What PostgreSQL adds to the message.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Malformed(flaw) => Some(flaw.to_string()),
            Self::Downgrade => Some(
                "The client supports SCRAM channel binding but thinks the server does not.  \
                 However, this server does support channel binding."
                    .to_owned(),
            ),
            Self::NonceMismatch => Some("Nonce does not match.".to_owned()),
            _ => None,
        }
    }
}

impl From<Flaw> for ScramError {
    fn from(flaw: Flaw) -> Self {
        Self::Malformed(flaw)
    }
}

/// A place in a SCRAM message where it is not what it must be; 0 stands for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// There is nothing.
    Empty,
    /// A NUL is inside.
    Nul,
    /// Another attribute was due.
    Expected {
        /// The attribute that was due.
        due: u8,
        /// What is there.
        found: u8,
    },
    /// An attribute's letter is not followed by `=`.
    NoEquals(u8),
    /// The message ends where an attribute was due.
    End,
    /// No letter where an attribute was due.
    NoAttribute(u8),
    /// No comma after the channel binding flag.
    NoComma(u8),
    /// The channel binding flag is none of `n`, `y`, `p`.
    BindingFlag(u8),
    /// Something between channel binding flag and user name.
    Header(u8),
    /// Channel binding was chosen, and then not done.
    PlusWithoutBinding,
    /// Channel binding was not chosen, and then done.
    BindingWithoutPlus,
    /// The proof is not 32 bytes of base64.
    Proof,
    /// Something follows the proof.
    Garbage,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("The message is empty."),
            Self::Nul => f.write_str("Message length does not match input length."),
            Self::Expected { due, found } => {
                write!(f, "Expected attribute \"{}\" but found \"{}\".", char::from(due), Shown(found))
            }
            Self::NoEquals(attribute) => {
                write!(f, "Expected character \"=\" for attribute \"{}\".", char::from(attribute))
            }
            Self::End => f.write_str("Attribute expected, but found end of string."),
            Self::NoAttribute(found) => {
                write!(f, "Attribute expected, but found invalid character \"{}\".", Shown(found))
            }
            Self::NoComma(found) => write!(f, "Comma expected, but found character \"{}\".", Shown(found)),
            Self::BindingFlag(found) => write!(f, "Unexpected channel-binding flag \"{}\".", Shown(found)),
            Self::Header(found) => {
                write!(f, "Unexpected attribute \"{}\" in client-first-message.", Shown(found))
            }
            Self::PlusWithoutBinding => f.write_str(
                "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel \
                 binding data.",
            ),
            Self::BindingWithoutPlus => f.write_str(
                "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes \
                 channel binding data.",
            ),
            Self::Proof => f.write_str("Malformed proof in client-final-message."),
            Self::Garbage => f.write_str("Garbage found at the end of client-final-message."),
        }
    }
}

/// A byte as PostgreSQL shows it in an error: printable ones in quotes, others in hexadecimal.
struct Shown(u8);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            printable @ 0x21..=0x7e => write!(f, "'{}'", char::from(printable)),
            other => write!(f, "0x{other:02x}"),
        }
    }
}

/// At most 30 characters of a string, with `?` for what cannot be printed.
pub(super) fn shown_text(text: &[u8]) -> String {
    text.iter()
        .take(30)
        .map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' })
        .collect()
}

/// Takes attributes off the front of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Starts at the beginning of a message.
    pub(super) fn new(message: &'a [u8]) -> Result<Self, Flaw> {
        if message.is_empty() {
            return Err(Flaw::Empty);
        }
        if message.contains(&0) {
            return Err(Flaw::Nul);
        }
        Ok(Self { rest: message })
    }

    /// What has not been taken yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The byte that is next, or 0 at the end.
    pub(super) fn next_byte(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    /// Passes over one byte.
    pub(super) fn skip(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// The value of the attribute `due`, which must be next.
    pub(super) fn value_of(&mut self, due: u8) -> Result<&'a [u8], Flaw> {
        let found = self.next_byte();
        if found != due {
            return Err(Flaw::Expected { due, found });
        }
        self.value(due)
    }

    /// The next attribute, whatever it is.
    pub(super) fn any(&mut self) -> Result<(u8, &'a [u8]), Flaw> {
        match self.next_byte() {
            0 => Err(Flaw::End),
            letter if letter.is_ascii_alphabetic() => Ok((letter, self.value(letter)?)),
            other => Err(Flaw::NoAttribute(other)),
        }
    }

    /// The value behind the letter and its `=`, up to the next comma, which is passed over.
    fn value(&mut self, letter: u8) -> Result<&'a [u8], Flaw> {
        let [_, b'=', text @ ..] = self.rest else { return Err(Flaw::NoEquals(letter)) };
        let len = text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(len).unwrap_or((text, &[]));
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(value)
    }
}

/// Whether a nonce holds only what RFC 5802 calls printable: visible ASCII without the comma.
pub(super) fn is_printable(nonce: &[u8]) -> bool {
    nonce.iter().all(|byte| byte.is_ascii_graphic() && *byte != b',')
}
