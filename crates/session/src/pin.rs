//! Why a session keeps its server connection between transactions.

/// What cannot be carried to another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum PinReason {
    /// Temporary tables, views, sequences or functions.
    TemporaryObject,
    /// Session-level advisory locks.
    AdvisoryLock,
    /// A cursor declared `WITH HOLD`.
    HoldCursor,
    /// `LISTEN`.
    Listen,
    /// `LOAD`.
    Load,
    /// What SQL has prepared, until it is adopted behind the transaction, or for good if it cannot be; and a name that was
    /// lent to a text, until it is closed.
    SqlPrepare,
    /// `DO`, `CALL`, or a function that is not known to leave the session alone.
    HiddenState,
    /// `currval` and the like were used.
    Sequence,
    /// A `set_config` whose arguments are not literals.
    ComputedSetting,
    /// More settings than are followed.
    TooManySettings,
    /// A text too long to be kept for another server.
    LongStatement,
    /// More statement names than are followed.
    TooManyStatements,
    /// dblink connections, replication origins, temporary slots, backups.
    ServerObject,
    /// A statement may have left something behind, and the server has not been asked yet what the session has there.
    Unread,
}

impl PinReason {
    /// Every reason, in the order of their bits.
    pub const ALL: [Self; 14] = [
        Self::TemporaryObject,
        Self::AdvisoryLock,
        Self::HoldCursor,
        Self::Listen,
        Self::Load,
        Self::SqlPrepare,
        Self::HiddenState,
        Self::Sequence,
        Self::ComputedSetting,
        Self::TooManySettings,
        Self::LongStatement,
        Self::TooManyStatements,
        Self::ServerObject,
        Self::Unread,
    ];

    /// The reason in words, for the console and the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TemporaryObject => "temporary object",
            Self::AdvisoryLock => "advisory lock",
            Self::HoldCursor => "cursor with hold",
            Self::Listen => "listen",
            Self::Load => "load",
            Self::SqlPrepare => "prepared by SQL",
            Self::HiddenState => "function that may leave state behind",
            Self::Sequence => "sequence state",
            Self::ComputedSetting => "setting computed at run time",
            Self::TooManySettings => "too many settings",
            Self::LongStatement => "statement too long to keep",
            Self::TooManyStatements => "too many prepared statements",
            Self::ServerObject => "object of the server session",
            Self::Unread => "state not asked for yet",
        }
    }

    const fn bit(self) -> u16 {
        1 << Self::index(self)
    }

    const fn index(self) -> u16 {
        match self {
            Self::TemporaryObject => 0,
            Self::AdvisoryLock => 1,
            Self::HoldCursor => 2,
            Self::Listen => 3,
            Self::Load => 4,
            Self::SqlPrepare => 5,
            Self::HiddenState => 6,
            Self::Sequence => 7,
            Self::ComputedSetting => 8,
            Self::TooManySettings => 9,
            Self::LongStatement => 10,
            Self::TooManyStatements => 11,
            Self::ServerObject => 12,
            Self::Unread => 13,
        }
    }
}

/// The set of reasons that hold now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pins(u16);

impl Pins {
    /// Only that the server has not been asked yet.
    pub(crate) const UNREAD: Self = Self(PinReason::Unread.bit());

    /// Whether nothing pins.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds a reason.
    pub const fn add(&mut self, reason: PinReason) {
        self.0 |= reason.bit();
    }

    /// Takes a reason away.
    pub const fn remove(&mut self, reason: PinReason) {
        self.0 &= !reason.bit();
    }

    /// Whether a reason is among them.
    #[inline]
    pub const fn has(self, reason: PinReason) -> bool {
        self.0 & reason.bit() != 0
    }

    /// Adds a reason, or takes it away.
    pub(crate) const fn put(&mut self, reason: PinReason, holds: bool) {
        if holds {
            self.add(reason);
        } else {
            self.remove(reason);
        }
    }

    /// The reasons.
    pub fn iter(self) -> impl Iterator<Item = PinReason> {
        PinReason::ALL.into_iter().filter(move |reason| self.0 & reason.bit() != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_bit() {
        let mut pins = Pins::default();
        for reason in PinReason::ALL {
            pins.add(reason);
        }
        assert_eq!(pins.iter().collect::<Vec<_>>(), PinReason::ALL);
        pins.remove(PinReason::Listen);
        assert_eq!(pins.iter().count(), PinReason::ALL.len() - 1);
        assert!(!pins.is_empty() && Pins::default().is_empty());
    }
}
