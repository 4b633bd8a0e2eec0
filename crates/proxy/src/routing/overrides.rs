//! What the settings say of where some statements go: lists of functions and relations, patterns of texts, rules for clients.

use std::sync::Arc;

use trunkline_route::Wish;
use trunkline_settings::{ObjectName, Pattern, RouteRule, RouteTo, Settings};
use trunkline_sql::{
    Name,
    access::{Access, Call, Relation},
};

/// What the settings say of where some statements go.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    lists: Lists,
    patterns: Vec<Pattern>,
    rules: Vec<RouteRule>,
    /// What they are called.
    rule_names: Vec<Arc<str>>,
    /// How many times this has changed.
    epoch: u64,
}

/// Functions and relations whose names decide. What a text is found to be depends on them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lists {
    primary_functions: Vec<ObjectName>,
    standby_functions: Vec<ObjectName>,
    primary_relations: Vec<ObjectName>,
}

/// Whose statements a rule may be for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) database: &'a str,
    pub(crate) user: &'a str,
    pub(crate) application_name: &'a str,
}

impl Overrides {
    /// Takes over settings; says whether texts may be found to be something else by them.
    pub(super) fn follow(&mut self, settings: &Settings) -> bool {
        let routing = &settings.routing;
        let lists = Lists {
            primary_functions: routing.primary_functions.clone(),
            standby_functions: routing.standby_functions.clone(),
            primary_relations: routing.primary_relations.clone(),
        };
        let differs = lists != self.lists;
        self.lists = lists;
        self.patterns.clone_from(&routing.primary_patterns);
        self.rules.clone_from(&settings.routes);
        self.rule_names = names_of(&settings.routes);
        self.epoch = self.epoch.wrapping_add(1);
        differs
    }

    pub(super) const fn lists(&self) -> &Lists {
        &self.lists
    }

    /// Whether a pattern matches in a text.
    pub(super) fn match_in(&self, text: &[u8]) -> bool {
        // Only UTF-8 is judged to be a read.
        !self.patterns.is_empty()
            && std::str::from_utf8(text)
                .is_ok_and(|text| self.patterns.iter().any(|pattern| pattern.matches(text)))
    }

    /// Whether there are rules for clients.
    pub(crate) const fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// How many times all this has changed: what was found by it holds as long as this is the same.
    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The first rule that is for a caller: where it stands, and what it says.
    pub(crate) fn rule_for(&self, caller: Caller<'_>) -> Option<(usize, Wish)> {
        let is_for = |(_, rule): &(usize, &RouteRule)| {
            rule.database.as_ref().is_none_or(|it| it.matches(caller.database))
                && rule.user.as_ref().is_none_or(|it| it.matches(caller.user))
                && rule
                    .application_name
                    .as_ref()
                    .is_none_or(|it| it.matches(caller.application_name))
        };
        let (place, rule) = self.rules.iter().enumerate().find(is_for)?;
        let wish = match rule.to {
            RouteTo::Any => Wish::Any,
            RouteTo::Primary => Wish::Primary,
            RouteTo::Standby => Wish::Standby,
        };
        Some((place, wish))
    }

    /// What the rule is called that stands there: its name, or its number.
    pub(crate) fn rule_name(&self, place: usize) -> Option<&Arc<str>> {
        self.rule_names.get(place)
    }
}

/// What rules are called.
fn names_of(rules: &[RouteRule]) -> Vec<Arc<str>> {
    let name = |(rule, number): (&RouteRule, u32)| match rule.name.as_str() {
        "" => number.to_string().into(),
        name => name.into(),
    };
    rules.iter().zip(1..).map(name).collect()
}

impl Lists {
    /// Whether they keep nothing on the primary.
    pub(super) const fn are_empty(&self) -> bool {
        self.primary_functions.is_empty() && self.primary_relations.is_empty()
    }

    /// Whether a function or a relation that a text names keeps it on the primary.
    pub(super) fn keep(&self, access: &Access) -> bool {
        let calls = || access.calls.iter();
        let is_kept =
            |call: &Call| is_among(&self.primary_functions, call.schema.as_ref(), &call.name);
        let is_named =
            |it: &Relation| is_among(&self.primary_relations, it.schema.as_ref(), &it.name);
        !self.primary_functions.is_empty() && calls().any(is_kept)
            || !self.primary_relations.is_empty()
                && (access.relations.iter().any(is_named)
                    || calls().filter_map(Call::relation).any(|it| is_named(&it)))
    }

