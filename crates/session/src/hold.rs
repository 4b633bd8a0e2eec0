//! Client messages that wait for what the server says of earlier ones, because it decides what they must be.

use trunkline_wire::frontend;

use crate::{
    expect::{OWED_MAX, Owed},
    outgoing::Outgoing,
    server::{Intake, ServerSession},
};

/// Whether something is under way whose success decides what the messages behind it must be: `DISCARD ALL`,
/// `DEALLOCATE ALL`, a change of what statements are parsed under, or an unnamed statement that cannot be sent again
/// and may be discarded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Forgetting {
    #[default]
    No,
    /// Names of statements were given or taken since the last Sync, which is to be noticed.
    Names,
    /// It was sent, but its reply may not come before a Sync.
    Unsynced,
    /// It was sent, and its reply will come.
    Asked,
    /// The client's next message waits, for a reason of its own.
    Held,
    /// Nothing is under way, and nothing may be: see [`ServerSession::hold_back`].
    HeldBack,
}

/// What is under way of which statements of a certain kind must know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unsettled(u8);

impl Unsettled {
    const SETTINGS: u8 = 1;
    const NAMES: u8 = 2;

    /// Whether there is nothing.
    #[inline]
    pub(crate) const fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// Whether something may change the settings that statements are parsed under, or take a name by SQL.
    #[inline]
    pub(crate) const fn has_settings(self) -> bool {
        self.0 & Self::SETTINGS != 0
    }

    /// Something may change them.
    pub(crate) const fn add_settings(&mut self) {
        self.0 |= Self::SETTINGS;
    }

    /// Whether a message of the protocol gives or takes a name.
    pub(crate) const fn has_names(self) -> bool {
        self.0 & Self::NAMES != 0
    }

    /// Says so.
    pub(crate) const fn set_names(&mut self, are: bool) {
        self.0 = if are { self.0 | Self::NAMES } else { self.0 & !Self::NAMES };
    }
}

/// Why the client's next message waits, and what is the case when it does no more.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hold {
    why: Why,
    then: Forgetting,
}

/// Why a message waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Why {
    /// It belongs to a COPY, and the server has not said yet whether it reads one.
    #[default]
    Copy,
    /// It names a statement, and what the name means is decided by what is under way, behind which a Sync was sent.
    Name,
    /// The same of the unnamed statement.
    Unnamed,
    /// Which of the Syncs amid COPY data are answered is not known.
    CopySyncs,
    /// It listens, and the listener of the database does not hear that channel yet; see [`crate::channels`].
    Listener,
    /// What goes ahead of it is not answered, or what decides whether something does; see [`crate::ahead`].
    Ahead,
    /// It is answered by the shell, behind what is owed; see [`crate::aside`].
    Aside,
    /// Names are lent that could not be taken back behind the Sync before it; see [`crate::lend`].
    Lent,
}

impl ServerSession {
    /// Whether nothing more may be sent to it until replies have come: [`OWED_MAX`] are owed, or what follows depends
    /// on whether it does what it was asked, such as to forget all prepared statements. Or it is held back.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.is_full_at(OWED_MAX)
    }

    /// The same with another limit for replies owed; a group of messages that ends with a Sync is not cut by it.
    #[inline]
    pub fn is_full_at(&self, most: usize) -> bool {
        let owed = self.owed.len();
        owed >= most && (self.intake == Intake::Messages || owed >= OWED_MAX)
            || (self.forgetting >= Forgetting::Asked && self.is_holding())
    }

    #[cold]
    fn is_holding(&self) -> bool {
        if self.forgetting != Forgetting::Held {
            return true;
        }
        match self.hold.why {
            Why::Copy | Why::Ahead | Why::Aside => !self.owed.is_empty(),
            Why::Lent => self.lent_stays,
            Why::Listener => true,
            Why::Name => self.naming.is_undecided(),
            Why::Unnamed => self.unnamed_is_undecided(),
            Why::CopySyncs => self.awaits_copy_syncs(),
        }
    }

    /// The client's next message waits.
    pub(crate) fn hold(&mut self, why: Why) {
        self.release_hold();
        self.hold = Hold { why, then: self.forgetting };
        self.forgetting = Forgetting::Held;
    }

    /// Whether the client's next message waits for this reason.
    pub(crate) fn is_held_for(&self, why: Why) -> bool {
        self.forgetting == Forgetting::Held && self.hold.why == why
    }

    /// A Sync is sent: what was sent before it will be answered.
    #[cold]
    pub(crate) fn sync_forgetting(&mut self) {
        self.naming.sync();
        self.forgetting = match self.forgetting {
            Forgetting::Unsynced => Forgetting::Asked,
            Forgetting::Names => Forgetting::No,
            other => other,
        };
    }

    /// After an error nothing is under way any more that all statements depend on; names may be.
    pub(crate) fn settle_after_error(&mut self) {
        let remains = [Why::CopySyncs, Why::Lent].into_iter().find(|why| self.is_held_for(*why));
        self.settle_down();
        self.unsettled.set_names(!self.naming.is_empty());
        if self.naming.is_open() {
            self.forgetting = Forgetting::Names;
        }
        if let Some(why) = remains {
            self.hold(why);
        }
    }

    /// The message that waited is looked at again.
    pub(crate) fn release_hold(&mut self) {
        if self.forgetting == Forgetting::Held {
            self.forgetting = self.hold.then;
        }
    }

    /// Whether a message that belongs to a COPY must wait, because the server has not said yet whether it reads one.
    pub(crate) fn holds_copy_message(&mut self, out: &mut Outgoing<'_>) -> bool {
        if self.owed.is_empty() {
            // It reads none, and will ignore the message.
            self.release_hold();
            return false;
        }
        if self.intake == Intake::Unsynced {
            frontend::flush(out.insert());
        }
        self.hold(Why::Copy);
        true
    }

    /// Whether it is not known which unnamed statement the server has, and replies that are owed will tell.
    pub(crate) fn unnamed_is_undecided(&self) -> bool {
        self.unnamed == crate::server::UNNAMED_UNKNOWN
            && self.owed.iter().any(Owed::changes_unnamed)
    }

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
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_wire::Reported;

    use super::*;
    use crate::Purpose;

    #[test]
    fn a_server_is_held_back_only_at_rest() {
        let server = || ServerSession::new(Arc::new(Reported::new()));
        let (mut asked, mut server) = (server(), server());
        asked.ask(Purpose::Check, b"", &mut bytes::BytesMut::new());
        asked.hold_back();
        assert!(!asked.is_full());
        server.hold_back();
        assert!(server.is_full() && server.at_rest());
        server.go_on();
        assert!(!server.is_full());
    }
}
