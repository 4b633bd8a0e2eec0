//! What servers answer: the messages of the backend (PostgreSQL manual, 55.7). No check is made, so
//! that wrong ones can be answered too.

use bytes::{BufMut, Bytes};

use super::frame::{put_text, tagged};

/// The type number of `text`, which every column of [`row_description`] has.
const TEXT_OID: u32 = 25;

/// `AuthenticationOk`.
pub fn authentication_ok() -> Bytes {
    authentication(0, &[])
}

/// Any message with tag `R`: the code says which (5 is md5, 10 SASL), `data` what goes with it.
pub fn authentication(code: u32, data: &[u8]) -> Bytes {
    tagged(b'R', |body| {
        body.put_u32(code);
        body.put_slice(data);
    })
}

/// `ParameterStatus`.
pub fn parameter_status(name: &str, value: &str) -> Bytes {
    tagged(b'S', |body| {
        put_text(body, name);
        put_text(body, value);
    })
}

/// `BackendKeyData`; the key has 4 bytes in protocol 3.0.
pub fn backend_key(pid: u32, key: &[u8]) -> Bytes {
    tagged(b'K', |body| {
        body.put_u32(pid);
        body.put_slice(key);
    })
}

/// `NegotiateProtocolVersion`.
pub fn negotiate_version(newest: u32, unknown_options: &[&str]) -> Bytes {
    tagged(b'v', |body| {
        body.put_u32(newest);
        body.put_u32(u32::try_from(unknown_options.len()).unwrap_or(u32::MAX));
        for option in unknown_options {
            put_text(body, option);
        }
    })
}

/// `ReadyForQuery` with status `I` (idle), `T` (in a transaction) or `E` (in a failed one).
pub fn ready(status: u8) -> Bytes {
    tagged(b'Z', |body| body.put_u8(status))
}

/// `RowDescription` of text columns.
pub fn row_description(columns: &[&str]) -> Bytes {
    tagged(b'T', |body| {
        body.put_i16(i16::try_from(columns.len()).unwrap_or(-1));
        for column in columns {
            put_text(body, column);
            body.put_u32(0);
            body.put_i16(0);
            body.put_u32(TEXT_OID);
            body.put_i16(-1);
            body.put_i32(-1);
            body.put_i16(0);
        }
    })
}

/// `DataRow` of text values, `None` for NULL.
pub fn data_row(values: &[Option<&str>]) -> Bytes {
    tagged(b'D', |body| {
        body.put_i16(i16::try_from(values.len()).unwrap_or(-1));
        for value in values {
            match value {
                None => body.put_i32(-1),
                Some(value) => {
                    body.put_i32(i32::try_from(value.len()).unwrap_or(-1));
                    body.put_slice(value.as_bytes());
                }
            }
        }
    })
}

/// `CommandComplete` with its tag, such as `SELECT 1`.
pub fn complete(command: &str) -> Bytes {
    tagged(b'C', |body| put_text(body, command))
}

/// `EmptyQueryResponse`.
pub fn empty_query() -> Bytes {
    tagged(b'I', |_| {})
}

/// `ErrorResponse` of severity `ERROR`; after a `FATAL` one the server closes.
pub fn error(severity: &str, sqlstate: &str, message: &str) -> Bytes {
    report(b'E', severity, sqlstate, message)
}

/// `NoticeResponse`.
pub fn notice(severity: &str, sqlstate: &str, message: &str) -> Bytes {
    report(b'N', severity, sqlstate, message)
}

/// `NotificationResponse`.
pub fn notification(pid: u32, channel: &str, payload: &str) -> Bytes {
    tagged(b'A', |body| {
        body.put_u32(pid);
        put_text(body, channel);
        put_text(body, payload);
    })
}

/// `ParseComplete`.
pub fn parse_complete() -> Bytes {
    tagged(b'1', |_| {})
}

/// `BindComplete`.
pub fn bind_complete() -> Bytes {
    tagged(b'2', |_| {})
}

/// `CloseComplete`.
pub fn close_complete() -> Bytes {
    tagged(b'3', |_| {})
}

/// `NoData`.
pub fn no_data() -> Bytes {
    tagged(b'n', |_| {})
}

/// `PortalSuspended`.
pub fn portal_suspended() -> Bytes {
    tagged(b's', |_| {})
}

/// `ParameterDescription`.
pub fn parameter_description(types: &[u32]) -> Bytes {
    tagged(b't', |body| {
        body.put_i16(i16::try_from(types.len()).unwrap_or(-1));
        for &oid in types {
            body.put_u32(oid);
        }
    })
}

/// `CopyInResponse` of text columns.
pub fn copy_in(columns: u16) -> Bytes {
    copy(b'G', columns)
}

/// `CopyOutResponse` of text columns.
pub fn copy_out(columns: u16) -> Bytes {
    copy(b'H', columns)
}

/// All that answers a simple query for rows of text, up to `ReadyForQuery` with status `I`.
pub fn table(columns: &[&str], rows: &[&[Option<&str>]]) -> Bytes {
    let mut parts = vec![row_description(columns)];
    parts.extend(rows.iter().map(|row| data_row(row)));
    parts.push(complete(&format!("SELECT {}", rows.len())));
    parts.push(ready(b'I'));
    parts.concat().into()
}

fn report(tag: u8, severity: &str, sqlstate: &str, message: &str) -> Bytes {
    tagged(tag, |body| {
        for (code, value) in [(b'S', severity), (b'V', severity), (b'C', sqlstate), (b'M', message)]
        {
            body.put_u8(code);
            put_text(body, value);
        }
        body.put_u8(0);
    })
}

fn copy(tag: u8, columns: u16) -> Bytes {
    tagged(tag, |body| {
        body.put_u8(0);
        body.put_u16(columns);
        for _ in 0..columns {
            body.put_u16(0);
        }
    })
}
