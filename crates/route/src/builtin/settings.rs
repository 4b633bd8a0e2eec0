//! Which settings have the same value wherever a session is served.

/// Those that a session sets for itself, which are carried to each of its servers, and those that are fixed for the whole
/// cluster. In lower case, sorted. What a transaction or a connection has, what depends on the machine, and what only the
/// files of a server say, is not here.
#[rustfmt::skip]
static CARRIED: [&str; 152] = [
    "application_name", "array_nulls", "backslash_quote", "block_size", "bytea_output", "check_function_bodies",
    "client_encoding", "client_min_messages", "commit_siblings", "constraint_exclusion", "cpu_index_tuple_cost",
    "cpu_operator_cost", "cpu_tuple_cost", "createrole_self_grant", "cursor_tuple_fraction", "data_checksums",
    "datestyle", "debug_logical_replication_streaming", "debug_parallel_query", "debug_pretty_print",
    "debug_print_parse", "debug_print_plan", "debug_print_rewritten", "default_statistics_target",
    "default_table_access_method", "default_tablespace", "default_text_search_config", "default_toast_compression",
    "default_transaction_deferrable", "default_transaction_isolation", "effective_cache_size", "enable_async_append",
    "enable_bitmapscan", "enable_distinct_reordering", "enable_gathermerge", "enable_group_by_reordering",
    "enable_hashagg", "enable_hashjoin", "enable_incremental_sort", "enable_indexonlyscan", "enable_indexscan",
    "enable_material", "enable_memoize", "enable_mergejoin", "enable_nestloop", "enable_parallel_append",
    "enable_parallel_hash", "enable_partition_pruning", "enable_partitionwise_aggregate", "enable_partitionwise_join",
    "enable_presorted_aggregate", "enable_self_join_elimination", "enable_seqscan", "enable_sort", "enable_tidscan",
    "escape_string_warning", "exit_on_error", "extra_float_digits", "force_parallel_mode", "from_collapse_limit",
    "geqo", "geqo_effort", "geqo_generations", "geqo_pool_size", "geqo_seed", "geqo_selection_bias", "geqo_threshold",
    "gin_fuzzy_search_limit", "gin_pending_list_limit", "hash_mem_multiplier", "icu_validation_level",
    "idle_in_transaction_session_timeout", "idle_session_timeout", "integer_datetimes", "intervalstyle", "is_superuser",
    "jit", "jit_above_cost", "jit_expressions", "jit_inline_above_cost", "jit_optimize_above_cost",
    "jit_tuple_deforming", "join_collapse_limit", "lc_collate", "lc_ctype", "lc_messages", "lc_monetary", "lc_numeric",
    "lc_time", "lock_timeout", "log_parameter_max_length_on_error", "logical_decoding_work_mem", "maintenance_work_mem",
    "max_function_args", "max_identifier_length", "max_index_keys", "max_parallel_maintenance_workers",
    "max_parallel_workers", "max_parallel_workers_per_gather", "min_parallel_index_scan_size",
    "min_parallel_table_scan_size", "parallel_leader_participation", "parallel_setup_cost", "parallel_tuple_cost",
    "password_encryption", "plan_cache_mode", "quote_all_identifiers", "random_page_cost", "recursive_worktable_factor",
    "restrict_nonsystem_relation_kind", "role", "row_security", "scram_iterations", "search_path", "segment_size",
    "seq_page_cost", "server_encoding", "session_authorization", "session_replication_role",
    "standard_conforming_strings", "statement_timeout", "stats_fetch_consistency", "synchronize_seqscans",
    "synchronous_commit", "temp_buffers", "temp_tablespaces", "timezone", "timezone_abbreviations", "trace_notify",
    "trace_sort", "transaction_timeout", "transform_null_equals", "vacuum_buffer_usage_limit", "vacuum_cost_delay",
    "vacuum_cost_limit", "vacuum_cost_page_dirty", "vacuum_cost_page_hit", "vacuum_cost_page_miss",
    "vacuum_failsafe_age", "vacuum_freeze_min_age", "vacuum_freeze_table_age", "vacuum_max_eager_freeze_failure_rate",
    "vacuum_multixact_failsafe_age", "vacuum_multixact_freeze_min_age", "vacuum_multixact_freeze_table_age",
    "vacuum_truncate", "wal_block_size", "wal_segment_size", "wal_skip_threshold", "work_mem", "xmlbinary", "xmloption",
];

/// Whether `current_setting` of this name has one answer on all nodes. Names with a point are placeholders: the session's own.
pub fn setting(name: &str) -> bool {
    name.contains('.') || CARRIED.binary_search_by(|known| compare(known, name)).is_ok()
}

/// The order of a name in lower case and one in any.
fn compare(known: &str, name: &str) -> std::cmp::Ordering {
    known.bytes().cmp(name.bytes().map(|byte| byte.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_found_in_any_case() {
        assert!(CARRIED.is_sorted());
        for name in CARRIED {
            assert!(setting(name) && setting(&name.to_uppercase()), "{name}");
        }
    }

    #[test]
    fn what_tells_of_the_server_is_not_carried() {
        for name in [
            "in_hot_standby",
            "Transaction_Read_Only",
            "port",
            "data_directory",
            "",
            "primary_conninfo",
            "server_version",
        ] {
            assert!(!setting(name), "{name}");
        }
        assert!(setting("app.tenant") && setting("TimeZone") && setting("search_path"));
    }
}
