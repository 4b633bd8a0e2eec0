//! What is wanted of a cluster.

use std::collections::BTreeMap;
use std::fmt::Display;

use anyhow::Result;

use super::{Binaries, Cluster};
use crate::certs::{Authority, Certificate};

/// The superuser that `initdb` makes.
pub const SUPERUSER: &str = "postgres";

/// Password of [`SUPERUSER`] over TCP (scram-sha-256). Over the Unix socket, which only the
/// server's user and root can reach, it needs none.
pub const SUPERUSER_PASSWORD: &str = "testkit-superuser";

/// Wishes for a cluster. The defaults: no standby, the newest installation found, quick rather than
/// safe against power loss, scram-sha-256 over TCP.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    pub(super) binaries: Option<Binaries>,
    pub(super) standbys: usize,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) hba: Vec<String>,
    pub(super) initial_sql: Vec<(String, String)>,
    pub(super) certificate: Option<Certificate>,
    pub(super) client_authority: Option<String>,
    pub(super) local_trust: bool,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            binaries: None,
            standbys: 0,
            settings: BTreeMap::new(),
            hba: Vec::new(),
            initial_sql: Vec::new(),
            certificate: None,
            client_authority: None,
            local_trust: true,
        }
    }
}

impl ClusterOptions {
    /// Uses this installation instead of the one that [`Binaries::find`] gives.
    #[must_use]
    pub fn binaries(mut self, binaries: Binaries) -> Self {
        self.binaries = Some(binaries);
        self
    }

    /// The number of streaming standbys, each with a replication slot named as itself
    /// (`standby1`, `standby2`, …), which is also its `application_name` on the primary.
    #[must_use]
    pub fn standbys(mut self, count: usize) -> Self {
        self.standbys = count;
        self
    }

    /// A setting of `postgresql.conf` on every node, in place of the default of the kit.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl Display) -> Self {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }

    /// A line of `pg_hba.conf`, tried before the ones of the kit, in the order given.
    #[must_use]
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }

    /// Statements to run once on the primary, as superuser in `database`, before the standbys are
    /// made. Statements that must not share a transaction need a call each.
    #[must_use]
    pub fn initial_sql(mut self, database: &str, sql: &str) -> Self {
        self.initial_sql.push((database.to_owned(), sql.to_owned()));
        self
    }

    /// A login role over TCP with this password.
    #[must_use]
    pub fn user(self, name: &str, password: &str) -> Self {
        let (name, password) = (name.replace('"', "\"\""), password.replace('\'', "''"));
        self.initial_sql("postgres", &format!("CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'"))
    }

    /// A database that `owner`, made by [`Self::user`] before, owns.
    #[must_use]
    pub fn database(self, name: &str, owner: &str) -> Self {
        let (name, owner) = (name.replace('"', "\"\""), owner.replace('"', "\"\""));
        self.initial_sql("postgres", &format!("CREATE DATABASE \"{name}\" OWNER \"{owner}\""))
    }

    /// Offers TLS with this certificate, beside plain connections.
    #[must_use]
    pub fn tls(mut self, certificate: &Certificate) -> Self {
        self.certificate = Some(certificate.clone());
        self
    }

    /// Believes the client certificates of this authority. Ask for them by lines of
    /// `pg_hba.conf`.
    #[must_use]
    pub fn client_authority(mut self, authority: &Authority) -> Self {
        self.client_authority = Some(authority.pem().to_owned());
        self
    }

    /// Writes to disk before it reports a commit. Off by default: nothing here outlives the
    /// machine, and a killed process loses nothing.
    #[must_use]
    pub fn fsync(self) -> Self {
        self.setting("fsync", "on").setting("full_page_writes", "on")
    }

    /// Asks the superuser for its password over the Unix socket too. The verbs of a node then log
    /// in with [`SUPERUSER_PASSWORD`].
    #[must_use]
    pub fn local_password(mut self) -> Self {
        self.local_trust = false;
        self
    }

    /// Starts the cluster, see [`Cluster::start`].
    pub async fn start(self) -> Result<Cluster> {
        Cluster::start(self).await
    }
}
