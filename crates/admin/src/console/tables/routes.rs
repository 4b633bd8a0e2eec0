//! `SHOW ROUTES`: where statements went, and why.

use std::{collections::BTreeMap, sync::Arc};

use trunkline_proxy::engine::report::{RouteCounts, Routes};

use crate::{
    console::table::{Column, Row, Value},
    routes,
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[
    Column::text("database"),
    Column::text("mode"),
    Column::text("route"),
    Column::text("reason"),
    Column::numeric("count"),
    Column::text("percent"),
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let mut databases = BTreeMap::<Arc<str>, Routes>::new();
    for ((database, _), routes) in &snapshot.routes {
        databases.entry(Arc::clone(database)).or_default().add(routes);
    }
    let mut rows = Vec::new();
    for (database, routes) in &databases {
        for (mode, counts) in [("on", &routes.on), ("shadow", &routes.shadow)] {
            add_rows(&mut rows, (database, mode), counts);
        }
    }
    rows
}

/// Adds the rows of a database in one mode: what went to standbys, what went to the primary, what the primary did in
/// their place, and what was learnt of it.
fn add_rows(rows: &mut Vec<Row>, (database, mode): (&str, &str), counts: &RouteCounts) {
    let total = counts.decided().map(|(_, count)| count).fold(0, u64::wrapping_add);
    let mut add = |route: &str, reason: &str, count: u64, of: Option<u64>| {
        if count > 0 {
            rows.push(vec![
                Value::text(database),
                Value::text(mode),
                Value::text(route),
                Value::text(reason),
                Value::Numeric(count),
                of.map_or(Value::Null, |total| Value::Text(percent(count, total))),
            ]);
        }
    };
    let told = counts.told();
    for route in [routes::STANDBY, routes::PRIMARY] {
        let decided = told.iter().filter(|told| routes::of(told.to_standby) == route);
        for told in decided {
            add(route, &told.reason, told.count, Some(total));
        }
    }
    for (healed, count) in counts.healed() {
        add("run again", healed.words(), count, None);
    }
    add("learnt", "refused by a standby", counts.learnt, None);
}

/// A share of a whole in percent, with one digit behind the point.
fn percent(part: u64, whole: u64) -> String {
    let tenths = u128::from(part) * 1000 / u128::from(whole.max(1));
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_one_digit_behind_the_point() {
        for (part, whole, shown) in [
            (1, 3, "33.3"),
            (2, 2, "100.0"),
            (1, 2000, "0.0"),
            (0, 0, "0.0"),
            (u64::MAX, u64::MAX, "100.0"),
        ] {
            assert_eq!(percent(part, whole), shown);
        }
    }
}
