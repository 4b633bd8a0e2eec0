//! Where a statement may run, by what it calls and names and by the catalog of its database.
//!
//! The shell asks a database [`CATALOG`] in the background, gives the rows to a [`Builder`], and shares the [`Snapshot`] that
//! comes of it; [`MARK`] tells cheaply whether it has to be asked again. [`resolve`] looks up what a statement calls and names:
//! [`Verdict::Harmless`], or the first [`Cause`] for which it belongs on the primary. Whatever is not known to be harmless is
//! such a cause. [`Asked`] says what becomes of that where the session, a rule or a listener has a say, and [`choose`] which of
//! several standbys serves a session.
//!
//! What never enters: a connection, a clock, texts of statements.
//!
//! What no text shows: operators, casts, domains and `row.function` notation that call what is not harmless.
//! [`Snapshot::hidden`] lists them.
//!
//! Start reading at [`resolve`], then `judge.rs` (which objects are harmless) and [`builtin`] (what PostgreSQL brings along).

mod because;
mod body;
mod builder;
pub mod builtin;
mod catalog;
mod cause;
mod choice;
mod decision;
mod defaults;
mod draft;
mod judge;
mod layout;
mod reason;
mod resolve;
mod snapshot;
mod within;
mod worded;

pub use self::because::{Because, Plain};
pub use self::builder::Builder;
pub use self::catalog::{
    BYTES_MAX, CATALOG, DEFAULTS_MAX, FUNCTIONS_MAX, Limits, MARK, RELATIONS_MAX, Row,
};
pub use self::cause::{Cause, Step};
pub use self::choice::{Balance, Candidate, Dice, Lost, choose, lost};
pub use self::decision::{Asked, By, Trust, Wish};
pub use self::reason::Reason;
pub use self::resolve::{Call, Named, Path, Verdict, resolve};
pub use self::snapshot::{Hidden, HiddenKind, Snapshot, Unknown};
pub use self::within::Within;
