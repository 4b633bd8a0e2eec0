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
    /// Say where statements would go with `routing.mode = "on"`, and why: by the catalog of the primary, which is asked for
    /// it. Needs no Trunkline that runs. Exit code 1 if no primary answers.
    Explain(Explain),
}

/// What is to be explained.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The statement; `-` reads statements from standard input, one on each line.
    #[arg(value_name = "SQL|-", required_unless_present = "file", conflicts_with = "file")]
    pub(crate) statement: Option<String>,
    /// Reads statements from this file, one on each line.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Of many statements, say only how many would go where.
    #[arg(short, long)]
    pub(crate) summary: bool,
    /// The database, as clients call it; by default the one by which the nodes are watched (`cluster.database`).
    #[arg(short, long, value_name = "DATABASE")]
    pub(crate) database: Option<String>,
    /// The settings file, or the cluster as a connection URL.
    #[arg(
        short,
        long,
        value_name = "FILE|URL",
        env = "TRUNKLINE_CONFIG",
        default_value = "/etc/trunkline/trunkline.toml"
    )]
    pub(crate) config: String,
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
