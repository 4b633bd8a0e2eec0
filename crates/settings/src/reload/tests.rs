use std::path::{Path, PathBuf};

use super::*;
use crate::catalogue::{Form, catalogue};
use crate::{MemoryFiles, load};

const BASE: &str = r#"
[[node]]
name = "pg1"
host = "10.0.0.1"
[[node]]
name = "pg2"
host = "10.0.0.2"
[databases.shop]
user = "app"
password = "one"
[databases."*"]
[users.alice]
password = "hunter2"
"#;

fn settings(text: &str) -> Settings {
    settings_with(text, &[])
}

fn settings_with(text: &str, files: &[(&str, &str)]) -> Settings {
    let files =
        files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
    let loaded = load(Path::new("trunkline.toml"), text, [], &MemoryFiles(files));
    loaded.unwrap_or_else(|error| panic!("{error}")).settings
}

fn paths(old: &Settings, new: &Settings) -> Vec<String> {
    diff(old, new).into_iter().map(|change| change.path).collect()
}

#[test]
fn equal_settings_have_no_difference() {
    assert_eq!(diff(&settings(BASE), &settings(BASE)), []);
}

#[test]
fn a_change_tells_old_new_and_when_it_is_felt() {
    let new = settings(&format!("[general]\nworkers = 3\n[pool]\nwait_timeout = \"1m\"\n{BASE}"));
    let change = |path: &str, old: &str, new: &str, effect| Change {
        path: path.into(),
        old: old.into(),
        new: new.into(),
        effect,
    };
    let expected = [
        change("general.workers", "0", "3", Effect::Restart),
        change("pool.wait_timeout", "\"15s\"", "\"1m\"", Effect::Live),
    ];
    assert_eq!(diff(&settings(BASE), &new), expected);
}

#[test]
fn secrets_are_masked() {
    let new = settings(&BASE.replace("hunter2", "hunter3").replace("\"one\"", "\"hunter4\""));
    let changes = diff(&settings(BASE), &new);
    assert_eq!(changes.len(), 2);
    assert!(!format!("{changes:?} {:?}", Reload { old: &new, new: &new }).contains("hunter"));
}

#[test]
fn nodes_databases_and_users_come_and_go_by_name() {
    let new = settings(&BASE.replace("pg2", "pg3").replace("shop", "mail").replace("alice", "bob"));
    let old = settings(BASE);
    let expected =
        ["node.pg2", "node.pg3", "databases.shop", "databases.mail", "users.alice", "users.bob"];
    assert_eq!(paths(&old, &new), expected);
}

#[test]
fn a_user_is_removed_when_neither_settings_nor_user_file_nor_a_query_may_know_him() {
    let old = settings(BASE);
    let removed = |new: &Settings| {
        let reload = Reload { old: &old, new };
        assert!(!reload.is_removed("bob"));
        reload.is_removed("alice")
    };
    let gone = BASE.replace("alice", "bob");
    assert!(!removed(&old));
    assert!(removed(&settings(&gone)));
    let listed = format!("[auth]\nuser_file = \"list\"\n{gone}");
    let files = |list: &'static str| settings_with(&listed, &[("list", list)]);
    assert!(!removed(&files("\"alice\" \"x\"")));
    assert!(removed(&files("\"carol\" \"x\"")));
    let asked = format!("[auth]\nauth_query = \"SELECT $1\"\n{gone}");
    assert!(!removed(&settings(&asked)));
}

#[test]
fn the_order_of_nodes_is_no_difference() {
    let old = settings(BASE);
    let mut new = old.clone();
    new.nodes.reverse();
    assert_eq!(diff(&old, &new), []);
}

