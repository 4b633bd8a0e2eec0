//! Where the settings come from, and reading them again.

mod disk;
mod marks;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nix::unistd::{User, geteuid};
use trunkline_settings::{Diagnostics, Loaded, decode_text, from_url, load};

pub use self::disk::DiskFiles;
use self::marks::Lookout;

/// Where the settings come from.
#[derive(Debug, Clone)]
pub struct Source {
    origin: Origin,
    /// The variables of the environment, as they were when the process started.
    environment: Vec<(String, String)>,
    /// Over the settings file and all files that it names, as they were last read.
    lookout: Arc<Mutex<Lookout>>,
}

#[derive(Clone)]
enum Origin {
    File(PathBuf),
    Url {
        url: String,
        /// The name of the system's user that the process runs as.
        system_user: Option<String>,
    },
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            // It may hold a password.
            Self::Url { .. } => f.write_str("Url"),
        }
    }
}

/// Why settings could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file itself could not be read.
    #[error("cannot read the settings file {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// Something in it is wrong; every mistake is listed.
    #[error("{0}")]
    Wrong(Diagnostics),
}

impl Source {
    /// A settings file.
    pub fn file(path: PathBuf, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::new(Origin::File(path), environment)
    }

    /// A connection URL, and no file.
    pub fn url(url: String, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        // Without an entry for our number there is no name.
        let known = User::from_uid(geteuid()).ok().flatten();
        let system_user = known.map(|user| user.name);
        Self::new(Origin::Url { url, system_user }, environment)
    }

    fn new(origin: Origin, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let environment = environment.into_iter().collect();
        Self { origin, environment, lookout: Arc::default() }
    }

    /// A file that has changed since the settings were last read, whether or not they were in order then: the settings
    /// file, or one that is named there or in another. To be asked from time to time.
    pub(crate) fn changed(&self) -> Option<PathBuf> {
        self.lookout().look()
    }

    fn lookout(&self) -> MutexGuard<'_, Lookout> {
        self.lookout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads and checks the settings.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        let files = DiskFiles::default();
        let loaded = self.load_from(&files);
        *self.lookout() = Lookout::over(files.into_marks());
        loaded
    }

    fn load_from(&self, files: &DiskFiles) -> Result<Loaded, LoadError> {
        let environment = self.environment.iter().cloned();
        match &self.origin {
            Origin::File(path) => {
                let bytes = files
                    .bytes(path)
                    .map_err(|error| LoadError::Unreadable { path: path.clone(), error })?;
                let text = decode_text(path, bytes).map_err(LoadError::Wrong)?;
                load(path, &text, environment, files).map_err(LoadError::Wrong)
            }
            Origin::Url { url, system_user } => {
                from_url(url, environment, system_user.as_deref(), files).map_err(LoadError::Wrong)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_that_the_settings_name_are_looked_at_and_a_bad_one_is_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let settings = "[[node]]\n[cluster]\npassword_file = \"control\"\n\
                        [auth]\nhba_file = \"hba\"\nuser_file = \"users\"\n";
        fs::write(at("trunkline.toml"), settings).unwrap();
        fs::write(at("control"), "secret\n").unwrap();
        fs::write(at("users"), "\"alice\" \"x\"\n").unwrap();
        fs::write(at("hba"), "include_if_exists more\nlocal all all trust\n").unwrap();
        let source = Source::file(at("trunkline.toml"), []);
        source.load().unwrap();
        // The first look sees that something has changed, the second that it has settled.
        let looks = || [source.changed(), source.changed()];
        assert_eq!(looks(), [None, None]);
        for (name, good, bad) in [
            ("trunkline.toml", settings, "[pools]\n"),
            ("control", "another\n", "two\nlines\n"),
            ("users", "\"bob\" \"x\"\n", "bob\n"),
            ("hba", "include_if_exists more\nlocal all bob trust\n", "locale\n"),
            ("more", "local all carol trust\n", "locale all\n"),
        ] {
            for (text, is_good) in [(bad, false), (good, true)] {
                fs::write(at(name), text).unwrap();
                assert_eq!(looks(), [None, Some(at(name))]);
                assert_eq!(source.load().is_ok(), is_good, "{name}: {text}");
                assert_eq!(looks(), [None, None]);
            }
        }
    }

    #[test]
    fn the_password_file_of_a_url_is_looked_at_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".pgpass");
        let home = ("HOME".to_owned(), directory.path().display().to_string());
        let source = Source::url("postgres://u@h".to_owned(), [home]);
        assert!(source.load().unwrap().settings.cluster.password.is_none());
        fs::write(&path, "*:*:*:*:p\n").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!([source.changed(), source.changed()], [None, Some(path)]);
        assert!(source.load().unwrap().settings.cluster.password.is_some());
    }
}
