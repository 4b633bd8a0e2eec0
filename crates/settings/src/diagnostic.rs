//! Mistakes in settings, shown as a compiler would: what, where, the line, and what to write instead.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::value::one_of;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The settings are not accepted.
    Error,
    /// The settings are accepted; something in them has no effect, or likely not the one intended.
    Warning,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What to write instead.
    pub help: Option<String>,
}

/// Where a mistake is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In no particular spot.
    Nowhere,
    /// In a file as a whole.
    File(PathBuf),
    /// In a line of a file.
    Line(Box<Line>),
    /// In an environment variable.
    Variable(String),
    /// In the connection URL.
    Url,
}

/// A spot in a line of text. The shown text holds no secret and no control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file.
    pub file: PathBuf,
    /// Line number, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line, or the part of it around the column, fit to be shown.
    pub shown: String,
    /// Characters of `shown` in front of the carets.
    pub indent: usize,
    /// Number of carets; at least 1.
    pub width: usize,
}

impl Diagnostic {
    /// An error at a place.
    pub(crate) fn error(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), place, help: None }
    }

    /// A warning at a place.
    pub(crate) fn warning(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, message: message.into(), place, help: None }
    }

    /// Adds what to write instead.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Where it is in its file, for sorting.
    fn position(&self) -> Option<(&Path, usize, usize)> {
        match &self.place {
            Place::Line(line) => Some((&line.file, line.line, line.column)),
            _ => None,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{word}: {}", self.message)?;
        let mut margin = 1;
        match &self.place {
            Place::Nowhere => {}
            Place::File(path) => writeln!(f, " --> {}", path.display())?,
            Place::Variable(name) => writeln!(f, " --> environment variable {name}")?,
            Place::Url => writeln!(f, " --> connection URL")?,
            Place::Line(line) => {
                margin = line.line.to_string().len() + 1;
                let file = line.file.display();
                writeln!(
                    f,
                    "{:margin$}--> {file}:{}:{}",
                    "",
                    line.line,
                    line.column,
                    margin = margin - 1
                )?;
                writeln!(f, "{:margin$}|", "")?;
                writeln!(f, "{} | {}", line.line, line.shown)?;
                writeln!(
                    f,
                    "{:margin$}| {:indent$}{}",
                    "",
                    "",
                    "^".repeat(line.width),
                    indent = line.indent
                )?;
            }
        }
        if let Some(help) = &self.help {
            writeln!(f, "{:margin$}= help: {help}", "")?;
        }
        Ok(())
    }
}

/// A list of mistakes, as an error that prints all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// How many mistakes are listed; who made more is helped by fixing these first.
pub(crate) const MAX_DIAGNOSTICS: usize = 100;

/// Collects mistakes up to the limit.
#[derive(Debug, Default)]
pub(crate) struct Report {
    found: Vec<Diagnostic>,
    more: usize,
    failed: bool,
}

impl Report {
    pub(crate) fn add(&mut self, diagnostic: Diagnostic) {
        self.failed |= diagnostic.severity == Severity::Error;
        if self.found.len() < MAX_DIAGNOSTICS {
            self.found.push(diagnostic);
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn error(&mut self, place: Place, message: impl Into<String>) {
        self.add(Diagnostic::error(place, message));
    }

    /// Whether there was an error.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// Everything found, in the order of the text.
    pub(crate) fn into_diagnostics(mut self) -> Diagnostics {
        self.found.sort_by(|a, b| {
            (a.position().is_none(), a.position()).cmp(&(b.position().is_none(), b.position()))
        });
        if self.more > 0 {
            let rest = format!("{} more not shown", self.more);
            self.found.push(Diagnostic::warning(Place::Nowhere, rest));
        }
        Diagnostics(self.found)
    }
}

/// What to write instead: the hint if there is one, and always the choices.
pub(crate) fn choices(hint: Option<String>, words: &[&str]) -> String {
    match hint {
        Some(hint) => format!("{hint} Expected {}", one_of(words)),
        None => format!("expected {}", one_of(words)),
    }
}

/// The hint that a word is a slip of one of the choices, if it is; and the choices.
pub(crate) fn nearest_of(word: &str, words: &[&str]) -> String {
    let near = did_you_mean(word, words.iter().copied());
    choices(near.map(|near| format!("did you mean `{near}`?")), words)
}

/// The nearest of the known words, if it is near enough to be a slip.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    /// Similarity (Jaro-Winkler) from which a word counts as a slip of another; clap uses the like.
    const NEAR: f64 = 0.8;
    /// Longer words are no slips of any setting, and comparing them would take time.
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_mistakes_has_a_limit() {
        let mut report = Report::default();
        for _ in 0..MAX_DIAGNOSTICS + 7 {
            report.error(Place::Nowhere, "x");
        }
        let all = report.into_diagnostics();
        assert_eq!(all.0.len(), MAX_DIAGNOSTICS + 1);
        assert!(all.to_string().ends_with("warning: 7 more not shown\n"));
    }
}
