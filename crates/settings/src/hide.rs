//! What of a file may be shown: values that are, or may be, passwords are hidden, wherever a message points to.
//!
//! In a file that could be read the values are known: hidden are those of secrets, of settings that do not exist, and
//! under `[users]`, `[databases]` and `[cluster]`, where people write logins, those of the wrong type. Where the syntax
//! is broken, it is guessed by sections and by the words of keys.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::Settings;
use crate::catalogue::catalogue;
use crate::diagnostic::did_you_mean;
use crate::group::Group;
use crate::groups::{Visitor, visit};
use crate::scalar::fits;
use crate::tree::{Item, Origin, Table, Tree};
use crate::value::Kind;

/// The groups that hold logins: what is wrong in them may be a password in the wrong place.
const LOGINS: [&str; 3] = ["users", "databases", "cluster"];

/// The values of a settings file that are never shown, in the order of the text.
pub(crate) fn hidden_values(table: &Table) -> Vec<Range<usize>> {
    let mut hider = Hider { table, known: Vec::new(), hidden: Vec::new() };
    visit(&mut hider);
    for (name, item) in table {
        if !hider.known.contains(&name.as_str()) {
            hider.whole(&item.tree, &item.value);
        }
    }
    let mut hidden = hider.hidden;
    hidden.sort_by_key(|range| range.start);
    hidden
}

struct Hider<'a> {
    table: &'a Table,
    known: Vec<&'static str>,
    hidden: Vec<Range<usize>>,
}

impl Hider<'_> {
    /// Hides every value in a tree. The spans of tables are those of their headers, so each value is hidden by itself.
    fn whole(&mut self, tree: &Tree, origin: &Origin) {
        match (tree, origin) {
            (Tree::Table(table), _) => {
                for item in table.values() {
                    self.whole(&item.tree, &item.value);
                }
            }
            (Tree::Array(items), _) => {
                for item in items {
                    self.whole(&item.tree, &item.value);
                }
            }
            (_, Origin::Text(span)) => self.hidden.push(span.clone()),
            (_, Origin::Variable(_) | Origin::Url) => {}
        }
    }

    /// What is to be hidden of one table of a group.
    fn group<T: Group>(&mut self, item: &Item) {
        match &item.tree {
            Tree::Table(table) => {
                for (key, item) in table {
                    self.field::<T>(key, item);
                }
            }
            Tree::Array(items) => items.iter().for_each(|item| self.group::<T>(item)),
            tree if LOGINS.contains(&T::NAME) => self.whole(tree, &item.value),
            _ => {}
        }
    }

    fn field<T: Group>(&mut self, key: &str, item: &Item) {
        let setting = T::SETTINGS.iter().find(|setting| setting.name == key);
        let hides = setting.is_none_or(|setting| {
            let odd = LOGINS.contains(&T::NAME) || matches!(item.tree, Tree::Table(_));
            setting.kind == Kind::Secret || odd && !fits(&setting.kind, &item.tree)
        });
        if hides {
            self.whole(&item.tree, &item.value);
        }
    }
}

impl Visitor for Hider<'_> {
    fn single<T: Group>(
        &mut self,
        _read: fn(&Settings) -> &T,
        _write: fn(&mut Settings) -> &mut T,
    ) {
        self.known.push(T::NAME);
        if let Some(item) = self.table.get(T::NAME) {
            self.group::<T>(item);
        }
    }

    fn repeated<T: Group + Clone + PartialEq>(
        &mut self,
        _read: fn(&Settings) -> &Vec<T>,
        _write: fn(&mut Settings) -> &mut Vec<T>,
        _name: fn(&T) -> &str,
    ) {
        self.known.push(T::NAME);
        if let Some(item) = self.table.get(T::NAME) {
            self.group::<T>(item);
        }
    }

    fn named<T: Group>(
        &mut self,
        _read: fn(&Settings) -> &BTreeMap<String, T>,
        _write: fn(&mut Settings) -> &mut BTreeMap<String, T>,
    ) {
        self.known.push(T::NAME);
        match self.table.get(T::NAME).map(|item| (&item.tree, item)) {
            Some((Tree::Table(table), _)) => {
                for (name, item) in table {
                    match item.tree {
                        Tree::Table(_) => self.group::<T>(item),
                        // A setting that should be one of a name's, or a list of users and passwords.
                        _ => self.field::<T>(name, item),
                    }
                }
            }
            Some((_, item)) => self.group::<T>(item),
            None => {}
        }
    }
}

