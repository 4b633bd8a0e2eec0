//! What is read from standbys.

use super::Checker;

/// A standby that keeps up may be seen one probe behind, and must then be below half of the limit to be fit again.
const PROBES_OF_LAG: u32 = 3;

impl Checker<'_> {
    pub(super) fn routing(&mut self) {
        let (longest, interval) =
            (self.settings.routing.max_lag_time, self.settings.cluster.probe_interval);
        if !longest.is_zero() && longest < interval * PROBES_OF_LAG {
            let message = format!(
                "`max_lag_time` is {longest:?} but standbys are asked every {interval:?} only"
            );
            let help = "standbys that keep up may be taken for late: let it be three times `probe_interval` at least";
            self.warning(&["routing.max_lag_time", "cluster.probe_interval"], message, help);
        }
    }
}
