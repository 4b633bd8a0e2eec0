use super::*;

fn with_database(name: &str, database: Database) -> Settings {
    let mut settings = Settings::default();
    settings.databases.0.insert(name.to_owned(), database);
    settings
}

#[test]
fn the_wildcard_gives_the_defaults_under_the_clients_names() {
    let policy = Settings::default().pool_for("shop", "alice").unwrap();
    assert_eq!((policy.server_database.as_str(), policy.server_user.as_str()), ("shop", "alice"));
    assert_eq!((policy.size, policy.mode, policy.max_pinned), (20, PoolMode::Transaction, 19));
    assert_eq!(policy.server_secret, ServerSecret::Learnt);
}

#[test]
fn without_the_wildcard_other_databases_are_unknown() {
    let mut settings = with_database("shop", Database::default());
    settings.databases.0.remove(WILDCARD);
    assert!(settings.pool_for("shop", "alice").is_some());
    assert!(settings.pool_for("mail", "alice").is_none());
}

#[test]
fn the_console_is_no_pool_even_under_the_wildcard() {
    assert!(Settings::default().pool_for("pgbouncer", "alice").is_none());
    assert!(Settings::default().pool_for("trunkline", "alice").is_none());
}

#[test]
fn a_user_overrides_a_database_which_overrides_the_pool() {
    let table =
        Database { pool_size: Some(7), pool_mode: Some(PoolMode::Session), ..Database::default() };
    let mut settings = with_database("shop", table);
    settings.users.0.insert("bob".into(), User { pool_size: Some(3), ..User::default() });
    let size = |user| settings.pool_for("shop", user).unwrap().size;
    assert_eq!((size("alice"), size("bob")), (7, 3));
    assert_eq!(settings.pool_for("shop", "bob").unwrap().mode, PoolMode::Session);
    assert_eq!(settings.pool_for("other", "bob").unwrap().mode, PoolMode::Transaction);
}

#[test]
fn min_idle_never_exceeds_the_size_that_a_user_is_left_with() {
    let mut settings =
        with_database("shop", Database { min_idle: Some(10), ..Database::default() });
    settings.users.0.insert("bob".into(), User { pool_size: Some(3), ..User::default() });
    assert_eq!(settings.pool_for("shop", "bob").unwrap().min_idle, 3);
}

#[test]
fn the_servers_login_is_the_databases_then_the_users_then_the_clients() {
    let table = Database {
        user: Some("app".into()),
        password: Some(Secret::new("p1")),
        ..Database::default()
    };
    let mut settings = with_database("shop", table);
    let bob = User {
        server_user: Some("bob_rw".into()),
        server_password: Some(Secret::new("p2")),
        ..User::default()
    };
    settings.users.0.insert("bob".into(), bob);
    let eve = User { password: Some(UserPassword::parse("p3").unwrap()), ..User::default() };
    settings.users.0.insert("eve".into(), eve);
    let login = |database, user| {
        let policy = settings.pool_for(database, user).unwrap();
        (policy.server_user, policy.server_secret)
    };
    let plain = |text: &str| ServerSecret::Plain(Secret::new(text));
    assert_eq!(login("shop", "bob"), ("app".into(), plain("p1")));
    assert_eq!(login("mail", "bob"), ("bob_rw".into(), plain("p2")));
    assert_eq!(login("mail", "eve"), ("eve".into(), plain("p3")));
    assert_eq!(login("mail", "ann"), ("ann".into(), ServerSecret::Learnt));
}

#[test]
fn a_forced_role_without_a_password_cannot_use_what_other_users_logins_leave() {
    let settings =
        with_database("shop", Database { user: Some("app".into()), ..Database::default() });
    assert_eq!(settings.pool_for("shop", "alice").unwrap().server_secret, ServerSecret::Nothing);
    assert_eq!(settings.pool_for("shop", "app").unwrap().server_secret, ServerSecret::Learnt);
}

#[test]
fn admins_may_look_and_lookers_are_no_admins() {
    let mut settings = Settings::default();
    settings.console.admin_users = vec!["root".into()];
    settings.console.stats_users = vec!["graph".into()];
    assert!(settings.is_admin("root") && settings.is_stats_user("root"));
    assert!(!settings.is_admin("graph") && settings.is_stats_user("graph"));
    assert!(!settings.is_stats_user("alice"));
}

#[test]
fn the_mode_of_client_tls_holds_for_tcp_clients_on_top_of_the_rules() {
    use crate::hba::{CertificateDemand, parse};
    use crate::{AuthMethod, ClientTlsMode, MemoryFiles};

    let address = "10.0.0.1".parse().unwrap();
    let tcp = |tls| Connection {
        transport: Transport::Tcp { address, interfaces: &[] },
        tls,
        database: "shop",
        user: "alice",
        replication: false,
    };
    let local = Connection { transport: Transport::Local, ..tcp(false) };
    let certificate = |decision| match decision {
        Decision::Ask(method) => Some(method.certificate),
        Decision::Refuse(_) => None,
    };
    let mut settings = Settings::default();
    assert_eq!(settings.decide(&tcp(false)), Decision::Ask(Method::plain(AuthMethod::ScramSha256)));
    settings.client_tls.mode = ClientTlsMode::VerifyCa;
    assert_eq!(settings.decide(&tcp(false)), Decision::Refuse("SSL connection is required".into()));
    assert_eq!(certificate(settings.decide(&tcp(true))), Some(CertificateDemand::Authority));
    assert_eq!(certificate(settings.decide(&local)), Some(CertificateDemand::Nothing));
    let rules = parse(
        std::path::Path::new("hba"),
        "hostssl all all all md5 clientcert=verify-full",
        &MemoryFiles::default(),
    );
    settings.access.rules = Some(rules.unwrap());
    assert_eq!(certificate(settings.decide(&tcp(true))), Some(CertificateDemand::Full));
    settings.access.rules = None;
    settings.auth.method = AuthMethod::Reject;
    assert_eq!(certificate(settings.decide(&tcp(true))), None);
}