/// The comment of a line whose values are hidden already, if something is hidden there or it speaks of a secret.
pub(crate) fn comment_hole(line: &str, holes: &[Range<usize>]) -> Option<Range<usize>> {
    let start = comment_start(line, holes)?;
    let hides = !holes.is_empty() || speaks_of_secret(line.get(start..)?);
    let words = line.get(start + 1..)?.trim_start();
    (hides && !words.is_empty()).then_some(line.len() - words.len()..line.len())
}

/// Where a comment begins: at a `#` that is not within quotes or a hole.
fn comment_start(line: &str, holes: &[Range<usize>]) -> Option<usize> {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (c, quote) {
            _ if holes.iter().any(|hole| hole.contains(&at)) => {}
            ('#', None) => return Some(at),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

/// What of a line may be a secret if the syntax of the file is broken. `before` is the text in front of the line.
pub(crate) fn broken_hole(before: &str, line: &str) -> Option<Range<usize>> {
    let hidden_from = |start: usize| Some(start..line.len());
    if ["\"\"\"", "\'\'\'"].iter().any(|quotes| before.matches(quotes).count() % 2 == 1) {
        // Within a text of several lines.
        return hidden_from(0);
    }
    let start = line.trim_start();
    if start.starts_with('#') {
        return comment_hole(line, &[]);
    }
    if start.starts_with('[') {
        let behind = line.len() - start.len() + header_length(start);
        let is_rest = line.get(behind..).is_some_and(|rest| !rest.trim().is_empty());
        return if is_rest { hidden_from(behind) } else { None };
    }
    let Some((key, value)) = line.split_once('=').filter(|(key, _)| is_key(key)) else {
        // The line may be the rest of a secret whose quotes are damaged.
        return hidden_from(0);
    };
    let table = before.lines().rev().map(str::trim_start).find(|line| line.starts_with('['));
    let is_shown = is_harmless(table.unwrap_or(key)) && !speaks_of_secret(key)
        || is_no_secret(key) && !speaks_of_secret(value);
    if is_shown {
        comment_hole(line, &[])
    } else {
        hidden_from(line.len() - value.trim_start().len())
    }
}

/// How much of a line that begins with a bracket is the header of a table. Behind it, or in an array, there may be
/// anything.
fn header_length(line: &str) -> usize {
    let open = line.len() - line.trim_start_matches('[').len();
    let name = line.get(open..).unwrap_or_default();
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return 0;
    }
    let close = name.find(']').map(|at| {
        let rest = name.get(at..).unwrap_or_default();
        at + rest.len() - rest.trim_start_matches(']').len()
    });
    open + close.or_else(|| name.find(|c| !is_bare(c))).unwrap_or(name.len())
}

/// Whether a header or a key leads to a section without logins.
fn is_harmless(path: &str) -> bool {
    let path = path.trim_start_matches(|c: char| c == '[' || c.is_whitespace());
    let section = path.split(|c| !is_bare(c) || c == '.').next().unwrap_or_default().trim();
    !LOGINS.contains(&section) && catalogue().iter().any(|group| group.name == section)
}

/// Whether a key is that of a setting of any section, and of none that is secret.
fn is_no_secret(key: &str) -> bool {
    let mut kinds = catalogue()
        .into_iter()
        .flat_map(|group| group.settings)
        .filter_map(|setting| (setting.name == key.trim()).then_some(setting.kind));
    kinds
        .next()
        .is_some_and(|first| first != Kind::Secret && kinds.all(|kind| kind != Kind::Secret))
}

/// Whether this can stand in front of the `=` of a setting: names without quotes, or within a pair of them.
fn is_key(text: &str) -> bool {
    text.split('.').map(str::trim).all(|name| {
        let inner =
            ['"', '\''].iter().find_map(|quote| name.strip_prefix(*quote)?.strip_suffix(*quote));
        let inner = inner.unwrap_or(name);
        !inner.is_empty() && inner.chars().all(is_bare)
    })
}

/// Whether a character may stand in a key without quotes, or around one.
fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || " \t_-.".contains(c)
}