#[test]
fn files_count_by_their_content() {
    let text = "[client_tls]\nmode = \"allow\"\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n[auth]\nhba_file = \"hba\"\n[[node]]\n";
    let with = |serial: &str, rule: &str| {
        let certificate = format!("-----BEGIN CERTIFICATE-----\n{serial}");
        settings_with(
            text,
            &[("c.pem", &certificate), ("k.pem", "-----BEGIN PRIVATE KEY-----"), ("hba", rule)],
        )
    };
    let old = with("1", "local all all trust");
    assert_eq!(paths(&old, &with("2", "local all all trust")), ["client_tls.certificate"]);
    assert_eq!(paths(&old, &with("1", "local all bob trust")), ["auth.hba_file"]);
    assert!(diff(&old, &with("2", "local all all trust"))[0].new.contains("content has changed"));
}

#[test]
fn a_pool_is_renewed_when_its_servers_are_reached_or_entered_differently() {
    let old = settings(BASE);
    let fate = |text: &str, database, user, node| {
        let new = settings(text);
        Reload { old: &old, new: &new }.pool(database, user, node)
    };
    let moved = BASE.replace("10.0.0.2", "10.0.0.3");
    assert_eq!(fate(&moved, "shop", "x", "pg1"), PoolFate::Keep);
    assert_eq!(fate(&moved, "shop", "x", "pg2"), PoolFate::Renew);
    let password = BASE.replace("\"one\"", "\"two\"");
    assert_eq!(fate(&password, "shop", "x", "pg1"), PoolFate::Renew);
    assert_eq!(fate(&password, "mail", "x", "pg1"), PoolFate::Keep);
    let user = BASE.replace("hunter2", "hunter3");
    assert_eq!(fate(&user, "mail", "alice", "pg1"), PoolFate::Renew);
    assert_eq!(fate(&user, "mail", "bob", "pg1"), PoolFate::Keep);
    let tls = format!("{BASE}[server_tls]\nmode = \"require\"\n");
    assert_eq!(fate(&tls, "mail", "bob", "pg1"), PoolFate::Renew);
    let size = format!("{BASE}[pool]\nsize = 3\n");
    assert_eq!(fate(&size, "mail", "bob", "pg1"), PoolFate::Keep);
    assert_eq!(fate(&BASE.replace("\"*\"", "mail"), "news", "bob", "pg1"), PoolFate::Close);
    assert_eq!(fate(&BASE.replace("pg2", "pg3"), "mail", "bob", "pg2"), PoolFate::Close);
}

#[test]
fn control_connections_are_renewed_by_their_own_settings() {
    let old = settings(BASE);
    let renewed = |text: &str, node| {
        let new = settings(text);
        Reload { old: &old, new: &new }.control(node)
    };
    assert!(!renewed(BASE, "pg1"));
    assert!(renewed(&format!("{BASE}[cluster]\nuser = \"watch\"\n"), "pg1"));
    assert!(renewed(&BASE.replace("10.0.0.1", "10.0.0.9"), "pg1"));
    assert!(!renewed(&BASE.replace("10.0.0.1", "10.0.0.9"), "pg2"));
}

#[test]
fn what_needs_a_restart_stays_as_it_runs() {
    let old = settings(BASE);
    let text = "[listen]\naddresses = [\"127.0.0.1:7000\"]\nunix_socket_dir = \"/tmp\"\n[http]\naddress = \"\"\n[pool]\nsize = 3\n";
    let new = settings(&format!("{text}{BASE}"));
    let running = Reload { old: &old, new: &new }.running();
    assert_eq!(
        (running.listen.clone(), running.http.clone()),
        (old.listen.clone(), old.http.clone())
    );
    assert_eq!(running.pool.size, 3);
    assert_eq!(Reload { old: &new, new: &old }.running().http, new.http);
}

#[test]
fn only_single_groups_have_settings_that_need_a_restart() {
    for group in catalogue().iter().filter(|group| group.form != Form::Single) {
        for setting in &group.settings {
            assert_ne!(setting.effect, Effect::Restart, "{}.{}", group.name, setting.name);
        }
    }
}
