//! Maps between the name in a certificate and the user, in the format of `pg_ident.conf` (PostgreSQL documentation,
//! "User Name Maps").

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::diagnostic::{Diagnostic, Diagnostics, Report};
use crate::files::Files;
use crate::hba::UserMatch;
use crate::hba::parse::{pattern, user};
use crate::pattern::Pattern;
use crate::tokens::{self, Entry, Token};

/// The maps of a file by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maps(BTreeMap<String, Vec<Mapping>>);

/// One line: who comes with this name may be that user.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mapping {
    system: SystemUser,
    database: DatabaseUser,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum SystemUser {
    Name(String),
    Regex(Pattern),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum DatabaseUser {
    Match(UserMatch),
    /// Text in front of and behind `\1`, which stands for the first group of the regular expression.
    Around(String, String),
}

/// What stands for the first group.
const GROUP: &str = "\\1";

impl Maps {
    /// Whether someone whose certificate names `system` may log in as `user`. Without a map both must be equal; a
    /// map that does not exist allows nothing.
    pub fn allows(&self, map: Option<&str>, system: &str, user: &str) -> bool {
        match map {
            None => system == user,
            Some(name) => self
                .0
                .get(name)
                .is_some_and(|lines| lines.iter().any(|line| line.allows(system, user))),
        }
    }

    /// Whether there is a map of this name.
    pub fn contains(&self, map: &str) -> bool {
        self.0.contains_key(map)
    }

    /// The names of all maps.
    pub fn names(&self) -> BTreeSet<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl Mapping {
    fn allows(&self, system: &str, user: &str) -> bool {
        match (&self.system, &self.database) {
            (SystemUser::Name(name), DatabaseUser::Match(database)) => {
                name == system && database.matches(user)
            }
            (SystemUser::Regex(regex), DatabaseUser::Match(database)) => {
                regex.matches(system) && database.matches(user)
            }
            (SystemUser::Regex(regex), DatabaseUser::Around(before, after)) => {
                let group = regex.captures(system).and_then(|captures| captures.get(1));
                let inner = user
                    .strip_prefix(before.as_str())
                    .and_then(|rest| rest.strip_suffix(after.as_str()));
                group.is_some_and(|group| inner == Some(group.as_str()))
            }
            // Refused when the file is read.
            (SystemUser::Name(_), DatabaseUser::Around(..)) => false,
        }
    }
}

/// Reads the text of an ident file; files that it includes are read through `files`, relative to it.
pub fn parse(path: &Path, text: &str, files: &dyn Files) -> Result<Maps, Diagnostics> {
    let mut report = Report::default();
    let maps = parse_into(path, text, files, &mut report);
    if report.failed() { Err(report.into_diagnostics()) } else { Ok(maps) }
}

/// As [`parse`], with the mistakes added to a report.
pub(crate) fn parse_into(path: &Path, text: &str, files: &dyn Files, report: &mut Report) -> Maps {
    let mut maps = Maps::default();
    for entry in tokens::read(path, text, files, report) {
        match mapping(&entry) {
            Ok((name, line)) => maps.0.entry(name).or_default().push(line),
            Err(mistake) => report.add(mistake),
        }
    }
    maps
}

fn mapping(entry: &Entry) -> Result<(String, Mapping), Diagnostic> {
    let [name, system, database] = three(entry)?;
    let system = match system.text.strip_prefix('/') {
        Some(regex) => SystemUser::Regex(pattern(entry, system, regex)?),
        None => SystemUser::Name(system.text.clone()),
    };
    let plain =
        !database.text.starts_with('/') && (database.quoted || !database.text.starts_with('+'));
    let around =
        database.text.split_once(GROUP).filter(|_| plain && matches!(system, SystemUser::Regex(_)));
    let database = match (around, &system) {
        (Some((before, after)), SystemUser::Regex(regex)) if regex.groups() > 0 => {
            DatabaseUser::Around(before.to_owned(), after.to_owned())
        }
        (Some(_), _) => {
            let message =
                "`\\1` stands for a group in parentheses, and the regular expression has none";
            return Err(Diagnostic::error(entry.place(Some(database)), message));
        }
        (None, _) => DatabaseUser::Match(user(entry, database)?),
    };
    Ok((name.text.clone(), Mapping { system, database }))
}

/// The three fields of a line.
fn three(entry: &Entry) -> Result<[&Token; 3], Diagnostic> {
    const FORM: &str = "write MAPNAME SYSTEM-USERNAME DATABASE-USERNAME; quote a name that contains blanks or commas";
    let mut tokens = Vec::with_capacity(3);
    for field in &entry.fields {
        match field.as_slice() {
            [token] => tokens.push(token),
            [_, second, ..] => {
                return Err(Diagnostic::error(
                    entry.place(Some(second)),
                    "a list is not allowed here",
                )
                .help(FORM));
            }
            [] => {}
        }
    }
    match tokens.as_slice() {
        [name, system, database] => Ok([name, system, database]),
        [_, _, _, extra, ..] => {
            Err(Diagnostic::error(entry.place(Some(extra)), "the line has more than three fields")
                .help(FORM))
        }
        _ => Err(Diagnostic::error(entry.place(None), "the line ends too early").help(FORM)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryFiles;

    fn maps(text: &str) -> Maps {
        parse(Path::new("pg_ident.conf"), text, &MemoryFiles::default()).unwrap()
    }

    #[test]
    fn without_a_map_the_names_must_be_equal() {
        assert!(Maps::default().allows(None, "alice", "alice"));
        assert!(!Maps::default().allows(None, "alice", "bob"));
        assert!(!Maps::default().allows(Some("m"), "alice", "alice"));
    }

    #[test]
    fn a_map_lists_who_may_be_whom() {
        let maps = maps("m alice.example app\nm bob all # everyone\nother x y\n");
        assert!(maps.allows(Some("m"), "alice.example", "app"));
        assert!(!maps.allows(Some("m"), "alice.example", "bob"));
        assert!(maps.allows(Some("m"), "bob", "anyone"));
        assert!(!maps.allows(Some("other"), "bob", "anyone"));
    }

    #[test]
    fn the_first_group_of_a_regular_expression_stands_in_for_backslash_one() {
        let maps = maps(
            r"m /^(.*)@example\.com$ \1
m /^svc-(\w+)$ app_\1_rw
",
        );
        assert!(maps.allows(Some("m"), "alice@example.com", "alice"));
        assert!(!maps.allows(Some("m"), "alice@example.com", "bob"));
        assert!(!maps.allows(Some("m"), "alice@example.org", "alice"));
        assert!(maps.allows(Some("m"), "svc-mail", "app_mail_rw"));
        assert!(!maps.allows(Some("m"), "svc-mail", "app_mail"));
    }

    #[test]
    fn the_user_can_be_a_regular_expression_too() {
        let maps = maps("m \"/^cn=.*,o=acme$\" /^acme_\n\"m\" \"a b\" \"+x\"\n");
        assert!(maps.allows(Some("m"), "cn=x,o=acme", "acme_rw"));
        assert!(!maps.allows(Some("m"), "cn=x,o=acme", "acme"));
        assert!(maps.allows(Some("m"), "a b", "+x"));
    }

    #[test]
    fn wrong_lines_are_all_reported() {
        let text = "m a\nm a b c\nm a,b c\nm /^a$ \\1\nm /( x\nm a +group\n";
        let error = parse(Path::new("pg_ident.conf"), text, &MemoryFiles::default()).unwrap_err();
        assert_eq!(error.0.len(), 6, "{error}");
    }
}
