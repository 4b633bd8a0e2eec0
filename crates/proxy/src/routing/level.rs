//! Where transactions begin, and at which level they are if they do not say it.

use trunkline_route::{Asked, Because, Plain, Snapshot};
use trunkline_session::{Block, is_read_committed, is_serializable};

use super::judge::Judge;
use crate::pool::Family;

/// The setting that tells.
const SETTING: &str = "default_transaction_isolation";

/// Why a transaction begins on a standby, or why it does not.
pub(crate) fn begins_here(
    block: &Block<'_>,
    judge: &mut Judge<'_>,
    (asked, family): (Asked, &Family),
) -> Because {
    let catalog = judge.snapshot();
    let (found, fits) = if block.reads_only {
        (Plain::ReadOnlyTransaction, !serializes(family, catalog))
    } else {
        (Plain::OpenTransaction, sees_commits(family, catalog))
    };
    let decided = judge.decide_block(asked, block.begin, found);
    if block.sees_commits.is_none() && !fits && decided.is_to_standby() {
        Plain::UnknownLevel.into()
    } else {
        decided
    }
}

/// Whether each statement of a transaction that is begun sees what has been committed before it. Not if that is not known.
pub(crate) fn sees_commits_in(block: &Block<'_>, family: &Family, catalog: &Snapshot) -> bool {
    block.sees_commits.unwrap_or_else(|| sees_commits(family, catalog))
}

/// Whether in a transaction of this family's clients each statement sees what has been committed before it, if neither the
/// transaction nor its session has said otherwise. Not if that is not known.
fn sees_commits(family: &Family, catalog: &Snapshot) -> bool {
    is_known_as(family, catalog, is_read_committed)
}

/// Whether such a transaction is known to be serializable, as none can be on a standby.
pub(super) fn serializes(family: &Family, catalog: &Snapshot) -> bool {
    is_known_as(family, catalog, is_serializable)
}

fn is_known_as(family: &Family, catalog: &Snapshot, is: impl Fn(&[u8]) -> bool) -> bool {
    let asked = family.startup.others.iter().find(|(name, _)| name.eq_ignore_ascii_case(SETTING));
    if let Some((_, level)) = asked {
        return is(level.as_bytes());
    }
    let level = catalog.default_of(SETTING, &family.policy.load().server_user);
    level.is_some_and(|level| is(level.as_bytes()))
}
