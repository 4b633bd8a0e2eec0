//! The way from text to checked settings: parse, override, decode, read the files named, check.

use std::path::Path;

use crate::attach::attach;
use crate::check::check;
use crate::decode::decode;
use crate::diagnostic::{Diagnostics, Report};
use crate::environment::overlay;
use crate::files::Files;
use crate::hide::hidden_values;
use crate::source::Source;
use crate::tree::{Table, parse};
use crate::url::parse_url;
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
/// user is the one of the control connections, and the one user whose password is known for logging in.
pub fn from_url(
    url: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    files: &dyn Files,
) -> Result<Loaded, Diagnostics> {
    let source = Source::new(Path::new(""), "");
    let mut report = Report::default();
    let table = parse_url(url, &mut report);
    if report.failed() {
        return Err(report.into_diagnostics());
    }
    finish(table, &source, environment, files, report)
}

fn finish(
    mut table: Table,
    source: &Source<'_>,
    environment: impl IntoIterator<Item = (String, String)>,
    files: &dyn Files,
    mut report: Report,
) -> Result<Loaded, Diagnostics> {
    overlay(&mut table, environment, &mut report);
    let (mut settings, places) = decode(table, source, &mut report);
    attach(&mut settings, &places, source, files, &mut report);
    check(&settings, &places, source, &mut report);
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
