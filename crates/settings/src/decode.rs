//! From what was typed to fields: every unknown key and every unfit value is reported.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Place, Report, choices, did_you_mean, nearest_of};
use crate::group::{Group, Setting};
use crate::groups::{Visitor, visit};
use crate::scalar::{self, Mistake};
use crate::source::Source;
use crate::tree::{Item, Origin, Table, Tree};
use crate::value::{Kind, Value, one_of};
use crate::{Databases, Settings};

/// Where each setting was given, by its path: `pool.size`, `node.0.host`, `databases.shop.user`, and `databases.shop`
/// for the table itself.
#[derive(Debug, Default)]
pub(crate) struct Places {
    given: BTreeMap<String, Origin>,
    broken: BTreeSet<String>,
}

impl Places {
    /// Whether the setting was given at all.
    pub(crate) fn given(&self, path: &str) -> bool {
        self.given.contains_key(path)
    }

    /// Whether the setting was given by something else than the connection URL.
    pub(crate) fn given_beside_url(&self, path: &str) -> bool {
        self.given.get(path).is_some_and(|origin| !matches!(origin, Origin::Url))
    }

    /// Whether the setting was given, but not in a way that could be read.
    pub(crate) fn broken(&self, path: &str) -> bool {
        self.broken.contains(path)
    }

    /// The place of a setting; if it was not given, that of its table; else nowhere.
    pub(crate) fn of(&self, path: &str, source: &Source<'_>) -> Place {
        let table = path.rsplit_once('.').map_or(path, |(table, _)| table);
        let origin = self.given.get(path).or_else(|| self.given.get(table));
        origin.map_or(Place::Nowhere, |origin| place(origin, source))
    }
}

fn place(origin: &Origin, source: &Source<'_>) -> Place {
    match origin {
        Origin::Text(span) => source.place(span),
        Origin::Variable(name) => Place::Variable(name.clone()),
        Origin::Url => Place::Url,
    }
}

/// Makes settings of a table; what is not mentioned has its default.
pub(crate) fn decode(table: Table, source: &Source<'_>, report: &mut Report) -> (Settings, Places) {
    let mut decoder = Decoder {
        table,
        source,
        report,
        settings: Settings::default(),
        places: Places::default(),
        groups: Vec::new(),
    };
    if decoder.table.contains_key("databases") {
        decoder.settings.databases = Databases(BTreeMap::new());
    }
    visit(&mut decoder);
    decoder.unknown_tables();
    (decoder.settings, decoder.places)
}

struct Decoder<'a> {
    table: Table,
    source: &'a Source<'a>,
    report: &'a mut Report,
    settings: Settings,
    places: Places,
    /// The groups seen, and the names of their settings.
    groups: Vec<(&'static str, Vec<&'static str>)>,
}

impl Visitor for Decoder<'_> {
    fn single<T: Group>(&mut self, _read: fn(&Settings) -> &T, write: fn(&mut Settings) -> &mut T) {
        self.note::<T>();
        if let Some(item) = self.table.remove(T::NAME) {
            let group = self.group(T::NAME, &format!("[{}]", T::NAME), item, T::default());
            *write(&mut self.settings) = group;
        }
    }

    fn repeated<T: Group + Clone + PartialEq>(
        &mut self,
        _read: fn(&Settings) -> &Vec<T>,
        write: fn(&mut Settings) -> &mut Vec<T>,
        _name: fn(&T) -> &str,
    ) {
        self.note::<T>();
        let Some(item) = self.table.remove(T::NAME) else { return };
        let Tree::Array(items) = item.tree else {
            let place = self.place(&item.key);
            let message = format!("expected an array of tables, found {}", item.tree.type_name());
            let help = format!("write [[{}]] with double brackets", T::NAME);
            return self.report.add(Diagnostic::error(place, message).help(help));
        };
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{}.{index}", T::NAME);
            let group = self.group(&path, &format!("[[{}]]", T::NAME), item, T::default());
            write(&mut self.settings).push(group);
        }
    }

    fn named<T: Group>(
        &mut self,
        _read: fn(&Settings) -> &BTreeMap<String, T>,
        write: fn(&mut Settings) -> &mut BTreeMap<String, T>,
    ) {
        self.note::<T>();
        let Some(item) = self.table.remove(T::NAME) else { return };
        self.places.given.insert(T::NAME.to_owned(), item.key.clone());
        let Tree::Table(table) = item.tree else {
            let help = format!("write [{}.<name>]", T::NAME);
            return self.not_a_table(T::NAME, &item, help);
        };
        for (name, item) in table {
            if !matches!(item.tree, Tree::Table(_))
                && T::SETTINGS.iter().any(|setting| setting.name == name)
            {
                let place = self.place(&item.key);
                let message =
                    format!("`{name}` belongs to one of the [{}], not to all of them", T::NAME);
                let help = format!("write it under [{}.<name>]", T::NAME);
                self.report.add(Diagnostic::error(place, message).help(help));
                continue;
            }
            let path = format!("{}.{name}", T::NAME);
            let group = self.group(&path, &format!("[{path}]"), item, T::default());
            write(&mut self.settings).insert(name, group);
        }
    }
}

