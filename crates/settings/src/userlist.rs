//! PgBouncer's `userlist.txt`: `"user" "password"` on each line.

use std::collections::BTreeMap;
use std::path::Path;

use crate::UserPassword;
use crate::diagnostic::{Diagnostic, Diagnostics, Report};
use crate::source::Source;

/// The longest user name in bytes: PostgreSQL's `NAMEDATALEN` less one.
pub const MAX_USER_BYTES: usize = 63;

/// The longest stored password in bytes, as PgBouncer's `MAX_PASSWORD`.
const MAX_PASSWORD_BYTES: usize = 2048;

/// Reads the text of a user list. Quotes inside are doubled; what follows the password on a line is ignored, as are
/// lines that are blank or begin with `;` or `#`. No message repeats a password.
pub fn parse(path: &Path, text: &str) -> Result<BTreeMap<String, UserPassword>, Diagnostics> {
    let mut report = Report::default();
    let users = parse_into(path, text, &mut report);
    if report.failed() { Err(report.into_diagnostics()) } else { Ok(users) }
}

/// As [`parse`], with the mistakes added to a report.
pub(crate) fn parse_into(
    path: &Path,
    text: &str,
    report: &mut Report,
) -> BTreeMap<String, UserPassword> {
    let source = Source::new(path, text);
    let mut users = BTreeMap::new();
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for (line, number) in text.split('\n').zip(1..) {
        match entry(line) {
            Ok(None) => {}
            Ok(Some((user, password))) => {
                if let Some(first) = lines.insert(user.clone(), number) {
                    let place = source.hidden_place(number, line, 0);
                    report.error(
                        place,
                        format!("the user {user:?} is listed twice, first in line {first}"),
                    );
                }
                users.insert(user, password);
            }
            Err((at, message)) => {
                let place = source.hidden_place(number, line, at);
                report.add(
                    Diagnostic::error(place, message)
                        .help("write \"user\" \"password\", with quotes"),
                );
            }
        }
    }
    users
}

/// What is wrong with a line, and the byte where.
type Wrong = (usize, String);

/// The user and password of one line; `None` for a line without.
fn entry(line: &str) -> Result<Option<(String, UserPassword)>, Wrong> {
    let start = line.trim_start();
    if start.trim_end().is_empty() || start.starts_with([';', '#']) {
        return Ok(None);
    }
    let at = line.len() - start.len();
    let (user, rest) =
        quoted(start).ok_or_else(|| (at, "the user's name is not in double quotes".to_owned()))?;
    if user.is_empty() {
        return Err((at, "the user's name is empty".into()));
    }
    if user.len() > MAX_USER_BYTES {
        return Err((at, format!("the user's name is longer than {MAX_USER_BYTES} bytes")));
    }
    if user.contains(char::is_control) {
        return Err((at, "the user's name contains a control character".into()));
    }
    let rest = rest.trim_start();
    let at = line.len() - rest.len();
    let (password, tail) = quoted(rest)
        .ok_or_else(|| (at, format!("the password of {user:?} is not in double quotes")))?;
    if !tail.is_empty() && !tail.starts_with(char::is_whitespace) {
        return Err((
            line.len() - tail.len(),
            format!("there is more right behind the password of {user:?}"),
        ));
    }
    if password.len() > MAX_PASSWORD_BYTES || password.contains('\0') {
        return Err((
            at,
            format!(
                "the password of {user:?} is longer than {MAX_PASSWORD_BYTES} bytes or contains NUL"
            ),
        ));
    }
    let password = UserPassword::parse(&password)
        .map_err(|message| (at, format!("the password of {user:?} is {message}")))?;
    Ok(Some((user, password)))
}

/// Takes a quoted text from the front; `""` inside stands for one quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut inner = String::new();
    loop {
        let (part, tail) = rest.split_once('"')?;
        inner.push_str(part);
        match tail.strip_prefix('"') {
            Some(more) => {
                inner.push('"');
                rest = more;
            }
            None => return Some((inner, tail)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        parse(Path::new("userlist.txt"), text).unwrap_err().to_string()
    }

    #[test]
    fn each_line_is_a_user_and_a_password() {
        let text = "; comment\n\"alice\" \"secret\"\n\n  \"bob\"\t\"a\"\"b\" trailing words\r\n\"eve\"\"x\" \"\"\n";
        let users = parse(Path::new("userlist.txt"), text).unwrap();
        let expect: Vec<(&str, &str)> = vec![("alice", "secret"), ("bob", "a\"b"), ("eve\"x", "")];
        let found: Vec<(&str, &str)> = users
            .iter()
            .map(|(user, password)| (user.as_str(), password.secret().expose()))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn stored_forms_are_told_apart() {
        let text = "\"a\" \"md50123456789abcdef0123456789abcdef\"\n\"b\" \"SCRAM-SHA-256$x\"\n";
        let error = error_of(text);
        assert!(
            error.contains("userlist.txt:2") && error.contains("not a SCRAM verifier"),
            "{error}"
        );
    }

    #[test]
    fn wrong_lines_are_all_reported_without_their_passwords() {
        let text = "alice \"hunter2\"\n\"bob\" hunter2\n\"eve\" \"hunter2\n\"\" \"hunter2\"\n\"x\" \"y\"\n\"x\" \"hunter2\"\n\"z\" \"a\"hunter2\n";
        let error = error_of(text);
        assert_eq!(error.matches("error:").count(), 6, "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert!(error.contains("listed twice, first in line 5"), "{error}");
    }
}
