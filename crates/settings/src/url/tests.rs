use std::net::{IpAddr, Ipv4Addr};

use crate::hba::{Connection, Decision, Transport};
use crate::{
    AuthMethod, Host, Loaded, MemoryFiles, Negotiation, ServerSecret, ServerTlsMode, Settings,
    UserPassword, from_url,
};

/// Variables of the environment.
type Variables = &'static [(&'static str, &'static str)];

fn load(url: &str) -> Result<Loaded, String> {
    load_with(url, &[], None)
}

/// Settings of a URL beside which there are variables, a system user, and the files of [`files`].
fn load_with(
    url: &str,
    environment: &[(&str, &str)],
    system_user: Option<&str>,
) -> Result<Loaded, String> {
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    from_url(url, environment, system_user, &files()).map_err(|error| error.to_string())
}

fn files() -> MemoryFiles {
    let passwords = "h1:5432:shop:app:of h1\nh2:5433:*:app:of h2\n";
    let files = [
        ("ca.pem", "-----BEGIN CERTIFICATE-----"),
        ("app.pem", "-----BEGIN CERTIFICATE-----"),
        ("app.key", "-----BEGIN PRIVATE KEY-----"),
        ("passwords", passwords),
        ("/home/app/.pgpass", "*:*:*:*:from home\n"),
    ];
    MemoryFiles(files.map(|(path, text)| (path.into(), text.to_owned())).into())
}

