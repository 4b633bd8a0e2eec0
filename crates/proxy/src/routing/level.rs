//! At which level transactions are that do not say it.

use trunkline_route::Snapshot;
use trunkline_session::is_read_committed;

use crate::pool::Family;

/// The setting that tells.
const SETTING: &str = "default_transaction_isolation";

/// Whether in a transaction of this family's clients each statement sees what has been committed before it, if neither the
/// transaction nor its session has said otherwise. Not if that is not known.
pub(crate) fn sees_commits(family: &Family, catalog: &Snapshot) -> bool {
    let asked = family.startup.others.iter().find(|(name, _)| name.eq_ignore_ascii_case(SETTING));
    if let Some((_, level)) = asked {
        return is_read_committed(level.as_bytes());
    }
    let level = catalog.default_of(SETTING, &family.policy.load().server_user);
    level.is_some_and(|level| is_read_committed(level.as_bytes()))
}
