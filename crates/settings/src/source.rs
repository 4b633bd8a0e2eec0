//! A text with a name, and the places that are cut out of it to be shown.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics, Line, Place};
use crate::hide::{broken_hole, comment_hole, word_hole};

/// What stands for a secret.
const HIDDEN: &str = "***";

/// The widest piece of a line that is shown, in characters: a terminal's line or two.
const MAX_SHOWN: usize = 160;

/// A text with a name, out of which places are cut.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
    /// Ranges of bytes that are never shown, in the order of the text.
    pub(crate) hidden: Vec<Range<usize>>,
}

impl<'a> Source<'a> {
    /// A text of which nothing is hidden yet.
    pub(crate) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, hidden: Vec::new() }
    }

    /// The place of a range of bytes in a text whose secrets are known.
    pub(crate) fn place(&self, span: &Range<usize>) -> Place {
        let whole = WholeLine::around(self.text, span.start);
        let mut holes = self.holes(&whole);
        holes.extend(comment_hole(whole.text, &holes));
        self.spot(&whole, &holes, span)
    }

    /// The place of a range of bytes in a text whose syntax is broken: what may be a secret is guessed.
    pub(crate) fn broken_place(&self, span: &Range<usize>) -> Place {
        let whole = WholeLine::around(self.text, span.start);
        let before = self.text.get(..whole.start).unwrap_or_default();
        self.spot(&whole, broken_hole(before, whole.text).as_slice(), span)
    }

    /// A place in a line, given by its number from 1, of a file in the form of `pg_hba.conf`.
    pub(crate) fn word_place(&self, number: usize, text: &str, span: &Range<usize>) -> Place {
        let whole = WholeLine { number, start: 0, text };
        self.spot(&whole, word_hole(text).as_slice(), span)
    }

    /// A place in a line of which nothing is shown.
    pub(crate) fn hidden_place(&self, number: usize, text: &str, at: usize) -> Place {
        let whole = WholeLine { number, start: 0, text };
        self.spot(&whole, std::slice::from_ref(&(0..text.len())), &(at..at))
    }

    /// What is hidden of a line, as ranges of its bytes.
    fn holes(&self, whole: &WholeLine<'_>) -> Vec<Range<usize>> {
        let (start, end) = (whole.start, whole.start + whole.text.len());
        let first = self.hidden.partition_point(|hidden| hidden.end <= start);
        let here = self.hidden.iter().skip(first).take_while(|hidden| hidden.start < end);
        here.map(|hidden| hidden.start.max(start) - start..hidden.end.min(end) - start).collect()
    }

    /// The spot of a range of the text's bytes in its line, shown with `***` in the place of each hole.
    fn spot(&self, whole: &WholeLine<'_>, holes: &[Range<usize>], span: &Range<usize>) -> Place {
        let start = floor_boundary(whole.text, span.start.saturating_sub(whole.start));
        let end = floor_boundary(whole.text, span.end.saturating_sub(whole.start)).max(start);
        let masked = Masked { line: whole.text, holes };
        let (indent, behind) = (masked.column(start, false), masked.column(end, true));
        let column = length(whole.text, 0..start);
        let width = behind.saturating_sub(indent);
        let file = self.path.to_owned();
        Place::Line(Box::new(shown_line(
            file,
            (whole.number, column),
            &masked.text(),
            indent,
            width,
        )))
    }
}

/// The text of a settings file as it was read. The error shows where it is no text.
pub fn decode_text(path: &Path, bytes: Vec<u8>) -> Result<String, Diagnostics> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes());
        // In front of the mistake both have the same bytes.
        let place = Source::new(path, &text).broken_place(&(at..at + 1));
        let mistake = Diagnostic::error(place, "the file is not UTF-8");
        Diagnostics(vec![mistake.help("write it in the encoding UTF-8")])
    })
}

/// A line of a text.
struct WholeLine<'a> {
    /// Its number, from 1.
    number: usize,
    /// The byte where it begins.
    start: usize,
    /// The line without its end.
    text: &'a str,
}

impl<'a> WholeLine<'a> {
    /// The line that a byte is in.
    fn around(text: &'a str, at: usize) -> Self {
        let at = floor_boundary(text, at);
        let before = text.get(..at).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        Self { number: before.matches('\n').count() + 1, start, text: line }
    }
}

/// A line with holes in it, which are in order and do not touch.
struct Masked<'a> {
    line: &'a str,
    holes: &'a [Range<usize>],
}

