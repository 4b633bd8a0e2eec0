//! Completes decoded settings with the content of the files that they name.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::decode::Places;
use crate::diagnostic::{Diagnostic, Report};
use crate::files::{Files, read_file, relative_to};
use crate::source::Source;
use crate::{
    CaSource, Node, PemFile, RouteRule, Secret, Settings, UserPassword, hba, ident, userlist,
};

/// The shortest secret for salts: strangers see what is made of it, and must not be able to guess it.
const SALT_SECRET_MIN: usize = 16;

/// Reads password files, PEM files, user list, HBA and ident files, and names nodes and rules that have no name.
pub(crate) fn attach(
    settings: &mut Settings,
    places: &Places,
    source: &Source<'_>,
    files: &dyn Files,
    report: &mut Report,
) {
    let mut attacher = Attacher { places, source, files, report };
    settings.nodes.iter_mut().for_each(name_node);
    settings.routes.iter_mut().zip(1..).for_each(|(rule, number)| name_rule(rule, number));
    attacher.passwords(settings);
    attacher.certificates(settings);
    attacher.user_file(settings);
    attacher.rules(settings);
    attacher.salt(settings);
}

/// A node without a name is called by its address.
fn name_node(node: &mut Node) {
    if node.name.is_empty() {
        node.name = node.address();
    }
}

/// A rule without a name is called by its number.
fn name_rule(rule: &mut RouteRule, number: usize) {
    if rule.name.is_empty() {
        rule.name = number.to_string();
    }
}

struct Attacher<'a> {
    places: &'a Places,
    source: &'a Source<'a>,
    files: &'a dyn Files,
    report: &'a mut Report,
}

