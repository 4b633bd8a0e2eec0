//! What must hold for any bytes whatever: nothing panics, nothing is read past the end, and what is
//! accepted can be written again and means the same. Each function takes the bytes of one fuzzing run, and
//! panics when a promise is broken. The property tests of this crate call them too.

use bytes::BytesMut;

use crate::frame::{Frame, Frames};
use crate::{backend, frontend, startup};

mod scram;

pub use scram::{scram_client, scram_server};

#[cfg(test)]
mod tests;

/// The first packet of a connection: what is accepted reads the same after it was written again.
pub fn startup(data: &[u8]) {
    let Ok(Some((opening, consumed))) = startup::parse(data) else { return };
    assert!(consumed <= data.len(), "consumed more than there is");
    let mut out = BytesMut::new();
    match opening {
        startup::Opening::DirectTls => return,
        startup::Opening::SslRequest => startup::ssl_request(&mut out),
        startup::Opening::GssEncRequest => startup::gssenc_request(&mut out),
        startup::Opening::Cancel(cancel) => {
            startup::cancel_request(&mut out, cancel.pid, cancel.key);
        }
        startup::Opening::Startup(wanted) => {
            let pairs = wanted.params().chain(wanted.protocol_options());
            startup::startup_message(&mut out, wanted.version, pairs);
            negotiation(&wanted);
        }
    }
    let (again, written) =
        startup::parse(&out).ok().flatten().expect("what was written can be read");
    assert_eq!(written, out.len(), "what was written is one packet");
    match (opening, again) {
        (startup::Opening::Startup(first), startup::Opening::Startup(second)) => {
            assert_eq!(first.version, second.version);
            assert!(first.params().eq(second.params()), "parameters differ");
            assert!(first.protocol_options().eq(second.protocol_options()), "options differ");
            assert_eq!((first.user(), first.database()), (second.user(), second.database()));
        }
        (first, second) => assert_eq!(first, second),
    }
}

/// A negotiation never raises the version, and names every option that was asked for.
fn negotiation(wanted: &startup::Startup<'_>) {
    let options = wanted.protocol_options().map(|(name, _)| name);
    let Ok((accepted, message)) = startup::negotiate(wanted.version, options.clone()) else {
        assert_ne!(wanted.version.major, 3, "version 3 is always accepted");
        return;
    };
    assert!(accepted <= wanted.version, "nobody gets more than they asked for");
    let Some(message) = message else {
        assert_eq!(options.count(), 0, "unknown options must be named");
        return;
    };
    let mut out = BytesMut::new();
    message.write(&mut out);
    let frame = Frame::first(&out).ok().flatten().expect("what was written can be read");
    let read =
        backend::NegotiateProtocolVersion::parse(frame.body).expect("what was written can be read");
    assert!(read.unknown_options.iter().eq(options), "options differ");
    // PostgreSQL names 3.1 to a client that asked for it, although no client takes it for an answer.
    if accepted.minor != 1 {
        assert_eq!(read.accept(wanted.version), Ok(accepted));
    }
}

/// A stream of client messages: each that is accepted is written again byte for byte.
pub fn frontend(data: &[u8]) {
    for_each_frame(data, rewrite_frontend);
}

/// A stream of server messages: each that is accepted is written again byte for byte.
pub fn backend(data: &[u8]) {
    for_each_frame(data, |frame, out| {
        if matches!(frame.tag, backend::tag::ERROR_RESPONSE | backend::tag::NOTICE_RESPONSE) {
            report(frame);
            return None;
        }
        rewrite_backend(frame, out)
    });
}

