//! A server that may be the wrong one, or is lost: what its client may still send, and what is not known.

use crate::{expect::Owed, hold::Forgetting, server::ServerSession};

impl ServerSession {
    /// While it is at rest: nothing of its client's is sent to it, until [`go_on`](Self::go_on).
    pub fn hold_back(&mut self) {
        if self.at_rest() {
            self.forgetting = Forgetting::HeldBack;
        }
    }

    /// Whether it is held back.
    pub fn is_held_back(&self) -> bool {
        self.forgetting == Forgetting::HeldBack
    }

    /// It may be sent to again, if it was held back.
    pub fn go_on(&mut self) {
        if self.is_held_back() {
            self.forgetting = Forgetting::No;
        }
    }

    /// Whether it has been asked to commit and has not answered yet.
    pub fn may_commit(&self) -> bool {
        self.owed.iter().any(|owed| match owed {
            Owed::Query(effects, _) | Owed::Execute(effects) => effects.commits(),
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_wire::Reported;

    use super::*;
    use crate::{Effects, Purpose, effect::Transaction};

    fn server() -> ServerSession {
        ServerSession::new(Arc::new(Reported::new()))
    }

    #[test]
    fn a_server_is_held_back_only_at_rest() {
        let mut server = server();
        server.ask(Purpose::Check, b"", &mut bytes::BytesMut::new());
        server.hold_back();
        assert!(!server.is_full());
        let mut server = self::server();
        server.hold_back();
        assert!(server.is_full() && server.at_rest());
        server.go_on();
        assert!(!server.is_full());
    }

    #[test]
    fn a_commit_that_is_not_answered_is_in_doubt() {
        let mut server = server();
        server.owed.push(Owed::Query(Effects::None, 0));
        server.owed.push(Owed::Query(Effects::Transaction(Transaction::Rollback), 0));
        assert!(!server.may_commit());
        server.owed.push(Owed::Execute(Effects::Transaction(Transaction::Commit)));
        assert!(server.may_commit());
    }
}
