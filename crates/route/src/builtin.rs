//! What is known of PostgreSQL's own functions, views and settings, of versions 14 to 18.
//!
//! The functions of `pg_catalog` are in `functions/`, all of them; those that belong on the primary are in `classes.rs`. The
//! functions of `information_schema` are SQL functions, which are read from the server and judged like a user's.

mod classes;
mod functions;
mod settings;
mod views;

pub use self::functions::{Builtin, by_oid, call, named};
pub use self::settings::setting;
pub use self::views::{SEQUENCE_CALL, SystemView, view};

use crate::Reason;

/// The newest version of PostgreSQL whose functions are in the table.
pub const NEWEST: u32 = 18;

/// What a built-in function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It may run on any node.
    Harmless,
    /// It depends on the setting that is asked for, see [`setting`].
    Setting,
    /// It must run on the primary.
    Primary(Reason),
}

impl Class {
    /// What is the matter with a call, if it asks for a setting of this name.
    pub fn trouble(self, asked: Option<&str>) -> Option<Reason> {
        match self {
            Self::Harmless => None,
            Self::Setting if asked.is_some_and(setting) => None,
            Self::Setting => Some(Reason::NodeLocalFunction),
            Self::Primary(reason) => Some(reason),
        }
    }
}
