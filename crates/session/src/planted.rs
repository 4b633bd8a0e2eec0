//! Bugs that tests plant, to see whether they would be found. Only with the feature `planted`, which nothing that is
//! released has.

/// Does something wrong, here, if this bug is planted in the session. Nothing at all without the feature.
macro_rules! planted {
    ($session:expr, $bug:ident, $wrong:expr) => {
        #[cfg(feature = "planted")]
        if $session.planted == Some(crate::planted::Bug::$bug) {
            $wrong
        }
    };
}

pub(crate) use planted;

/// A bug, planted by one line at the place of the rule that it breaks.
#[cfg(feature = "planted")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A server is taken for having the client's settings already.
    SkippedReplay,
    /// A statement that was parsed under other settings is taken for the same.
    SharedKey,
    /// A Close of a statement is answered, and its name kept.
    LostClose,
    /// What cannot be carried to another server does not keep the client on its own.
    MissedPin,
    /// A setting that goes back to its default keeps its value on the next server.
    WrongReset,
    /// A server goes back to the pool within a transaction.
    EarlyRelease,
    /// A server is not asked what a function has left behind.
    SkippedReadBack,
    /// `DEALLOCATE` does not forget the name.
    KeptName,
}

#[cfg(feature = "planted")]
impl Bug {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SkippedReplay,
        Self::SharedKey,
        Self::LostClose,
        Self::MissedPin,
        Self::WrongReset,
        Self::EarlyRelease,
        Self::SkippedReadBack,
        Self::KeptName,
    ];

    /// Its name, by which it can be asked for.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SkippedReplay => "skipped replay",
            Self::SharedKey => "shared key",
            Self::LostClose => "lost close",
            Self::MissedPin => "missed pin",
            Self::WrongReset => "wrong reset",
            Self::EarlyRelease => "early release",
            Self::SkippedReadBack => "skipped read-back",
            Self::KeptName => "kept name",
        }
    }
}
