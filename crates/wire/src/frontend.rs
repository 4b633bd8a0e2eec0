//! What clients say once the startup phase is over.
//! (PostgreSQL documentation, "Message Formats", those marked F.)
//!
//! One view and one writer per message. A view is made from a frame's body and borrows from it; names and
//! texts come without their NUL. Views check what PostgreSQL checks before it acts, and no more: what a
//! server will reject on its own (counts and formats inside [`Bind::rest`]) is left to the server.

mod auth;
mod extended;
mod head;
mod simple;
mod write;

pub use auth::{Password, SaslInitial, SaslResponse};
pub use extended::{Bind, Close, Describe, Execute, PORTAL, Parse, STATEMENT};
pub use head::{BindHead, ParseHead};
pub use simple::{CopyFail, FunctionCall, Query};
pub use write::{
    bind, bind_head, bind_named, close, copy_data, copy_done, copy_fail, describe, execute, flush,
    function_call, parse, parse_head, password, query, sasl_initial, sasl_response, sync,
    terminate,
};

use crate::frame::MAX_FRAME;

#[cfg(test)]
mod tests;

/// The tags a client may send. `p` means a password, a SASL or a GSSAPI message, as the authentication in
/// progress has it.
pub mod tag {
    /// Bind.
    pub const BIND: u8 = b'B';
    /// Close.
    pub const CLOSE: u8 = b'C';
    /// `CopyData`.
    pub const COPY_DATA: u8 = b'd';
    /// `CopyDone`.
    pub const COPY_DONE: u8 = b'c';
    /// `CopyFail`.
    pub const COPY_FAIL: u8 = b'f';
    /// Describe.
    pub const DESCRIBE: u8 = b'D';
    /// Execute.
    pub const EXECUTE: u8 = b'E';
    /// Flush.
    pub const FLUSH: u8 = b'H';
    /// `FunctionCall`.
    pub const FUNCTION_CALL: u8 = b'F';
    /// Parse.
    pub const PARSE: u8 = b'P';
    /// `PasswordMessage`, `SASLInitialResponse`, `SASLResponse` or `GSSResponse`.
    pub const PASSWORD: u8 = b'p';
    /// Query.
    pub const QUERY: u8 = b'Q';
    /// Sync.
    pub const SYNC: u8 = b'S';
    /// Terminate.
    pub const TERMINATE: u8 = b'X';

    /// All of the above, in ASCII order.
    pub const ALL: [u8; 14] = *b"BCDEFHPQSXcdfp";
}

/// Largest length word of the messages that never hold much, as PostgreSQL's `PQ_SMALL_MESSAGE_LIMIT`.
pub const MAX_SMALL_MESSAGE: usize = 10_000;

/// Largest length word of a password message, as PostgreSQL's `PG_MAX_AUTH_TOKEN_LENGTH`.
pub const MAX_AUTH_MESSAGE: usize = 65_535;

/// Largest length word PostgreSQL takes from a client for `tag` (`SocketBackend` in
/// `src/backend/tcop/postgres.c`). `None` for a tag no client may send.
#[inline]
pub const fn max_len(tag: u8) -> Option<usize> {
    match tag {
        tag::QUERY | tag::FUNCTION_CALL | tag::BIND | tag::PARSE | tag::COPY_DATA => {
            Some(MAX_FRAME)
        }
        tag::TERMINATE
        | tag::CLOSE
        | tag::DESCRIBE
        | tag::EXECUTE
        | tag::FLUSH
        | tag::SYNC
        | tag::COPY_DONE
        | tag::COPY_FAIL => Some(MAX_SMALL_MESSAGE),
        tag::PASSWORD => Some(MAX_AUTH_MESSAGE),
        _ => None,
    }
}

/// Whether a client may send `tag`.
#[inline]
pub const fn is_known(tag: u8) -> bool {
    max_len(tag).is_some()
}
