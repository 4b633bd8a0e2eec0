//! What is said about mistakes: each file in `diagnostics/` is a settings file, perhaps with an environment and other
//! files, and below it what comes out. The first lines say what the case is about.
//!
//! `REGENERATE=1 cargo test -p trunkline-settings --test diagnostics` writes the expected parts; read what changed.
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests read the repository and one variable, and their helpers fail as they do"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use trunkline_settings::{Diagnostics, MemoryFiles, load};

/// The line that separates parts; its rest names the part below.
const SEPARATOR: &str = "---- ";

/// The parts of a case by name; the text above the first separator is that of the empty name.
fn parts(text: &str) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(next) = line.strip_prefix(SEPARATOR) {
            next.clone_into(&mut name);
        } else {
            let part: &mut String = parts.entry(name.clone()).or_default();
            part.push_str(line);
            part.push('\n');
        }
    }
    parts
}

/// What comes out of a case.
fn outcome(parts: &BTreeMap<String, String>) -> String {
    let text = parts.get("trunkline.toml").map_or("", String::as_str);
    let environment = parts.get("environment").into_iter().flat_map(|lines| lines.lines());
    let environment = environment.filter_map(|line| line.split_once('='));
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let files = parts.iter().map(|(name, text)| (PathBuf::from(name), text.clone())).collect();
    match load(Path::new("trunkline.toml"), text, environment, &MemoryFiles(files)) {
        Ok(loaded) if loaded.warnings.is_empty() => "accepted\n".to_owned(),
        Ok(loaded) => format!("accepted\n{}", Diagnostics(loaded.warnings)),
        Err(mistakes) => mistakes.to_string(),
    }
}

#[test]
fn mistakes_are_described_as_the_files_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let parts = parts(&text);
        assert!(
            parts.get("").is_some_and(|about| about.len() > 20),
            "{} does not say what it is about",
            path.display()
        );
        let found = outcome(&parts);
        assert!(!found.contains("hunter2"), "{} shows a secret:\n{found}", path.display());
        seen += 1;
        if std::env::var_os("REGENERATE").is_some() {
            let (given, _) = text.split_once("---- expected\n").unwrap_or((&text, ""));
            std::fs::write(&path, format!("{given}---- expected\n{found}")).unwrap();
        } else if parts.get("expected").is_none_or(|expected| *expected != found) {
            wrong.push(format!("{}:\n{found}", path.display()));
        }
    }
    assert!(seen >= 15, "{seen} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
