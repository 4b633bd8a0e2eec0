//! Which node traffic goes to, and which standbys may be read from, decided from what probes have seen.
//!
//! What never enters: sockets, SQL, clocks, sleeping. Whoever probes tells [`State::step`] what came of it
//! and when, and does the [`Action`]s that come back.
//!
//! Start at [`State`], then read [`Verdict`]: the whole decision is the function behind it. [`Readers`]
//! are the other one. One file per noun.

mod action;
mod event;
mod health;
mod lag;
mod lsn;
mod moment;
mod node;
mod observation;
mod policy;
mod position;
mod reader;
mod state;
mod traffic;
mod verdict;
mod view;

pub use action::Action;
pub use event::Event;
pub use health::{Failing, Failure, Health};
pub use lag::Lag;
pub use lsn::{Lsn, NotAnLsn};
pub use moment::Moment;
pub use node::NodeId;
pub use observation::{Observation, Role};
pub use policy::{LagPolicy, Policy};
pub use position::Position;
pub use reader::{Reader, Readers, Unfit};
pub use state::State;
pub use traffic::Traffic;
pub use verdict::{Standing, Verdict};
pub use view::{NodeView, View};
