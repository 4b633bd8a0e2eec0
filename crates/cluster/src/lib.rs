//! Which node traffic goes to, decided from what probes have seen.
//!
//! What never enters: sockets, SQL, clocks, sleeping. Whoever probes tells [`State::step`] what came of it
//! and when, and does the [`Action`]s that come back.
//!
//! Start at [`State`], then read [`Verdict`]: the whole decision is the function behind it. One file per
//! noun.

mod action;
mod event;
mod health;
mod moment;
mod node;
mod observation;
mod policy;
mod state;
mod traffic;
mod verdict;
mod view;

pub use action::Action;
pub use event::Event;
pub use health::{Failing, Failure, Health};
pub use moment::Moment;
pub use node::NodeId;
pub use observation::{Observation, Role};
pub use policy::Policy;
pub use state::State;
pub use traffic::Traffic;
pub use verdict::{Standing, Verdict};
pub use view::{NodeView, View};
