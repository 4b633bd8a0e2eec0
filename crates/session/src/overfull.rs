//! A statement for which there is no room: the message that needs it is refused.
//!
//! While a server serves the client, an error must be the server's own, since it skips what follows up to the next Sync and
//! fails the transaction. So it is given a text that it refuses whatever the state of the transaction, and its error is
//! told as ours.

use bytes::BytesMut;
use trunkline_wire::{
    SqlState,
    backend::{self, Report},
    frontend,
};

use crate::{
    client::Surroundings,
    expect::Owed,
    from_client::{Step, Ways},
    outgoing::Outgoing,
    report::error_code,
    server::{Intake, ServerSession},
};

/// The name of the statement that is refused.
const NAME: &[u8] = b"__trunkline_overfull";

/// Not SQL. The server's log shows it.
const TEXT: &[u8] = b"trunkline: limits.statements_total is reached";

/// Bytes of a message before its body.
const HEADER: usize = 5;

/// Sends a message that is refused instead of the client's.
pub(crate) fn refuse_message(
    server: &mut ServerSession,
    ways: &mut Ways<'_, '_>,
    around: &mut impl Surroundings,
) -> Step {
    server.intake = Intake::Unsynced;
    refuse(server, ways.server, around);
    Step::Next
}

/// Sends what is refused.
pub(crate) fn refuse(
    server: &mut ServerSession,
    out: &mut Outgoing<'_>,
    around: &mut impl Surroundings,
) {
    let limit = around.with_store(|store| {
        store.room().note_refusal();
        store.room().limit()
    });
    frontend::parse(out.insert(), NAME, TEXT, b"\0\0");
    server.owed.push(Owed::Overfull(limit));
}

/// The body of the error as the client is told it, if this one is that of the text.
pub(crate) fn told(limit: usize, body: &[u8]) -> Option<Vec<u8>> {
    if error_code(body) != Some(SqlState::SYNTAX_ERROR) {
        return None;
    }
    let detail = format!(
        "The named prepared statements of all clients may take {limit} bytes (limits.statements_total)."
    );
    let mut written = BytesMut::new();
    let report = Report::error(
        SqlState::OUT_OF_MEMORY,
        "the prepared statements of all clients take too much memory",
    );
    let report = report.with_detail(&detail).with_hint(HINT);
    backend::error_response(&mut written, &report);
    written.get(HEADER..).map(<[u8]>::to_vec)
}

const HINT: &str = "Raise limits.statements_total, or see why clients prepare so many statements, or such long ones, \
                    without closing them.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::is_whole;

    #[test]
    fn only_the_error_of_the_text_is_told_otherwise() {
        let of = |code: &str| told(7, format!("SERROR\0C{code}\0Mno\0\0").as_bytes());
        let ours = of("42601").unwrap();
        assert!(is_whole(&ours));
        assert_eq!(error_code(&ours), Some(SqlState::OUT_OF_MEMORY));
        assert_eq!(of("57014"), None);
    }
}