impl Masked<'_> {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut at = 0;
        for hole in self.holes {
            text.push_str(self.line.get(at..hole.start).unwrap_or_default());
            text.push_str(HIDDEN);
            at = hole.end;
        }
        text.push_str(self.line.get(at..).unwrap_or_default());
        text
    }

    /// Characters that are shown in front of a byte; of a byte in a hole, those in front of the hole, or those up to
    /// its end if the byte is the end of something.
    fn column(&self, byte: usize, is_end: bool) -> usize {
        let mut column = 0;
        let mut at = 0;
        for hole in self.holes {
            if byte < hole.start || byte == hole.start && is_end {
                break;
            }
            column += length(self.line, at..hole.start);
            if byte < hole.end && !is_end {
                return column;
            }
            column += HIDDEN.len();
            at = hole.end;
        }
        column + length(self.line, at..byte.max(at))
    }
}

fn length(text: &str, bytes: Range<usize>) -> usize {
    text.get(bytes).map_or(0, |part| part.chars().count())
}

/// A line fit to be shown: cut around the spot if it is long, and without control characters.
fn shown_line(
    file: PathBuf,
    (line, column): (usize, usize),
    text: &str,
    indent: usize,
    width: usize,
) -> Line {
    let long = text.chars().count() > MAX_SHOWN;
    let skipped = if long { indent.saturating_sub(MAX_SHOWN / 2) } else { 0 };
    let tame = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let shown: String = text.chars().skip(skipped).take(MAX_SHOWN).map(tame).collect();
    let length = shown.chars().count();
    let indent = indent.saturating_sub(skipped).min(length);
    let width = width.clamp(1, (length - indent).max(1));
    Line { file, line, column: column + 1, shown: shown.trim_end().to_owned(), indent, width }
}

/// The nearest character boundary at or before a byte.
fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_without(text: &str, hidden: &[Range<usize>], span: Range<usize>) -> String {
        let source = Source { hidden: hidden.to_vec(), ..Source::new(Path::new("t.toml"), text) };
        Diagnostic::error(source.place(&span), "wrong").to_string()
    }

    fn shown(text: &str, span: Range<usize>) -> String {
        shown_without(text, &[], span)
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
    fn carets_hit_their_spot_beside_what_is_hidden() {
        let text = "x = { a = 'hunter2', bc = 5 }";
        let place = |span: Range<usize>| {
            let shown = shown_without(text, std::slice::from_ref(&(10..19)), span);
            let mut lines = shown.lines().skip(3).map(|line| line.get(4..).unwrap().to_owned());
            (lines.next().unwrap(), lines.next().unwrap())
        };
        let line = "x = { a = ***, bc = 5 }";
        assert_eq!(place(21..23), (line.into(), "               ^^".into()));
        assert_eq!(place(10..19), (line.into(), "          ^^^".into()));
        assert_eq!(place(13..15), (line.into(), "          ^^^".into()));
        assert_eq!(place(6..7), (line.into(), "      ^".into()));
        assert_eq!(place(4..29), (line.into(), format!("    {}", "^".repeat(19))));
    }

    #[test]
    fn a_secret_over_several_lines_is_hidden_in_each() {
        let text = "a = '''\nhunter2\nhunter2''' # x\n";
        for at in 0..text.len() {
            let shown = shown_without(text, std::slice::from_ref(&(4..26)), at..at + 1);
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn any_span_of_any_text_can_be_shown() {
        let text = "é\tß = \"\u{1b}[31m\"\r\n\u{1f600}";
        for start in 0..=text.len() + 2 {
            for end in 0..=text.len() + 2 {
                assert!(!shown(text, start..end).contains('\u{1b}'));
                assert!(!shown_without(text, &[4..9, 20..22], start..end).contains('\u{1b}'));
            }
        }
    }

    #[test]
    fn a_file_that_is_no_text_is_told_with_the_place() {
        let told = |bytes: &[u8]| {
            let mistakes = decode_text(Path::new("t.toml"), bytes.to_vec()).unwrap_err();
            mistakes.to_string()
        };
        assert_eq!(
            told(b"[pool]\nmode = \"caf\xe9\"\nsize = 1"),
            "error: the file is not UTF-8\n --> t.toml:2:12\n  |\n2 | mode = \"caf\u{fffd}\"\n  |            ^\n  = help: write it in the encoding UTF-8\n"
        );
        assert!(!told(b"[users.bob]\npassword = \"hunter2\xff\"").contains("hunter2"));
        assert!(decode_text(Path::new("t.toml"), b"size = 5".to_vec()).is_ok());
    }

    #[test]
    fn a_long_line_is_cut_around_the_spot() {
        let text = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let shown = shown(&text, 5000..5001);
        assert!(shown.contains("aXb") && shown.len() < 600, "{shown}");
    }
}
