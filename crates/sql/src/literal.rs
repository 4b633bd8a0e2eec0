//! String constants: what they stand for, when that can be told without doubt.

use crate::atoms::is_space;
use crate::lexer::Rules;

/// The text that a string constant stands for: `'…'`, `N'…'`, `E'…'`, `$tag$…$tag$`, continued lines included.
/// Nothing if it holds a backslash that means something, or is of a form (`U&''`, `B''`, `X''`) that no setting takes.
pub(crate) fn decode(constant: &[u8], rules: Rules) -> Option<Vec<u8>> {
    match constant {
        [b'$', ..] => decode_dollar(constant),
        [b'\'', rest @ ..] | [b'n' | b'N', b'\'', rest @ ..] => {
            decode_quoted(rest, !rules.standard_conforming_strings)
        }
        [b'e' | b'E', b'\'', rest @ ..] => decode_quoted(rest, true),
        _ => None,
    }
}

fn decode_dollar(constant: &[u8]) -> Option<Vec<u8>> {
    let tag = constant.iter().skip(1).position(|byte| *byte == b'$')? + 2;
    let end = constant.len().checked_sub(tag)?;
    constant.get(tag..end).map(<[u8]>::to_vec)
}

/// What follows the opening quote, up to the end of the constant.
fn decode_quoted(mut rest: &[u8], escapes: bool) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(rest.len());
    loop {
        match rest {
            [b'\'', b'\'', more @ ..] => {
                text.push(b'\'');
                rest = more;
            }
            [b'\''] => return Some(text),
            [b'\'', more @ ..] => rest = continuation(more)?,
            [b'\\', ..] if escapes => return None,
            [byte, more @ ..] => {
                text.push(*byte);
                rest = more;
            }
            [] => return None,
        }
    }
}

/// What follows the quote that goes on with a constant in a later line.
fn continuation(mut gap: &[u8]) -> Option<&[u8]> {
    loop {
        match gap {
            [b'\'', more @ ..] => return Some(more),
            [b'-', b'-', more @ ..] => {
                let line = more.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
                gap = more.get(line..)?;
            }
            [byte, more @ ..] if is_space(*byte) => gap = more,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_without_escapes_are_decoded() {
        let rules = Rules::default();
        let text = |constant: &str| {
            decode(constant.as_bytes(), rules).map(|text| String::from_utf8(text).unwrap())
        };
        assert_eq!(text("'a''b'").as_deref(), Some("a'b"));
        assert_eq!(text("'a\\b'").as_deref(), Some("a\\b"));
        assert_eq!(text("E'ab'").as_deref(), Some("ab"));
        assert_eq!(text("E'a\\nb'"), None);
        assert_eq!(text("n'x'").as_deref(), Some("x"));
        assert_eq!(text("$$x'y$$").as_deref(), Some("x'y"));
        assert_eq!(text("$t$x$$y$t$").as_deref(), Some("x$$y"));
        assert_eq!(text("'a'\n -- more\n 'b'").as_deref(), Some("ab"));
        assert_eq!(text("U&'x'"), None);
        assert_eq!(text("'open"), None);
    }

    #[test]
    fn a_backslash_counts_when_strings_do_not_conform() {
        let rules = Rules { standard_conforming_strings: false, ..Rules::default() };
        assert_eq!(decode(b"'a\\b'", rules), None);
        assert_eq!(decode(b"'ab'", rules).as_deref(), Some(b"ab".as_slice()));
    }
}