impl Decoder<'_> {
    fn note<T: Group>(&mut self) {
        self.groups.push((T::NAME, T::SETTINGS.iter().map(|setting| setting.name).collect()));
    }

    fn place(&self, origin: &Origin) -> Place {
        place(origin, self.source)
    }

    /// Something else stands where a table belongs; `help` is given unless it is only a bracket too many.
    fn not_a_table(&mut self, title: &str, item: &Item, help: String) {
        let place = self.place(&item.key);
        let message = format!("expected a table at `{title}`, found {}", item.tree.type_name());
        let tables = matches!(&item.tree, Tree::Array(items) if items.iter().any(|item| matches!(item.tree, Tree::Table(_))));
        let help = if tables { format!("write [{title}] with single brackets") } else { help };
        self.report.add(Diagnostic::error(place, message).help(help));
    }

    /// Fills one group from its table.
    fn group<T: Group>(&mut self, path: &str, title: &str, item: Item, mut group: T) -> T {
        self.places.given.insert(path.to_owned(), item.key.clone());
        let Tree::Table(table) = item.tree else {
            let names: Vec<&str> = T::SETTINGS.iter().map(|setting| setting.name).collect();
            let help = format!("write {title} and below it {}", one_of(&names));
            self.not_a_table(path, &item, help);
            return group;
        };
        for (key, item) in table {
            match T::SETTINGS.iter().find(|setting| setting.name == key) {
                Some(setting) => self.setting(path, setting, item, &mut group),
                None => self.unknown_key::<T>(title, &key, &item.key),
            }
        }
        group
    }

    /// Fills one field.
    fn setting<T: Group>(&mut self, path: &str, setting: &Setting<T>, item: Item, group: &mut T) {
        let path = format!("{path}.{}", setting.name);
        let tree = scalar::dressed(&setting.kind, item.tree, &item.value);
        let elements =
            tree.as_ref().map_or_else(|_| Vec::new(), |tree| self.elements(&path, setting, tree));
        let read = tree.and_then(|tree| scalar::read(&setting.kind, tree));
        let put = read.and_then(|value| (setting.put)(group, value).map_err(Into::into));
        if let Err(mistake) = put {
            if elements.is_empty() {
                self.mistaken(setting.name, &item.value, mistake);
            }
            for (origin, mistake) in elements {
                self.mistaken(setting.name, &origin, mistake);
            }
            self.places.broken.insert(path.clone());
        }
        self.places.given.insert(path, item.value);
    }

    fn mistaken(&mut self, name: &str, origin: &Origin, mistake: Mistake) {
        let message = format!("{name}: {}", mistake.message);
        let mut diagnostic = Diagnostic::error(self.place(origin), message);
        diagnostic.help = mistake.help;
        self.report.add(diagnostic);
    }

    /// Notes the places of a list's elements, and finds out which of them cannot be taken, each by itself.
    fn elements<T: Group>(
        &mut self,
        path: &str,
        setting: &Setting<T>,
        list: &Tree,
    ) -> Vec<(Origin, Mistake)> {
        let (Kind::List, Tree::Array(items)) = (&setting.kind, list) else {
            return Vec::new();
        };
        let mut mistakes = Vec::new();
        for (index, item) in items.iter().enumerate() {
            self.places.given.insert(format!("{path}.{index}"), item.value.clone());
            let read = scalar::element(&item.tree).and_then(|text| {
                (setting.put)(&mut T::default(), Value::List(vec![text])).map_err(Into::into)
            });
            mistakes.extend(read.err().map(|mistake| (item.value.clone(), mistake)));
        }
        mistakes
    }

    fn unknown_key<T: Group>(&mut self, title: &str, key: &str, origin: &Origin) {
        let names: Vec<&str> = T::SETTINGS.iter().map(|setting| setting.name).collect();
        let help = match self.home_of(key) {
            Some(home) => choices(Some(home), &names),
            None => nearest_of(key, &names),
        };
        let place = self.place(origin);
        self.report.add(
            Diagnostic::error(place, format!("unknown setting {} in {title}", named(key)))
                .help(help),
        );
    }

    /// Where a key would belong: another group, or what another pooler's name is called here.
    fn home_of(&self, key: &str) -> Option<String> {
        let elsewhere = ELSEWHERE.iter().find(|(theirs, _)| *theirs == key);
        if let Some((_, ours)) = elsewhere {
            return Some(format!("it is called `{ours}` here."));
        }
        let group = self.groups.iter().find(|(_, settings)| settings.contains(&key));
        group.map(|(group, _)| format!("`{key}` belongs to [{group}]."))
    }

    /// The setting of any group that a key is nearest to.
    fn near_setting(&self, key: &str) -> Option<String> {
        let all = self.groups.iter().flat_map(|(_, settings)| settings.iter().copied());
        let name = did_you_mean(key, all)?;
        let (group, _) = self.groups.iter().find(|(_, settings)| settings.contains(&name))?;
        Some(format!("did you mean `{name}` in [{group}]?"))
    }

    /// What is left in the file once every group has taken its table.
    fn unknown_tables(&mut self) {
        let names: Vec<&str> = self.groups.iter().map(|(name, _)| *name).collect();
        for (key, item) in std::mem::take(&mut self.table) {
            let near = did_you_mean(&key, names.iter().copied())
                .map(|name| format!("did you mean `{name}`?"));
            let hint = near.or_else(|| self.home_of(&key)).or_else(|| self.near_setting(&key));
            let help = choices(hint, &names);
            let what = if matches!(item.tree, Tree::Table(_) | Tree::Array(_)) {
                "section"
            } else {
                "setting"
            };
            let place = self.place(&item.key);
            let message = format!("unknown {what} {}", named(&key));
            self.report.add(Diagnostic::error(place, message).help(help));
        }
    }
}

