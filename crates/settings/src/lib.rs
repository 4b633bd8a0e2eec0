//! What Trunkline is told from outside: the settings file, environment overrides, a connection URL,
//! `pg_hba.conf`, `pg_ident.conf` and `userlist.txt`, from text to checked values or to a list of mistakes.
//!
//! What never enters: files, environment and clock. Whoever loads settings hands in a [`Files`] and the pairs of
//! the environment, and acts on the result.
//!
//! Start at [`Settings`]; each group of settings is declared once, in `sections`, and everything else (decoding,
//! documentation, JSON Schema, reload) is made from that declaration.

mod attach;
pub mod catalogue;
mod check;
mod choice;
mod decode;
mod diagnostic;
mod environment;
mod files;
pub mod fuzz;
mod group;
mod groups;
pub mod hba;
mod hide;
pub mod ident;
mod literal;
mod load;
mod object;
mod pattern;
mod reference;
pub mod reload;
mod replication;
mod scalar;
mod schema;
mod secret;
mod sections;
mod settings;
mod source;
mod tokens;
mod tree;
mod url;
pub mod userlist;
mod value;

pub use crate::diagnostic::{Diagnostic, Diagnostics, Line, Place, Severity};
pub use crate::files::{Files, Flaw, MAX_FILE_BYTES, MemoryFiles};
pub use crate::load::{Loaded, from_url, load};
pub use crate::object::ObjectName;
pub use crate::pattern::{NamePattern, Pattern};
pub use crate::reference::{reference, sample};
pub use crate::reload::{Change, PoolFate, Reload};
pub use crate::replication::ReplicationPolicy;
pub use crate::schema::json_schema;
pub use crate::secret::Secret;
pub use crate::sections::*;
pub use crate::settings::{
    Access, CONSOLE_DATABASES, Databases, PoolPolicy, ServerSecret, Settings, Users, WILDCARD,
};
pub use crate::source::decode_text;
pub use crate::value::{Effect, Kind, Value};
