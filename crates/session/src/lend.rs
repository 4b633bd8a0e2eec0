//! Prepared statements that a text names: `EXECUTE`, `DEALLOCATE`, `PREPARE`.
//!
//! A server knows a client's statements by names of ours, whether they came as messages or were adopted from SQL. A text
//! that executes one and names no other is written with our name ([`crate::execute`]). For all others the names are lent to
//! the server: the statements are prepared under them before the text and closed behind it. The text itself goes on
//! unchanged, so that what it answers, and the place of an error in it, are the server's own.

use bytes::BytesMut;
use trunkline_wire::frontend;

use crate::{
    ahead::Course,
    change::Change,
    client::{ClientSession, Surroundings, Unnamed},
    effect::Effects,
    environment::Meaning,
    expect::{Ours, Owed},
    hold::Why,
    outgoing::Outgoing,
    overfull,
    server::{Intake, ServerSession, TxStatus},
};

impl ClientSession {
    /// Lends the names in a simple query that is about to be sent, and tells which. They must be taken back by
    /// [`take_back`] right behind it. None if the query must wait.
    pub(crate) fn lend_to_query(
        &mut self,
        text: &[u8],
        effects: &Effects,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
        around: &mut impl Surroundings,
    ) -> Option<Vec<Lending>> {
        // A failure before a Sync would make the server skip the query; while it reads COPY data, it takes no other
        // message of ours. In a failed transaction it would refuse what is lent.
        if self.names.is_empty()
            || server.intake != Intake::Messages
            || (server.status == TxStatus::Failed && server.owed.is_empty())
            || mentions_copy(text)
        {
            return Some(Vec::new());
        }
        let lent = self.lendings(effects, &[]);
        // If the query is skipped, so must be what is lent, and the Sync that ends it is the client's to send.
        if !lent.is_empty() && server.may_skip() && server.awaits_all(out) {
            return None;
        }
        let missing = self.lendings(effects, &server.decoys);
        self.settle_drafts(&missing, around);
        match self.course_of_lending(&missing, server) {
            Course::Undecided => return None,
            Course::Ahead => {
                self.lend(&missing, server, out, around);
                server.decoys.extend(missing.into_iter().map(|lending| lending.name));
                server.end_ahead(out);
                return None;
            }
            Course::Along => self.lend(&missing, server, out, around),
        }
        server.decoys.retain(|there| !lent.iter().any(|lending| lending.name == *there));
        for kept in lent.iter().filter(|lending| lending.loan == Loan::Kept) {
            self.expect_left(&kept.name);
        }
        Some(lent)
    }

    /// What they mean gets its name. One for which there is no room is refused when it is lent.
    fn settle_drafts(&mut self, lent: &[Lending], around: &mut impl Surroundings) {
        for Lending { name, loan } in lent {
            if *loan > Loan::Name && self.names.get(name).is_some_and(|known| known.is_draft()) {
                let _settled = self.statement_of_draft(name, around);
            }
        }
    }

    /// The way of what lends these names.
    fn course_of_lending(&self, missing: &[Lending], server: &mut ServerSession) -> Course {
        let with_text = missing.iter().filter(|lending| lending.loan > Loan::Name);
        let changes =
            with_text.filter_map(|lending| self.names.get(&lending.name)).any(|statement| {
                self.detour((statement.settings(), statement.folds()), server).is_some()
            });
        if changes { server.course() } else { Course::Along }
    }

    /// Lends the names in a statement that the client executes. They are taken back behind the next Sync. A failed
    /// transaction would refuse what is lent, where it may have something else to say of the portal.
    #[inline]
    pub(crate) fn lend_to_execute(
        &mut self,
        effects: &Effects,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
        around: &mut impl Surroundings,
    ) {
        let lends = !effects.is_none() && effects.names_statements() && !self.names.is_empty();
        if lends && (server.status != TxStatus::Failed || !server.owes_client_nothing()) {
            self.lend_what_it_names(effects, Loan::Name, server, out, around);
        }
    }

