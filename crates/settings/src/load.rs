//! The way from text to checked settings: parse, override, decode, read the files named, check.

use std::path::Path;

use crate::attach::attach;
use crate::check::check;
use crate::decode::{Places, decode};
use crate::diagnostic::{Diagnostics, Report};
use crate::environment::overlay;
use crate::files::Files;
use crate::hide::hidden_values;
use crate::source::Source;
use crate::tree::{Table, parse};
use crate::url::{Surroundings, admit, parse_url};
use crate::{Diagnostic, Settings};

/// Settings that were accepted, with what is odd about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What has no effect, or likely not the one intended; to be logged.
    pub warnings: Vec<Diagnostic>,
}

/// Reads settings from the text of a settings file, overridden by variables of the environment that begin with
/// `TRUNKLINE__`; other variables are ignored. Files that the settings name are read through `files`, relative ones
/// from the directory of `path`.
///
/// The error holds every mistake that could be found, warnings among them.
pub fn load(
    path: &Path,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    files: &dyn Files,
) -> Result<Loaded, Diagnostics> {
    let mut source = Source::new(path, text);
    let mut report = Report::default();
    let table = parse(&source, &mut report);
    if report.failed() {
        // What follows a syntax error may not mean what it seems to; further messages would mislead.
        return Err(report.into_diagnostics());
    }
    source.hidden = hidden_values(&table);
    finish(table, &source, environment, files, report)
}

/// Makes settings of a connection URL as libpq takes it: its hosts are the nodes, every database is let through, its
/// user is the one of the control connections, and the one user who may log in. User and password that it lacks come
/// from `PGUSER`, `PGPASSWORD`, the password file and, for the user, `system_user`.
///
/// Clients give the same user and password. If no password is known, clients on this machine are let in without one,
/// others not at all.
pub fn from_url(
    url: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    system_user: Option<&str>,
    files: &dyn Files,
) -> Result<Loaded, Diagnostics> {
    let source = Source::new(Path::new(""), "");
    let environment: Vec<(String, String)> = environment.into_iter().collect();
    let mut report = Report::default();
    let around = Surroundings { environment: &environment, system_user, files };
    let table = parse_url(url, &around, &mut report);
    if report.failed() {
        return Err(report.into_diagnostics());
    }
    let (mut settings, places) = complete(table, &source, environment, files, &mut report);
    admit(&mut settings, &places, &mut report);
    judge(settings, &places, &source, files, report)
}

fn finish(
    table: Table,
    source: &Source<'_>,
    environment: impl IntoIterator<Item = (String, String)>,
    files: &dyn Files,
    mut report: Report,
) -> Result<Loaded, Diagnostics> {
    let (settings, places) = complete(table, source, environment, files, &mut report);
    judge(settings, &places, source, files, report)
}

/// The settings with overrides, defaults and the content of files.
fn complete(
    mut table: Table,
    source: &Source<'_>,
    environment: impl IntoIterator<Item = (String, String)>,
    files: &dyn Files,
    report: &mut Report,
) -> (Settings, Places) {
    overlay(&mut table, environment, report);
    let (mut settings, places) = decode(table, source, report);
    attach(&mut settings, &places, source, files, report);
    (settings, places)
}

/// Checks the settings as a whole.
fn judge(
    settings: Settings,
    places: &Places,
    source: &Source<'_>,
    files: &dyn Files,
    mut report: Report,
) -> Result<Loaded, Diagnostics> {
    check(&settings, places, source, &mut report);
    for flaw in files.flaws(&settings) {
        report.error(places.of(flaw.setting, source), flaw.message);
    }
    if report.failed() {
        Err(report.into_diagnostics())
    } else {
        Ok(Loaded { settings, warnings: report.into_diagnostics().0 })
    }
}

#[cfg(test)]
mod tests;
