use std::path::Path;

use super::*;
use crate::MemoryFiles;

fn rules(text: &str) -> Rules {
    rules_with(text, &[])
}

fn rules_with(text: &str, files: &[(&str, &str)]) -> Rules {
    let files =
        files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
    parse(Path::new("/etc/pg_hba.conf"), text, &MemoryFiles(files))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn errors(text: &str) -> String {
    parse(Path::new("pg_hba.conf"), text, &MemoryFiles::default()).unwrap_err().to_string()
}

fn tcp(address: &str) -> Transport<'static> {
    Transport::Tcp { address: address.parse().unwrap(), interfaces: &[] }
}

fn connection<'a>(database: &'a str, user: &'a str) -> Connection<'a> {
    Connection { transport: tcp("10.1.2.3"), tls: false, database, user, replication: false }
}

fn auth(rules: &Rules, connection: &Connection<'_>) -> Option<AuthMethod> {
    match rules.decide(connection) {
        Decision::Ask(method) => Some(method.auth),
        Decision::Refuse(_) => None,
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rules = rules(
        "host shop alice 10.0.0.0/8 md5\nhost all all 10.0.0.0/8 reject\nhost all all all trust\n",
    );
    assert_eq!(auth(&rules, &connection("shop", "alice")), Some(AuthMethod::Md5));
    assert_eq!(auth(&rules, &connection("shop", "bob")), None);
    let far = Connection { transport: tcp("192.168.0.1"), ..connection("shop", "bob") };
    assert_eq!(auth(&rules, &far), Some(AuthMethod::Trust));
}

#[test]
fn a_connection_that_no_rule_matches_is_refused_in_postgresqls_words() {
    let none = Rules::default();
    let tls = Connection { tls: true, ..connection("shop", "alice") };
    let local = Connection { transport: Transport::Local, ..connection("shop", "alice") };
    let copy = Connection { replication: true, ..connection("", "rep") };
    for (connection, text) in [
        (
            connection("shop", "alice"),
            r#"no pg_hba.conf entry for host "10.1.2.3", user "alice", database "shop", no encryption"#,
        ),
        (
            tls,
            r#"no pg_hba.conf entry for host "10.1.2.3", user "alice", database "shop", SSL encryption"#,
        ),
        (
            local,
            r#"no pg_hba.conf entry for host "[local]", user "alice", database "shop", no encryption"#,
        ),
        (
            copy,
            r#"no pg_hba.conf entry for replication connection from host "10.1.2.3", user "rep", no encryption"#,
        ),
    ] {
        assert_eq!(none.decide(&connection), Decision::Refuse(text.to_owned()));
    }
    let reject = rules("host all all all reject");
    let text = r#"pg_hba.conf rejects connection for host "10.1.2.3", user "alice", database "shop", no encryption"#;
    assert_eq!(reject.decide(&connection("shop", "alice")), Decision::Refuse(text.to_owned()));
}

#[test]
fn the_kind_of_connection_must_fit() {
    for (kind, local, plain, tls) in [
        ("host", false, true, true),
        ("hostssl", false, false, true),
        ("hostnossl", false, true, false),
        ("hostgssenc", false, false, false),
        ("hostnogssenc", false, true, true),
    ] {
        let rules = rules(&format!("{kind} all all all trust"));
        let base = connection("a", "a");
        assert_eq!(
            rules.find(&Connection { transport: Transport::Local, ..base }).is_some(),
            local,
            "{kind}"
        );
        assert_eq!(rules.find(&base).is_some(), plain, "{kind}");
        assert_eq!(rules.find(&Connection { tls: true, ..base }).is_some(), tls, "{kind}");
    }
    let local = rules("local all all trust");
    assert!(
        local.find(&Connection { transport: Transport::Local, ..connection("a", "a") }).is_some()
    );
    assert!(local.find(&connection("a", "a")).is_none());
}

#[test]
fn databases_and_users_are_lists_keywords_and_expressions() {
    let rules = rules(
        "host a,\"all\",/^x\\d$ u1,u2 all md5\nhost sameuser all all password\nhost replication rep all trust\nhost all /_ro$ all scram-sha-256\n",
    );
    let found = |database, user| auth(&rules, &connection(database, user));
    assert_eq!(found("a", "u1"), Some(AuthMethod::Md5));
    assert_eq!(found("x7", "u2"), Some(AuthMethod::Md5));
    assert_eq!(found("x77", "u2"), None);
    assert_eq!(found("all", "u1"), Some(AuthMethod::Md5), "a quoted keyword is a name");
    assert_eq!(found("bob", "bob"), Some(AuthMethod::Password));
    assert_eq!(found("z", "bob_ro"), Some(AuthMethod::ScramSha256));
    assert_eq!(found("replication", "rep"), None, "the keyword is no database name");
    let copy = Connection { replication: true, ..connection("", "rep") };
    assert_eq!(auth(&rules, &copy), Some(AuthMethod::Trust));
    let other = Connection { replication: true, ..connection("z", "bob_ro") };
    assert_eq!(auth(&rules, &other), None, "`all` does not stand for replication");
}

#[test]
fn an_address_may_have_its_mask_in_a_field_of_its_own() {
    let rules = rules("host all all 10.1.0.0 255.255.0.0 md5\nhost all all fd00:: ff00:: trust");
    assert_eq!(auth(&rules, &connection("a", "a")), Some(AuthMethod::Md5));
    let outside = Connection { transport: tcp("10.2.0.1"), ..connection("a", "a") };
    assert_eq!(auth(&rules, &outside), None);
    let six = Connection { transport: tcp("fd12::1"), ..connection("a", "a") };
    assert_eq!(auth(&rules, &six), Some(AuthMethod::Trust));
}

#[test]
fn options_refine_the_method() {
    let rules = rules(
        "hostssl all all all cert map=m clientname=DN\nhostssl all all all md5 clientcert=verify-ca",
    );
    let [first, second] = rules.rules.as_slice() else { panic!("two rules") };
    assert_eq!(first.method.map.as_deref(), Some("m"));
    assert_eq!(first.method.client_name, ClientName::DistinguishedName);
    assert_eq!(first.method.certificate, CertificateDemand::Full);
    assert_eq!(second.method.certificate, CertificateDemand::Authority);
}

#[test]
fn files_are_included_relative_to_the_one_that_names_them() {
    let rules = rules_with(
        "include rules/a.conf\ninclude_if_exists none.conf\ninclude_dir rules\nhost @dbs @\"user list\" all md5\n",
        &[
            ("/etc/rules/a.conf", "host a all all trust\nhost b @names all trust\n"),
            ("/etc/rules/b.conf", "host c all all trust"),
            ("/etc/rules/.hidden.conf", "nonsense"),
            ("/etc/rules/c.txt", "nonsense"),
            ("/etc/rules/names", "n1\nn2 # comment\n"),
            ("/etc/dbs", "d1, d2\n@more\n"),
            ("/etc/more", "d3"),
            ("/etc/user list", "u"),
        ],
    );
    let spots: Vec<String> =
        rules.rules.iter().map(|rule| format!("{}:{}", rule.file.display(), rule.line)).collect();
    assert_eq!(
        spots,
        [
            "/etc/rules/a.conf:1",
            "/etc/rules/a.conf:2",
            "/etc/rules/a.conf:1",
            "/etc/rules/a.conf:2",
            "/etc/rules/b.conf:1",
            "/etc/pg_hba.conf:4"
        ]
    );
    assert_eq!(rules.rules[5].databases.len(), 3);
    assert_eq!(rules.rules[1].users, [UserMatch::Name("n1".into()), UserMatch::Name("n2".into())]);
}

#[test]
fn files_that_include_each_other_come_to_an_end() {
    let wide: String = (0..2000).map(|_| "include leaf\n").collect();
    for (text, message) in [
        ("include a\ninclude a\n", "more than 10 deep"),
        ("host @a all all trust\n", "more than 10 deep"),
        (&wide, "more than 1000 files"),
    ] {
        let files = MemoryFiles(
            [
                (PathBuf::from("a"), text.to_owned()),
                ("leaf".into(), "local all all trust".to_owned()),
            ]
            .into(),
        );
        let text = if text.starts_with("host") { "include a\n" } else { text };
        let error = parse(Path::new("top"), text, &files).unwrap_err().to_string();
        assert!(error.contains(message) && error.matches("error:").count() == 1, "{error}");
    }
}

#[test]
fn each_wrong_line_is_reported_with_what_to_write_instead() {
    for (line, message, help) in [
        ("hots all all all md5", "`hots` is not a connection type", "did you mean `host`?"),
        ("host", "ends before the database", "write host DATABASE USER ADDRESS METHOD"),
        ("local all all", "ends before the method", "write local DATABASE USER METHOD"),
        ("host all all md5", "`md5` is not an address", "write `all` for every address"),
        (
            "host all all db.example.com md5",
            "`db.example.com` is not an address",
            "host names are not looked up",
        ),
        ("host all all 10.0.0.1 md5", "has no mask", "write `10.0.0.1/32`"),
        ("host all all 10.0.0.1/99 md5", "no valid mask", "10.0.0.1/24"),
        ("host all all 10.0.0.1 ffff:: md5", "different families", ""),
        ("host all +dba all md5", "`+dba` is not supported", "list the users by name"),
        ("host samerole all all md5", "`samerole` is not supported", "by name"),
        ("local all all peer", "the method `peer` is not supported", "use `scram-sha-256`"),
        ("host all all all ldap ldapserver=x", "the method `ldap` is not supported", "auth_query"),
        ("host all all all scram", "`scram` is not a method", "did you mean `scram-sha-256`?"),
        ("host all all all cert", "`cert` needs a TLS connection", "write `hostssl`"),
        (
            "host all all all md5 clientcert=verify-ca",
            "`clientcert` needs a TLS connection",
            "hostssl",
        ),
        (
            "hostssl all all all md5 clientcert=1",
            "`1` is not a choice for clientcert",
            "verify-full",
        ),
        ("hostssl all all all md5 map=x", "`map` is for the method `cert` only", ""),
        ("hostssl all all all md5 nonsense", "is not an option", ""),
        ("host /( all all md5", "the regular expression is not valid", ""),
        ("host \"all all all md5", "the quote is not closed", ""),
        ("host @missing all all md5", "cannot read `missing`", ""),
        ("include missing", "cannot read `missing`", "include_if_exists"),
    ] {
        let text = format!("# first\n{line}\nlocal all all trust\n");
        let error = errors(&text);
        assert!(
            error.contains(message) && error.contains(help) && error.contains("pg_hba.conf:2:"),
            "{line}: {error}"
        );
        assert_eq!(error.matches("error:").count(), 1, "{line}: {error}");
    }
    assert_eq!(
        errors("host samerole +a,+b all md5\nhost all all x md5\n").matches("error:").count(),
        4
    );
}