    /// Lends the names of what a statement executes that the client parses, describes or binds: PostgreSQL takes from it
    /// what the result will be.
    #[inline]
    pub(crate) fn lend_to_message(
        &mut self,
        effects: &Effects,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
        around: &mut impl Surroundings,
    ) {
        if !effects.is_none() && effects.names_statements() && !self.names.is_empty() {
            self.lend_what_it_names(effects, Loan::Text, server, out, around);
        }
    }

    /// The same of the unnamed statement.
    #[inline]
    pub(crate) fn lend_to_unnamed(
        &mut self,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
        around: &mut impl Surroundings,
    ) {
        if let Unnamed::Kept { effects: Effects::Many(_), .. }
        | Unnamed::OnServer { effects: Effects::Many(_), .. } = &self.unnamed
        {
            let effects = self.unnamed.effects();
            self.lend_to_message(&effects, server, out, around);
        }
    }

    fn lend_what_it_names(
        &mut self,
        effects: &Effects,
        least: Loan,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
        around: &mut impl Surroundings,
    ) {
        let mut lent = self.lendings(effects, &server.decoys);
        lent.retain(|lending| lending.loan >= least);
        self.lend(&lent, server, out, around);
        server.decoys.extend(lent.into_iter().map(|lending| lending.name));
    }

    /// The names in a text that mean statements of this client and are not `there` already.
    fn lendings(&self, effects: &Effects, there: &[Box<[u8]>]) -> Vec<Lending> {
        let Effects::Many(changes) = effects else { return Vec::new() };
        let mut lendings: Vec<Lending> = Vec::new();
        let mut forgotten = false;
        for (_, change) in changes.iter() {
            let (name, loan) = match change {
                Change::Deallocate(name) => (name, Loan::Name),
                Change::Mention(mention) => (&mention.name, Loan::Text),
                Change::Prepare(making) => {
                    let name = &making.name;
                    let named = lendings.iter().any(|known| known.name == *name);
                    (name, if forgotten || named { Loan::Kept } else { Loan::Name })
                }
                Change::DeallocateAll => {
                    forgotten = true;
                    continue;
                }
                _ => continue,
            };
            if !self.names.contains(name) || there.contains(name) || self.there.contains(name) {
                continue;
            }
            match lendings.iter_mut().find(|known| known.name == *name) {
                Some(known) => known.loan = known.loan.max(loan),
                None => lendings.push(Lending { name: name.clone(), loan }),
            }
        }
        lendings
    }

    fn lend(
        &mut self,
        lent: &[Lending],
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
        around: &mut impl Surroundings,
    ) {
        for Lending { name, loan } in lent {
            let with_text = *loan > Loan::Name;
            let meaning =
                if with_text { self.meaning(name, server, around) } else { Meaning::NotOurs };
            if let Meaning::Overfull = meaning {
                overfull::refuse(server, out, around);
                continue;
            }
            if let Meaning::Ours(statement) = meaning {
                let parsed = (statement.settings(), statement.folds());
                self.parse_under(parsed, server, out, |server, out| {
                    frontend::parse(out.insert(), name, &statement.text, &statement.types);
                    server.owed.push(Owed::Ours(Ours::Lent(name.clone())));
                });
                self.owe_meant(server);
            } else {
                frontend::parse(out.insert(), name, b"", b"\0\0");
                server.owed.push(Owed::Ours(Ours::Lent(name.clone())));
            }
        }
    }
}

impl ServerSession {
    /// Before the client closes a statement of this name: if it is lent it is taken back, once nothing is under way that
    /// may make the server skip that. Says whether the message must wait.
    pub(crate) fn takes_lent_back(&mut self, name: &[u8], out: &mut Outgoing<'_>) -> bool {
        let Some(place) = self.decoys.iter().position(|lent| **lent == *name) else { return false };
        if self.awaits_all(out) {
            return true;
        }
        let lent = self.decoys.remove(place);
        frontend::close(out.insert(), frontend::STATEMENT, &lent);
        self.owed.push(Owed::Ours(Ours::CloseOther));
        false
    }
}

