//! A server that is lost: what is not known of what it was asked.

use crate::{expect::Owed, server::ServerSession};

impl ServerSession {
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
    use crate::{Effects, effect::Transaction};

    fn server() -> ServerSession {
        ServerSession::new(Arc::new(Reported::new()))
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
