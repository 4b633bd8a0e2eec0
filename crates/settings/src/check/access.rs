//! TLS, authentication, and the console.

use std::collections::BTreeSet;

use crate::hba::{CertificateDemand, RuleTransport};
use crate::{Auth, AuthMethod, CaSource, ClientTlsMode, Negotiation, ServerTlsMode};

use super::Checker;

/// How passwords are looked up.
const LOOKUP_HELP: &str = "as in SELECT usename, CASE WHEN valuntil < now() THEN NULL ELSE passwd END \
                           FROM pg_catalog.pg_shadow WHERE usename = $1";

/// Whether a query reads passwords where PostgreSQL keeps them, and not until when they are valid.
fn lets_in_the_expired(query: &str) -> bool {
    let query = query.to_ascii_lowercase();
    let has_one_of = |words: [&str; 2]| words.iter().any(|word| query.contains(word));
    has_one_of(["pg_shadow", "pg_authid"]) && !has_one_of(["valuntil", "rolvaliduntil"])
}

impl Checker<'_> {
    pub(super) fn access(&mut self) {
        self.client_tls();
        self.server_tls();
        self.methods();
        self.rules();
        self.lookup();
        self.console();
    }

    fn client_tls(&mut self) {
        let tls = &self.settings.client_tls;
        let mode = tls.mode;
        if mode != ClientTlsMode::Disable {
            for (path, there, other) in [
                ("client_tls.certificate", tls.certificate.is_some(), "certificate"),
                ("client_tls.key", tls.key.is_some(), "key"),
            ] {
                if !there {
                    let message = format!("mode \"{mode}\" needs a {other}");
                    self.error(
                        &["client_tls.mode", path],
                        message,
                        &format!("give `{other}`, a PEM file"),
                    );
                }
            }
        } else if tls.certificate.is_some() || tls.key.is_some() || tls.ca.is_some() {
            let paths =
                ["client_tls.certificate", "client_tls.key", "client_tls.ca", "client_tls.mode"];
            self.warning(
                &paths,
                "clients are not offered TLS: the mode is \"disable\"",
                "set `mode`, such as \"require\"",
            );
        }
        if mode.demands_certificate() && tls.ca.is_none() {
            let message = format!("mode \"{mode}\" needs the authorities of client certificates");
            self.error(&["client_tls.mode", "client_tls.ca"], message, "give `ca`, a PEM file");
        }
    }

    fn server_tls(&mut self) {
        let tls = &self.settings.server_tls;
        let mode = tls.mode;
        match (&tls.certificate, &tls.key) {
            (Some(_), None) => {
                let paths = ["server_tls.certificate", "server_tls.key"];
                self.error(&paths, "a certificate without its key", "give `key`, a PEM file");
            }
            (None, Some(_)) => {
                let paths = ["server_tls.key", "server_tls.certificate"];
                self.error(
                    &paths,
                    "a key without its certificate",
                    "give `certificate`, a PEM file",
                );
            }
            _ => {}
        }
        if tls.negotiation == Negotiation::Direct && !mode.demands_tls() {
            let message = format!(
                "negotiation \"direct\" does not go with mode \"{mode}\", which may do without TLS"
            );
            self.error(
                &["server_tls.negotiation", "server_tls.mode"],
                message,
                "set `mode` to \"require\" or stronger",
            );
        }
        if matches!(tls.ca, CaSource::File(_)) && !mode.verifies() {
            let message = format!(
                "`ca` has no effect: mode \"{mode}\" does not check the servers' certificates"
            );
            self.warning(
                &["server_tls.ca", "server_tls.mode"],
                message,
                "set `mode` to \"verify-ca\" or \"verify-full\"",
            );
        }
        if tls.server_name.is_some() && mode == ServerTlsMode::Disable {
            let message = "`server_name` has no effect: the mode is \"disable\"";
            self.warning(&["server_tls.server_name", "server_tls.mode"], message, "");
        }
    }

    /// What the methods in use need.
    fn methods(&mut self) {
        let auth = &self.settings.auth;
        let has_rules = auth.hba_file.is_some();
        if has_rules && auth.method != Auth::default().method {
            self.warning(
                &["auth.method"],
                "`method` has no effect: `hba_file` says it for each connection",
                "remove one of them",
            );
        }
        if self.rules_unread() {
            return;
        }
        let place = if has_rules { "auth.hba_file" } else { "auth.method" };
        let demands = self.settings.methods().map(|method| method.certificate).max();
        if demands > Some(CertificateDemand::Nothing) && self.settings.client_tls.ca.is_none() {
            let message = "client certificates are asked for, but no authority is known that they must come from";
            self.error(&[place, "client_tls.ca"], message, "give `ca` in [client_tls], a PEM file");
        }
        let passwords = self.settings.methods().any(|method| method.auth.needs_password());
        let others = self
            .settings
            .methods()
            .any(|method| !method.auth.needs_password() && method.auth != AuthMethod::Reject);
        let known = !auth.auth_query.is_empty()
            || self.settings.users.0.values().any(|user| user.password.is_some());
        if passwords && !others && !known && !self.report.failed() {
            let help = "give `auth_query` or `user_file` in [auth], or passwords in [users]";
            self.error(
                &[place],
                "no client can log in: no password is known, nor a way to look one up",
                help,
            );
        }
    }

    /// What the rules of the HBA file need from elsewhere.
    fn rules(&mut self) {
        let Some(rules) = &self.settings.access.rules else { return };
        let disabled = self.settings.client_tls.mode == ClientTlsMode::Disable;
        let mut maps = BTreeSet::new();
        for rule in &rules.rules {
            let spot = format!("{}:{}", rule.file.display(), rule.line);
            if disabled && rule.transport == RuleTransport::HostSsl {
                let message = format!("{spot} never matches: clients are not offered TLS");
                self.warning(
                    &["client_tls.mode", "auth.hba_file"],
                    message,
                    "set `mode` in [client_tls]",
                );
            }
            let Some(map) = &rule.method.map else { continue };
            maps.insert(map.as_str());
            if !self.settings.access.ident.contains(map) {
                let message = format!("{spot} names the map `{map}`, which does not exist");
                let help = if self.settings.auth.ident_file.is_some() {
                    "add it to `ident_file`"
                } else {
                    "give `ident_file` in [auth]"
                };
                self.error(&["auth.ident_file", "auth.hba_file"], message, help);
            }
        }
        let unused: Vec<&str> =
            self.settings.access.ident.names().difference(&maps).copied().collect();
        if !unused.is_empty() {
            let message = format!("no rule uses the map `{}`", unused.join("`, `"));
            self.warning(
                &["auth.ident_file"],
                message,
                "write `map=...` behind the method `cert` in `hba_file`",
            );
        }
    }

    fn lookup(&mut self) {
        let auth = &self.settings.auth;
        if auth.ident_file.is_some() && auth.hba_file.is_none() {
            let message = "`ident_file` has no effect without `hba_file`";
            self.warning(
                &["auth.ident_file"],
                message,
                "maps are named in the rules of an HBA file",
            );
        }
        if auth.auth_query.is_empty() {
            let usual = Auth::default();
            for (path, differs) in [
                ("auth.auth_database", auth.auth_database != usual.auth_database),
                ("auth.auth_query_cache", auth.auth_query_cache != usual.auth_query_cache),
                (
                    "auth.auth_query_negative_cache",
                    auth.auth_query_negative_cache != usual.auth_query_negative_cache,
                ),
            ] {
                if differs {
                    self.warning(&[path], "this has no effect without `auth_query`", "");
                }
            }
        } else if !auth.auth_query.contains("$1") {
            self.error(
                &["auth.auth_query"],
                "`auth_query` must contain `$1`, which stands for the user's name",
                LOOKUP_HELP,
            );
        } else if lets_in_the_expired(&auth.auth_query) {
            self.warning(
                &["auth.auth_query"],
                "users whose password has expired are let in: the query does not look at `VALID UNTIL`",
                LOOKUP_HELP,
            );
        }
    }

    fn console(&mut self) {
        let console = &self.settings.console;
        for (path, users) in [
            ("console.admin_users", &console.admin_users),
            ("console.stats_users", &console.stats_users),
        ] {
            let mut seen = BTreeSet::new();
            for (index, user) in users.iter().enumerate() {
                let element = format!("{path}.{index}");
                let paths = [element.as_str(), path];
                if !seen.insert(user) {
                    self.error(&paths, format!("the user `{user}` is listed twice"), "");
                }
                if user.is_empty() {
                    self.error(&paths, "the name of a user is empty", "");
                } else if self.unknown(user) {
                    let message = format!(
                        "the user `{user}` cannot log in: no password of that user is known"
                    );
                    self.error(
                        &paths,
                        message,
                        "add the user to [users] or `user_file`, or give `auth_query`",
                    );
                }
            }
        }
    }

    /// Whether there are rules that could not be read: then nothing is known of the methods, and the file's own mistake
    /// is enough.
    pub(super) fn rules_unread(&self) -> bool {
        self.settings.auth.hba_file.is_some() && self.settings.access.rules.is_none()
    }

    /// Whether it is certain that this user has no password and needs one.
    fn unknown(&self, user: &str) -> bool {
        let auth = &self.settings.auth;
        let ruled = auth.hba_file.is_some() || self.settings.access.rules.is_some();
        let needs = !ruled && auth.method.needs_password() && auth.auth_query.is_empty();
        let file_failed = auth.user_file.is_some() && self.report.failed();
        needs && !file_failed && self.settings.user(user).is_none_or(|user| user.password.is_none())
    }
}