fn hosts(url: &str) -> Vec<(String, u16)> {
    let loaded = load(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    loaded.settings.nodes.iter().map(|node| (node.host.to_string(), node.port)).collect()
}

#[test]
fn hosts_become_nodes() {
    let pair = |host: &str, port| (host.to_owned(), port);
    assert_eq!(hosts("postgres://u:p@h"), [pair("h", 5432)]);
    assert_eq!(hosts("postgresql://u:p@h1:5433,h2/db"), [pair("h1", 5433), pair("h2", 5432)]);
    assert_eq!(
        hosts("postgres://u:p@[::1]:5433,[fe80::1]/"),
        [pair("::1", 5433), pair("fe80::1", 5432)]
    );
    assert_eq!(
        hosts("postgres://u:p@/db?host=/run/postgresql&port=5434"),
        [pair("/run/postgresql", 5434)]
    );
    assert_eq!(hosts("postgres://u:p@%2Frun%2Fpg/db"), [pair("/run/pg", 5432)]);
    assert_eq!(hosts("postgres://u:p@/?host=a,b&port=1"), [pair("a", 1), pair("b", 1)]);
}

#[test]
fn the_user_runs_the_control_connections_and_may_log_in() {
    let settings = load("postgres://al%40ice:p%3Aw@h/shop").unwrap().settings;
    assert_eq!(
        (settings.cluster.user.as_str(), settings.cluster.database.as_str()),
        ("al@ice", "shop")
    );
    assert_eq!(settings.cluster.password.as_ref().unwrap().expose(), "p:w");
    let user = settings.user("al@ice").unwrap();
    assert!(
        matches!(&user.password, Some(UserPassword::Plain(secret)) if secret.expose() == "p:w")
    );
    let pool = settings.pool_for("anything", "al@ice").unwrap();
    assert!(matches!(pool.server_secret, ServerSecret::Plain(secret) if secret.expose() == "p:w"));
    assert_eq!(settings.nodes[0].host, Host::Name("h".into()));
}

#[test]
fn tls_parameters_mean_what_they_mean_to_libpq() {
    let tls =
        |query: &str| load(&format!("postgres://u:p@h/?{query}")).unwrap().settings.server_tls;
    assert_eq!(tls("").mode, ServerTlsMode::Prefer);
    assert_eq!(tls("sslmode=verify-full").mode, ServerTlsMode::VerifyFull);
    assert_eq!(tls("sslrootcert=system").mode, ServerTlsMode::VerifyFull);
    assert_eq!(tls("sslmode=require&sslrootcert=ca.pem").mode, ServerTlsMode::VerifyCa);
    assert_eq!(tls("sslmode=require&sslnegotiation=direct").negotiation, Negotiation::Direct);
}

#[test]
fn what_has_no_meaning_here_is_said_aloud() {
    let loaded =
        load("postgres://u:p@h/?application_name=x&target_session_attrs=read-write").unwrap();
    assert_eq!(loaded.warnings.len(), 2);
}

#[test]
fn mistakes_are_named_without_the_password() {
    for (url, message) in [
        ("mysql://u:hunter2@h", "does not begin with postgres://"),
        ("postgres://h", "no user"),
        ("postgres://u:hunter2@", "no host"),
        ("postgres://u:hunter2%zz@h", "hexadecimal"),
        ("postgres://u:hunter2%ff@h", "not UTF-8"),
        ("postgres://u:hunter2@[::1", "bracket"),
        ("postgres://u:hunter2@[::1]x", "IPv6"),
        ("postgres://u:hunter2@h:x", "port"),
        ("postgres://u:hunter2@h:0", "port"),
        ("postgres://u:hunter2@h,h", "twice"),
        ("postgres://u:hunter2@h h", "not a host name"),
        ("postgres://u:hunter2@/?host=a,b,c&port=1,2", "3 hosts but 2 ports"),
        ("postgres://u:hunter2@h?sslmode=verify_full", "did you mean `verify-full`?"),
        ("postgres://u:hunter2@h?sslmod=require", "did you mean `sslmode`?"),
        ("postgres://u:hunter2@h?service=x", "not supported"),
        ("postgres://u:hunter2@h?sslmode", "no `=`"),
        ("postgres://u:hunter2@h?sslrootcert=system&sslmode=require", "needs sslmode=verify-full"),
        ("postgres://u:hunter2@h?sslrootcert=none.pem&sslmode=verify-ca", "cannot read `none.pem`"),
        ("postgres://u:hunter2@h?connect_timeout=soon", "connect_timeout"),
    ] {
        let error = load(url).unwrap_err();
        assert!(error.contains(message), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{url}: {error}");
    }
}

/// With which password the control connections, and the pools of the URL's user, log in.
fn passwords(settings: &Settings) -> (Option<&str>, ServerSecret) {
    let control = settings.cluster.password.as_ref().map(crate::Secret::expose);
    let user = &settings.cluster.user;
    (control, settings.pool_for("shop", user).unwrap().server_secret)
}

#[test]
fn user_and_password_come_from_where_libpq_takes_them() {
    const HOME: (&str, &str) = ("HOME", "/home/app");
    const FILE: (&str, &str) = ("PGPASSFILE", "passwords");
    let cases: [(&str, Variables, &str, &str); 10] = [
        ("postgres://url:p@h1", &[("PGUSER", "env"), ("PGPASSWORD", "env"), HOME], "url", "p"),
        ("postgres://h1", &[("PGUSER", "env"), ("PGPASSWORD", "env"), HOME], "env", "env"),
        ("postgres://h1", &[HOME], "system", "from home"),
        ("postgres://h1", &[("PGUSER", ""), ("PGPASSWORD", ""), HOME], "system", "from home"),
        ("postgres://app@h1/shop", &[FILE, HOME], "app", "of h1"),
        ("postgres://app:@h2:5433/other", &[FILE, HOME], "app", "of h2"),
        ("postgres://app@?host=h2&port=5433", &[FILE], "app", "of h2"),
        ("postgres://app@h3,h2:5433/shop", &[FILE], "app", "of h2"),
        ("postgres://app@h1/shop?passfile=/home/app/.pgpass", &[FILE], "app", "from home"),
        ("postgres://h1/?user=app&password=q", &[FILE, HOME], "app", "q"),
    ];
    for (url, environment, user, password) in cases {
        let Loaded { settings, warnings } = load_with(url, environment, Some("system")).unwrap();
        assert_eq!(warnings, [], "{url}");
        assert_eq!(settings.cluster.user, user, "{url}");
        let (control, secret) = passwords(&settings);
        assert_eq!(control, Some(password), "{url}");
        assert_eq!(secret, ServerSecret::Plain(crate::Secret::new(password)), "{url}");
        let known = settings.user(user).unwrap().password.as_ref();
        assert_eq!(known, Some(&UserPassword::Plain(crate::Secret::new(password))), "{url}");
        assert!(settings.access.rules.is_none() && settings.is_admin(user), "{url}");
    }
}

#[test]
fn hosts_with_different_passwords_are_warned_of() {
    let file = [("PGPASSFILE", "passwords")];
    let loaded = load_with("postgres://app@h1,h2:5433/shop", &file, None).unwrap();
    assert_eq!(passwords(&loaded.settings).0, Some("of h1"));
    let [warning] = loaded.warnings.as_slice() else { panic!("{:?}", loaded.warnings) };
    assert!(warning.message.contains("different passwords"), "{warning}");
    assert!(!warning.to_string().contains("of h"), "{warning}");
}

/// Whether a client from there is let in without a password.
fn is_open(settings: &Settings, user: &str, transport: Transport<'_>) -> bool {
    let connection =
        Connection { transport, tls: false, database: "shop", user, replication: false };
    match settings.decide(&connection) {
        Decision::Ask(method) => method.auth == AuthMethod::Trust,
        Decision::Refuse(_) => false,
    }
}

#[test]
fn without_a_password_only_this_machine_is_let_in_and_only_as_the_urls_user() {
    let Loaded { settings, warnings } = load("postgres://app@h1,h2/shop").unwrap();
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.message.contains("every process on this machine"), "{warning}");
    assert_eq!(passwords(&settings), (None, ServerSecret::Plain(crate::Secret::default())));
    let tcp = |address: &str| Transport::Tcp { address: address.parse().unwrap(), interfaces: &[] };
    for near in ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"] {
        assert!(is_open(&settings, "app", tcp(near)), "{near}");
        assert!(!is_open(&settings, "postgres", tcp(near)), "{near}");
    }
    assert!(is_open(&settings, "app", Transport::Local));
    for far in ["10.0.0.1", "128.0.0.1", "::2", "fe80::1", "::ffff:10.0.0.1"] {
        assert!(!is_open(&settings, "app", tcp(far)), "{far}");
    }
    assert!(settings.is_stats_user("app") && !settings.is_admin("app"));
}

