//! Writers: what a server says, appended to a buffer. (Errors and notices: [`super::error_response`].)
//!
//! Names and texts come without their NUL. One that contains a NUL ends there. A message longer than
//! [`MAX_FRAME`](crate::frame::MAX_FRAME) gets a length word that every receiver refuses.

use bytes::{BufMut, BytesMut};

use super::{Authentication, Column, tag};
use crate::startup::ProtocolVersion;
use crate::write::{framed, put_cstr, put_listed, put_value};

/// Appends an authentication request. For a SASL request made here, see [`authentication_sasl`].
pub fn authentication(out: &mut BytesMut, request: &Authentication<'_>) {
    framed(out, tag::AUTHENTICATION, |out| {
        out.put_u32(request.code());
        match request {
            Authentication::Ok
            | Authentication::KerberosV5
            | Authentication::CleartextPassword
            | Authentication::Gss
            | Authentication::Sspi => (),
            Authentication::Md5Password { salt } => out.put_slice(salt),
            Authentication::Sasl { mechanisms } => {
                out.put_slice(mechanisms.as_bytes());
                out.put_u8(0);
            }
            Authentication::GssContinue { data }
            | Authentication::SaslContinue { data }
            | Authentication::SaslFinal { data }
            | Authentication::Other { data, .. } => out.put_slice(data),
        }
    });
}

/// Appends an offer of SASL mechanisms, the favourite first. An empty name would end the list and is left
/// out.
pub fn authentication_sasl<'m>(out: &mut BytesMut, mechanisms: impl IntoIterator<Item = &'m [u8]>) {
    framed(out, tag::AUTHENTICATION, |out| {
        out.put_u32(10);
        for mechanism in mechanisms {
            if !matches!(mechanism, [] | [0, ..]) {
                put_cstr(out, mechanism);
            }
        }
        out.put_u8(0);
    });
}

/// Appends `BackendKeyData`. `key` has 4 bytes for protocol 3.0 and up to 256 from 3.2 on.
pub fn backend_key_data(out: &mut BytesMut, pid: i32, key: &[u8]) {
    framed(out, tag::BACKEND_KEY_DATA, |out| {
        out.put_i32(pid);
        out.put_slice(key);
    });
}

/// Appends a `ParameterStatus`.
pub fn parameter_status(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    framed(out, tag::PARAMETER_STATUS, |out| {
        put_cstr(out, name);
        put_cstr(out, value);
    });
}

/// Appends a `ReadyForQuery`. `status` is one of [`super::status`].
#[inline]
pub fn ready_for_query(out: &mut BytesMut, status: u8) {
    framed(out, tag::READY_FOR_QUERY, |out| out.put_u8(status));
}

/// Appends a `CommandComplete`.
pub fn command_complete(out: &mut BytesMut, tag: &[u8]) {
    framed(out, tag::COMMAND_COMPLETE, |out| put_cstr(out, tag));
}

/// Appends a `NotificationResponse`.
pub fn notification_response(out: &mut BytesMut, pid: i32, channel: &[u8], payload: &[u8]) {
    framed(out, tag::NOTIFICATION_RESPONSE, |out| {
        out.put_i32(pid);
        put_cstr(out, channel);
        put_cstr(out, payload);
    });
}

/// Appends a `NegotiateProtocolVersion`. See [`crate::startup::negotiate()`] for when to send it.
pub fn negotiate_protocol_version<'o>(
    out: &mut BytesMut,
    newest: ProtocolVersion,
    unknown_options: impl Iterator<Item = &'o [u8]> + Clone,
) {
    framed(out, tag::NEGOTIATE_PROTOCOL_VERSION, |out| {
        out.put_u32(newest.code());
        // The options come from one startup packet, so their count is small.
        out.put_u32(u32::try_from(unknown_options.clone().count()).unwrap_or(u32::MAX));
        for option in unknown_options {
            put_cstr(out, option);
        }
    });
}