/// Calls `rewrite` on each whole frame; what it writes must be the frame.
fn for_each_frame(data: &[u8], rewrite: impl Fn(&Frame<'_>, &mut BytesMut) -> Option<()>) {
    let mut frames = Frames::new(data);
    let mut total = 0;
    let mut out = BytesMut::new();
    while let Some(Ok(frame)) = frames.next() {
        total += frame.bytes.len();
        assert_eq!(frames.consumed(), total, "frames lie one behind the other");
        out.clear();
        if rewrite(&frame, &mut out).is_some() {
            assert_eq!(out, frame.bytes, "written again, a message differs");
        }
    }
    assert!(frames.consumed() <= data.len(), "consumed more than there is");
}

/// `None` when the message is not acceptable.
fn rewrite_frontend(frame: &Frame<'_>, out: &mut BytesMut) -> Option<()> {
    use frontend::{self as f, tag};
    let body = frame.body;
    match frame.tag {
        tag::QUERY => f::query(out, f::Query::parse(body).ok()?.text),
        tag::PARSE => {
            let parse = f::Parse::parse(body).ok()?;
            let head = f::ParseHead::parse(body).expect("a Parse has a name");
            assert_eq!(head.name, parse.name);
            f::parse_head(out, head.name, body.len() - head.len);
            out.extend_from_slice(body.get(head.len..).unwrap_or_default());
            assert_eq!(*out, frame.bytes, "written in two parts, a Parse differs");
            out.clear();
            f::parse(out, parse.name, parse.text, parse.types);
        }
        tag::BIND => {
            let bind = f::Bind::parse(body).ok()?;
            let head = f::BindHead::parse(body).expect("a Bind has names");
            assert_eq!((head.portal, head.statement), (bind.portal, bind.statement));
            f::bind_head(out, head.portal, head.statement, body.len() - head.len);
            out.extend_from_slice(bind.rest);
            assert_eq!(*out, frame.bytes, "written in two parts, a Bind differs");
            out.clear();
            f::bind(out, bind.portal, bind.statement, bind.rest);
        }
        tag::DESCRIBE => {
            let describe = f::Describe::parse(body).ok()?;
            f::describe(out, describe.kind, describe.name);
        }
        tag::CLOSE => {
            let close = f::Close::parse(body).ok()?;
            f::close(out, close.kind, close.name);
        }
        tag::EXECUTE => {
            let execute = f::Execute::parse(body).ok()?;
            f::execute(out, execute.portal, execute.max_rows);
        }
        tag::FUNCTION_CALL => {
            let call = f::FunctionCall::parse(body).ok()?;
            f::function_call(out, call.function, call.rest);
        }
        tag::COPY_FAIL => f::copy_fail(out, f::CopyFail::parse(body).ok()?.message),
        tag::COPY_DATA => f::copy_data(out, body),
        tag::PASSWORD => rewrite_password(frame, out),
        _ => return None,
    }
    Some(())
}

/// The tag of passwords has three meanings; all are tried, and the last one always fits.
fn rewrite_password(frame: &Frame<'_>, out: &mut BytesMut) {
    if let Ok(view) = frontend::Password::parse(frame.body) {
        frontend::password(out, view.password);
        assert_eq!(*out, frame.bytes, "written again, a password differs");
        out.clear();
    }
    if let Ok(view) = frontend::SaslInitial::parse(frame.body) {
        frontend::sasl_initial(out, view.mechanism, view.data);
        assert_eq!(*out, frame.bytes, "written again, a SASL message differs");
        out.clear();
    }
    frontend::sasl_response(out, frame.body);
}

/// `None` when the message is not acceptable.
fn rewrite_backend(frame: &Frame<'_>, out: &mut BytesMut) -> Option<()> {
    use backend::{self as b, tag};
    let body = frame.body;
    match frame.tag {
        tag::AUTHENTICATION => b::authentication(out, &b::Authentication::parse(body).ok()?),
        tag::BACKEND_KEY_DATA => {
            let key = b::BackendKeyData::parse(body).ok()?;
            b::backend_key_data(out, key.pid, key.key);
        }
        tag::PARAMETER_STATUS => {
            let status = b::ParameterStatus::parse(body).ok()?;
            b::parameter_status(out, status.name, status.value);
        }
        tag::READY_FOR_QUERY => b::ready_for_query(out, b::ReadyForQuery::parse(body).ok()?.status),
        tag::COMMAND_COMPLETE => {
            let complete = b::CommandComplete::parse(body).ok()?;
            complete.rows();
            b::command_complete(out, complete.tag);
        }
        tag::NOTIFICATION_RESPONSE => {
            let note = b::NotificationResponse::parse(body).ok()?;
            b::notification_response(out, note.pid, note.channel, note.payload);
        }
        tag::NEGOTIATE_PROTOCOL_VERSION => {
            let answer = b::NegotiateProtocolVersion::parse(body).ok()?;
            b::negotiate_protocol_version(out, answer.newest, answer.unknown_options.iter());
        }
        _ => return rewrite_result(frame, out),
    }
    Some(())
}

/// `None` when the message is not acceptable, or has no body to speak of.
fn rewrite_result(frame: &Frame<'_>, out: &mut BytesMut) -> Option<()> {
    use backend::{self as b, tag};
    let body = frame.body;
    match frame.tag {
        tag::ROW_DESCRIPTION => {
            let columns: Vec<_> = b::RowDescription::parse(body).ok()?.iter().collect();
            b::row_description(out, &columns);
        }
        tag::DATA_ROW => {
            let row = b::DataRow::parse(body).ok()?;
            assert_eq!(row.iter().count(), row.len());
            b::data_row(out, row.iter());
        }
        tag::PARAMETER_DESCRIPTION => {
            b::parameter_description(out, b::ParameterDescription::parse(body).ok()?.type_oids());
        }
        tag::FUNCTION_CALL_RESPONSE => {
            b::function_call_response(out, b::FunctionCallResponse::parse(body).ok()?.value);
        }
        tag::COPY_IN_RESPONSE => {
            let copy = b::CopyResponse::parse(body).ok()?;
            b::copy_in_response(out, copy.format, copy.column_formats());
        }
        tag::COPY_OUT_RESPONSE => {
            let copy = b::CopyResponse::parse(body).ok()?;
            b::copy_out_response(out, copy.format, copy.column_formats());
        }
        tag::COPY_BOTH_RESPONSE => {
            let copy = b::CopyResponse::parse(body).ok()?;
            b::copy_both_response(out, copy.format, copy.column_formats());
        }
        _ => return None,
    }
    Some(())
}

/// A report keeps all its fields when one of them is changed.
fn report(frame: &Frame<'_>) {
    let Ok(fields) = backend::Fields::parse(frame.body) else { return };
    let mut out = BytesMut::new();
    backend::with_severity(&mut out, frame.tag, fields, backend::Severity::Panic);
    let again = Frame::first(&out).ok().flatten().expect("what was written can be read");
    let again = backend::Fields::parse(again.body).expect("what was written can be read");
    let others = |fields: backend::Fields<'_>| {
        fields.iter().filter(|(field, _)| !b"SV".contains(field)).count()
    };
    assert_eq!(others(fields), others(again));
    assert_eq!((fields.code(), fields.message()), (again.code(), again.message()));
    assert_eq!(again.is_fatal(), fields.severity().is_some(), "the severity is the new one");

    let mut out = BytesMut::new();
    backend::shift_position(&mut out, frame.tag, fields, 1);
    let moved = Frame::first(&out).ok().flatten().expect("what was written can be read");
    let moved = backend::Fields::parse(moved.body).expect("what was written can be read");
    let expected = fields.position().and_then(|position| position.checked_add(1));
    if fields.iter().filter(|(field, _)| *field == b'P').count() == 1 && expected.is_some() {
        assert_eq!(moved.position(), expected);
    }
}
