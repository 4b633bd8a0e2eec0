//! What the cold side knows: settings, nodes, TLS, keys; and how it opens servers for the loops.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use trunkline_settings::Settings;
use trunkline_wire::{SqlState, startup::ProtocolVersion};

use crate::{
    backend::{self, CancelTarget, KeyRing, Names, NodeAddress, OpenTarget},
    cluster::NodeId,
    engine::{CancelAt, Cancelling, GiveUp, Opener, Opening},
    frontend::StartupParams,
    handover::{Away, NewServer, OpenError},
    net::TcpOptions,
    panics::Panics,
    pool::{Family, Place},
    tls::ServerSide,
};

/// The settings in force and what was made of them.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) settings: Arc<Settings>,
    pub(crate) server_tls: Arc<ServerSide>,
    pub(crate) tcp: TcpOptions,
    /// The nodes of the settings by number.
    pub(crate) nodes: BTreeMap<NodeId, NodeEntry>,
}

/// A node of the settings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NodeEntry {
    pub(crate) name: Arc<str>,
    pub(crate) address: NodeAddress,
    pub(crate) max_connections: usize,
}

/// Gives nodes their numbers; a name keeps its number for the life of the process.
#[derive(Debug, Default)]
pub(crate) struct NodeNumbers(Mutex<Vec<Arc<str>>>);

impl NodeNumbers {
    /// The number of the node of this name.
    pub(crate) fn number(&self, name: &str) -> NodeId {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = names.iter().position(|known| **known == *name).unwrap_or_else(|| {
            names.push(name.into());
            names.len().saturating_sub(1)
        });
        NodeId(u16::try_from(place).unwrap_or(u16::MAX))
    }
}

impl InForce {
    /// What is made of settings; TLS files were read with them.
    pub(crate) fn new(
        settings: Arc<Settings>,
        server_tls: Arc<ServerSide>,
        numbers: &NodeNumbers,
    ) -> Self {
        let nodes = settings
            .nodes
            .iter()
            .map(|node| {
                let entry = NodeEntry {
                    name: node.name.as_str().into(),
                    address: NodeAddress { host: node.host.clone(), port: node.port },
                    max_connections: node.max_connections,
                };
                (numbers.number(&node.name), entry)
            })
            .collect();
        Self { tcp: TcpOptions::from(&settings.tcp), settings, server_tls, nodes }
    }
}

/// Opens servers on the tokio runtime.
#[derive(Debug)]
pub(crate) struct ColdOpener {
    runtime: tokio::runtime::Handle,
    in_force: Arc<ArcSwap<InForce>>,
    ring: Arc<KeyRing>,
    panics: Panics,
}

impl ColdOpener {
    /// An opener that works on `runtime`.
    pub(crate) fn new(
        runtime: tokio::runtime::Handle,
        in_force: Arc<ArcSwap<InForce>>,
        ring: Arc<KeyRing>,
    ) -> Self {
        Self { runtime, in_force, ring, panics: Panics::default() }
    }

    /// The panics of what it does.
    pub(crate) fn panics(&self) -> Panics {
        self.panics.clone()
    }

    fn target(&self, family: &Family, node: NodeId) -> Result<OpenTarget, OpenError> {
        let in_force = self.in_force.load();
        let Some(entry) = in_force.nodes.get(&node) else {
            return Err(OpenError::Away(Away::Io {
                address: "node".to_owned(),
                reason: "it was removed from the settings".to_owned(),
            }));
        };
        let policy = family.policy.load();
        Ok(OpenTarget {
            address: entry.address.clone(),
            names: Names::default(),
            database: policy.server_database.as_str().into(),
            user: policy.server_user.as_str().into(),
            secret: policy.server_secret.clone(),
            ring: Arc::clone(&self.ring),
            startup: StartupParams {
                others: family.startup.others.clone(),
                idle_session_timeout: Some("0".into()),
                ..StartupParams::default()
            },
            tls: Arc::clone(&in_force.server_tls),
            protocol: ProtocolVersion::V3_0,
            connect_timeout: in_force.settings.pool.connect_timeout,
            tcp: in_force.tcp,
            allow_cleartext: in_force.settings.auth.allow_cleartext_to_server,
        })
    }
}

/// Opens a connection that is to be shared.
async fn open(mut target: OpenTarget) -> Result<NewServer, OpenError> {
    match backend::open(&target).await {
        // A server before version 14 has no limit of idleness.
        Err(OpenError::Final(report)) if report.code == SqlState::UNDEFINED_OBJECT => {
            target.startup.idle_session_timeout = None;
            backend::open(&target).await
        }
        outcome => outcome,
    }
}

impl Opener for ColdOpener {
    fn open(&self, family: Arc<Family>, node: NodeId, opening: Opening) -> GiveUp {
        let (target, panics) = (self.target(&family, node), self.panics.clone());
        let task = self.runtime.spawn(async move {
            let opened = match target {
                Ok(target) => panics.contain(open(target)).await,
                Err(error) => Some(Err(error)),
            };
            let mut opened = opened.unwrap_or(Err(OpenError::Broken));
            if let (Ok(new), Place::Standby(_)) = (&opened, family.place)
                && !opening.is_heard_of(node).await
            {
                opened = Err(OpenError::Away(Away::Untold { address: new.endpoint.to_string() }));
            }
            opening.ended(opened);
        });
        Box::new(move || task.abort())
    }

    fn cancel(&self, at: CancelAt, cancelling: Cancelling) {
        let in_force = self.in_force.load();
        let Some(entry) = in_force.nodes.get(&at.node) else {
            cancelling.ended();
            return;
        };
        let target = CancelTarget {
            endpoint: at.endpoint,
            address: entry.address.clone(),
            encrypted: at.encrypted,
            tls: Arc::clone(&in_force.server_tls),
            tcp: in_force.tcp,
            timeout: in_force.settings.timeouts.cancel,
        };
        let panics = self.panics.clone();
        self.runtime.spawn(async move {
            match panics.contain(backend::cancel(&target, at.pid, &at.key)).await {
                Some(Ok(())) => cancelling.ended(),
                // It may have got there all the same, and be slow to act.
                Some(Err(error)) => {
                    tracing::warn!("a cancel request could not be delivered: {error}");
                }
                None => {}
            }
        });
    }
}
