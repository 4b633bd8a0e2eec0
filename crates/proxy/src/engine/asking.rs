//! Where a client asks its statements to go: by what it has set, by a rule for it, by the listener it has come by.

use std::sync::Arc;

use trunkline_route::{Asked, Wish};
use trunkline_session::Preference;
use trunkline_wire::Reported;

use super::worker::Worker;
use crate::routing::Caller;

/// What the rules in the settings say for a client.
#[derive(Debug)]
pub(super) struct Ruled {
    /// What it had been told by its server, its application name among it, and what the settings were.
    by: (Arc<Reported>, u64),
    rule: Option<(usize, Wish)>,
}

impl Worker {
    /// Where the client asks what it sends next to go.
    pub(super) fn asked(&mut self, index: usize) -> Asked {
        let Some(client) = self.clients.get(index) else { return Asked::default() };
        let setting = client.session.preference().map(|preference| match preference {
            Preference::Any => Wish::Any,
            Preference::Primary => Wish::Primary,
            Preference::Standby => Wish::Standby,
        });
        let listener = client.rare.role;
        let ruled =
            setting.is_none() && self.router.judges() && self.router.overrides().has_rules();
        let rule = if ruled { self.rule_for(index).map(|(_, wish)| wish) } else { None };
        Asked::of(setting, rule, listener)
    }

    /// What the rule is called by which it does; none if there is none for the client.
    pub(super) fn rule_name(&mut self, index: usize) -> Option<Arc<str>> {
        let (place, _) = self.rule_for(index)?;
        self.router.overrides().rule_name(place).cloned()
    }

    /// The first rule that is for the client, and what it says.
    fn rule_for(&mut self, index: usize) -> Option<(usize, Wish)> {
        let overrides = self.router.overrides();
        let client = self.clients.get_mut(index)?;
        let reported = client.session.reported();
        let known = client.rare.routed.as_ref().and_then(|routed| routed.ruled.as_ref());
        if let Some(known) = known
            && Arc::ptr_eq(&known.by.0, reported)
            && known.by.1 == overrides.epoch()
        {
            return known.rule;
        }
        let by = (Arc::clone(reported), overrides.epoch());
        let name = reported.get(b"application_name").unwrap_or_default();
        let family = client.rare.places.1.family();
        let caller = Caller {
            database: &family.database,
            user: &family.user,
            application_name: std::str::from_utf8(name).unwrap_or_default(),
        };
        let rule = overrides.rule_for(caller);
        client.rare.routed().ruled = Some(Ruled { by, rule });
        rule
    }
}
