//! What was typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// `PostgreSQL` connection pooler and router.
#[derive(Debug, Parser)]
#[command(name = "trunkline", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve clients until told to end (TERM, INT, QUIT).
    Run(SettingsFrom),
    /// Read the settings, report every mistake, and start nothing. Exit code 78 if there is one.
    Check(SettingsFrom),
}

/// Where the settings come from.
#[derive(Debug, Args)]
pub(crate) struct SettingsFrom {
    /// The settings file; or instead of one the cluster as a connection URL, such as
    /// `postgres://user:password@host1,host2/postgres`.
    #[arg(value_name = "FILE|URL", conflicts_with = "config")]
    pub(crate) given: Option<String>,
    /// The settings file.
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "TRUNKLINE_CONFIG",
        default_value = "/etc/trunkline/trunkline.toml"
    )]
    pub(crate) config: PathBuf,
}
