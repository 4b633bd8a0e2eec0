//! Facts that can stand anywhere in a statement.

/// Facts found anywhere in a statement, as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts(u32);

impl Facts {
    pub(crate) const TEMP: Self = Self(1);
    pub(crate) const INTO: Self = Self(1 << 1);
    pub(crate) const SET_CONFIG: Self = Self(1 << 2);
    pub(crate) const ADVISORY_LOCK: Self = Self(1 << 3);
    pub(crate) const ADVISORY_UNLOCK: Self = Self(1 << 4);
    pub(crate) const DBLINK: Self = Self(1 << 5);
    pub(crate) const DBLINK_END: Self = Self(1 << 6);
    pub(crate) const ORIGIN: Self = Self(1 << 7);
    pub(crate) const ORIGIN_END: Self = Self(1 << 8);
    pub(crate) const SLOT: Self = Self(1 << 9);
    pub(crate) const SLOT_END: Self = Self(1 << 10);
    pub(crate) const BACKUP: Self = Self(1 << 11);
    pub(crate) const BACKUP_END: Self = Self(1 << 12);
    pub(crate) const SEQUENCE_READ: Self = Self(1 << 13);
    pub(crate) const SEQUENCE_WRITE: Self = Self(1 << 14);
    pub(crate) const NOTIFY: Self = Self(1 << 15);
    pub(crate) const UNICODE_NAME: Self = Self(1 << 16);
    pub(crate) const SETTINGS_VIEW: Self = Self(1 << 17);
    pub(crate) const STDIN: Self = Self(1 << 18);
    pub(crate) const STDOUT: Self = Self(1 << 19);
    pub(crate) const LOST: Self = Self(1 << 20);

    pub(crate) fn has(self, fact: Self) -> bool {
        self.0 & fact.0 != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn add(&mut self, fact: Self) {
        self.0 |= fact.0;
    }
}
