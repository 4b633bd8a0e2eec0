use crate::{
    Host, Loaded, MemoryFiles, Negotiation, ServerSecret, ServerTlsMode, UserPassword, from_url,
};

fn load(url: &str) -> Result<Loaded, String> {
    let files = MemoryFiles([("ca.pem".into(), "-----BEGIN CERTIFICATE-----".to_owned())].into());
    from_url(url, [], &files).map_err(|error| error.to_string())
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
        ("postgres://u@h", "no password"),
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
        ("postgres://u:hunter2@h?passfile=x", "not supported"),
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