/// Appends a `RowDescription`.
pub fn row_description(out: &mut BytesMut, columns: &[Column<'_>]) {
    framed(out, tag::ROW_DESCRIPTION, |out| {
        put_listed(out, columns, |out, column| {
            put_cstr(out, column.name);
            out.put_u32(column.table_oid);
            out.put_i16(column.attribute);
            out.put_u32(column.type_oid);
            out.put_i16(column.type_len);
            out.put_i32(column.type_modifier);
            out.put_u16(column.format);
        });
    });
}

/// Appends a `DataRow`; `None` is SQL NULL.
pub fn data_row<'v>(out: &mut BytesMut, values: impl IntoIterator<Item = Option<&'v [u8]>>) {
    framed(out, tag::DATA_ROW, |out| put_listed(out, values, put_value));
}

/// Appends a `ParameterDescription`.
pub fn parameter_description(out: &mut BytesMut, type_oids: impl IntoIterator<Item = u32>) {
    framed(out, tag::PARAMETER_DESCRIPTION, |out| {
        put_listed(out, type_oids, BytesMut::put_u32);
    });
}

/// Appends a `FunctionCallResponse`; `None` is SQL NULL.
pub fn function_call_response(out: &mut BytesMut, value: Option<&[u8]>) {
    framed(out, tag::FUNCTION_CALL_RESPONSE, |out| put_value(out, value));
}

/// Appends a `CopyInResponse`: the server wants data.
pub fn copy_in_response(out: &mut BytesMut, format: u8, columns: impl IntoIterator<Item = u16>) {
    copy_response(out, tag::COPY_IN_RESPONSE, format, columns);
}

/// Appends a `CopyOutResponse`: the server will send data.
pub fn copy_out_response(out: &mut BytesMut, format: u8, columns: impl IntoIterator<Item = u16>) {
    copy_response(out, tag::COPY_OUT_RESPONSE, format, columns);
}

/// Appends a `CopyBothResponse`: both will send data.
pub fn copy_both_response(out: &mut BytesMut, format: u8, columns: impl IntoIterator<Item = u16>) {
    copy_response(out, tag::COPY_BOTH_RESPONSE, format, columns);
}

fn copy_response(out: &mut BytesMut, tag: u8, format: u8, columns: impl IntoIterator<Item = u16>) {
    framed(out, tag, |out| {
        out.put_u8(format);
        put_listed(out, columns, BytesMut::put_u16);
    });
}

/// Appends a `CopyData`.
pub fn copy_data(out: &mut BytesMut, data: &[u8]) {
    framed(out, tag::COPY_DATA, |out| out.put_slice(data));
}

/// Appends a `CopyDone`.
pub fn copy_done(out: &mut BytesMut) {
    framed(out, tag::COPY_DONE, |_| ());
}

/// Appends an `EmptyQueryResponse`.
pub fn empty_query_response(out: &mut BytesMut) {
    framed(out, tag::EMPTY_QUERY_RESPONSE, |_| ());
}

/// Appends a `NoData`.
pub fn no_data(out: &mut BytesMut) {
    framed(out, tag::NO_DATA, |_| ());
}

/// Appends a `ParseComplete`.
#[inline]
pub fn parse_complete(out: &mut BytesMut) {
    framed(out, tag::PARSE_COMPLETE, |_| ());
}

/// Appends a `BindComplete`.
pub fn bind_complete(out: &mut BytesMut) {
    framed(out, tag::BIND_COMPLETE, |_| ());
}

/// Appends a `CloseComplete`.
#[inline]
pub fn close_complete(out: &mut BytesMut) {
    framed(out, tag::CLOSE_COMPLETE, |_| ());
}

/// Appends a `PortalSuspended`.
pub fn portal_suspended(out: &mut BytesMut) {
    framed(out, tag::PORTAL_SUSPENDED, |_| ());
}