/// What may be a secret in a line of words: behind a quoted word at its beginning, which is how a user list looks, and
/// the value of an option that is named like one.
pub(crate) fn word_hole(line: &str) -> Option<Range<usize>> {
    let indent = line.len() - line.trim_start().len();
    if let Some(rest) = line.get(indent..)?.strip_prefix('"') {
        let first = rest.find('"').map_or(rest.len(), |at| at + 1);
        let behind = indent + 1 + first;
        let blank = line.get(behind..)?.len() - line.get(behind..)?.trim_start().len();
        return (behind + blank < line.len()).then_some(behind + blank..line.len());
    }
    line.match_indices('=').map(|(at, _)| at).find_map(|at| {
        let name = line.get(..at)?.rsplit(|c: char| !c.is_ascii_alphanumeric()).next()?;
        names_secret(name).then_some(at + 1..line.len())
    })
}

/// Whether a word of the text names a secret. That of a file with a secret does not.
fn speaks_of_secret(text: &str) -> bool {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    words.filter(|word| !word.ends_with("_file")).any(names_secret)
}

/// Whether a word names a secret, also when it is misspelt.
fn names_secret(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ["passw", "pwd", "secret"].iter().any(|part| word.contains(part))
        || did_you_mean(&word, ["password"]).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line with what is hidden as `***`.
    fn masked(line: &str, hole: Option<Range<usize>>) -> String {
        let mut text = line.to_owned();
        if let Some(hole) = hole {
            text.replace_range(hole, "***");
        }
        text
    }

    #[test]
    fn in_broken_files_values_are_shown_in_harmless_sections_only() {
        for (before, line, shown) in [
            ("[pool]", "size = 5x", "size = 5x"),
            ("[pool]\n[users.bob]", "pool_size = 5x", "pool_size = 5x"),
            ("[users.bob]", "pool_size = 5 password = 'hunter2'", "pool_size = ***"),
            ("[users.bob]", "sise = 5x", "sise = ***"),
            ("[users.bob]\n[ pool ] # x", "size = 5x # the secret", "size = 5x # ***"),
            (
                "[client_tls]",
                "key = \"/etc/server/password.key",
                "key = \"/etc/server/password.key",
            ),
            ("[pool]", "passwrd = hunter2", "passwrd = ***"),
            ("[pool]", "password_file = /etc/x", "password_file = /etc/x"),
            ("", "users.bob = \"hunter2", "users.bob = ***"),
            ("", "pool.size = \"5", "pool.size = \"5"),
            ("", "bob = \"hunter2", "bob = ***"),
            ("[cluster]", "hunter2\"\"\"", "***"),
            ("[cluster]", "hunter2\"\"\"=", "***"),
            ("[pool]\nreset_query = \"\"\"", "size = 5", "***"),
            ("[users.bob]", "\"hunter2\"", "***"),
            ("[users.bob]", "[\"hunter2\"]", "***"),
            ("[pool]", "[users.bob] password = 'hunter2'", "[users.bob]***"),
            ("[pool]", "[[node", "[[node"),
            ("[pool]", "[users.\"bob\"", "[users.***"),
            ("[pool]", "[databases.\"*\"]", "[databases.\"*\"]"),
            ("[pool]", "# size = 5", "# size = 5"),
            ("[pool]", " # passwd: hunter2", " # ***"),
        ] {
            assert_eq!(masked(line, broken_hole(before, line)), shown, "{before} {line}");
        }
    }

    #[test]
    fn a_line_of_words_is_hidden_where_it_looks_like_a_user_list_or_an_option_is_a_secret() {
        for (line, shown) in [
            ("host all bob 10.0.0.0/8 trust", "host all bob 10.0.0.0/8 trust"),
            ("host all \"b b\" all trust", "host all \"b b\" all trust"),
            ("\"bob\" \"hunter2\"", "\"bob\" ***"),
            (" \"bob", " \"bob"),
            ("\"bob\"", "\"bob\""),
            (
                "host all all all ldap ldapbindpasswd=\"a b\"",
                "host all all all ldap ldapbindpasswd=***",
            ),
            (
                "host all all all radius radiussecrets=x",
                "host all all all radius radiussecrets=***",
            ),
        ] {
            assert_eq!(masked(line, word_hole(line)), shown, "{line}");
        }
    }
}