impl Attacher<'_> {
    fn passwords(&mut self, settings: &mut Settings) {
        let cluster = &mut settings.cluster;
        if let Some(secret) = self.password("cluster.password", &mut cluster.password_file) {
            cluster.password = Some(secret);
        }
        for (name, table) in &mut settings.databases.0 {
            let path = format!("databases.{name}.password");
            if let Some(secret) = self.password(&path, &mut table.password_file) {
                table.password = Some(secret);
            }
        }
        for (name, user) in &mut settings.users.0 {
            let path = format!("users.{name}.server_password");
            if let Some(secret) = self.password(&path, &mut user.server_password_file) {
                user.server_password = Some(secret);
            }
            let path = format!("users.{name}.password");
            let Some(secret) = self.password(&path, &mut user.password_file) else { continue };
            match UserPassword::parse(secret.expose()) {
                Ok(password) => user.password = Some(password),
                Err(message) => self.error(
                    &format!("{path}_file"),
                    format!("the content of the file is {message}"),
                ),
            }
        }
    }

    /// The password in the file next to the setting `path`; an error if both are given.
    fn password(&mut self, path: &str, file: &mut Option<PathBuf>) -> Option<Secret> {
        let place = format!("{path}_file");
        let file = self.resolve(file)?;
        if self.places.given(path) {
            self.error(&place, format!("`{path}` and `{place}` are both given; keep one"));
            return None;
        }
        let text = Zeroizing::new(self.read(&place, &file)?);
        let text = text
            .strip_suffix('\n')
            .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        if text.is_empty() || text.contains(['\0', '\n']) {
            let what = if text.is_empty() { "is empty" } else { "has more than one line" };
            self.error(
                &place,
                format!("the file `{}` {what}; it must hold one password", file.display()),
            );
            return None;
        }
        Some(Secret::new(text))
    }

    fn certificates(&mut self, settings: &mut Settings) {
        let client = &mut settings.client_tls;
        self.pem("client_tls.certificate", client.certificate.as_mut(), Pem::Certificate);
        self.pem("client_tls.key", client.key.as_mut(), Pem::Key);
        self.pem("client_tls.ca", client.ca.as_mut(), Pem::Certificate);
        let server = &mut settings.server_tls;
        self.pem("server_tls.certificate", server.certificate.as_mut(), Pem::Certificate);
        self.pem("server_tls.key", server.key.as_mut(), Pem::Key);
        if let CaSource::File(file) = &mut server.ca {
            self.pem("server_tls.ca", Some(file), Pem::Certificate);
        }
    }

    fn pem(&mut self, place: &str, file: Option<&mut PemFile>, expected: Pem) {
        let Some(file) = file else { return };
        file.path = relative_to(self.source.path, &file.path);
        let Some(text) = self.read(place, &file.path) else { return };
        match expected.mistake(&text) {
            Some(mistake) => {
                self.error(place, format!("the file `{}` {mistake}", file.path.display()));
            }
            None => file.pem = Secret::new(text),
        }
    }

    fn user_file(&mut self, settings: &mut Settings) {
        let Some((path, text)) = self.named("auth.user_file", &mut settings.auth.user_file) else {
            return;
        };
        for (name, password) in userlist::parse_into(&path, &text, self.report) {
            let user = settings.users.0.entry(name).or_default();
            user.password.get_or_insert(password);
        }
    }

    fn rules(&mut self, settings: &mut Settings) {
        if let Some((path, text)) = self.named("auth.hba_file", &mut settings.auth.hba_file) {
            settings.access.rules = Some(hba::parse_into(&path, &text, self.files, self.report));
        }
        if let Some((path, text)) = self.named("auth.ident_file", &mut settings.auth.ident_file) {
            settings.access.ident = ident::parse_into(&path, &text, self.files, self.report);
        }
    }

    fn salt(&mut self, settings: &mut Settings) {
        let place = "auth.salt_file";
        let Some((path, text)) = self.named(place, &mut settings.auth.salt_file) else { return };
        let text = Zeroizing::new(text);
        let secret = text.trim();
        if secret.len() < SALT_SECRET_MIN {
            let message = format!(
                "the file `{}` holds {} characters; a secret of at least {SALT_SECRET_MIN} is needed",
                path.display(),
                secret.len()
            );
            return self.error(place, message);
        }
        settings.access.salt = Some(Secret::new(secret));
    }

    /// The file that a setting names, if it names one, and its content.
    fn named(&mut self, place: &str, file: &mut Option<PathBuf>) -> Option<(PathBuf, String)> {
        let path = self.resolve(file)?;
        let text = self.read(place, &path)?;
        Some((path, text))
    }

    /// Makes the path of a setting relative to the settings file.
    fn resolve(&self, file: &mut Option<PathBuf>) -> Option<PathBuf> {
        let path = relative_to(self.source.path, file.as_deref()?);
        *file = Some(path.clone());
        Some(path)
    }

    fn read(&mut self, place: &str, path: &Path) -> Option<String> {
        match read_file(self.files, path) {
            Ok(text) => Some(text),
            Err(error) => {
                self.error(place, format!("cannot read `{}`: {error}", path.display()));
                None
            }
        }
    }

    fn error(&mut self, place: &str, message: String) {
        self.report.add(Diagnostic::error(self.places.of(place, self.source), message));
    }
}

/// What a PEM file is expected to hold.
#[derive(Clone, Copy)]
enum Pem {
    Certificate,
    Key,
}

impl Pem {
    /// What is wrong with the content, as the end of "the file ...".
    fn mistake(self, text: &str) -> Option<&'static str> {
        let has = |label: &str| text.contains(label);
        match self {
            Self::Certificate if has("-----BEGIN CERTIFICATE-----") => None,
            Self::Certificate if has("PRIVATE KEY-----") => Some("holds a key, not a certificate"),
            Self::Certificate => Some("holds no certificate in PEM form"),
            Self::Key if has("ENCRYPTED") => {
                Some("holds an encrypted key; write it without a passphrase")
            }
            Self::Key if has("PRIVATE KEY-----") => None,
            Self::Key if has("-----BEGIN CERTIFICATE-----") => {
                Some("holds a certificate, not a key")
            }
            Self::Key => Some("holds no private key in PEM form"),
        }
    }
}
