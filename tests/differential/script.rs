//! What a client says: steps, each of which ends where the client waits for `ReadyForQuery`.

use std::fmt;

use bytes::Bytes;
use trunkline_testkit::peer::say;

/// What the client says before it waits.
#[derive(Debug, Clone)]
pub struct Step {
    /// The rule of the generator that made it.
    pub rule: &'static str,
    /// Its messages.
    pub words: Words,
    /// Whether it may leave something behind that keeps the client on its server.
    pub may_pin: bool,
}

/// Messages, and how they are shown.
#[derive(Debug, Clone, Default)]
pub struct Words {
    bytes: Vec<u8>,
    shown: Vec<String>,
    ready: usize,
    statements: usize,
}

impl Words {
    /// One simple query with one statement.
    pub fn query(sql: impl Into<String>) -> Self {
        Self::default().and_query(sql, 1)
    }

    /// One simple query with several statements.
    pub fn queries(all: &[&str]) -> Self {
        Self::default().and_query(all.join("; "), all.len())
    }

    /// A COPY from the client, with its data.
    pub fn copy_in(sql: impl Into<String>, data: &str) -> Self {
        let words =
            Self::query(sql).add(&say::copy_data(data.as_bytes()), format!("CopyData {data:?}"));
        words.add(&say::copy_done(), "CopyDone".to_owned())
    }

    /// Parse, Bind, Describe, Execute and Sync of the unnamed statement.
    pub fn extended(sql: impl Into<String>, values: &[Option<&str>]) -> Self {
        Self::default().run(sql, values).sync()
    }

    /// Another simple query behind the rest.
    #[must_use]
    pub fn and_query(mut self, sql: impl Into<String>, statements: usize) -> Self {
        let sql = sql.into();
        self.ready += 1;
        self.statements += statements;
        let message = say::query(&sql);
        self.add(&message, format!("Query {sql}"))
    }

    /// The unnamed statement, from Parse to Execute.
    #[must_use]
    pub fn run(self, sql: impl Into<String>, values: &[Option<&str>]) -> Self {
        self.parse("", sql, &[]).bind("", "", values).describe_portal("").execute("", 0)
    }

    /// A prepared statement, from Bind to Execute.
    #[must_use]
    pub fn run_named(self, name: &str, values: &[Option<&str>]) -> Self {
        self.bind("", name, values).describe_portal("").execute("", 0)
    }

    /// Parse.
    #[must_use]
    pub fn parse(self, name: &str, sql: impl Into<String>, types: &[u32]) -> Self {
        let sql = sql.into();
        let message = say::parse(name, &sql, types);
        self.add(&message, format!("Parse \"{name}\" {sql}"))
    }

    /// Bind.
    #[must_use]
    pub fn bind(self, portal: &str, name: &str, values: &[Option<&str>]) -> Self {
        let message = say::bind(portal, name, values);
        self.add(&message, format!("Bind \"{portal}\" of \"{name}\" with {values:?}"))
    }

    /// Describe of a portal.
    #[must_use]
    pub fn describe_portal(self, name: &str) -> Self {
        self.add(&say::describe_portal(name), format!("Describe portal \"{name}\""))
    }

    /// Describe of a statement, which counts as one.
    #[must_use]
    pub fn describe_statement(mut self, name: &str) -> Self {
        self.statements += 1;
        self.add(&say::describe_statement(name), format!("Describe statement \"{name}\""))
    }

    /// Execute, which counts as a statement.
    #[must_use]
    pub fn execute(mut self, portal: &str, rows: i32) -> Self {
        self.statements += 1;
        self.add(&say::execute(portal, rows), format!("Execute \"{portal}\" {rows}"))
    }

    /// Close of a statement.
    #[must_use]
    pub fn close_statement(self, name: &str) -> Self {
        self.add(&say::close_statement(name), format!("Close statement \"{name}\""))
    }

    /// Close of a portal.
    #[must_use]
    pub fn close_portal(self, name: &str) -> Self {
        self.add(&say::close_portal(name), format!("Close portal \"{name}\""))
    }

    /// Flush.
    #[must_use]
    pub fn flush(self) -> Self {
        self.add(&say::flush(), "Flush".to_owned())
    }

    /// Sync. Messages that execute nothing count as a statement together.
    #[must_use]
    pub fn sync(mut self) -> Self {
        self.ready += 1;
        self.statements = self.statements.max(1);
        self.add(&say::sync(), "Sync".to_owned())
    }

    fn add(mut self, message: &Bytes, shown: String) -> Self {
        self.bytes.extend_from_slice(message);
        self.shown.push(shown);
        self
    }

    /// The messages as they are sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many `ReadyForQuery` answer them.
    pub fn ready(&self) -> usize {
        self.ready
    }

    /// How many statements they run, or try to.
    pub fn statements(&self) -> usize {
        self.statements
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.words.shown.join(" | "))
    }
}
