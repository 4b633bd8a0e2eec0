//! The text of `postgresql.conf` and `pg_hba.conf`.

use std::collections::BTreeMap;
use std::path::Path;

use super::SUPERUSER;

/// Settings of every node, before those of the options. Small and quick; what a standby or
/// `pg_rewind` needs is on.
const DEFAULTS: [(&str, &str); 24] = [
    ("autovacuum_naptime", "1min"),
    ("dynamic_shared_memory_type", "mmap"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("hot_standby", "on"),
    ("lc_messages", "C"),
    ("listen_addresses", "127.0.0.1"),
    ("log_line_prefix", "%m [%p] %q%u@%d/%a "),
    ("log_timezone", "UTC"),
    ("logging_collector", "off"),
    ("max_connections", "100"),
    ("max_prepared_transactions", "10"),
    ("max_replication_slots", "10"),
    ("max_wal_senders", "10"),
    ("max_wal_size", "256MB"),
    ("min_wal_size", "32MB"),
    ("password_encryption", "scram-sha-256"),
    ("shared_buffers", "32MB"),
    ("timezone", "UTC"),
    ("track_commit_timestamp", "off"),
    ("wal_keep_size", "64MB"),
    ("wal_level", "replica"),
    ("wal_log_hints", "on"),
    ("wal_retrieve_retry_interval", "100ms"),
];

/// The settings of the kit with those of the options over them.
pub(super) fn settings(wanted: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut all: BTreeMap<_, _> =
        DEFAULTS.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    all.extend(wanted.iter().map(|(name, value)| (name.clone(), value.clone())));
    all
}

/// Settings as text of `postgresql.conf`.
pub(super) fn postgresql_conf(settings: &BTreeMap<String, String>) -> String {
    let lines = settings.iter().map(|(name, value)| {
        let value = value.replace('\'', "''");
        format!("{name} = '{value}'\n")
    });
    lines.collect()
}

/// Lines of `pg_hba.conf`: first the wanted ones, then those of the kit.
pub(super) fn pg_hba_conf(wanted: &[String], local_trust: bool) -> String {
    let local = if local_trust { "trust" } else { "scram-sha-256" };
    let own = [
        format!("local all {SUPERUSER} {local}"),
        format!("local replication {SUPERUSER} {local}"),
        "local all all scram-sha-256".to_owned(),
        "host all all 127.0.0.1/32 scram-sha-256".to_owned(),
        "host replication all 127.0.0.1/32 scram-sha-256".to_owned(),
    ];
    let mut lines = [wanted, &own].concat().join("\n");
    lines.push('\n');
    lines
}

/// A value of a connection string (libpq, 34.1.1.1).
pub(super) fn conninfo_value(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\\', r"\\").replace('\'', r"\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wanted_setting_replaces_the_one_of_the_kit() {
        let wanted = BTreeMap::from([("fsync".to_owned(), "on".to_owned())]);
        let text = postgresql_conf(&settings(&wanted));
        assert!(text.contains("fsync = 'on'\n") && !text.contains("fsync = 'off'"), "{text}");
    }

    #[test]
    fn quotes_in_a_value_are_doubled() {
        let settings = BTreeMap::from([("primary_conninfo".to_owned(), "host='/a'".to_owned())]);
        assert_eq!(postgresql_conf(&settings), "primary_conninfo = 'host=''/a'''\n");
    }

    #[test]
    fn wanted_lines_of_pg_hba_come_first() {
        let text = pg_hba_conf(&["host all bob 127.0.0.1/32 md5".to_owned()], true);
        assert!(text.starts_with("host all bob 127.0.0.1/32 md5\nlocal all postgres trust\n"));
    }
}
