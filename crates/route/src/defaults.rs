//! What settings are in a new session, as far as a database tells it: which value counts of those for a role, for the database
//! and for the server.

use crate::{
    Row, Snapshot,
    draft::{Flaw, need},
    snapshot::Span,
};

/// For whom a value is meant. Who comes first has it from the narrowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// `ALTER ROLE … IN DATABASE`, or `ALTER DATABASE` and `ALTER ROLE ALL IN DATABASE` if no role is named.
    Here,
    /// `ALTER ROLE`, or `ALTER ROLE ALL`.
    Everywhere,
    /// The server's own.
    Server,
}

/// The value of a setting, as the server tells it.
#[derive(Debug)]
pub(crate) struct DefaultDraft {
    pub(crate) setting: String,
    /// None: any role.
    pub(crate) role: Option<String>,
    pub(crate) scope: Scope,
    pub(crate) value: String,
}

impl DefaultDraft {
    pub(crate) fn of(row: &Row<'_>) -> Result<Self, Flaw> {
        let scope = match row.traits {
            Some("here") => Scope::Here,
            Some("everywhere") => Scope::Everywhere,
            Some("server") => Scope::Server,
            _ => return Err(Flaw),
        };
        Ok(Self {
            setting: need(row.name)?,
            role: row.schema.map(str::to_owned),
            scope,
            value: need(row.detail)?,
        })
    }
}

/// The same as it lies in a snapshot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Default {
    pub(crate) setting: Span,
    pub(crate) role: Option<Span>,
    pub(crate) scope: Scope,
    pub(crate) value: Span,
}

impl Snapshot {
    /// The value of `search_path`, `default_transaction_isolation` or `default_transaction_read_only` that a session of this
    /// role begins with if its startup packet does not say one, as PostgreSQL writes it; none if it is not known. That of a
    /// server that was connected to earlier may still be an older one.
    ///
    /// The server's own value is known if whoever asked for the catalog has none of his own for that setting. Of a database
    /// with an event trigger that runs at logins, nothing is known.
    pub fn default_of(&self, setting: &str, role: &str) -> Option<&str> {
        self.default_for(setting, Some(role)).or_else(|| self.default_for(setting, None))
    }

    /// The value for a role, or for any.
    fn default_for(&self, setting: &str, role: Option<&str>) -> Option<&str> {
        let wanted = (setting, role);
        let of = |it: &Default| (self.text(it.setting), it.role.map(|role| self.text(role)));
        let first = self.defaults.partition_point(|it| of(it) < wanted);
        let found = self.defaults.get(first).filter(|it| of(it) == wanted)?;
        Some(self.text(found.value))
    }
}
