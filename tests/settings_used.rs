//! No setting is read and then ignored.

use std::fs;
use std::path::{Path, PathBuf};

/// Where settings are put to use: the shell, the console, the program, and for files and passwords the settings
/// themselves.
const USERS: [&str; 4] =
    ["crates/proxy/src", "crates/admin/src", "crates/trunkline", "crates/settings/src"];

/// Where they are declared only.
const DECLARED: &str = "crates/settings/src/sections";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a directory, without those of tests.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the directory can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.ends_with("tests") || path.ends_with("tests.rs") || path.ends_with(DECLARED) {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of all of them, without comments.
fn code() -> String {
    let mut files = Vec::new();
    for directory in USERS {
        sources(&root().join(directory), &mut files);
    }
    let mut code = String::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("the file can be read");
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// Whether a field of this name is read somewhere; a method of the name does not count.
fn is_read(code: &str, name: &str) -> bool {
    let field = format!(".{name}");
    code.match_indices(&field).any(|(place, _)| {
        let next = code.get(place + field.len()..).and_then(|rest| rest.chars().next());
        next.is_some_and(|next| next != '(' && next != '_' && !next.is_alphanumeric())
    })
}

#[test]
fn every_setting_is_used() {
    let text = fs::read_to_string(root().join("config/trunkline.toml")).expect("it can be read");
    // Those that are not given by default stand in comments: `# name = example`.
    let names = text.lines().filter_map(|line| {
        let (name, _) = line.trim_start_matches("# ").split_once(" = ")?;
        name.chars().all(|c| c.is_ascii_lowercase() || c == '_').then_some(name)
    });
    let code = code();
    let mut seen = 0;
    for name in names {
        assert!(is_read(&code, name), "nothing uses the setting `{name}`");
        seen += 1;
    }
    assert!(seen > 80, "only {seen} settings were found");
}

#[test]
fn a_method_or_a_longer_name_is_no_use_of_a_setting() {
    assert!(is_read("let a = node.weight;", "weight"));
    assert!(!is_read("let a = held.weight() + node.weights + weight;", "weight"));
}
