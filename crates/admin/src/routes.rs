//! Where statements went, added up over the loops.

use std::{collections::BTreeMap, sync::Arc};

use trunkline_proxy::engine::report::{LoopReport, Routes};

use crate::pools::{PoolKey, name_of};

/// The word for the standbys.
pub(crate) const STANDBY: &str = "standby";

/// The word for the primary.
pub(crate) const PRIMARY: &str = "primary";

/// The word for where a statement goes.
pub(crate) const fn of(to_standby: bool) -> &'static str {
    if to_standby { STANDBY } else { PRIMARY }
}

/// What was decided for every pool that there is, or was, since the start, by the names it is told under. No count ever
/// goes back.
pub(crate) fn merge(loops: &[LoopReport]) -> BTreeMap<PoolKey, Routes> {
    let mut routes = BTreeMap::<PoolKey, Routes>::new();
    let mut add = |key, more: &Routes| routes.entry(key).or_default().add(more);
    for report in loops {
        for pool in &report.pools {
            if let Some(more) = &pool.routes {
                let key = (Arc::clone(&pool.database), Arc::clone(&pool.user));
                add(name_of(&key, pool.named), more);
            }
        }
        for gone in &report.departed {
            if let Some(more) = &gone.routes {
                add((Arc::clone(&gone.database), Arc::clone(&gone.user)), more);
            }
        }
    }
    routes
}

/// The sum over all pools.
pub(crate) fn total(routes: &BTreeMap<PoolKey, Routes>) -> Routes {
    let mut total = Routes::default();
    for more in routes.values() {
        total.add(more);
    }
    total
}
