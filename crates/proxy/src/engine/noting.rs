//! Takes note of where what clients send goes: counts it, and logs it if that is wanted.

use trunkline_route::{Because, Plain};
use trunkline_session::Begin;
use trunkline_settings::{RouteLog, RoutingMode};

use super::{
    routes::{Healed, RouteCounts},
    worker::Worker,
};

/// So much of a statement is logged.
const SHOWN_MAX: usize = 200;

impl Worker {
    /// Takes note of a decision about a burst.
    pub(super) fn note_route(&mut self, index: usize, data: &[u8], because: Because) {
        let by_rule = because == Plain::Rule.into();
        let rule = if by_rule { self.rule_name(index) } else { None };
        if let Some(counts) = self.route_counts(index) {
            match &rule {
                Some(rule) => counts.decide_by_rule(rule),
                None => counts.decide(because),
            }
        }
        let wanted = match self.settings.routing.log {
            RouteLog::Off => false,
            RouteLog::Primary => !because.is_to_standby(),
            RouteLog::Standby => because.is_to_standby(),
            RouteLog::All => true,
        };
        if wanted {
            self.log_route(index, data, (because, rule.as_deref()));
        }
    }

    /// The primary carries out what had gone to a standby.
    pub(super) fn note_healed(&mut self, index: usize, healed: Healed) {
        if let Some(counts) = self.route_counts(index) {
            counts.heal(healed);
        }
    }

    /// A text is remembered as one that a standby refuses.
    pub(super) fn note_learnt(&mut self, index: usize) {
        if let Some(counts) = self.route_counts(index) {
            counts.learnt = counts.learnt.wrapping_add(1);
        }
    }

    /// The counts of the client's pool on the primary.
    fn route_counts(&mut self, index: usize) -> Option<&mut RouteCounts> {
        let home = self.home_of(self.clients.get(index)?.pool);
        let routes = self.pools.get_mut(home)?.routes.get_or_insert_default();
        Some(match self.settings.routing.mode {
            RoutingMode::Shadow => &mut routes.shadow,
            RoutingMode::On | RoutingMode::Off => &mut routes.on,
        })
    }

    /// Constants may be secrets, so a statement is logged without them.
    #[cold]
    fn log_route(&mut self, index: usize, data: &[u8], (because, rule): (Because, Option<&str>)) {
        let reason = rule.map_or_else(|| because.words().into(), |rule| format!("rule {rule}"));
        let Some(client) = self.clients.get_mut(index) else { return };
        let standby = because.is_to_standby();
        let node = match client.rare.routed().floor.reader() {
            Some(node) if standby => Some(node),
            _ => self.traffic.primary,
        };
        let (rules, mut statement) = (client.session.rules(), String::new());
        client.session.horizon(data, Begin::ReadOnly, |text| {
            statement = trunkline_sql::outline(text, rules, SHOWN_MAX);
            false
        });
        let node = node.and_then(|node| self.shared.registry.node_name(node));
        let Some(pool) = self.pools.get(client.pool) else { return };
        let would = self.settings.routing.mode == RoutingMode::Shadow;
        tracing::info!(
            client = %client.rare.peer, user = %pool.family.user,
            database = %pool.family.database, node = node.as_deref().unwrap_or("none"),
            reason, statement,
            "{} the {}",
            if would { "a statement would go to" } else { "a statement goes to" },
            if standby { "standby" } else { "primary" },
        );
    }
}
