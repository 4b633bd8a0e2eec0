//! How control connections log in, by the settings.

use std::sync::Arc;

use trunkline_settings::{Node, ServerSecret, Settings};
use trunkline_wire::startup::ProtocolVersion;

use crate::backend::{KeyRing, Names, NodeAddress, OpenTarget};
use crate::frontend::StartupParams;
use crate::net::TcpOptions;
use crate::tls::ServerSide;

/// What control connections are called in `pg_stat_activity`.
const APPLICATION_NAME: &str = "trunkline";

/// Where and as whom a node is watched. The limit of time is that of a probe.
pub fn control_target(
    settings: &Settings,
    node: &Node,
    tls: &Arc<ServerSide>,
    ring: &Arc<KeyRing>,
) -> OpenTarget {
    let cluster = &settings.cluster;
    let secret = match &cluster.password {
        Some(password) => ServerSecret::Plain(password.clone()),
        None => ServerSecret::Nothing,
    };
    // Only `pg_catalog` is looked at, whatever the role's own settings say, so that nobody can put another
    // function in the place of a built-in. Should we vanish in the middle, the server stops too.
    let patience = cluster.probe_timeout.as_millis().to_string();
    let set = |name: &str, value: &str| (Box::from(name), Box::from(value));
    let startup = StartupParams {
        application_name: Some(APPLICATION_NAME.into()),
        long_name: None,
        odd_name: None,
        idle_session_timeout: None,
        route: None,
        client_encoding: Some("UTF8".into()),
        others: vec![set("search_path", "pg_catalog"), set("statement_timeout", &patience)],
    };
    OpenTarget {
        address: NodeAddress { host: node.host.clone(), port: node.port },
        names: Names::default(),
        database: cluster.database.as_str().into(),
        user: cluster.user.as_str().into(),
        secret,
        ring: Arc::clone(ring),
        startup,
        tls: Arc::clone(tls),
        protocol: ProtocolVersion::V3_0,
        connect_timeout: cluster.probe_timeout,
        tcp: TcpOptions::from(&settings.tcp),
        allow_cleartext: settings.auth.allow_cleartext_to_server,
    }
}

/// Where and as whom `auth_query` asks.
pub fn lookup_target(
    settings: &Settings,
    node: &Node,
    tls: &Arc<ServerSide>,
    ring: &Arc<KeyRing>,
) -> OpenTarget {
    OpenTarget {
        database: settings.auth_database().into(),
        connect_timeout: settings.pool.connect_timeout,
        ..control_target(settings, node, tls, ring)
    }
}
