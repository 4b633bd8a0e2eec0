//! User and password that a URL lacks, from where libpq takes them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::passfile::{Server, password_for};
use super::{DATABASE, Url, given};
use crate::Files;
use crate::diagnostic::{Diagnostic, Place, Report};

/// Where a URL is read: what libpq looks at beside it.
pub(crate) struct Surroundings<'a> {
    pub(crate) environment: &'a [(String, String)],
    /// The name of the system's user that the process runs as.
    pub(crate) system_user: Option<&'a str>,
    pub(crate) files: &'a dyn Files,
}

impl Surroundings<'_> {
    /// A variable that is set and not empty.
    fn variable(&self, name: &str) -> Option<String> {
        let found = self.environment.iter().find(|(known, _)| known == name)?;
        given(found.1.clone())
    }
}

impl Url {
    /// Puts in what the URL lacks: the user, then the password.
    pub(super) fn complete(&mut self, around: &Surroundings<'_>, report: &mut Report) {
        let system_user = || around.system_user.map(ToOwned::to_owned);
        self.user = self.user.take().or_else(|| around.variable("PGUSER")).or_else(system_user);
        self.password = self.password.take().or_else(|| around.variable("PGPASSWORD"));
        if self.password.is_none() {
            self.password = self.filed_password(around, report);
        }
    }

    /// The password in `passfile`, `PGPASSFILE` or `~/.pgpass`. As with libpq a file that is not there is no mistake,
    /// and one that others may read is not used.
    fn filed_password(&self, around: &Surroundings<'_>, report: &mut Report) -> Option<String> {
        let user = self.user.as_deref()?;
        let home = || around.variable("HOME").map(|home| Path::new(&home).join(".pgpass"));
        let named = self.passfile.clone().or_else(|| around.variable("PGPASSFILE"));
        let path = named.map(PathBuf::from).or_else(home)?;
        let mut warn = |message: String, help: &str| {
            report.add(Diagnostic::warning(Place::Url, message).help(help));
        };
        let text = match around.files.read_private(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => {
                let message = format!("the password file {} is not used: {error}", path.display());
                let open = error.kind() == ErrorKind::PermissionDenied;
                warn(message, if open { "only its owner may read it: chmod 600" } else { "" });
                return None;
            }
        };
        let database = self.database.as_deref().unwrap_or(DATABASE);
        let mut passwords = self
            .servers()
            .filter_map(|(host, port)| password_for(&text, &Server { host, port, database, user }));
        let first = passwords.next()?;
        if passwords.any(|other| other != first) {
            let message = format!(
                "the password file {} has different passwords for the hosts; the first is used",
                path.display()
            );
            warn(message, "one password is used for all nodes: give it in PGPASSWORD");
        }
        Some(first)
    }
}
