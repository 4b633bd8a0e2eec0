//! The directions in which the crates depend on each other, and what the pure ones must not know.

use std::{collections::BTreeMap, process::Command};

/// Every crate of the workspace with the crates of the workspace it may depend on, in its ordinary dependencies.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("trunkline-wire", &[]),
    ("trunkline-sql", &[]),
    ("trunkline-cluster", &[]),
    ("trunkline-settings", &[]),
    ("trunkline-route", &["trunkline-sql"]),
    ("trunkline-session", &["trunkline-wire", "trunkline-sql"]),
    (
        "trunkline-proxy",
        &[
            "trunkline-wire",
            "trunkline-sql",
            "trunkline-cluster",
            "trunkline-settings",
            "trunkline-session",
            "trunkline-route",
        ],
    ),
    (
        "trunkline-admin",
        &["trunkline-proxy", "trunkline-wire", "trunkline-session", "trunkline-settings"],
    ),
    ("trunkline-testkit", &["trunkline-wire"]),
    ("trunkline", &["trunkline-proxy", "trunkline-admin", "trunkline-settings"]),
];

/// The pure crates, which must not know a runtime, sockets, or dice.
const PURE: [&str; 6] = [
    "trunkline-wire",
    "trunkline-sql",
    "trunkline-cluster",
    "trunkline-settings",
    "trunkline-route",
    "trunkline-session",
];

/// What would bring the world into a pure crate.
const WORLDLY: [&str; 8] =
    ["tokio", "mio", "rustls", "tokio-rustls", "rand", "deadpool", "socket2", "tracing"];

/// What cargo knows of the crates of the workspace.
fn packages() -> Vec<serde_json::Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata.get("packages").and_then(serde_json::Value::as_array);
    packages.expect("a list of packages").clone()
}

/// The ordinary dependencies of each crate of the workspace.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    packages()
        .iter()
        .map(|package| {
            let names = package["dependencies"].as_array().expect("a list of dependencies");
            let ordinary = names
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().expect("a name").to_owned())
                .collect();
            (package["name"].as_str().expect("a name").to_owned(), ordinary)
        })
        .collect()
}

#[test]
fn crates_depend_only_in_the_allowed_directions() {
    let dependencies = dependencies();
    let known: Vec<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    for (name, needs) in &dependencies {
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("{name} is new: say here what it may depend on"));
        for need in needs.iter().filter(|need| need.starts_with("trunkline")) {
            assert!(allowed.contains(&need.as_str()), "{name} must not depend on {need}");
        }
    }
    for name in known {
        assert!(dependencies.contains_key(name), "{name} is gone from the workspace");
    }
}

#[test]
fn bugs_are_planted_in_tests_only() {
    for package in packages() {
        let features = package["features"].as_object().expect("features by name");
        let default = features.get("default").map(ToString::to_string).unwrap_or_default();
        assert!(!default.contains("planted"), "{} has planted bugs", package["name"]);
        let dependencies = package["dependencies"].as_array().expect("a list of dependencies");
        for dependency in dependencies.iter().filter(|dependency| dependency["kind"].is_null()) {
            let asked = dependency["features"].to_string();
            assert!(!asked.contains("planted"), "{} asks for planted bugs", package["name"]);
        }
    }
}

#[test]
fn pure_crates_know_nothing_of_the_world() {
    let dependencies = dependencies();
    for name in PURE {
        for need in &dependencies[name] {
            assert!(
                !WORLDLY.contains(&need.as_str()),
                "{name} is pure and must not depend on {need}"
            );
        }
    }
}

#[test]
fn pure_crates_ban_the_world_by_lint() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let sample =
        std::fs::read_to_string(root.join("crates/wire/clippy.toml")).expect("the pure lints");
    assert!(sample.contains("std::time::Instant::now"));
    for name in PURE {
        let place =
            root.join("crates").join(name.trim_start_matches("trunkline-")).join("clippy.toml");
        let own = std::fs::read_to_string(&place)
            .unwrap_or_else(|error| panic!("{}: {error}", place.display()));
        assert_eq!(own, sample, "{} differs from the other pure crates'", place.display());
    }
}
