//! Which views of `pg_catalog` tell the same on every node.

/// What a view of `pg_catalog` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemView {
    /// What is in the catalogs.
    Catalog,
    /// What sequences are at, for which it calls [`SEQUENCE_CALL`].
    Sequences,
    /// What belongs to the server that answers.
    NodeLocal,
}

/// The function that [`SystemView::Sequences`] calls.
pub const SEQUENCE_CALL: &str = "pg_sequence_last_value";

/// Views over catalogs alone, which are replicated, and the abbreviations of time zones, which a setting of the session names.
#[rustfmt::skip]
static CATALOG: [&str; 17] = [
    "pg_group", "pg_indexes", "pg_matviews", "pg_policies", "pg_publication_tables", "pg_roles", "pg_rules",
    "pg_seclabels", "pg_shadow", "pg_stats", "pg_stats_ext", "pg_stats_ext_exprs", "pg_tables", "pg_timezone_abbrevs",
    "pg_user", "pg_user_mappings", "pg_views",
];

/// What a server does, has counted, has in its files, or knows of its sessions.
#[rustfmt::skip]
static NODE_LOCAL: [&str; 62] = [
    "pg_aios", "pg_available_extension_versions", "pg_available_extensions", "pg_backend_memory_contexts", "pg_config",
    "pg_cursors", "pg_file_settings", "pg_hba_file_rules", "pg_ident_file_mappings", "pg_locks",
    "pg_prepared_statements", "pg_prepared_xacts", "pg_replication_origin_status", "pg_replication_slots",
    "pg_settings", "pg_shmem_allocations", "pg_shmem_allocations_numa", "pg_stat_activity", "pg_stat_all_indexes",
    "pg_stat_all_tables", "pg_stat_archiver", "pg_stat_bgwriter", "pg_stat_checkpointer", "pg_stat_database",
    "pg_stat_database_conflicts", "pg_stat_gssapi", "pg_stat_io", "pg_stat_progress_analyze",
    "pg_stat_progress_basebackup", "pg_stat_progress_cluster", "pg_stat_progress_copy", "pg_stat_progress_create_index",
    "pg_stat_progress_vacuum", "pg_stat_recovery_prefetch", "pg_stat_replication", "pg_stat_replication_slots",
    "pg_stat_slru", "pg_stat_ssl", "pg_stat_subscription", "pg_stat_subscription_stats", "pg_stat_sys_indexes",
    "pg_stat_sys_tables", "pg_stat_user_functions", "pg_stat_user_indexes", "pg_stat_user_tables", "pg_stat_wal",
    "pg_stat_wal_receiver", "pg_stat_xact_all_tables", "pg_stat_xact_sys_tables", "pg_stat_xact_user_functions",
    "pg_stat_xact_user_tables", "pg_statio_all_indexes", "pg_statio_all_sequences", "pg_statio_all_tables",
    "pg_statio_sys_indexes", "pg_statio_sys_sequences", "pg_statio_sys_tables", "pg_statio_user_indexes",
    "pg_statio_user_sequences", "pg_statio_user_tables", "pg_timezone_names", "pg_wait_events",
];

/// What the view of `pg_catalog` of this name shows; nothing if it is not known.
pub fn view(name: &str) -> Option<SystemView> {
    if CATALOG.binary_search(&name).is_ok() {
        return Some(SystemView::Catalog);
    }
    if NODE_LOCAL.binary_search(&name).is_ok() {
        return Some(SystemView::NodeLocal);
    }
    (name == "pg_sequences").then_some(SystemView::Sequences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_share_no_name() {
        assert!(CATALOG.is_sorted() && NODE_LOCAL.is_sorted());
        assert!(CATALOG.iter().all(|name| !NODE_LOCAL.contains(name)));
    }

    #[test]
    fn views_are_known_by_name() {
        assert_eq!(view("pg_roles"), Some(SystemView::Catalog));
        assert_eq!(view("pg_stat_activity"), Some(SystemView::NodeLocal));
        assert_eq!(view("pg_sequences"), Some(SystemView::Sequences));
        assert_eq!(view("pg_stat_of_the_future"), None);
    }
}
