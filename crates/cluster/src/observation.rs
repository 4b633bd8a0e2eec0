//! What a probe has seen.

/// A node's own words about itself, all from one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Observation {
    /// Whether it takes writes.
    pub role: Role,
    /// The cluster it belongs to (`pg_control_system().system_identifier`).
    pub system: u64,
    /// The timeline it writes (a primary) or receives (a standby); `None` while a standby knows none.
    pub timeline: Option<u32>,
}

/// Whether a node takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Out of recovery.
    Primary,
    /// In recovery.
    Standby,
}
