//! The rules of the generator: what a client may do next, one file per kind of state.
//!
//! Names of what belongs to a session are the same for all clients, so that a leak changes an answer: settings,
//! placeholders, statements, cursors, temporary tables, savepoints. Tables, sequences, locks and channels, which are
//! the database's, have the number of the client in their names.
//!
//! What README.md names as a limit is left out: see the words "known limit" in these files.

pub mod cursors;
pub mod hidden;
pub mod listens;
pub mod locks;
pub mod mistakes;
pub mod pipelines;
pub mod prepares;
pub mod reads;
pub mod sequences;
pub mod settings;
pub mod several;
pub mod statements;
pub mod tables;
pub mod temporary;
pub mod transactions;

use crate::draft::Draft;
use crate::script::Words;

/// One thing that a client may do.
#[derive(Debug)]
pub struct Rule {
    /// Its name in the coverage.
    pub name: &'static str,
    /// How often it is chosen, compared with the others that fit.
    pub weight: usize,
    /// When it fits.
    pub when: When,
    /// Whether it leaves something behind that keeps the client on its server.
    pub keeps: Keeps,
    /// Whether it is meant to fail.
    pub fails: bool,
    /// Writes its messages.
    pub write: fn(&mut Draft) -> Words,
}

/// Whether something is left behind that keeps the client on its server. Some scripts only have rules that do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Never.
    Never,
    /// In rare cases.
    Seldom,
    /// Mostly, if it does not fail.
    Mostly,
}

/// Where a session must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Anywhere.
    Always,
    /// Between transactions.
    Idle,
    /// In a transaction block, failed or not.
    InBlock,
    /// In a transaction block that has not failed.
    Open,
    /// Anywhere but in a failed transaction block.
    NotFailed,
}

/// A rule that leaves nothing behind that keeps a server.
const fn rule(
    name: &'static str,
    weight: usize,
    when: When,
    write: fn(&mut Draft) -> Words,
) -> Rule {
    Rule { name, weight, when, keeps: Keeps::Never, fails: false, write }
}

/// A rule that is meant to fail, and leaves nothing behind that keeps a server.
const fn mistake(
    name: &'static str,
    weight: usize,
    when: When,
    write: fn(&mut Draft) -> Words,
) -> Rule {
    Rule { name, weight, when, keeps: Keeps::Never, fails: true, write }
}

/// A rule that does in rare cases.
const fn seldom_pinning(
    name: &'static str,
    weight: usize,
    when: When,
    write: fn(&mut Draft) -> Words,
) -> Rule {
    Rule { name, weight, when, keeps: Keeps::Seldom, fails: false, write }
}

/// A rule that does.
const fn pinning(
    name: &'static str,
    weight: usize,
    when: When,
    write: fn(&mut Draft) -> Words,
) -> Rule {
    Rule { name, weight, when, keeps: Keeps::Mostly, fails: false, write }
}

/// Ends a transaction.
pub const END: &Rule = &transactions::END;

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let files: [&'static [Rule]; 15] = [
        transactions::RULES,
        settings::RULES,
        reads::RULES,
        tables::RULES,
        statements::RULES,
        pipelines::RULES,
        several::RULES,
        prepares::RULES,
        cursors::RULES,
        temporary::RULES,
        locks::RULES,
        listens::RULES,
        sequences::RULES,
        hidden::RULES,
        mistakes::RULES,
    ];
    files.into_iter().flatten().chain([END])
}
