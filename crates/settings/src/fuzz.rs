//! Entry points for fuzzing: any bytes, never a panic, and what holds of every result.

use std::path::{Path, PathBuf};

use crate::hba::{Connection, Decision, Transport};
use crate::{Diagnostics, Loaded, MemoryFiles, from_url, hba, ident, load, reload, userlist};

/// A settings file, a NUL, and behind it the lines of an environment and the text of every file that is named.
pub fn settings(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (file, rest) = text.split_once('\0').unwrap_or((&text, ""));
    let environment = rest.lines().filter_map(|line| line.split_once('='));
    let environment =
        environment.map(|(name, value)| (format!("TRUNKLINE__{name}"), value.to_owned()));
    loaded(load(Path::new("trunkline.toml"), file, environment, &files(rest)));
}

/// A connection URL, a NUL, and behind it a password file.
pub fn url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (url, passwords) = text.split_once('\0').unwrap_or((&text, ""));
    let environment = [("PGPASSFILE".to_owned(), "a".to_owned())];
    loaded(from_url(url, environment, Some("u"), &files(passwords)));
}

/// An HBA file, and as an ident file.
pub fn hba(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match hba::parse(Path::new("a"), &text, &files(&text)) {
        Ok(rules) => {
            let connection = Connection {
                transport: Transport::Local,
                tls: true,
                database: &text,
                user: "u",
                replication: false,
            };
            let found = rules.find(&connection).is_some();
            assert!(found || matches!(rules.decide(&connection), Decision::Refuse(_)));
        }
        Err(error) => shown(&error),
    }
    match ident::parse(Path::new("a"), &text, &files(&text)) {
        // A name that is longer than the text is not in it.
        Ok(maps) => assert!(!maps.allows(Some(&format!("{text}-")), &text, &text)),
        Err(error) => shown(&error),
    }
}

/// A user list.
pub fn userlist(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match userlist::parse(Path::new("userlist.txt"), &text) {
        Ok(users) => assert!(users.keys().all(|user| !user.is_empty())),
        Err(error) => shown(&error),
    }
}

/// A few names that all stand for the same text.
fn files(text: &str) -> MemoryFiles {
    MemoryFiles(["a", "b", "c/d"].map(|name| (PathBuf::from(name), text.to_owned())).into())
}

/// What holds of settings that were accepted: they can be asked, and do not differ from themselves.
fn loaded(result: Result<Loaded, Diagnostics>) {
    match result {
        Ok(Loaded { settings, .. }) => {
            assert!(!settings.nodes.is_empty());
            assert!(
                settings
                    .pool_for("d", "u")
                    .is_none_or(|policy| policy.size > 0 && policy.min_idle <= policy.size)
            );
            assert!(reload::diff(&settings, &settings).is_empty());
        }
        Err(error) => shown(&error),
    }
}

/// Mistakes can be shown, and hold no control character but the end of a line.
fn shown(error: &Diagnostics) {
    let text = error.to_string();
    assert!(text.contains("error: "), "a refusal without an error");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Pieces of which texts are made that come near to what is meant.
    fn near_miss() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "[pool]\n",
            "[[node]]\n",
            "[users.alice]\n",
            "[databases.\"*\"]\n",
            "size = ",
            "password = ",
            "host = ",
            "\"",
            "\"\"\"",
            "\n",
            " ",
            "5",
            "\"5s\"",
            "true",
            "host ",
            "local ",
            "all ",
            "md5 ",
            "@a ",
            "include a\n",
            "/(.*) ",
            "\\1",
            "\\\n",
            ",",
            "10.0.0.0/8 ",
            "# ",
            "\0",
            "POOL__SIZE=",
            "NODE__7__HOST=",
            "postgres://",
            "u:p@",
            "h:1,",
            "[::1]",
            "?sslmode=",
            "%41",
            "&",
            "=",
            "'",
            "{",
            "}",
            "[",
            "]",
            "é",
            "SCRAM-SHA-256$",
            "map=",
            "hba_file = \"a\"\n",
            "[auth]\n",
        ]);
        prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn near_misses_never_panic(text in near_miss()) {
            let data = text.as_bytes();
            super::settings(data);
            super::hba(data);
            super::userlist(data);
            super::url(data);
            super::url(format!("postgres://{text}").as_bytes());
        }

        #[test]
        fn any_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
            super::settings(&data);
            super::hba(&data);
            super::userlist(&data);
            super::url(&data);
        }
    }
}
