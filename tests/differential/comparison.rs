//! An answer through Trunkline beside that of PostgreSQL.

use std::fmt;

use trunkline_testkit::Result;

use crate::recording::Recording;
use crate::transcript::Answer;

/// Steps before the one that differs that are shown with their answers.
const SHOWN_MAX: usize = 60;

/// A script that was answered otherwise.
#[derive(Debug)]
pub struct Difference {
    /// The script.
    pub number: usize,
    /// The step.
    pub step: String,
    /// All up to the step that differs, and its answers.
    text: String,
}

impl Difference {
    /// The client was told something else when it logged in.
    pub fn at_login(recording: &Recording, found: &str) -> Self {
        let expected = &recording.parameters;
        let text = format!(
            "    at the login\n      {expected}\n    but through Trunkline\n      {found}\n"
        );
        Self { number: recording.number, step: "login".to_owned(), text }
    }

    /// Whether the client was notified otherwise by the end of its script.
    pub fn at_the_end(recording: &Recording, notified: &[String]) -> Option<Self> {
        let expected = &recording.notified;
        let text =
            format!("    at the end\n      notified: {notified:?} instead of {expected:?}\n");
        let text = format!("{}{text}", shown(recording, recording.played.len()));
        let difference = Self { number: recording.number, step: "the end".to_owned(), text };
        (notified != expected).then_some(difference)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  script {}\n{}", self.number, self.text)
    }
}

/// Compares the answer to step `place` of a script.
pub fn compare(
    recording: &Recording,
    place: usize,
    found: &Result<Answer>,
    notified: &[String],
) -> Option<Difference> {
    let played = recording.played.get(place)?;
    let expected_notes = recording.notified.get(..played.notified).unwrap_or_default();
    let text = match found {
        Ok(answer) if answer.frames != played.answer.frames => answer.lines(),
        Ok(_) if notified != expected_notes => {
            format!("      notified: {notified:?} instead of {expected_notes:?}\n")
        }
        Ok(_) => return None,
        Err(error) => format!("      {error:#}\n"),
    };
    let text = format!("{}    but through Trunkline\n{text}", shown(recording, place));
    Some(Difference { number: recording.number, step: played.step.to_string(), text })
}

/// A whole script.
pub fn whole(recording: &Recording) -> String {
    format!("  script {}\n{}", recording.number, shown(recording, recording.played.len()))
}

/// The steps of a script up to this one, with PostgreSQL's answers.
fn shown(recording: &Recording, last: usize) -> String {
    let mut text = String::new();
    if !recording.startup.is_empty() {
        text = format!("    startup {:?}\n", recording.startup);
    }
    let first = (last + 1).saturating_sub(SHOWN_MAX);
    for (place, played) in recording.played.iter().enumerate().take(last + 1).skip(first) {
        let answer = if place == last {
            played.answer.lines()
        } else {
            format!("      {} {}\n", played.answer.sqlstates().join(" "), played.answer.status)
        };
        text.extend([format!("    {place} {}\n", played.step), answer]);
    }
    text
}
