//! What is read from standbys.

use std::collections::BTreeSet;

use super::Checker;
use crate::{RouteRule, Routing, RoutingMode};

/// A standby that keeps up may be seen one probe behind, and must then be below half of the limit to be fit again.
const PROBES_OF_LAG: u32 = 3;

/// The most rules: each is looked at for each client.
const RULES_MAX: usize = 256;

/// The most regular expressions: each is looked for in each text.
const PATTERNS_MAX: usize = 64;

/// The longest name of a rule: it is shown in a line.
const RULE_NAME_MAX: usize = 128;

impl Checker<'_> {
    pub(super) fn routing(&mut self) {
        self.lag();
        self.zones();
        self.overrides();
        self.rules_of_routes();
    }

    fn lag(&mut self) {
        let (longest, interval) =
            (self.settings.routing.max_lag_time, self.settings.cluster.probe_interval);
        if !longest.is_zero() && longest < interval * PROBES_OF_LAG {
            let message = format!(
                "`max_lag_time` is {longest:?} but standbys are asked every {interval:?} only"
            );
            let help = "standbys that keep up may be taken for late: let it be three times `probe_interval` at least";
            self.warning(&["routing.max_lag_time", "cluster.probe_interval"], message, help);
        }
    }

    fn zones(&mut self) {
        let nodes = &self.settings.nodes;
        if let Some(zone) = &self.settings.routing.zone
            && !nodes.iter().any(|node| node.zone.as_ref() == Some(zone))
        {
            let message = format!("no node is in the zone `{zone}`");
            self.warning(&["routing.zone"], message, "give `zone` in the [[node]] tables");
        }
        if !self.settings.listen.standby_addresses.is_empty() && nodes.len() == 1 {
            let message = "`standby_addresses` are for standbys, but there is one node only";
            self.warning(&["listen.standby_addresses"], message, "add a [[node]] table for each");
        }
    }

    /// Lists that nobody asks, or that are too long.
    fn overrides(&mut self) {
        let routing = &self.settings.routing;
        if routing.primary_patterns.len() > PATTERNS_MAX {
            let message = format!("there are more than {PATTERNS_MAX} `primary_patterns`");
            let help = "a regular expression can hold several: \"a|b\"";
            self.error(&["routing.primary_patterns"], message, help);
        }
        for (index, name) in routing.standby_functions.iter().enumerate() {
            if routing.primary_functions.contains(name) {
                let path = format!("routing.standby_functions.{index}");
                let message = format!("the function `{name}` is in `primary_functions` as well");
                self.error(&[&path, "routing.standby_functions"], message, "");
            }
        }
        if routing.mode == RoutingMode::Off {
            for (path, is_given) in [
                ("routing.primary_functions", !routing.primary_functions.is_empty()),
                ("routing.standby_functions", !routing.standby_functions.is_empty()),
                ("routing.primary_relations", !routing.primary_relations.is_empty()),
                ("routing.primary_patterns", !routing.primary_patterns.is_empty()),
                ("route.0", !self.settings.routes.is_empty()),
            ] {
                if is_given {
                    let message = "this has no effect while `routing.mode` is \"off\"";
                    self.warning(&[path, "routing.mode"], message, "");
                }
            }
        }
        if routing.fallback != Routing::default().fallback
            && self.settings.listen.standby_addresses.is_empty()
        {
            let message = "`fallback` has no effect without `listen.standby_addresses`";
            self.warning(&["routing.fallback"], message, "");
        }
    }

    fn rules_of_routes(&mut self) {
        let rules = &self.settings.routes;
        if rules.len() > RULES_MAX {
            let message =
                format!("there are {} rules; there can be at most {RULES_MAX}", rules.len());
            self.error(&["route.0"], message, "");
        }
        let mut names = BTreeSet::new();
        for (index, rule) in rules.iter().enumerate() {
            let (path, own) = (format!("route.{index}"), format!("route.{index}.name"));
            if !names.insert(&rule.name) {
                let message = format!("two rules are called `{}`", rule.name);
                self.error(&[&own, &path], message, "give each rule a name of its own, or none");
            }
            if rule.name.len() > RULE_NAME_MAX || rule.name.contains(char::is_control) {
                let message = format!("a rule's name is one line of at most {RULE_NAME_MAX} bytes");
                self.error(&[&own], message, "");
            }
            if holds_for_all(rule) && index + 1 < rules.len() {
                let message = format!(
                    "the rule `{}` holds for every client, so that those below it never count",
                    rule.name
                );
                self.error(&[&path], message, "put it last, or say for whom it is");
            }
        }
    }
}

fn holds_for_all(rule: &RouteRule) -> bool {
    rule.database.is_none() && rule.user.is_none() && rule.application_name.is_none()
}
