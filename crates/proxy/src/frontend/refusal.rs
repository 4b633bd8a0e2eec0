//! Why a client is not let in, and what it is told.

use bytes::BytesMut;
use trunkline_wire::SqlState;
use trunkline_wire::backend::{Report, error_response, old_error_response};

/// The end of a login that did not succeed.
#[derive(Debug)]
pub(super) enum Ended {
    /// The client is told. PostgreSQL's words and codes where it has some.
    Refused(Refusal),
    /// The connection is closed without a word: it broke, or what came was not the protocol.
    Silently(String),
    /// The TLS handshake failed: the certificate of one side is not good enough for the other, or they found no
    /// version in common. The log says why; nothing the client has sent is in it.
    WithoutTls(String),
}

/// A FATAL error for the client.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: SqlState,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<&'static str>,
    /// What only the log says, for instance that the user does not exist.
    pub(super) log: Option<String>,
    /// The client speaks a protocol before 3.0 and understands no other errors.
    pub(super) in_old_form: bool,
}

impl Refusal {
    pub(super) fn new(code: SqlState, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message, detail: None, hint: None, log: None, in_old_form: false }
    }

    pub(super) fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Adds what the client must not learn.
    pub(super) fn because(mut self, reason: impl Into<String>) -> Self {
        self.log = Some(reason.into());
        self
    }

    /// Appends the message.
    pub(super) fn write(&self, out: &mut BytesMut) {
        let mut report = Report::fatal(self.code, &self.message);
        report.detail = self.detail.as_deref();
        report.hint = self.hint;
        if self.in_old_form {
            old_error_response(out, &report);
        } else {
            error_response(out, &report);
        }
    }
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::OutOfMemory {
            return Refusal::new(SqlState::OUT_OF_MEMORY, error.to_string())
                .with_hint("Raise limits.held_total, or see who sends long messages instead of logging in.")
                .into();
        }
        Self::Silently(error.to_string())
    }
}
