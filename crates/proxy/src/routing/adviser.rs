//! Says where statements would go before anything is routed, without a running pooler: by the catalog of the primary that
//! the settings name, and by the same judge.

use std::sync::Arc;

use trunkline_route::Snapshot;
use trunkline_settings::Settings;
use trunkline_sql::Rules;

use super::{
    catalog::Known,
    explained::Explained,
    reader::{PATIENCE, read_snapshot},
    router::Router,
};
use crate::{
    backend::KeyRing,
    control::{ControlConnection, ControlError, control_target},
    tls::{ServerSide, TlsConfigError},
};

/// Asks a node whether it is a standby.
const IN_RECOVERY: &str = "SELECT pg_catalog.pg_is_in_recovery()";

/// Says of statements where they would go.
#[derive(Debug)]
pub struct Adviser {
    known: Arc<Known>,
    router: Router,
    node: String,
}

/// What there is to say of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Whether a standby may serve it, with no transaction open and no write of the session just before.
    pub to_standby: bool,
    /// Why.
    pub reason: String,
    /// Whether there is nothing in it.
    pub is_empty: bool,
    /// What it depends on: what that is, and its value.
    pub lines: Vec<(&'static str, String)>,
}

/// Why there is no adviser.
#[derive(Debug, thiserror::Error)]
pub enum AdviserError {
    /// TLS could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] TlsConfigError),
    /// No node of the settings is a primary that answers; why each of them is none.
    #[error("no primary answers:\n{}", .0.join("\n"))]
    NoPrimary(Vec<String>),
    /// The catalog could not be read.
    #[error("the catalog cannot be read from {node}: {error}")]
    Unread {
        /// The node that was asked.
        node: String,
        /// What it said.
        error: ControlError,
    },
    /// The catalog is larger than any that is read.
    #[error("the catalog of {node} is not known: {why}; all statements would go to the primary")]
    Unknown {
        /// The node that was asked.
        node: String,
        /// Why.
        why: String,
    },
}

impl Adviser {
    /// Reads the catalog of a database, by the name that clients use, from the primary; by default that which the nodes
    /// are watched by.
    ///
    /// # Errors
    /// When no primary answers, or its catalog cannot be read.
    pub async fn connect(
        settings: &Settings,
        database: Option<&str>,
    ) -> Result<Self, AdviserError> {
        let tls = Arc::new(ServerSide::new(&settings.server_tls)?);
        let ring = Arc::new(KeyRing::new());
        let database = database.map_or(settings.cluster.database.as_str(), |name| {
            let table = settings.databases.0.get(name);
            table.and_then(|table| table.dbname.as_deref()).unwrap_or(name)
        });
        let mut others = Vec::new();
        for node in &settings.nodes {
            let mut target = control_target(settings, node, &tls, &ring);
            target.database = database.into();
            target.connect_timeout = settings.pool.connect_timeout;
            target.startup.others.retain(|(name, _)| **name != *"statement_timeout");
            let mut connection = match ControlConnection::connect(&target).await {
                Ok(connection) => connection,
                Err(error) => {
                    others.push(format!("{}: {error}", node.name));
                    continue;
                }
            };
            match is_primary(&mut connection).await {
                Ok(true) => return Self::read(&mut connection, node.name.clone(), settings).await,
                Ok(false) => others.push(format!("{}: it is a standby", node.name)),
                Err(error) => others.push(format!("{}: {error}", node.name)),
            }
        }
        Err(AdviserError::NoPrimary(others))
    }

    async fn read(
        connection: &mut ControlConnection,
        node: String,
        settings: &Settings,
    ) -> Result<Self, AdviserError> {
        let snapshot: Snapshot = match read_snapshot(connection, 1).await {
            Ok(snapshot) => snapshot,
            Err(error) => return Err(AdviserError::Unread { node, error }),
        };
        if let Some(why) = snapshot.why_unknown() {
            return Err(AdviserError::Unknown { node, why: why.to_string() });
        }
        let router = Router::of(settings);
        Ok(Self { known: Arc::new(Known::alone(snapshot)), router, node })
    }

    /// The name of the node whose catalog was read.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// What there is to say of a statement.
    pub fn advise(&mut self, text: &[u8]) -> Advice {
        let Explained { because, reason, steps, class, hint, relations, calls, path } =
            self.router.explain_alone(&self.known, text);
        let is_empty = trunkline_sql::scan(text, Rules::default()).statements() == 0;
        let mut lines = vec![
            ("route", if because.is_to_standby() { "standby" } else { "primary" }.to_owned()),
            ("reason", reason.clone()),
        ];
        lines.extend(steps.into_iter().map(|step| ("because of", step)));
        lines.extend([
            ("class", class.to_owned()),
            ("hint", hint),
            ("relations", relations.join(", ")),
            ("calls", calls.join(", ")),
            ("path", path),
        ]);
        Advice { to_standby: because.is_to_standby(), reason, is_empty, lines }
    }
}

async fn is_primary(connection: &mut ControlConnection) -> Result<bool, ControlError> {
    let rows = connection.query(IN_RECOVERY, PATIENCE).await?;
    let told = rows.first().and_then(|row| row.first()).and_then(Option::as_ref);
    Ok(told.is_some_and(|told| &told[..] == b"f"))
}
