//! Why a command is not carried out.

use bytes::BytesMut;
use trunkline_wire::{
    Malformed, SqlState,
    backend::{self, Report, Severity},
};

/// An error for the operator, on its way to an `ErrorResponse`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: SqlState,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    /// Where in the text, in characters from 1.
    pub(crate) position: Option<u32>,
    /// Whether the session ends with it.
    pub(crate) fatal: bool,
}

impl Refusal {
    /// With a code and a message, no more.
    pub(crate) fn new(code: SqlState, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            fatal: false,
        }
    }

    /// The text is not a command.
    pub(crate) fn syntax(message: impl Into<String>) -> Self {
        Self::new(SqlState::SYNTAX_ERROR, message)
    }

    /// The client does not keep to the protocol; the statement fails and the session goes on.
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::new(SqlState::PROTOCOL_VIOLATION, message)
    }

    /// The session ends.
    #[must_use]
    pub(crate) fn fatal(mut self) -> Self {
        self.fatal = true;
        self
    }

    /// The same with more about it.
    #[must_use]
    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with advice.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a place in the text.
    #[must_use]
    pub(crate) const fn at(mut self, position: u32) -> Self {
        self.position = Some(position);
        self
    }

    /// Appends the `ErrorResponse`.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        let severity = if self.fatal { Severity::Fatal } else { Severity::Error };
        let report = Report {
            severity,
            code: self.code,
            message: &self.message,
            detail: self.detail.as_deref(),
            hint: self.hint.as_deref(),
            position: self.position,
        };
        backend::error_response(out, &report);
    }
}

impl From<Malformed> for Refusal {
    /// As in PostgreSQL, a message that cannot be read fails the statement; its length was right, so the next one
    /// can be read.
    fn from(malformed: Malformed) -> Self {
        Self::new(malformed.sqlstate(), malformed.to_string())
    }
}
