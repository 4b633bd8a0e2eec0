//! What `DISCARD ALL` does not take away: libraries, dblink connections, replication origins, temporary slots, backups. A
//! server that may have any of it can be made clean for nobody.

use crate::{
    change::Change,
    client::ClientSession,
    effect::Effects,
    pin::{PinReason, Pins},
    server::ServerSession,
};

/// Why a client keeps a server that cannot be made clean.
const REASONS: [PinReason; 2] = [PinReason::Load, PinReason::ServerObject];

impl Effects {
    fn are_indelible(&self) -> bool {
        match self {
            Self::None | Self::Transaction(_) => false,
            Self::Many(changes) => changes.iter().any(
                |(_, change)| matches!(change, Change::Pin(reason) if REASONS.contains(reason)),
            ),
        }
    }
}

impl Pins {
    /// Those that `DISCARD ALL` does not take away.
    pub(crate) fn indelible(self) -> Self {
        let mut rest = Self::default();
        for reason in REASONS {
            rest.put(reason, self.has(reason));
        }
        rest
    }
}

impl ServerSession {
    /// Before a text that does this is sent. It may have done it although its client does not live to see the answer, and
    /// although it fails in the end.
    pub(crate) fn note_indelible(&mut self, effects: &Effects) {
        self.indelible |= effects.are_indelible();
    }

    /// Whether it may have what `DISCARD ALL` does not take away.
    pub fn is_indelible(&self) -> bool {
        self.indelible
    }
}

impl ClientSession {
    /// It leaves this server: what the server itself has told of counts as well, and what it could not be asked for any more.
    pub(crate) fn leave_indelible(&self, server: &mut ServerSession) {
        let called = self.suspicion.as_ref();
        let hidden =
            called.is_some_and(|called| called.calls_one_of(&self.scope.facts().latest().stayers));
        server.indelible |= hidden || !self.pins().indelible().is_empty();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_sql::{Rules, scan};
    use trunkline_wire::Reported;

    use super::*;

    #[test]
    fn a_server_is_marked_by_what_stays_in_it() {
        let rules = Rules::new(true, b"UTF8");
        for (text, expected) in [
            ("LOAD 'auto_explain'", true),
            ("SELECT dblink_connect('a', 'host=x')", true),
            ("SELECT pg_replication_origin_session_setup('o')", true),
            ("SELECT pg_create_logical_replication_slot('s', 'test_decoding', true)", true),
            ("SELECT pg_backup_start('b')", true),
            ("CREATE TEMP TABLE t (i int); SET work_mem = '7MB'", false),
            ("SELECT pg_advisory_lock(1)", false),
        ] {
            let mut server = ServerSession::new(Arc::new(Reported::new()));
            server.note_indelible(&Effects::of(&scan(text.as_bytes(), rules)));
            assert_eq!(server.is_indelible(), expected, "{text}");
        }
    }
}
