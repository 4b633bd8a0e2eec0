//! What is known about PostgreSQL's settings, by name. Names are found without regard to case, as the server does.
//!
//! Taken from `pg_settings` and `guc_tables.c` of PostgreSQL 15 to 18.

/// Settings whose `SET` cannot fail for a value that this node has accepted from this user before: any user may set
/// them at any time, and their checks ask neither the catalog nor files nor the role. `search_path` is among them since
/// it is accepted with any content.
///
/// Left out though any user may set them: those checked against the catalog (`default_tablespace`, `temp_tablespaces`,
/// `default_text_search_config`, `default_table_access_method`) or against files (`lc_*`, `timezone_abbreviations`,
/// `local_preload_libraries`); `temp_buffers`, refused once temporary tables have been used; `exit_on_error`;
/// `tcp_*`, which belong to the server's own connection.
#[rustfmt::skip]
static CERTAIN: [&str; 129] = [
    "application_name", "array_nulls", "backend_flush_after", "backslash_quote", "bytea_output",
    "check_function_bodies", "client_connection_check_interval", "client_encoding", "client_min_messages",
    "commit_siblings", "constraint_exclusion", "cpu_index_tuple_cost", "cpu_operator_cost", "cpu_tuple_cost",
    "createrole_self_grant", "cursor_tuple_fraction", "datestyle", "debug_logical_replication_streaming",
    "debug_parallel_query", "debug_pretty_print", "debug_print_parse", "debug_print_plan", "debug_print_rewritten",
    "default_statistics_target", "default_toast_compression", "default_transaction_deferrable",
    "default_transaction_isolation", "default_transaction_read_only", "effective_cache_size",
    "effective_io_concurrency", "enable_async_append", "enable_bitmapscan", "enable_distinct_reordering",
    "enable_gathermerge", "enable_group_by_reordering", "enable_hashagg", "enable_hashjoin",
    "enable_incremental_sort", "enable_indexonlyscan", "enable_indexscan", "enable_material", "enable_memoize",
    "enable_mergejoin", "enable_nestloop", "enable_parallel_append", "enable_parallel_hash",
    "enable_partition_pruning", "enable_partitionwise_aggregate", "enable_partitionwise_join",
    "enable_presorted_aggregate", "enable_self_join_elimination", "enable_seqscan", "enable_sort", "enable_tidscan",
    "escape_string_warning", "extra_float_digits", "force_parallel_mode", "from_collapse_limit", "geqo",
    "geqo_effort", "geqo_generations", "geqo_pool_size", "geqo_seed", "geqo_selection_bias", "geqo_threshold",
    "gin_fuzzy_search_limit", "gin_pending_list_limit", "hash_mem_multiplier", "icu_validation_level",
    "idle_in_transaction_session_timeout", "idle_session_timeout", "intervalstyle", "io_combine_limit", "jit",
    "jit_above_cost", "jit_expressions", "jit_inline_above_cost", "jit_optimize_above_cost", "jit_tuple_deforming",
    "join_collapse_limit", "lock_timeout", "log_parameter_max_length_on_error", "logical_decoding_work_mem",
    "maintenance_io_concurrency", "maintenance_work_mem", "max_parallel_maintenance_workers",
    "max_parallel_workers", "max_parallel_workers_per_gather", "min_parallel_index_scan_size",
    "min_parallel_table_scan_size", "parallel_leader_participation", "parallel_setup_cost", "parallel_tuple_cost",
    "password_encryption", "plan_cache_mode", "quote_all_identifiers", "random_page_cost",
    "recursive_worktable_factor", "restrict_nonsystem_relation_kind", "row_security", "scram_iterations",
    "search_path", "seq_page_cost", "standard_conforming_strings", "statement_timeout", "stats_fetch_consistency",
    "synchronize_seqscans", "synchronous_commit", "timezone", "trace_notify", "trace_sort", "transaction_timeout",
    "transform_null_equals", "trunkline.route", "vacuum_buffer_usage_limit", "vacuum_cost_delay", "vacuum_cost_limit",
    "vacuum_cost_page_dirty", "vacuum_cost_page_hit", "vacuum_cost_page_miss", "vacuum_failsafe_age",
    "vacuum_freeze_min_age", "vacuum_freeze_table_age", "vacuum_multixact_failsafe_age",
    "vacuum_multixact_freeze_min_age", "vacuum_multixact_freeze_table_age", "wal_skip_threshold", "work_mem",
    "xmlbinary",
];

