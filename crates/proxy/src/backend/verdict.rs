//! What a server's words at login mean for those who wait for a connection.

use bytes::Bytes;
use trunkline_wire::SqlState;
use trunkline_wire::backend::{Fields, Report};

use super::dial::Endpoint;
use crate::handover::{Away, ErrorReport, OpenError};

/// Sorts an `ErrorResponse` that a server sent during login.
pub(super) fn judge(body: &[u8], endpoint: &Endpoint) -> OpenError {
    let Ok(fields) = Fields::parse(body) else {
        return OpenError::Away(Away::Protocol {
            address: endpoint.to_string(),
            reason: "invalid error message".to_owned(),
        });
    };
    let code = fields.code().unwrap_or(SqlState::INTERNAL_ERROR);
    let message = String::from_utf8_lossy(fields.message().unwrap_or_default()).into_owned();
    let report = ErrorReport { code, message, body: Bytes::copy_from_slice(body) };
    if code == SqlState::TOO_MANY_CONNECTIONS {
        OpenError::NodeFull(report)
    } else if is_final(code) {
        OpenError::Final(report)
    } else {
        OpenError::Away(Away::Said(report))
    }
}

/// Whether the same login will fail the same way until someone changes the role, the database, the rules or
/// our settings: wrong credentials (28), no such database (3D), no right to it (42), a startup parameter it
/// does not take (22, 42), a database that is closed to connections (55), a feature it lacks (0A).
fn is_final(code: SqlState) -> bool {
    matches!(&code.class(), b"28" | b"3D" | b"42" | b"22" | b"55" | b"0A")
}

/// An error of our own for a login that our settings do not let go on.
pub(super) fn refuse(message: &str, hint: &str) -> OpenError {
    let report = Report::fatal(SqlState::CANNOT_CONNECT, message).with_hint(hint);
    OpenError::Final(ErrorReport::ours(&report))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use trunkline_wire::backend::error_response;
    use trunkline_wire::frame::Frame;

    use super::*;
    use crate::handover::NoCredential;

    fn judged(code: SqlState) -> OpenError {
        let mut whole = BytesMut::new();
        error_response(&mut whole, &Report::fatal(code, "words"));
        let endpoint = Endpoint::Unix("/tmp/.s.PGSQL.5432".into());
        judge(Frame::first(&whole).unwrap().unwrap().body, &endpoint)
    }

    #[test]
    fn each_code_is_sorted_by_what_waiters_should_do() {
        for code in ["28P01", "28000", "3D000", "42501", "42704", "22023", "55000"] {
            let code = SqlState::from_bytes(code.as_bytes()).unwrap();
            assert!(matches!(judged(code), OpenError::Final(_)), "{code}");
        }
        for code in ["57P03", "57P01", "53200", "08006", "XX000", "58030"] {
            let code = SqlState::from_bytes(code.as_bytes()).unwrap();
            assert!(matches!(judged(code), OpenError::Away(_)), "{code}");
        }
        assert!(matches!(judged(SqlState::TOO_MANY_CONNECTIONS), OpenError::NodeFull(_)));
    }

    #[test]
    fn the_report_can_be_passed_on_as_it_came() {
        let OpenError::Final(report) = judged(SqlState::INVALID_PASSWORD) else {
            panic!("not final")
        };
        let fields = Fields::parse(&report.body).unwrap();
        assert_eq!(fields.message(), Some(&b"words"[..]));
        assert_eq!(report.message, "words");
        let OpenError::Final(ours) = refuse("no", "because") else { panic!("not final") };
        assert_eq!(Fields::parse(&ours.body).unwrap().hint(), Some(&b"because"[..]));
    }
    #[test]
    fn who_lacks_a_credential_is_told_what_to_do() {
        let all = [
            NoCredential::NoKeyYet,
            NoCredential::Hashed { method: "md5" },
            NoCredential::Md5Only,
            NoCredential::OtherVerifier,
            NoCredential::NotConfigured,
        ];
        for lacking in all {
            let report = lacking.report("alice");
            let fields = Fields::parse(&report.body).unwrap();
            assert_eq!(fields.hint(), Some(lacking.hint().as_bytes()));
            assert_eq!(fields.message(), Some(report.message.as_bytes()));
            let wrong_password = lacking == NoCredential::OtherVerifier;
            assert_eq!(report.code == SqlState::INVALID_PASSWORD, wrong_password, "{lacking}");
        }
        let told = NoCredential::OtherVerifier.report("alice").message;
        assert_eq!(told, "password authentication failed for user \"alice\"");
    }
}