#[test]
fn nobody_gets_further_without_a_password_than_the_server_would_let_him() {
    let near = Transport::Tcp { address: IpAddr::V4(Ipv4Addr::LOCALHOST), interfaces: &[] };
    let refused: [(&str, Variables, &str); 3] = [
        ("postgres://app@h/?sslcert=app.pem&sslkey=app.key", &[], "certificate"),
        ("postgres://app@/?host=/run/postgresql", &[], "Unix socket"),
        (
            "postgres://app@h",
            &[
                ("TRUNKLINE__DATABASES__SHOP__USER", "root"),
                ("TRUNKLINE__DATABASES__SHOP__PASSWORD", "x"),
            ],
            "another password",
        ),
    ];
    for (url, environment, message) in refused {
        let error = load_with(url, environment, None).unwrap_err();
        assert!(error.contains(message), "{url}: {error}");
    }
    // Whoever knows another way to let clients in has said so.
    for environment in [
        ("TRUNKLINE__USERS__APP__PASSWORD", "x"),
        ("TRUNKLINE__USERS__APP__SERVER_PASSWORD", "x"),
        ("TRUNKLINE__CLUSTER__PASSWORD", "x"),
        ("TRUNKLINE__AUTH__AUTH_QUERY", "SELECT name, password FROM logins WHERE name = $1"),
    ] {
        let loaded = load_with("postgres://app@h", &[environment], None).unwrap();
        assert!(!is_open(&loaded.settings, "app", near), "{environment:?}");
        assert!(loaded.settings.access.rules.is_none(), "{environment:?}");
    }
}
