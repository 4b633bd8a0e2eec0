//! Both ends of the protocol on demand, over real sockets: what a real server or a real client
//! would not do when asked.
//!
//! [`Peer`] plays the server, [`RawClient`] the client. A test reads as a conversation:
//!
//! ```no_run
//! # async fn example() -> trunkline_testkit::Result<()> {
//! use trunkline_testkit::peer::{Peer, RawClient, answer, say};
//!
//! let mut peer = Peer::start().await?;
//! let mut client = RawClient::tcp(peer.address()).await?;
//! let (_, talk) = tokio::join!(client.login("alice", "", "shop"), peer.accept());
//! let mut talk = talk?;
//! client.send(&say::query("SELECT 1")).await?;
//! talk.expect_query("SELECT 1").await?;
//! talk.send(&answer::data_row(&[Some("1")])).await?;
//! talk.reset()?;
//! client.expect(b'D').await?;
//! client.expect_closed().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing of Trunkline's own codec is used here. Messages are built by [`say`] (what clients say)
//! and [`answer`] (what servers answer) and read as [`Frame`]s, which know only tag and body.

pub mod answer;
pub mod canned;
pub mod client;
pub mod frame;
pub mod say;
pub mod script;
pub mod server;
pub mod startup;
pub mod talk;
pub mod tls;

mod socket;

pub use self::canned::Answers;
pub use self::client::{RawClient, Welcome};
pub use self::frame::{Frame, tags};
pub use self::script::Script;
pub use self::server::Peer;
pub use self::startup::{CancelCall, Startup};
pub use self::talk::Talk;
pub use self::tls::Tls;
