use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::{Host, MemoryFiles, PoolMode, UserPassword};

const LET_IN: &str = "[[node]]\nname = \"pg1\"\n[users.alice]\npassword = \"secret\"\n";

fn settings(text: &str, environment: &[(&str, &str)], files: &[(&str, &str)]) -> Settings {
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let files =
        files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
    let loaded =
        load(Path::new("/etc/trunkline/trunkline.toml"), text, environment, &MemoryFiles(files));
    loaded.unwrap_or_else(|error| panic!("{error}")).settings
}

fn password_of(settings: &Settings, user: &str) -> String {
    settings.user(user).unwrap().password.as_ref().unwrap().secret().expose().to_owned()
}

#[test]
fn a_variable_of_the_environment_wins_over_the_file() {
    let text = format!("{LET_IN}[pool]\nsize = 5\nmode = \"session\"\n");
    let settings = settings(
        &text,
        &[
            ("TRUNKLINE__POOL__SIZE", "20"),
            ("trunkline__pool__wait_timeout", "30s"),
            ("TRUNKLINE__POOL__MAX_AGE_JITTER", "0.5"),
            ("TRUNKLINE__POOL__MAX_PREPARED_BYTES", "8MiB"),
            ("TRUNKLINE__TCP__KEEPALIVE", "false"),
            ("TRUNKLINE__LISTEN__ADDRESSES", "127.0.0.1:1, [::1]:2"),
            ("TRUNKLINE__CONSOLE__STATS_USERS", r#"["alice"]"#),
            ("TRUNKLINE__LOG__LEVEL", "\"debug\""),
            ("TRUNKLINE_CONFIG", "/etc/x"),
        ],
        &[],
    );
    assert_eq!((settings.pool.size, settings.pool.mode), (20, PoolMode::Session));
    assert_eq!(settings.pool.wait_timeout, Duration::from_secs(30));
    assert_eq!((settings.pool.max_age_jitter, settings.pool.max_prepared_bytes), (0.5, 8 << 20));
    assert!(!settings.tcp.keepalive);
    assert_eq!(settings.listen.addresses.len(), 2);
    assert_eq!(settings.console.stats_users, ["alice"]);
    assert_eq!(settings.log.level, crate::LogLevel::Debug);
}

#[test]
fn variables_reach_nodes_by_index_and_names_in_any_case() {
    let text = format!("{LET_IN}[databases.Shop]\n[databases.my__db]\n");
    let settings = settings(
        &text,
        &[
            ("TRUNKLINE__NODE__0__PORT", "5433"),
            ("TRUNKLINE__NODE__2__HOST", "db3"),
            ("TRUNKLINE__NODE__1__HOST", "db2"),
            ("TRUNKLINE__DATABASES__SHOP__POOL_SIZE", "7"),
            ("TRUNKLINE__DATABASES__MY__DB__POOL_SIZE", "8"),
            ("TRUNKLINE__DATABASES__NEWS__POOL_SIZE", "9"),
            ("TRUNKLINE__DATABASES__*__POOL_SIZE", "10"),
            ("TRUNKLINE__USERS__Bob__PASSWORD", "\"quoted\""),
        ],
        &[],
    );
    let nodes: Vec<(String, u16)> =
        settings.nodes.iter().map(|node| (node.name.clone(), node.port)).collect();
    assert_eq!(
        nodes,
        [("pg1".to_owned(), 5433), ("db2:5432".to_owned(), 5432), ("db3:5432".to_owned(), 5432)]
    );
    assert_eq!(settings.nodes[1].host, Host::Name("db2".into()));
    let size = |database| settings.pool_for(database, "alice").unwrap().size;
    assert_eq!([size("Shop"), size("my__db"), size("news"), size("other")], [7, 8, 9, 10]);
    assert_eq!(password_of(&settings, "Bob"), "\"quoted\"", "a secret is taken as it stands");
}

#[test]
fn files_are_found_beside_the_settings_file() {
    let text = "[[node]]\n[cluster]\npassword_file = \"secret\"\n[auth]\nuser_file = \"/other/users\"\nhba_file = \"hba\"\n";
    let files = [
        ("/etc/trunkline/secret", "p w \r\n"),
        ("/other/users", "\"bob\" \"pw\""),
        ("/etc/trunkline/hba", "local @names all trust"),
        ("/etc/trunkline/names", "a b"),
    ];
    let settings = settings(text, &[], &files);
    assert_eq!(settings.cluster.password.as_ref().unwrap().expose(), "p w ");
    assert_eq!(settings.auth.hba_file.as_deref(), Some(Path::new("/etc/trunkline/hba")));
    assert_eq!(settings.access.rules.as_ref().unwrap().rules[0].databases.len(), 2);
    assert_eq!(password_of(&settings, "bob"), "pw");
}

#[test]
fn a_password_in_the_settings_wins_over_the_user_file() {
    let text = format!("{LET_IN}[users.bob]\npool_size = 3\n[auth]\nuser_file = \"/users\"\n");
    let list = "\"alice\" \"other\"\n\"bob\" \"md50123456789abcdef0123456789abcdef\"\n";
    let settings = settings(&text, &[], &[("/users", list)]);
    assert_eq!(password_of(&settings, "alice"), "secret");
    let bob = settings.user("bob").unwrap();
    assert!(matches!(bob.password, Some(UserPassword::Md5(_))) && bob.pool_size == Some(3));
}

#[test]
fn tables_of_databases_do_away_with_the_wildcard_that_is_assumed() {
    assert!(settings(LET_IN, &[], &[]).pool_for("any", "alice").is_some());
    let some = settings(&format!("{LET_IN}[databases.shop]\n"), &[], &[]);
    assert!(some.pool_for("shop", "alice").is_some() && some.pool_for("any", "alice").is_none());
}

#[test]
fn a_url_can_be_refined_by_the_environment() {
    let environment = [("TRUNKLINE__POOL__SIZE".to_owned(), "3".to_owned())];
    let loaded = from_url("postgres://u:p@h", environment, None, &MemoryFiles::default()).unwrap();
    assert_eq!(loaded.settings.pool.size, 3);
}

/// A file full of secrets, to be damaged.
const SECRETS: &str = r#"
[[node]]
host = "db1"
[cluster]
user = "x"
password = "hunter2"
[users.alice]
pool_size = 4
password = 'hunter2'
server_password = """
hunter2"""
[databases]
shop = { user = "app", password = "hunter2", pool_size = 3 }
"#;

#[test]
fn no_slip_of_the_keyboard_brings_a_secret_to_light() {
    for at in 0..SECRETS.len() {
        for removed in [0, 1] {
            for inserted in ["", "\"", "'", "=", "[", "]", " ", "a", ".", "{", "}", "#", "\\", "\n"]
            {
                let mut text = SECRETS.to_owned();
                text.replace_range(at..at + removed, inserted);
                let whole = text.matches("hunter2").count() == 4;
                let result = load(Path::new("t.toml"), &text, [], &MemoryFiles::default());
                if let Err(error) = result.as_ref().map_err(ToString::to_string)
                    && whole
                {
                    assert!(!error.contains("hunter2"), "{text}\n{error}");
                }
            }
        }
    }
}
