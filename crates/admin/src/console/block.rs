//! Transaction blocks. They change nothing but what drivers see: commands are carried out at once and not undone.

use trunkline_wire::{SqlState, backend::status};

use super::{command::Command, perform::Notice, refusal::Refusal};

/// Whether a transaction block is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    None,
    Open,
    /// A statement in it has failed; only its end is accepted.
    Failed,
}

impl Block {
    /// What `ReadyForQuery` tells.
    pub(super) const fn status(self) -> u8 {
        match self {
            Self::None => status::IDLE,
            Self::Open => status::IN_TRANSACTION,
            Self::Failed => status::FAILED,
        }
    }

    /// Says under which tag a command will end, or why it must not be carried out now.
    pub(super) fn admit(self, command: &Command) -> Result<&'static str, Refusal> {
        if self != Self::Failed {
            return Ok(command.tag());
        }
        match command {
            Command::Commit | Command::Rollback => Ok(Command::Rollback.tag()),
            _ => Err(Refusal::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            )),
        }
    }

    /// Opens or ends the block as the command says; tells what is odd about it in PostgreSQL's words.
    pub(super) fn follow(&mut self, command: &Command) -> Option<Notice> {
        let before = *self;
        match command {
            Command::Begin => {
                *self = Self::Open;
                (before == Self::Open).then(|| {
                    let message = "there is already a transaction in progress";
                    Notice::warning(SqlState::ACTIVE_SQL_TRANSACTION, message)
                })
            }
            Command::Commit | Command::Rollback => {
                *self = Self::None;
                (before == Self::None).then(|| {
                    let message = "there is no transaction in progress";
                    Notice::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, message)
                })
            }
            _ => None,
        }
    }

    /// A statement has failed.
    pub(super) fn fail(&mut self) {
        if *self == Self::Open {
            *self = Self::Failed;
        }
    }
}
