//! What clients say: the messages of the frontend (PostgreSQL manual, 55.7). No check is made, so
//! that wrong ones can be said too.

use bytes::{BufMut, Bytes};

use super::frame::{put_text, tagged, untagged};

/// Protocol 3.0.
pub const PROTOCOL_3_0: u32 = 0x0003_0000;
/// Protocol 3.2 (PostgreSQL 18).
pub const PROTOCOL_3_2: u32 = 0x0003_0002;
/// The code of a `CancelRequest`.
pub const CANCEL_CODE: u32 = 80_877_102;
/// The code of an `SSLRequest`.
pub const SSL_CODE: u32 = 80_877_103;
/// The code of a `GSSENCRequest`.
pub const GSS_CODE: u32 = 80_877_104;

/// `StartupMessage` with these parameters (`user`, `database`, …).
pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Bytes {
    let message = untagged(|body| {
        body.put_u32(version);
        for (name, value) in parameters {
            put_text(body, name);
            put_text(body, value);
        }
        body.put_u8(0);
    });
    message.freeze()
}

/// `SSLRequest`.
pub fn ssl_request() -> Bytes {
    untagged(|body| body.put_u32(SSL_CODE)).freeze()
}

/// `GSSENCRequest`.
pub fn gss_request() -> Bytes {
    untagged(|body| body.put_u32(GSS_CODE)).freeze()
}

/// `CancelRequest` for a server process.
pub fn cancel(pid: u32, key: &[u8]) -> Bytes {
    let message = untagged(|body| {
        body.put_u32(CANCEL_CODE);
        body.put_u32(pid);
        body.put_slice(key);
    });
    message.freeze()
}

/// `PasswordMessage`; `SASLResponse` has the same tag.
pub fn password(text: &str) -> Bytes {
    tagged(b'p', |body| put_text(body, text))
}

/// `SASLInitialResponse`.
pub fn sasl_initial(mechanism: &str, data: &[u8]) -> Bytes {
    tagged(b'p', |body| {
        put_text(body, mechanism);
        body.put_i32(i32::try_from(data.len()).unwrap_or(-1));
        body.put_slice(data);
    })
}

/// `SASLResponse`.
pub fn sasl_response(data: &[u8]) -> Bytes {
    tagged(b'p', |body| body.put_slice(data))
}

/// `Query`.
pub fn query(sql: &str) -> Bytes {
    tagged(b'Q', |body| put_text(body, sql))
}

/// `Parse`; the name of the unnamed statement is empty.
pub fn parse(name: &str, sql: &str, types: &[u32]) -> Bytes {
    tagged(b'P', |body| {
        put_text(body, name);
        put_text(body, sql);
        body.put_i16(i16::try_from(types.len()).unwrap_or(-1));
        for &oid in types {
            body.put_u32(oid);
        }
    })
}

/// `Bind` with all values and results as text.
pub fn bind(portal: &str, statement: &str, values: &[Option<&str>]) -> Bytes {
    tagged(b'B', |body| {
        put_text(body, portal);
        put_text(body, statement);
        body.put_i16(0);
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
        body.put_i16(0);
    })
}

/// `Describe` of a prepared statement.
pub fn describe_statement(name: &str) -> Bytes {
    about(b'D', b'S', name)
}

/// `Describe` of a portal.
pub fn describe_portal(name: &str) -> Bytes {
    about(b'D', b'P', name)
}

/// `Close` of a prepared statement.
pub fn close_statement(name: &str) -> Bytes {
    about(b'C', b'S', name)
}

/// `Close` of a portal.
pub fn close_portal(name: &str) -> Bytes {
    about(b'C', b'P', name)
}

/// `Execute` of a portal; 0 rows mean all.
pub fn execute(portal: &str, rows_max: i32) -> Bytes {
    tagged(b'E', |body| {
        put_text(body, portal);
        body.put_i32(rows_max);
    })
}

/// `Sync`.
pub fn sync() -> Bytes {
    tagged(b'S', |_| {})
}

/// `Flush`.
pub fn flush() -> Bytes {
    tagged(b'H', |_| {})
}

/// `Terminate`.
pub fn terminate() -> Bytes {
    tagged(b'X', |_| {})
}

/// `CopyData`; servers send the same.
pub fn copy_data(data: &[u8]) -> Bytes {
    tagged(b'd', |body| body.put_slice(data))
}

/// `CopyDone`; servers send the same.
pub fn copy_done() -> Bytes {
    tagged(b'c', |_| {})
}

/// `CopyFail`.
pub fn copy_fail(reason: &str) -> Bytes {
    tagged(b'f', |body| put_text(body, reason))
}

/// `Parse`, `Bind`, `Describe`, `Execute` and `Sync` of the unnamed statement, in one go.
pub fn extended(sql: &str, values: &[Option<&str>]) -> Bytes {
    let parts =
        [parse("", sql, &[]), bind("", "", values), describe_portal(""), execute("", 0), sync()];
    parts.concat().into()
}

fn about(tag: u8, kind: u8, name: &str) -> Bytes {
    tagged(tag, |body| {
        body.put_u8(kind);
        put_text(body, name);
    })
}
