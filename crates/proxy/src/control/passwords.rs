//! Looking up the passwords of users on the cluster (`auth.auth_query`).

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use trunkline_cluster::NodeId;
use trunkline_settings::Secret;

use super::keeper::{ControlPool, control_target};
use crate::{
    backend::KeyRing,
    cold::InForce,
    frontend::{LookupError, LookupFuture, PasswordSource},
};

/// Looks users up on the primary, or while none is known on any node of the settings.
pub(crate) struct ClusterPasswords {
    in_force: Arc<ArcSwap<InForce>>,
    ring: Arc<KeyRing>,
    primary: watch::Receiver<Option<NodeId>>,
    /// The connections in use, and what they were opened for.
    kept: Mutex<Option<(NodeId, Arc<InForce>, ControlPool)>>,
}

impl fmt::Debug for ClusterPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterPasswords").finish_non_exhaustive()
    }
}

impl ClusterPasswords {
    /// Looks up on the node that `primary` names.
    pub(crate) fn new(
        in_force: Arc<ArcSwap<InForce>>,
        ring: Arc<KeyRing>,
        primary: watch::Receiver<Option<NodeId>>,
    ) -> Self {
        Self { in_force, ring, primary, kept: Mutex::new(None) }
    }

    fn connections(&self, in_force: &Arc<InForce>) -> Option<ControlPool> {
        let node = (*self.primary.borrow()).or_else(|| in_force.nodes.keys().next().copied())?;
        let entry = in_force.nodes.get(&node)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, settings, pool)) = &*kept
            && *known == node
            && Arc::ptr_eq(settings, in_force)
        {
            return Some(pool.clone());
        }
        let database = in_force.settings.auth_database();
        let pool = ControlPool::new(control_target(in_force, entry, &self.ring, database));
        *kept = Some((node, Arc::clone(in_force), pool.clone()));
        Some(pool)
    }
}

impl PasswordSource for ClusterPasswords {
    fn look_up<'a>(&'a self, user: &'a str) -> LookupFuture<'a> {
        Box::pin(async move {
            let in_force = self.in_force.load_full();
            let query = in_force.settings.auth.auth_query.as_str();
            if query.is_empty() {
                return Ok(None);
            }
            let connections = self
                .connections(&in_force)
                .ok_or_else(|| LookupError("no node is configured".to_owned()))?;
            let limit = in_force.settings.pool.connect_timeout;
            let rows = connections
                .query(query, &[user], limit)
                .await
                .map_err(|error| LookupError(format!("auth_query failed: {error}")))?;
            match rows.as_slice() {
                [] => Ok(None),
                [row] => match row.as_slice() {
                    [Some(name), password] if name == user => {
                        Ok(password.as_deref().map(Secret::new))
                    }
                    _ => Err(LookupError(
                        "auth_query must answer with two columns, the user's name and password"
                            .to_owned(),
                    )),
                },
                _ => Err(LookupError("auth_query answered with more than one row".to_owned())),
            }
        })
    }
}
