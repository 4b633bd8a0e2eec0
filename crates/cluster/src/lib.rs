//! Who is the primary, decided from what the nodes say of themselves.
//!
//! For: `(State, Event) -> (State, Option<View>)`. Probes and changes of the node list come in as events; a view comes
//! out when it differs from the last. A view carries its reasons as data, so that an operator can be told why.
//!
//! Never here: sockets, SQL, sleeping, settings files. The shell (`trunkline-proxy`) asks the nodes and acts on views.
//!
//! Start with [`State::step`]. No failover is decided yet: this crate only says where traffic may go.

mod event;
mod node;
mod state;
mod view;

pub use event::{Answer, Event, NodeId, Outcome};
pub use node::Health;
pub use state::{Policy, State};
pub use view::{NoPrimary, NodeView, Role, View};
