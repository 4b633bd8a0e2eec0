//! The names of a list like `search_path`, as PostgreSQL takes them apart.

/// Longer names are cut by PostgreSQL, at a place that depends on the encoding.
const NAME_MAX: usize = 63;

/// What a value comes to that is the setting's own, as from `set_config`, a startup packet or the server (`varlena.c`,
/// `SplitIdentifierString`). None if it is not understood: it may not be a list, a name may be cut, or be folded by the rules
/// of a locale.
pub fn of_value(value: &str) -> Option<Vec<Box<str>>> {
    list(
        value,
        |c| if c == '"' { Form::Quoted('"') } else { Form::Unquoted },
        |c| c != ',' && !is_space(c),
    )
}

/// What the text comes to that stands behind `SET … TO`: a string is one name of the list.
pub fn of_set(text: &str) -> Option<Vec<Box<str>>> {
    let names = list(
        text,
        |c| match c {
            '"' | '\'' => Form::Quoted(c),
            'a'..='z' | 'A'..='Z' | '_' => Form::Unquoted,
            _ => Form::Strange,
        },
        |c| c.is_ascii_alphanumeric() || c == '_' || c == '$',
    )?;
    // With a backslash it depends on another setting what a string is; a list of nothing is none.
    (!text.contains('\\') && !names.is_empty()).then_some(names)
}

/// How a name is written.
enum Form {
    Quoted(char),
    Unquoted,
    /// Not as a name.
    Strange,
}

fn list(
    text: &str,
    form: impl Fn(char) -> Form,
    goes_on: impl Fn(char) -> bool,
) -> Option<Vec<Box<str>>> {
    let mut names = Vec::new();
    let mut rest = text.trim_matches(is_space);
    while let Some(first) = rest.chars().next() {
        let (name, behind) = match form(first) {
            Form::Quoted(quote) => quoted(rest.get(1..)?, quote)?,
            Form::Unquoted => {
                let end = rest.find(|c| !goes_on(c)).unwrap_or(rest.len());
                let (name, behind) = rest.split_at_checked(end)?;
                (name.is_ascii() && !name.is_empty()).then_some(())?;
                (name.to_ascii_lowercase(), behind)
            }
            Form::Strange => return None,
        };
        if name.len() > NAME_MAX {
            return None;
        }
        names.push(name.into());
        let behind = behind.trim_start_matches(is_space);
        if behind.is_empty() {
            break;
        }
        rest = behind.strip_prefix(',')?.trim_start_matches(is_space);
        // A comma announces another one.
        (!rest.is_empty()).then_some(())?;
    }
    Some(names)
}

/// The name up to the closing quote. A doubled one stands for itself.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once(quote)?;
        name.push_str(part);
        match behind.strip_prefix(quote) {
            Some(more) => {
                name.push(quote);
                rest = more;
            }
            None => return Some((name, behind)),
        }
    }
}

/// `scanner_isspace`.
const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: Option<Vec<Box<str>>>) -> String {
        found.map_or_else(|| "?".to_owned(), |names| names.join("|"))
    }

    #[test]
    fn a_value_is_taken_apart_as_postgresql_does() {
        for (value, expected) in [
            ("\"$user\", public", "$user|public"),
            ("", ""),
            ("  ", ""),
            ("\"\"", ""),
            ("A,b ,\tC", "a|b|c"),
            ("\"A\"\"b, c\"", "A\"b, c"),
            ("$user", "$user"),
            ("1a-b", "1a-b"),
            ("'a'", "'a'"),
            ("a b", "?"),
            ("a,", "?"),
            (",a", "?"),
            ("\"a", "?"),
            ("\"a\"b", "?"),
            ("größe", "?"),
            ("\"größe\"", "größe"),
        ] {
            assert_eq!(names(of_value(value)), expected, "{value}");
        }
        assert_eq!(of_value(&"a".repeat(63)).map(|names| names.len()), Some(1));
        assert_eq!(of_value(&"a".repeat(64)), None);
    }

    #[test]
    fn a_string_behind_set_is_one_name() {
        for (text, expected) in [
            ("a, B , \"C\"", "a|b|C"),
            ("'a, B'", "a, B"),
            ("'it''s', x", "it's|x"),
            ("\"$user\"", "$user"),
            ("''", ""),
            ("E'a'", "?"),
            ("U&\"a\"", "?"),
            ("$$a$$", "?"),
            ("'a\\b'", "?"),
            ("a /* b */", "?"),
            ("'a'\n'b'", "?"),
            ("1", "?"),
            ("", "?"),
        ] {
            assert_eq!(names(of_set(text)), expected, "{text}");
        }
    }
}
