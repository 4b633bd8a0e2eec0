//! Reports of our own: errors and notices a client or a test is to see as if a server had sent them.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::fields::{field, put_cstr_field};
use super::tag;
use crate::sqlstate::SqlState;
use crate::write::{framed, put_cstr};

/// How bad a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For developers.
    Debug,
    /// For the server's log.
    Log,
    /// Was asked for.
    Info,
    /// Might help.
    Notice,
    /// Probably a mistake.
    Warning,
    /// The statement failed; the transaction with it.
    Error,
    /// The session is over.
    Fatal,
    /// All sessions are over.
    Panic,
}

impl Severity {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Log => "LOG",
            Self::Info => "INFO",
            Self::Notice => "NOTICE",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Panic => "PANIC",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text of a report. A NUL inside a text ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// Its SQLSTATE.
    pub code: SqlState,
    /// What happened, in one sentence, without a full stop.
    pub message: &'a str,
    /// More about it.
    pub detail: Option<&'a str>,
    /// What to do about it.
    pub hint: Option<&'a str>,
    /// Where in the statement text, in characters from 1.
    pub position: Option<u32>,
}

impl<'a> Report<'a> {
    /// A report with nothing but what each must have.
    pub const fn new(severity: Severity, code: SqlState, message: &'a str) -> Self {
        Self { severity, code, message, detail: None, hint: None, position: None }
    }

    /// The statement failed.
    pub const fn error(code: SqlState, message: &'a str) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// The session is over.
    pub const fn fatal(code: SqlState, message: &'a str) -> Self {
        Self::new(Severity::Fatal, code, message)
    }

    /// The same with more about it.
    #[must_use]
    pub const fn with_detail(mut self, detail: &'a str) -> Self {
        self.detail = Some(detail);
        self
    }

    /// The same with advice.
    #[must_use]
    pub const fn with_hint(mut self, hint: &'a str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// The same with a place in the statement text, in characters from 1.
    #[must_use]
    pub const fn at(mut self, position: u32) -> Self {
        self.position = Some(position);
        self
    }
}

/// Appends an `ErrorResponse`.
pub fn error_response(out: &mut BytesMut, report: &Report<'_>) {
    put_report(out, tag::ERROR_RESPONSE, report);
}

/// Appends an error as protocol 2 had it: severity and text, no length and no fields
/// (`send_message_to_frontend` in `src/backend/utils/error/elog.c`).
pub fn old_error_response(out: &mut BytesMut, report: &Report<'_>) {
    out.put_u8(tag::ERROR_RESPONSE);
    put_cstr(out, format!("{}:  {}\n", report.severity, report.message).as_bytes());
}

/// Appends a `NoticeResponse`.
pub fn notice_response(out: &mut BytesMut, report: &Report<'_>) {
    put_report(out, tag::NOTICE_RESPONSE, report);
}

fn put_report(out: &mut BytesMut, tag: u8, report: &Report<'_>) {
    framed(out, tag, |out| {
        let severity = report.severity.as_str().as_bytes();
        put_cstr_field(out, field::SEVERITY_LOCALIZED, severity);
        put_cstr_field(out, field::SEVERITY, severity);
        put_cstr_field(out, field::CODE, report.code.as_bytes());
        put_cstr_field(out, field::MESSAGE, report.message.as_bytes());
        if let Some(detail) = report.detail {
            put_cstr_field(out, field::DETAIL, detail.as_bytes());
        }
        if let Some(hint) = report.hint {
            put_cstr_field(out, field::HINT, hint.as_bytes());
        }
        if let Some(position) = report.position {
            put_cstr_field(out, field::POSITION, position.to_string().as_bytes());
        }
        out.put_u8(0);
    });
}