/// Settings that the server reports by `ParameterStatus` (flag `GUC_REPORT`): `scram_iterations` since PostgreSQL 16,
/// `search_path` since 18, the others in 15 already.
static REPORTED: [&str; 15] = [
    "application_name",
    "client_encoding",
    "datestyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "intervalstyle",
    "is_superuser",
    "scram_iterations",
    "search_path",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "timezone",
];

/// Settings that decide what a text means when it is parsed: how strings are read, what names refer to, and how
/// constants become values (`'now'::timestamptz` becomes one at Parse, not at Execute).
static PARSE_ENVIRONMENT: [&str; 15] = [
    "array_nulls",
    "backslash_quote",
    "client_encoding",
    "datestyle",
    "intervalstyle",
    "lc_monetary",
    "lc_numeric",
    "role",
    "search_path",
    "session_authorization",
    "standard_conforming_strings",
    "timezone",
    "timezone_abbreviations",
    "transform_null_equals",
    "xmloption",
];

/// Settings that belong to the transaction; `SET` changes them for its rest only.
static TRANSACTION_LOCAL: [&str; 3] =
    ["transaction_deferrable", "transaction_isolation", "transaction_read_only"];

/// Settings that are lists of names (flag `GUC_LIST_QUOTE`): `SET` takes a string for one name of the list.
static QUOTED_LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// The placeholder in which a session says where what it sends is to go.
pub const ROUTE: &str = "trunkline.route";

/// Whether a placeholder says something to Trunkline: then it is nothing to others that a server has had it.
pub fn is_ours(name: &[u8]) -> bool {
    name.starts_with(b"trunkline.")
}

/// Whether setting `name` to a value that this node has accepted from this user before cannot fail.
pub fn is_certain(name: &[u8]) -> bool {
    contains(&CERTAIN, name)
}

/// Whether the server reports changes of `name`.
pub fn is_reported(name: &[u8]) -> bool {
    contains(&REPORTED, name)
}

/// Whether `name` decides what a statement means when it is parsed, so that a statement prepared under one value must
/// not be used under another.
pub fn is_parse_environment(name: &[u8]) -> bool {
    contains(&PARSE_ENVIRONMENT, name)
}

/// Whether `name` belongs to the transaction and is never replayed.
pub fn is_transaction_local(name: &[u8]) -> bool {
    contains(&TRANSACTION_LOCAL, name)
}

/// Whether `name` is a list of names, which a string given to `SET` would make one name.
pub fn is_quoted_list(name: &[u8]) -> bool {
    contains(&QUOTED_LISTS, name)
}

/// Whether `name` is a placeholder or an extension's setting: these have a dot, PostgreSQL's own have none.
pub fn is_placeholder(name: &[u8]) -> bool {
    name.contains(&b'.')
}

fn contains(sorted: &[&str], name: &[u8]) -> bool {
    sorted
        .binary_search_by(|known| known.bytes().cmp(name.iter().map(u8::to_ascii_lowercase)))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_in_lower_case() {
        for table in
            [CERTAIN.as_slice(), &REPORTED, &PARSE_ENVIRONMENT, &TRANSACTION_LOCAL, &QUOTED_LISTS]
        {
            assert!(table.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(table.iter().all(|name| name.bytes().all(|byte| !byte.is_ascii_uppercase())));
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        for name in [
            "search_path",
            "TimeZone",
            "DateStyle",
            "WORK_MEM",
            "jit",
            "application_name",
            "xmlbinary",
        ] {
            assert!(is_certain(name.as_bytes()), "{name}");
        }
        for name in [
            "role",
            "session_authorization",
            "lc_time",
            "log_statement",
            "app.tenant",
            "temp_buffers",
            "",
        ] {
            assert!(!is_certain(name.as_bytes()), "{name}");
        }
        assert!(is_reported(b"IntervalStyle") && !is_reported(b"work_mem"));
        assert!(is_parse_environment(b"Role") && !is_parse_environment(b"work_mem"));
        assert!(is_transaction_local(b"transaction_isolation"));
        assert!(!is_transaction_local(b"default_transaction_isolation"));
        assert!(is_placeholder(b"app.tenant") && !is_placeholder(b"jit"));
    }
}
