//! `SHOW CONFIG`: every setting with its value and its default, as TOML. Secrets are `"***"`.
//!
//! No column may be added: Prometheus' exporter for PgBouncer counts them.

use std::collections::BTreeMap;

use trunkline_settings::{
    Database, Databases, Effect, Node, Settings, User, Users,
    catalogue::{Form, GroupInfo, SettingInfo, catalogue},
    reload,
};

use crate::{
    console::table::{Column, Row, Value},
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[
    Column::text("key"),
    Column::text("value"),
    Column::text("default"),
    Column::text("changeable"),
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let settings = &snapshot.settings;
    // What is not at its default, by path; tables of the settings are compared with empty ones of the same name.
    let mut changed: BTreeMap<String, String> = reload::diff(&untouched(settings), settings)
        .into_iter()
        .map(|change| (change.path, change.new))
        .collect();
    // A node's name has been given to the empty one as well. It holds no character that TOML escapes.
    let names = settings.nodes.iter().map(|node| &node.name);
    changed.extend(names.map(|name| (format!("node.{name}.name"), format!("\"{name}\""))));
    let mut rows = Vec::new();
    for group in catalogue() {
        for path in paths(settings, &group) {
            rows.extend(group.settings.iter().map(|setting| row(&path, setting, &changed)));
        }
    }
    rows.extend(aliases(settings));
    rows
}

fn row(group: &str, setting: &SettingInfo, changed: &BTreeMap<String, String>) -> Row {
    let key = format!("{group}.{}", setting.name);
    let default = setting.default_toml();
    let value = changed.get(&key).cloned().or_else(|| default.clone());
    // As in PgBouncer: whether RELOAD is enough.
    let changeable = if setting.effect == Effect::Restart { "no" } else { "yes" };
    vec![
        Value::text(&*key),
        Value::optional(value.as_deref()),
        Value::optional(default.as_deref()),
        Value::text(changeable),
    ]
}

/// What monitoring made for PgBouncer looks for, under PgBouncer's names and with its defaults.
fn aliases(settings: &Settings) -> [Row; 3] {
    // Users have limits of their own here; there is none for all.
    let known = [
        ("max_client_conn", settings.general.max_clients, "100"),
        ("default_pool_size", settings.pool.size, "20"),
        ("max_user_connections", 0, "0"),
    ];
    known.map(|(key, value, default)| {
        [key, &value.to_string(), default, "yes"].map(Value::text).to_vec()
    })
}

/// Where a group's settings are: `pool`, `node.pg1`, `databases.shop`.
fn paths(settings: &Settings, group: &GroupInfo) -> Vec<String> {
    let named =
        |names: Vec<&str>| names.into_iter().map(|name| format!("{}.{name}", group.name)).collect();
    match (group.form, group.name) {
        (Form::Single, name) => vec![name.to_owned()],
        (_, "node") => named(settings.nodes.iter().map(|node| node.name.as_str()).collect()),
        (_, "databases") => named(settings.databases.0.keys().map(String::as_str).collect()),
        (_, "users") => named(settings.users.0.keys().map(String::as_str).collect()),
        (Form::Repeated | Form::Named, _) => Vec::new(),
    }
}

/// Settings with the same tables in which nothing is set.
fn untouched(settings: &Settings) -> Settings {
    let node = |node: &Node| Node { name: node.name.clone(), ..Node::default() };
    let databases = settings.databases.0.keys().map(|name| (name.clone(), Database::default()));
    let users = settings.users.0.keys().map(|name| (name.clone(), User::default()));
    Settings {
        nodes: settings.nodes.iter().map(node).collect(),
        databases: Databases(databases.collect()),
        users: Users(users.collect()),
        ..Settings::default()
    }
}