impl ServerSession {
    /// Closes what is lent, behind a Sync that was sent. If a COPY may have begun before that, the server may take nothing but
    /// data now; and if the client has closed a name, and all that is skipped, that name means what it did. Then it is told to
    /// as soon as nothing is owed, and what the client sends behind the Sync waits.
    #[cold]
    pub(crate) fn take_back_behind_sync(&mut self, out: &mut Outgoing<'_>) {
        if self.owed.is_last_group_undecided() {
            self.lent_stays = true;
            self.hold(Why::Lent);
        } else {
            self.take_all_back(out.insert());
        }
    }

    /// What was lent in messages that the server has skipped is not there, but for what was lent behind them.
    #[cold]
    pub(crate) fn forget_lent(&mut self, skipped: &[Box<[u8]>]) {
        for name in skipped {
            let again =
                |owed: &Owed| matches!(owed, Owed::Ours(Ours::Lent(other)) if other == name);
            if !self.owed.iter().any(again) {
                self.decoys.retain(|lent| lent != name);
            }
        }
        if self.lent_stays && self.decoys.is_empty() {
            self.end_loan();
        }
    }

    /// Nothing is lent any more that was not taken back behind a Sync.
    fn end_loan(&mut self) {
        self.lent_stays = false;
        if self.is_held_for(Why::Lent) {
            self.release_hold();
        }
    }

    /// Whether something is lent that was not taken back behind a Sync, and can be now.
    pub(crate) fn has_lent(&self) -> bool {
        self.lent_stays && self.owed.is_empty() && self.intake == Intake::Messages
    }

    /// Closes what is lent.
    pub(crate) fn take_all_back(&mut self, out: &mut BytesMut) {
        for name in std::mem::take(&mut self.decoys) {
            frontend::close(out, frontend::STATEMENT, &name);
            self.owed.push(Owed::Ours(Ours::CloseOther));
        }
        frontend::sync(out);
        self.owed.push(Owed::Ours(Ours::Sync));
        self.end_loan();
    }
}

/// Closes lent names behind a simple query. If one could not be lent, and that in one group with the query, the server
/// skips the query, and the answer to the Sync sent here is the answer to the query.
pub(crate) fn take_back(lent: &[Lending], server: &mut ServerSession, out: &mut Outgoing<'_>) {
    if lent.is_empty() {
        return;
    }
    for lending in lent.iter().filter(|lending| lending.loan != Loan::Kept) {
        frontend::close(out.insert(), frontend::STATEMENT, &lending.name);
        server.owed.push(Owed::Ours(Ours::CloseOther));
    }
    frontend::sync(out.insert());
    server.owed.push(Owed::Ours(Ours::Sync));
}

/// A name that is lent.
#[derive(Debug)]
pub(crate) struct Lending {
    name: Box<[u8]>,
    loan: Loan,
}

/// How a name is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Loan {
    /// With an empty text, which never fails, and does for being forgotten or refused.
    Name,
    /// With the text of its statement.
    Text,
    /// The same, and it is not taken back: the text prepares it anew by SQL behind something that names or forgets it, so
    /// something is left either way, to be adopted or closed.
    Kept,
}

/// Whether the text may begin a COPY: it has that word.
fn mentions_copy(text: &[u8]) -> bool {
    let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | 0x80..);
    text.windows(4).enumerate().any(|(at, word)| {
        let (before, behind) = (at.checked_sub(1), at.saturating_add(4));
        word.eq_ignore_ascii_case(b"copy")
            && !before.and_then(|before| text.get(before)).is_some_and(in_word)
            && !text.get(behind).is_some_and(in_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_a_word_of_its_own() {
        for text in
            ["copy t to stdout", "select 1;COPY(select 1) to stdout", "/**/Copy\"t\"from stdin"]
        {
            assert!(mentions_copy(text.as_bytes()), "{text}");
        }
        for text in [
            "deallocate copy_s",
            "deallocate scopy",
            "deallocate xcopyx",
            "deallocate éCOPYé",
            "cop",
        ] {
            assert!(!mentions_copy(text.as_bytes()), "{text}");
        }
    }
}
