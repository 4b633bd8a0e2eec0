//! Mistakes in settings, shown as a compiler would: what, where, the line, and what to write instead.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

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

/// A text with a name, out of which places are cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
}

/// What of a line may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// All, except what stands behind a word that names a password.
    Line,
    /// As `Line`, if it begins like a setting or a table: where the syntax is broken, other lines may be the rest of
    /// a secret whose quotes are damaged.
    Broken,
    /// Nothing of it: the place is inside a secret.
    Nothing,
}

impl Source<'_> {
    /// The place of a range of bytes.
    pub(crate) fn place(&self, span: &Range<usize>, show: Show) -> Place {
        let start = floor_boundary(self.text, span.start);
        let line_start =
            self.text.get(..start).and_then(|head| head.rfind('\n')).map_or(0, |at| at + 1);
        let before = self.text.get(line_start..start).unwrap_or_default();
        let line =
            self.text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let end = floor_boundary(self.text, span.end).max(start).min(line_start + line.len());
        let number = self.text.get(..line_start).unwrap_or_default().matches('\n').count() + 1;
        let width = self.text.get(start..end).map_or(0, |spot| spot.chars().count());
        let shown = match show {
            Show::Nothing if secret_start(line).is_none() => HIDDEN.to_owned(),
            Show::Line if inside_secret(self.text, line_start) => HIDDEN.to_owned(),
            Show::Broken if inside_secret(self.text, line_start) || !begins_plainly(line) => {
                HIDDEN.to_owned()
            }
            Show::Line | Show::Broken | Show::Nothing => hide_secret(line),
        };
        let column = before.chars().count();
        Place::Line(Box::new(Line::new(self.path.to_owned(), number, column, &shown, width)))
    }

    /// The place of a whole line, given by its number from 1 and the bytes of interest within it.
    pub(crate) fn line(&self, number: usize, text: &str, span: Range<usize>, show: Show) -> Place {
        let column =
            text.get(..floor_boundary(text, span.start)).map_or(0, |head| head.chars().count());
        let width = text.get(span).map_or(1, |spot| spot.chars().count());
        let shown = if show == Show::Nothing { HIDDEN } else { text };
        Place::Line(Box::new(Line::new(self.path.to_owned(), number, column, shown, width)))
    }
}

/// The widest piece of a line that is shown, in characters: a terminal's line or two.
const MAX_SHOWN: usize = 160;

/// What stands for a secret.
const HIDDEN: &str = "***";

impl Line {
    fn new(file: PathBuf, line: usize, column: usize, text: &str, width: usize) -> Self {
        let long = text.chars().count() > MAX_SHOWN;
        let skipped = if long { column.saturating_sub(MAX_SHOWN / 2) } else { 0 };
        let tame = |c: char| {
            if c == '\t' {
                ' '
            } else if c.is_control() {
                '\u{fffd}'
            } else {
                c
            }
        };
        let shown: String = text.chars().skip(skipped).take(MAX_SHOWN).map(tame).collect();
        let length = shown.chars().count();
        let indent = column.saturating_sub(skipped).min(length);
        let width = width.clamp(1, (length - indent).max(1));
        Self { file, line, column: column + 1, shown: shown.trim_end().to_owned(), indent, width }
    }
}

/// The nearest character boundary at or before a byte.
fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The line with everything behind the first word that names a password replaced.
fn hide_secret(line: &str) -> String {
    let Some(at) = secret_start(line) else { return line.to_owned() };
    let (head, value) = (line.get(..at).unwrap_or_default(), line.get(at..).unwrap_or_default());
    let joint = if value.trim_start().starts_with('=') { " = " } else { " " };
    format!("{}{joint}{HIDDEN}", head.trim_end())
}

/// The end of the first word that names a password, also when it is misspelt: what follows is taken for one.
/// `password_file` names no secret.
fn secret_start(line: &str) -> Option<usize> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut at = 0;
    for piece in line.split_inclusive(|c| !is_word(c)) {
        let word = piece.trim_end_matches(|c| !is_word(c));
        if !word.ends_with("_file") && names_password(word) {
            // A quoted key ends with its quote.
            let rest = line.get(at + word.len()..)?;
            return Some(at + word.len() + usize::from(rest.starts_with(['"', '\''])));
        }
        at += piece.len();
    }
    None
}

/// Whether a line begins a table or a setting, or a comment.
fn begins_plainly(line: &str) -> bool {
    let is_key = |c: char| c.is_ascii_alphanumeric() || " \t_-.\"'".contains(c);
    let rest = line.trim_start();
    rest.starts_with(['[', '#']) || rest.trim_start_matches(is_key).starts_with('=')
}

fn names_password(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    word.contains("passw") || did_you_mean(&word, ["password", "server_password"]).is_some()
}

/// Whether the line that begins here is within a multi-line string that a password's key opened.
fn inside_secret(text: &str, line_start: usize) -> bool {
    const QUOTES: [&str; 2] = ["\"\"\"", "'''"];
    let mut open: Option<&str> = None;
    for line in text.get(..line_start).unwrap_or_default().lines() {
        match open {
            Some(quotes) if line.contains(quotes) => open = None,
            // Most lines have no such quotes; the costlier question is asked of the others only.
            None if QUOTES.iter().any(|quotes| line.contains(quotes)) => {
                let value = secret_start(line).and_then(|at| line.get(at..)).unwrap_or_default();
                open = QUOTES.into_iter().find(|quotes| value.matches(quotes).count() % 2 == 1);
            }
            _ => {}
        }
    }
    open.is_some()
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

    fn shown(text: &str, span: Range<usize>) -> String {
        let source = Source { path: Path::new("t.toml"), text };
        Diagnostic::error(source.place(&span, Show::Line), "wrong").to_string()
    }

    #[test]
    fn a_place_shows_its_line_with_carets_under_it() {
        let text = "[pool]\nsize = 0\n";
        assert_eq!(
            shown(text, 14..15),
            "error: wrong\n --> t.toml:2:8\n  |\n2 | size = 0\n  |        ^\n"
        );
    }

    #[test]
    fn what_follows_a_password_is_never_shown() {
        for text in [
            "password = \"hunter2",
            "a = { server_password = 'hunter2', x = 1 }",
            "password = \"\"\"\nhunter2\n",
            "PASSWORD='''\nx\nhunter2",
        ] {
            for at in 0..text.len() {
                assert!(!shown(text, at..at + 1).contains("hunter2"), "{text} at {at}");
            }
        }
        assert!(shown("password_file = /etc/x", 0..1).contains("/etc/x"));
    }

    #[test]
    fn any_span_of_any_text_can_be_shown() {
        let text = "é\tß = \"\u{1b}[31m\"\r\n\u{1f600}";
        for start in 0..=text.len() + 2 {
            for end in 0..=text.len() + 2 {
                assert!(!shown(text, start..end).contains('\u{1b}'));
            }
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_spot() {
        let text = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let shown = shown(&text, 5000..5001);
        assert!(shown.contains("aXb") && shown.len() < 600, "{shown}");
    }

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
