//! `/metrics`: a snapshot in `OpenMetrics` text.
//!
//! Nothing is counted here: every number is the loops' own, read when somebody asks. A scrape makes a registry with
//! one collector that holds the snapshot, and throws both away.

mod collector;
#[cfg(test)]
mod openmetrics;

use std::fmt;

use prometheus_client::{encoding::text::encode, registry::Registry};

use self::collector::Collector;
use crate::snapshot::Snapshot;

/// The prefix of every name.
const PREFIX: &str = "trunkline";

/// The whole exposition.
///
/// # Errors
/// When the writer of the text fails; writing to memory does not.
pub(super) fn text(snapshot: Snapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Collector::new(snapshot)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
