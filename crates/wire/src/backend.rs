//! What servers say.
//! (PostgreSQL documentation, "Message Formats", those marked B.)
//!
//! One view and one writer per message. A view is made from a frame's body, checks the whole of it, and
//! borrows from it; its iterators then cannot fail. On the data path most messages are forwarded by their
//! tag alone and never become a view.

mod auth;
mod copy;
mod fields;
mod report;
mod rows;
mod session;
mod write;

pub use auth::{Authentication, Strings};
pub use copy::CopyResponse;
pub use fields::{Fields, map_position, shift_position, with_severity};
pub use report::{Report, Severity, error_response, notice_response, old_error_response};
pub use rows::{
    Column, DataRow, FunctionCallResponse, ParameterDescription, RowDescription, format,
};
pub use session::{
    BackendKeyData, CommandComplete, NegotiateProtocolVersion, NegotiationFault,
    NotificationResponse, ParameterStatus, ReadyForQuery, status,
};
pub use write::{
    authentication, authentication_sasl, backend_key_data, bind_complete, close_complete,
    command_complete, copy_both_response, copy_data, copy_done, copy_in_response,
    copy_out_response, data_row, empty_query_response, function_call_response,
    negotiate_protocol_version, no_data, notification_response, parameter_description,
    parameter_status, parse_complete, portal_suspended, ready_for_query, row_description,
};

#[cfg(test)]
mod tests;

/// The tags a server may send.
pub mod tag {
    /// `Authentication…`.
    pub const AUTHENTICATION: u8 = b'R';
    /// `BackendKeyData`.
    pub const BACKEND_KEY_DATA: u8 = b'K';
    /// `BindComplete`.
    pub const BIND_COMPLETE: u8 = b'2';
    /// `CloseComplete`.
    pub const CLOSE_COMPLETE: u8 = b'3';
    /// `CommandComplete`.
    pub const COMMAND_COMPLETE: u8 = b'C';
    /// `CopyBothResponse`.
    pub const COPY_BOTH_RESPONSE: u8 = b'W';
    /// `CopyData`.
    pub const COPY_DATA: u8 = b'd';
    /// `CopyDone`.
    pub const COPY_DONE: u8 = b'c';
    /// `CopyInResponse`.
    pub const COPY_IN_RESPONSE: u8 = b'G';
    /// `CopyOutResponse`.
    pub const COPY_OUT_RESPONSE: u8 = b'H';
    /// `DataRow`.
    pub const DATA_ROW: u8 = b'D';
    /// `EmptyQueryResponse`.
    pub const EMPTY_QUERY_RESPONSE: u8 = b'I';
    /// `ErrorResponse`.
    pub const ERROR_RESPONSE: u8 = b'E';
    /// `FunctionCallResponse`.
    pub const FUNCTION_CALL_RESPONSE: u8 = b'V';
    /// `NegotiateProtocolVersion`.
    pub const NEGOTIATE_PROTOCOL_VERSION: u8 = b'v';
    /// `NoData`.
    pub const NO_DATA: u8 = b'n';
    /// `NoticeResponse`.
    pub const NOTICE_RESPONSE: u8 = b'N';
    /// `NotificationResponse`.
    pub const NOTIFICATION_RESPONSE: u8 = b'A';
    /// `ParameterDescription`.
    pub const PARAMETER_DESCRIPTION: u8 = b't';
    /// `ParameterStatus`.
    pub const PARAMETER_STATUS: u8 = b'S';
    /// `ParseComplete`.
    pub const PARSE_COMPLETE: u8 = b'1';
    /// `PortalSuspended`.
    pub const PORTAL_SUSPENDED: u8 = b's';
    /// `ReadyForQuery`.
    pub const READY_FOR_QUERY: u8 = b'Z';
    /// `RowDescription`.
    pub const ROW_DESCRIPTION: u8 = b'T';

    /// All of the above, in ASCII order.
    pub const ALL: [u8; 24] = *b"123ACDEGHIKNRSTVWZcdnstv";
}

/// Largest length word libpq takes for a message that is not [`may_be_long`]: a longer one means that the
/// stream is out of step (`pqParseInput3` in `src/interfaces/libpq/fe-protocol3.c`).
pub const MAX_SHORT_MESSAGE: usize = 30_000;

/// Whether a server may send `tag`.
#[inline]
pub const fn is_known(tag: u8) -> bool {
    matches!(
        tag,
        b'1'..=b'3' | b'A' | b'C'..=b'E' | b'G'..=b'I' | b'K' | b'N' | b'R'..=b'T' | b'V' | b'W' | b'Z'
            | b'c' | b'd' | b'n' | b's' | b't' | b'v'
    )
}

/// Whether a message may be longer than [`MAX_SHORT_MESSAGE`]: rows, COPY data, errors, notices,
/// notifications, function results, and the descriptions of rows and parameters.
#[inline]
pub const fn may_be_long(tag: u8) -> bool {
    matches!(tag, b'T' | b'D' | b'd' | b'V' | b'E' | b'N' | b'A' | b't')
}