    /// Whether a call is said to be harmless.
    pub(super) fn trust(&self, call: &Call) -> bool {
        let (schema, name) = (call.schema.as_ref().map(text), text(&call.name));
        !self.standby_functions.is_empty()
            && call.database.is_none()
            && name.is_some_and(|name| {
                self.standby_functions.iter().any(|it| it.is(schema.flatten(), name))
            })
    }
}

/// Whether a name may be one of these.
fn is_among(names: &[ObjectName], schema: Option<&Name>, name: &Name) -> bool {
    let schema = schema.and_then(text);
    text(name).is_some_and(|name| names.iter().any(|it| it.may_be(schema, name)))
}

fn text(name: &Name) -> Option<&str> {
    std::str::from_utf8(name.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use trunkline_sql::{Rules, access::access};

    use super::*;

    fn names(names: &[&str]) -> Vec<ObjectName> {
        names.iter().map(|name| ObjectName::parse(name).expect("a name")).collect()
    }

    fn overrides() -> Overrides {
        let mut settings = Settings::default();
        settings.routing.primary_functions = names(&["audit.note", "tick"]);
        settings.routing.standby_functions = names(&["total", "shop.sum_up"]);
        settings.routing.primary_relations = names(&["jobs", "shop.stock"]);
        let mut overrides = Overrides::default();
        assert!(overrides.follow(&settings));
        assert!(!overrides.follow(&settings));
        overrides
    }

    #[test]
    fn names_in_lists_keep_a_text_on_the_primary() {
        let overrides = overrides();
        for (sql, kept) in [
            ("SELECT note()", true),
            ("SELECT audit.note(1)", true),
            ("SELECT other.note(1)", false),
            ("SELECT other.TICK()", true),
            ("SELECT \"TICK\"()", false),
            ("SELECT * FROM jobs", true),
            ("SELECT 1 FROM t WHERE i IN (SELECT i FROM other.jobs)", true),
            ("SELECT * FROM stock", true),
            ("SELECT * FROM other.stock", false),
            ("SELECT jobs FROM t", false),
        ] {
            let access = access(sql.as_bytes(), Rules::default());
            assert_eq!(overrides.lists().keep(&access), kept, "{sql}");
        }
    }

    #[test]
    fn only_what_is_said_for_certain_is_trusted() {
        let overrides = overrides();
        for (sql, trusted) in [
            ("SELECT total(1)", true),
            ("SELECT other.total(1)", true),
            ("SELECT shop.sum_up()", true),
            ("SELECT sum_up()", false),
            ("SELECT other.sum_up()", false),
        ] {
            let access = access(sql.as_bytes(), Rules::default());
            let found = access.calls.iter().all(|call| overrides.lists().trust(call));
            assert_eq!(found, trusted, "{sql}");
        }
    }

    #[test]
    fn the_first_rule_that_is_for_a_client_counts() {
        let text = "[[node]]\n[auth]\nmethod = \"trust\"\n[routing]\nmode = \"on\"\n\
            [[route]]\ndatabase = \"shop\"\nuser = \"/^report\"\nto = \"standby\"\n\
            [[route]]\nname = \"batches\"\napplication_name = \"/batch\"\nto = \"primary\"\n\
            [[route]]\nuser = \"alice\"\nto = \"any\"";
        let files = trunkline_settings::MemoryFiles::default();
        let path = std::path::Path::new("t.toml");
        let loaded = trunkline_settings::load(path, text, Vec::new(), &files).expect("sound");
        let mut overrides = Overrides::default();
        overrides.follow(&loaded.settings);
        for (database, user, application_name, expected) in [
            ("shop", "report_1", "batch", Some((0, Wish::Standby))),
            ("wiki", "report_1", "a batch job", Some((1, Wish::Primary))),
            ("shop", "alice", "psql", Some((2, Wish::Any))),
            ("shop", "alice", "batch", Some((1, Wish::Primary))),
            ("shop", "bob", "psql", None),
        ] {
            let caller = Caller { database, user, application_name };
            assert_eq!(overrides.rule_for(caller), expected, "{caller:?}");
        }
        let names = [0, 1, 2].map(|place| overrides.rule_name(place).map_or("", AsRef::as_ref));
        assert_eq!(names, ["1", "batches", "3"]);
    }
}
