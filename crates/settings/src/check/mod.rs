//! What single values cannot tell: settings that contradict each other. Every contradiction is reported.

use crate::Settings;
use crate::decode::Places;
use crate::diagnostic::{Diagnostic, Report};
use crate::source::Source;

mod access;
mod network;
mod pools;
mod routing;

/// Checks settings as a whole.
pub(crate) fn check(
    settings: &Settings,
    places: &Places,
    source: &Source<'_>,
    report: &mut Report,
) {
    let mut checker = Checker { settings, places, source, report };
    checker.network();
    checker.pools();
    checker.routing();
    checker.access();
}

struct Checker<'a> {
    settings: &'a Settings,
    places: &'a Places,
    source: &'a Source<'a>,
    report: &'a mut Report,
}

impl Checker<'_> {
    /// Reports a contradiction between settings, at the first of them that was given. If one of them could not be
    /// read, it has its default here and proves nothing: then nothing is reported.
    fn error(&mut self, paths: &[&str], message: impl Into<String>, help: &str) {
        self.add(Diagnostic::error, paths, message.into(), help);
    }

    /// As `error`, for what is only odd.
    fn warning(&mut self, paths: &[&str], message: impl Into<String>, help: &str) {
        self.add(Diagnostic::warning, paths, message.into(), help);
    }

    fn add(
        &mut self,
        make: impl Fn(crate::diagnostic::Place, String) -> Diagnostic,
        paths: &[&str],
        message: String,
        help: &str,
    ) {
        if paths.iter().any(|path| self.places.broken(path)) {
            return;
        }
        let path = paths
            .iter()
            .find(|path| self.places.given(path))
            .or_else(|| paths.first())
            .copied()
            .unwrap_or_default();
        let mut diagnostic = make(self.places.of(path, self.source), message);
        if !help.is_empty() {
            diagnostic = diagnostic.help(help);
        }
        self.report.add(diagnostic);
    }
}
