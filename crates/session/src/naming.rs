//! Names of prepared statements whose meaning is decided by replies that are owed.
//!
//! A message that gives or takes a name may be refused, or skipped because of an error before it. What follows it up to
//! the next Sync is skipped then too; but what stands behind that Sync is not, so if it uses the name, it waits.

use std::collections::BTreeMap;

use crate::{
    change::Change,
    effect::Effects,
    expect::{Ours, Owed},
    hold::{Forgetting, Why},
    outgoing::Outgoing,
    server::ServerSession,
};

/// The names that messages under way give or take.
#[derive(Debug, Default)]
pub(crate) struct Naming(BTreeMap<Box<[u8]>, Pending>);

#[derive(Debug, Default)]
struct Pending {
    /// So many messages are not answered.
    messages: usize,
    /// A Sync was sent behind them.
    synced: bool,
}

impl Naming {
    /// Whether no name is given or taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a name is given or taken before a Sync.
    pub(crate) fn is_undecided(&self) -> bool {
        self.0.values().any(|pending| pending.synced)
    }

    /// Whether this name is given or taken.
    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.0.contains_key(name)
    }

    fn decides(&self, name: &[u8]) -> bool {
        self.0.get(name).is_some_and(|pending| pending.synced)
    }

    /// Whether a name is given or taken behind the last Sync.
    pub(crate) fn is_open(&self) -> bool {
        self.0.values().any(|pending| !pending.synced)
    }

    /// A Sync is sent.
    pub(crate) fn sync(&mut self) {
        self.0.values_mut().for_each(|pending| pending.synced = true);
    }

    fn begin(&mut self, name: &[u8]) {
        let pending = self.0.entry(name.into()).or_default();
        pending.messages = pending.messages.saturating_add(1);
        pending.synced = false;
    }

    fn end(&mut self, name: &[u8]) {
        let Some(pending) = self.0.get_mut(name) else { return };
        pending.messages = pending.messages.saturating_sub(1);
        if pending.messages == 0 {
            self.0.remove(name);
        }
    }
}

impl ServerSession {
    /// A message that gives or takes a name, of the client's or of ours, is sent, or will be answered by us in its turn.
    pub(crate) fn begin_naming(&mut self, name: &[u8]) {
        self.naming.begin(name);
        self.unsettled.set_names(true);
        self.forgetting = self.forgetting.max(Forgetting::Names);
    }

    /// The entry whose turn it is in the queue is answered; it may give or take a name.
    pub(crate) fn end_naming_in_front(&mut self) {
        if let Some(entry) = self.owed.pop() {
            if let Owed::Parse(named) = &entry {
                named.statement.set_accepted(true);
            }
            self.end_naming_of(&entry);
        }
    }

    /// This entry is answered, or void; it may give or take names.
    pub(crate) fn end_naming_of(&mut self, entry: &Owed) {
        match entry {
            Owed::Parse(named) => {
                self.end_naming(&named.name);
                self.end_naming(&named.statement.name);
            }
            Owed::ParseAgain(named) | Owed::Closed(named) => self.end_naming(&named.name),
            Owed::ParseThere(name)
            | Owed::CloseThere(name)
            | Owed::Ours(Ours::CloseTaken(name)) => self.end_naming(name),
            Owed::ParseTaking(renamed) => self.end_naming(&renamed.name),
            Owed::Ours(Ours::Parse(statement) | Ours::Close(statement)) => {
                self.end_naming(&statement.name);
            }
            _ => {}
        }
    }

    fn end_naming(&mut self, name: &[u8]) {
        self.naming.end(name);
        self.unsettled.set_names(!self.naming.is_empty());
        if self.is_held_for(Why::Name) && !self.naming.is_undecided() {
            self.release_hold();
        }
    }

    /// Whether a message that uses this name must wait.
    pub(crate) fn awaits_name(&mut self, name: &[u8]) -> bool {
        self.release_hold();
        let waits = self.unsettled.has_names() && self.naming.decides(name);
        if waits {
            self.hold(Why::Name);
        }
        waits
    }

    /// The same, where a statement of SQL may give or take the name.
    pub(crate) fn awaits_name_of_both(&mut self, name: &[u8], out: &mut Outgoing<'_>) -> bool {
        self.awaits_name(name)
            || self.unsettled.has_settings() && self.changes_by_sql(name) && self.awaits_all(out)
    }

    fn changes_by_sql(&self, name: &[u8]) -> bool {
        self.owed.iter().any(|owed| match owed {
            Owed::Query(effects, _) | Owed::Execute(effects) => effects.changes_name(name),
            _ => false,
        })
    }

    /// Whether a statement that names others must wait.
    pub(crate) fn awaits_names_of(&mut self, effects: &Effects, out: &mut Outgoing<'_>) -> bool {
        let Effects::Many(changes) = effects else { return false };
        changes.iter().any(|(_, change)| match change {
            Change::Deallocate(name) => self.awaits_name_of_both(name, out),
            Change::Prepare(making) => self.awaits_name_of_both(&making.name, out),
            Change::Mention(mention) => self.awaits_name_of_both(&mention.name, out),
            _ => false,
        })
    }

    /// Whether a message that uses the unnamed statement must wait.
    pub(crate) fn awaits_unnamed(&mut self) -> bool {
        self.release_hold();
        let waits = self.unnamed_is_undecided();
        if waits {
            self.hold(Why::Unnamed);
        }
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_undecided_behind_the_sync_that_follows_its_message() {
        let mut naming = Naming::default();
        naming.begin(b"s");
        assert!(!naming.decides(b"s") && naming.is_open() && !naming.is_undecided());
        naming.sync();
        assert!(naming.decides(b"s") && !naming.decides(b"t") && !naming.is_open());
        naming.begin(b"t");
        naming.begin(b"t");
        naming.end(b"s");
        assert!(!naming.is_undecided() && naming.is_open());
        naming.end(b"t");
        assert!(!naming.is_empty());
        naming.end(b"t");
        assert!(naming.is_empty());
    }
}
