//! Plays the conversations of a file and prints them with what came of each line.

mod stage;
mod words;

use crate::talk::stage::Stage;

/// The file as it should be: commands and comments as they are, answers as they come.
pub(crate) fn print(file: &str) -> String {
    let mut stage = Stage::new();
    let mut out = String::new();
    for line in file.lines() {
        if line.starts_with("== ") {
            stage = Stage::new();
        }
        if line.starts_with("== ") || line.starts_with('#') || line.trim().is_empty() {
            out.push_str(line.trim_end());
            out.push('\n');
        } else if !is_answer(line) {
            for printed in stage.play(line) {
                out.push_str(&printed);
                out.push('\n');
            }
        }
    }
    out
}

/// Whether the line is printed by the one before it.
fn is_answer(line: &str) -> bool {
    ["-> ", "!! "].iter().any(|start| line.starts_with(start))
}
