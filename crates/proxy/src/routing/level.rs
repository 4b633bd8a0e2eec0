//! At which level transactions are that do not say it.

use trunkline_route::Snapshot;
use trunkline_session::{is_read_committed, is_serializable};

use crate::pool::Family;

/// The setting that tells.
const SETTING: &str = "default_transaction_isolation";

/// Whether in a transaction of this family's clients each statement sees what has been committed before it, if neither the
/// transaction nor its session has said otherwise. Not if that is not known.
pub(crate) fn sees_commits(family: &Family, catalog: &Snapshot) -> bool {
    is_known_as(family, catalog, is_read_committed)
}

/// Whether such a transaction is known to be serializable, as none can be on a standby.
pub(crate) fn serializes(family: &Family, catalog: &Snapshot) -> bool {
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
