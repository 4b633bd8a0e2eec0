//! `SHOW NODES`: the PostgreSQL servers, as the probes see them.

use crate::{
    console::table::{Column, Row, Value},
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[
    Column::text("node"),
    Column::text("address"),
    Column::text("role"),
    Column::int4("up"),
    Column::int4("serving"),
    Column::int4("timeline"),
    Column::text("system_identifier"),
    Column::int4("connections"),
    Column::int4("max_connections"),
    Column::numeric("lag_bytes"),
    Column::numeric("lag_us"),
    Column::text("fit"),
    Column::text("detail"),
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let nodes = snapshot.nodes.iter().map(|node| {
        let name = Some(&*node.name);
        let open = snapshot.servers().filter(|s| snapshot.node_name(s.node) == name).count();
        let limit = snapshot.settings.node(&node.name).map_or(0, |node| node.max_connections);
        // 0 stands for "not known yet"; 64 bits without a sign fit no integer type of PostgreSQL.
        let identifier = (node.system_identifier != 0).then(|| node.system_identifier.to_string());
        vec![
            Value::text(&*node.name),
            Value::text(&*node.address),
            Value::text(node.role),
            Value::flag(node.up),
            Value::flag(node.serving),
            if node.timeline == 0 { Value::Null } else { Value::count(node.timeline) },
            Value::optional(identifier.as_deref()),
            Value::count(open),
            Value::count(limit),
            node.lag_bytes.map_or(Value::Null, Value::Numeric),
            node.lag.map_or(Value::Null, |lag| {
                Value::Numeric(u64::try_from(lag.as_micros()).unwrap_or(u64::MAX))
            }),
            Value::optional(node.fit),
            Value::text(&*node.detail),
        ]
    });
    nodes.collect()
}
