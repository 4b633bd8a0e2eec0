//! One client's conversation with whatever server serves it.
//!
//! For: deciding, frame by frame, what is forwarded, swallowed, rewritten or added, what the session has set, prepared
//! and pinned, and when the server may serve somebody else. Bytes come in as borrowed frames and go out through
//! [`Outgoing`].
//!
//! Never here: sockets, pools, clocks, dice, settings files. The shell (`trunkline-proxy`) owns those and calls in.
//!
//! Start with [`ClientSession`] (`client.rs`), then `from_client.rs` and `from_server.rs`, which are the two
//! directions; `expect.rs` holds the queue that keeps them in step.

mod adopt;
mod ahead;
mod alone;
mod aside;
mod audit;
mod beaten;
mod block;
mod bound;
mod catalog;
mod change;
mod channels;
mod client;
mod client_run;
mod copy;
mod crossing;
mod date_style;
mod doubt;
mod draft;
mod effect;
mod environment;
mod execute;
mod expect;
mod extended;
mod facts;
mod follow;
mod from_client;
mod from_server;
pub mod fuzz;
mod group;
mod hidden;
mod hold;
mod horizon;
mod idle;
mod indelible;
mod lend;
mod line;
mod long;
mod look;
mod made;
mod meaning;
mod name;
mod names;
mod naming;
mod outgoing;
mod overfull;
mod parse;
mod path;
mod pin;
mod placeholder;
mod planted;
mod portal;
mod preference;
mod queue;
mod readback;
mod recent;
mod replay;
mod report;
mod restore;
mod room;
mod run;
mod salvage;
mod scope;
mod sequence;
mod server;
mod setting;
mod shape;
mod statement;
mod takeover;
mod taking;
mod token;
mod track;
mod undo;
mod unite;

pub use alone::{Unleased, unleased};
pub use aside::{Aside, NotPrepared};
pub use beaten::Beaten;
pub use block::{Begin, Block, is_read_committed, is_serializable};
pub use change::{Change, Hidden, Look};
pub use channels::{Channel, Hearing};
pub use client::{ClientSession, LeaseStart, PoolMode, SessionLimits, Surroundings};
pub use crossing::{Again, Onward};
pub use effect::{Effects, Transaction};
pub use execute::{Mention, Renamed};
pub use expect::{OWED_MAX, Purpose};
pub use facts::SharedFacts;
pub use from_client::{Step, Ways, is_expected};
pub use from_server::{JUDGE_PREFIX, Reply, may_stream};
pub use horizon::{BlockEnd, Horizon};
pub use idle::{IDLE_SESSION_TIMEOUT, idle_limit};
pub use long::Long;
pub use look::{HiddenState, ReadBack};
pub use made::Making;
pub use outgoing::{Outgoing, Parcel};
pub use pin::{PinReason, Pins};
pub use placeholder::Suits;
#[cfg(feature = "planted")]
pub use planted::Bug;
pub use preference::{Preference, ROUTE, wrong_route};
pub use recent::RecentParses;
pub use replay::Replay;
pub use report::error_code;
pub use room::StatementRoom;
pub use scope::Scope;
pub use server::{Alone, Intake, ServerSession, TxStatus};
pub use setting::{Setting, SettingSet};
pub use statement::{RESERVED_PREFIX, Statement, StatementLimits, StatementStore};
pub use token::{Asked, NoToken, Refusal, Token, asked};
pub use track::is_asynchronous;