/// A key as it may be repeated in a message: cut, without control characters.
fn named(key: &str) -> String {
    /// Characters of an unknown key that are repeated.
    const MAX_KEY: usize = 64;
    let shown: String =
        key.chars().take(MAX_KEY).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    format!("`{shown}`")
}

/// Names of settings in `pgbouncer.ini`, and what they are called here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("admin_users", "console.admin_users"),
    ("auth_dbname", "auth.auth_database"),
    ("auth_file", "auth.user_file"),
    ("auth_hba_file", "auth.hba_file"),
    ("auth_type", "auth.method"),
    ("client_idle_timeout", "timeouts.client_idle"),
    ("client_login_timeout", "general.login_timeout"),
    ("client_tls_ca_file", "client_tls.ca"),
    ("client_tls_cert_file", "client_tls.certificate"),
    ("client_tls_key_file", "client_tls.key"),
    ("client_tls_sslmode", "client_tls.mode"),
    ("default_pool_size", "pool.size"),
    ("idle_transaction_timeout", "timeouts.idle_in_transaction"),
    ("listen_addr", "listen.addresses"),
    ("listen_port", "listen.addresses"),
    ("log_connections", "log.connections"),
    ("log_disconnections", "log.disconnections"),
    ("log_pooler_errors", "log.pooler_errors"),
    ("max_client_conn", "general.max_clients"),
    ("max_db_connections", "databases.<name>.max_connections"),
    ("max_packet_size", "limits.max_message"),
    ("max_user_connections", "users.<name>.max_connections"),
    ("min_pool_size", "pool.min_idle"),
    ("pool_mode", "pool.mode"),
    ("query_timeout", "timeouts.query"),
    ("query_wait_timeout", "pool.wait_timeout"),
    ("reserve_pool_size", "pool.reserve_size"),
    ("reserve_pool_timeout", "pool.reserve_after"),
    ("server_check_delay", "pool.server_check"),
    ("server_connect_timeout", "pool.connect_timeout"),
    ("server_idle_timeout", "pool.idle_timeout"),
    ("server_lifetime", "pool.max_age"),
    ("server_reset_query", "pool.reset_query"),
    ("server_tls_ca_file", "server_tls.ca"),
    ("server_tls_cert_file", "server_tls.certificate"),
    ("server_tls_key_file", "server_tls.key"),
    ("server_tls_sslmode", "server_tls.mode"),
    ("stats_users", "console.stats_users"),
    ("transaction_timeout", "timeouts.transaction"),
    ("unix_socket_dir", "listen.unix_socket_dir"),
    ("unix_socket_mode", "listen.unix_socket_mode"),
];
