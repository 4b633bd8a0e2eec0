//! A statement as people may see it: its words, without its constants, which may be secrets.

use crate::cursor::{Cursor, Text};
use crate::lexer::{Kind, Rules};

/// The beginning of a text, up to `most` bytes, in one line: words and marks as they are, a `?` for each constant, no
/// comments.
pub fn outline(text: &[u8], rules: Rules, most: usize) -> String {
    // Each byte that is shown has at least one in the text; constants are not looked for any further.
    let bytes = text.get(..most.saturating_mul(16)).unwrap_or(text);
    let mut cursor = Cursor::new(Text {
        bytes,
        start: 0,
        end: text.len(),
        cut: bytes.len() < text.len(),
        rules,
    });
    let (mut shown, mut end) = (Vec::new(), 0);
    while let Some(token) = cursor.take() {
        if token.start > end && !shown.is_empty() {
            shown.push(b' ');
        }
        end = token.end;
        match token.kind {
            Kind::Text | Kind::Dollar | Kind::Number => shown.push(b'?'),
            Kind::Lost => break,
            _ => shown.extend_from_slice(cursor.bytes_of(token)),
        }
        if shown.len() > most {
            break;
        }
    }
    let line = String::from_utf8_lossy(&shown);
    let mut short: String = line.chars().filter(|letter| !letter.is_control()).collect();
    if short.len() > most {
        let cut = (0..=most).rev().find(|at| short.is_char_boundary(*at)).unwrap_or(0);
        short.truncate(cut);
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_and_comments_are_not_shown() {
        for (text, expected) in [
            ("select pg_advisory_lock(42)", "select pg_advisory_lock(?)"),
            ("DO $$ begin set x = 'secret'; end $$", "DO ?"),
            ("select f( 'it''s' , E'a\\'b', $1)\n  -- secret", "select f( ? , ?, $1)"),
            ("create temp table \"a b\" /* x */ (a int)", "create temp table \"a b\" (a int)"),
            ("select 'unfinished", "select ?"),
            ("", ""),
        ] {
            assert_eq!(outline(text.as_bytes(), Rules::default(), 100), expected, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = "select äääääääää from t";
        assert_eq!(outline(text.as_bytes(), Rules::default(), 10), "select ä...");
        assert_eq!(outline(text.as_bytes(), Rules::default(), 200), text);
    }
}
