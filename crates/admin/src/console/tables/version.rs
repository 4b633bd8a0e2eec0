//! `SHOW VERSION`.

use crate::{
    console::table::{Column, Row, Value},
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[Column::text("version")];

pub(super) fn rows(_: &Snapshot) -> Vec<Row> {
    vec![vec![Value::text(concat!("Trunkline ", env!("CARGO_PKG_VERSION")))]]
}
