//! Statement text in, facts out: what each statement does to the transaction, and what it leaves behind in the session.
//!
//! Transaction pooling hands a server connection to another client as soon as a transaction ends. That is only safe if
//! everything a statement leaves behind is known: settings, prepared statements, temporary objects, locks, cursors,
//! listens. This crate finds it in the text alone, without a parser and without keeping the text: a [`Scanner`] is fed
//! pieces of any size and answers with a [`Scan`].
//!
//! What never enters: bytes of the wire protocol, nodes, settings files, clocks, a connection. A [`Scan`] says what
//! the text *would* do if the server accepts it; whoever sent it believes it only once the server has said so.
//!
//! What no text can show: views, operators, casts, triggers and `row.function` notation that call user functions, and
//! user functions that bear the name of a built-in one. Calls of functions that are not known clean are reported as
//! [`Opaque`].
//!
//! Start reading at [`scan`], then `scanner.rs` (one statement at a time), `lexer.rs` (one token at a time) and
//! `statement.rs` (which reader takes which statement).
//!
//! Beside this stands [`access`]: what a text reads, writes and calls, for whoever chooses a server for it. That needs a
//! parser, and the whole text.

pub mod access;
mod asked_route;
mod atoms;
mod cursor;
mod effect;
mod facts;
mod functions;
pub mod fuzz;
mod keyword;
mod lexer;
mod literal;
mod name;
mod outline;
pub mod path;
mod placeholder;
mod plain;
mod prepared;
pub mod quote;
mod scan;
mod scanner;
mod set;
mod set_config;
pub mod settings;
mod statement;
mod stream;
mod transaction;

pub use self::asked_route::{asked_route, highest_parameter};
pub use self::effect::{
    Deallocate, Discard, Effect, Execute, Isolation, Modes, Opaque, Parameter, Pin, PinKind,
    Prepare, Span, StatementEffect, Value,
};
pub use self::keyword::Keyword;
pub use self::lexer::Rules;
pub use self::name::Name;
pub use self::outline::outline;
pub use self::placeholder::placeholders;
pub use self::scan::{Scan, ordinary, scan, scan_other, statement_ends};
pub use self::scanner::Scanner;
