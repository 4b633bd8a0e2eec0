//! Files of the repository that are made from the code, or read by it: they are as they should be.
//!
//! `REGENERATE=1 cargo test -p trunkline-settings --test generated` writes those that are made.
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests read the repository and one variable, and their helpers fail as they do"
)]

use std::io;
use std::path::{Path, PathBuf};

use trunkline_settings::catalogue::{Form, catalogue};
use trunkline_settings::{
    Files, Loaded, MemoryFiles, Settings, json_schema, load, reference, sample,
};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a file of the repository with what it should be, or writes it.
fn check(path: &str, expected: &str) {
    let file = root().join(path);
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&file, expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let differs =
        found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "{path} is not what the code makes of it, first in line {}; run this test with REGENERATE=1",
        differs.unwrap_or_else(|| found.lines().count().min(expected.lines().count())) + 1
    );
}

/// Real files where there are some, and something that will do for those of a machine that is set up.
struct Machine;

impl Files for Machine {
    fn read(&self, path: &Path) -> io::Result<String> {
        Ok(match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".to_owned(),
            Some("key") => "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n".to_owned(),
            Some("txt") => "\"admin\" \"secret\"\n".to_owned(),
            None => "secret\n".to_owned(),
            Some(_) => return std::fs::read_to_string(path),
        })
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }
}

fn loaded(path: &Path, text: &str, environment: &[(&str, &str)]) -> Loaded {
    let environment =
        environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    load(path, text, environment, &Machine).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_reference_is_the_codes_own() {
    check("docs/settings.md", &reference());
}

#[test]
fn the_schema_is_the_codes_own() {
    check("config/trunkline.schema.json", &json_schema());
}

#[test]
fn the_sample_is_the_codes_own() {
    check("config/trunkline.toml", &sample());
}

#[test]
fn the_sample_shows_every_setting_with_its_default() {
    let sample = sample();
    assert!(sample.starts_with("#:schema ./trunkline.schema.json\n"));
    for group in catalogue() {
        for setting in &group.settings {
            let shown =
                sample.lines().filter_map(|line| line.trim_start_matches("# ").split_once(" = "));
            let count = shown.filter(|(name, _)| *name == setting.name).count();
            assert!(count > 0, "{}.{} is not in the sample", group.name, setting.name);
        }
    }
    let path = Path::new("trunkline.toml");
    // Unedited, on a machine that has none of the files it could name.
    let unedited = load(path, &sample, [], &MemoryFiles::default());
    let Loaded { settings: mut shown, warnings } =
        unedited.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(warnings, [], "the sample warns of itself");
    assert!(!shown.auth.auth_query.is_empty(), "the sample lets nobody in");
    shown.auth.auth_query.clear();
    let bare =
        loaded(path, "[[node]]\n", &[("TRUNKLINE__USERS__APP__PASSWORD", "secret")]).settings;
    shown.users = bare.users.clone();
    assert_eq!(shown, bare, "the sample differs from the defaults");
    let start =
        Settings { nodes: bare.nodes.clone(), users: bare.users.clone(), ..Settings::default() };
    assert_eq!(bare, start, "an empty file differs from the defaults");
}

#[test]
fn what_the_sample_comments_out_can_be_commented_in() {
    let sample = sample();
    let mut tried = 0;
    let mut table = "";
    for line in sample.lines() {
        let bare = line.trim_start_matches("# ");
        if bare.starts_with('[') && bare.ends_with(']') {
            table = bare;
        }
        let setting = line.strip_prefix("# ").and_then(|line| line.split_once(" = "));
        let Some((name, value)) = setting.filter(|(name, _)| !name.contains(' ')) else { continue };
        tried += 1;
        // What a setting cannot do without, and the node and user that any file needs.
        let company = match (table, name) {
            ("[databases.\"*\"]", "password" | "password_file") => "user = \"shop\"\n",
            _ => "",
        };
        let text = format!("{table}\n{company}{name} = {value}\n");
        let mut needed = vec![("TRUNKLINE__USERS__APP__PASSWORD", "secret")];
        if table != "[[node]]" {
            needed.push(("TRUNKLINE__NODE__0__HOST", "db1"));
        }
        if table != "[databases.\"*\"]" {
            needed.push(("TRUNKLINE__DATABASES__X__DBNAME", "x"));
        }
        loaded(Path::new("trunkline.toml"), &text, &needed);
    }
    let optional = catalogue()
        .iter()
        .flat_map(|group| group.settings.clone())
        .filter(|setting| setting.default_toml().is_none())
        .count();
    assert!(tried >= optional, "{tried} of {optional}");
}

#[test]
fn every_example_is_accepted_without_a_warning() {
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("config/examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("#:schema ../trunkline.schema.json\n"), "{}", path.display());
            let loaded = loaded(&path, &text, &[]);
            assert_eq!(loaded.warnings, [], "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen} examples");
}

#[test]
fn every_group_of_the_reference_has_its_heading() {
    let text = reference();
    for group in catalogue() {
        let heading = match group.form {
            Form::Single => format!("## [{}]\n", group.name),
            Form::Repeated => format!("## [[{}]]\n", group.name),
            Form::Named => format!("## [{}.", group.name),
        };
        assert!(text.contains(&heading), "{heading}");
    }
}
