//! Conversations: scripts of the protocol as text files, played against PostgreSQL and against
//! whatever stands before it, whose answers must be the same byte for byte.
//!
//! A conversation holds no expected answer. PostgreSQL is the oracle: [`suite`] plays each
//! conversation against the server itself and then by every other [`Way`], each time in a fresh
//! clone of one template database, and [`compare`]s what was heard. What may differ (process
//! numbers, keys, …) is in one file of [`masks`], each with its reason and with the conversations
//! that may use it; everything else is compared as it came.
//!
//! A conversation reads so:
//!
//! ```text
//! # A statement that was prepared under one Sync is used under the next.
//! C> Parse "s1" "select $1::int4 + 1" [int4] / Sync
//! C< until Z
//! C> Bind "" "s1" ["41"] / Describe P "" / Execute "" / Sync
//! C< until Z
//! ```
//!
//! One line is one step. A capital letter names a connection, which logs in at its first step.
//!
//! - `C> message / message` sends the messages in one write; a line that begins with a blank and a
//!   `/` goes on with the line before. [`message`] lists the messages.
//! - `C< until Z`, `C< until Z 3`: reads up to the (third) message with this tag.
//!   `C< read 2`: reads two messages, not counting `ParameterStatus` and `NotificationResponse`.
//!   `C< await A 2`: reads until two `NotificationResponse`s have come since the login.
//!   `C< bytes 1`: reads a byte that is no message. `C< closed`: reads until the server closes;
//!   `C< rest`: the same with bytes that are no messages.
//! - `C! login protocol 3.2 password="x" DateStyle="SQL"`: logs in otherwise than usual, up to
//!   `ReadyForQuery` or an error. `C! dial`: connects without a login.
//!   `C! cancel`: asks to cancel what `C` runs and waits until the server has taken the request;
//!   `C! cancel wrongly`: the same with a wrong key.
//!   `C! finish`: nothing more will be sent (FIN). `C! close`, `C! reset`: hangs up (FIN, RST).
//! - `wait "select …"`: looks at the server itself, as superuser, until the query answers `t`.
//! - `quiet`: the conversation is not played beside a noisy client, because it looks at the whole
//!   database, or because what it shows needs one server.
//!
//! At the end each connection that is open says `Terminate`, and what still comes then is part of
//! what was heard. No step waits for time: each waits for what arrives, up to a deadline whose
//! passing is a failure.
//!
//! Texts have the escapes `\n`, `\r`, `\t`, `\"`, `\\`, `\0` and `\xNN`; `"a" * 1000` repeats,
//! `"a" + "b"` joins, `each(1, 3, "$%", ", ")` is `$1, $2, $3`. `{database}` and `{user}` stand for
//! the names in use.

pub mod compare;
pub mod decode;
pub mod masks;
pub mod message;
pub mod play;
pub mod script;
pub mod suite;
pub mod transcript;

mod line;
mod login;
mod noise;
mod spans;
mod words;

pub use self::compare::{Difference, Tally};
pub use self::masks::Masks;
pub use self::play::Target;
pub use self::script::{Conversation, Names};
pub use self::suite::{Failure, Report, Suite, Way};
pub use self::transcript::Transcript;
