//! What operators look at: the admin console, HTTP, and the log.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::choice::choice;
use crate::group::group;
use crate::value::Kind;

/// The port of the HTTP endpoints.
const HTTP_PORT: u16 = 9930;

group! {
    /// The admin console: the databases `trunkline` and `pgbouncer`.
    pub struct Console in "console" {
        /// Users who may log in to the console and give every command.
        pub admin_users: Vec<String> = Vec::new() => Kind::List, NewConnections, r#"["postgres"]"#;
        /// Users who may log in to the console and look, not change.
        pub stats_users: Vec<String> = Vec::new() => Kind::List, NewConnections, r#"["monitoring"]"#;
    }
}

group! {
    /// HTTP endpoints for metrics and health checks.
    pub struct Http in "http" {
        /// Address and port, IPv6 in brackets. Empty: no HTTP.
        pub address: Option<SocketAddr> = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, HTTP_PORT)))
            => Kind::Text, Restart, "\"0.0.0.0:9930\"";
    }
}

choice! {
    /// The form of log lines.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

choice! {
    /// How much is logged.
    pub enum LogLevel {
        /// Failures.
        Error = "error",
        /// And what should be looked at.
        Warn = "warn",
        /// And what happens in ordinary operation.
        Info = "info",
        /// And what helps to find a fault.
        Debug = "debug",
        /// And everything else.
        Trace = "trace",
    }
}

group! {
    /// The log, on standard error.
    pub struct Log in "log" {
        /// One line of text, or one JSON object per line.
        pub format: LogFormat = LogFormat::Text => Kind::Word(LogFormat::WORDS), Restart, "\"json\"";
        /// How much is logged.
        pub level: LogLevel = LogLevel::Info => Kind::Word(LogLevel::WORDS), Live, "\"debug\"";
        /// Whether logins are logged.
        pub connections: bool = true => Kind::Switch, Live, "false";
        /// Whether the end of a client's connection is logged.
        pub disconnections: bool = true => Kind::Switch, Live, "false";
        /// Whether errors that Trunkline itself sends to clients are logged.
        pub pooler_errors: bool = true => Kind::Switch, Live, "false";
        /// A statement that took at least this long is logged: its time and who sent it, not its text. 0s: all. -1: none.
        pub min_duration_statement: Option<Duration> = None
            => Kind::SpanOrOff { max: Kind::LONGEST }, Live, "\"250ms\"";
    }
}
