//! `EXPLAIN ROUTE statement`: a question where a statement goes, and why.

use crate::cursor::{Cursor, Text};
use crate::lexer::{Kind, Rules};

/// The statement, or statements, of which a text that begins with `EXPLAIN ROUTE` asks where they go: all that stands
/// behind these words. None of any other text.
pub fn asked_route(text: &[u8], rules: Rules) -> Option<&[u8]> {
    let mut cursor =
        Cursor::new(Text { bytes: text, start: 0, end: text.len(), cut: false, rules });
    let asks = cursor.eat_word(b"explain") && cursor.at_word(b"route");
    let word = if asks { cursor.take()? } else { return None };
    text.get(word.end..).map(<[u8]>::trim_ascii_start)
}

/// The highest number of a parameter in a text; 0 if it has none.
pub fn highest_parameter(text: &[u8], rules: Rules) -> u16 {
    let mut cursor =
        Cursor::new(Text { bytes: text, start: 0, end: text.len(), cut: false, rules });
    let mut highest = 0;
    while let Some(token) = cursor.take() {
        if token.kind == Kind::Parameter {
            let digits =
                cursor.bytes_of(token).get(1..).and_then(|it| std::str::from_utf8(it).ok());
            highest = digits.and_then(|it| it.parse().ok()).unwrap_or(0).max(highest);
        }
    }
    highest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_parameter_is_no_string_and_no_comment() {
        for (text, highest) in [
            ("select $2, $1", 2),
            ("select '$9', $1 -- $7", 1),
            ("select $$ $3 $$", 0),
            ("select $99999999", 0),
            ("", 0),
        ] {
            assert_eq!(highest_parameter(text.as_bytes(), Rules::default()), highest, "{text}");
        }
    }

    #[test]
    fn what_stands_behind_the_words_is_asked_of() {
        for (text, asked) in [
            ("explain route select 1", Some("select 1")),
            (
                "  EXPLAIN\n\tRoute/* primary */select 1; select 2",
                Some("/* primary */select 1; select 2"),
            ),
            ("/* x */ explain -- y\n route", Some("")),
            ("explain route", Some("")),
            ("explain select 1", None),
            ("explain \"route\" select 1", None),
            ("explain routes", None),
            ("route explain", None),
            ("select 1; explain route select 1", None),
            ("", None),
        ] {
            let found = asked_route(text.as_bytes(), Rules::default());
            assert_eq!(found, asked.map(str::as_bytes), "{text}");
        }
    }
}
