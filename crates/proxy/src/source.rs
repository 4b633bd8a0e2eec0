//! Where the settings come from, and reading them again.

mod disk;

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use nix::unistd::{User, geteuid};
use trunkline_settings::{Diagnostics, Loaded, decode_text, from_url, load};

pub use self::disk::DiskFiles;

/// Where the settings come from.
#[derive(Debug, Clone)]
pub struct Source {
    origin: Origin,
    /// The variables of the environment, as they were when the process started.
    environment: Vec<(String, String)>,
    /// The settings file as it was just before it was last read: what changes after that is noticed, even if it
    /// changes while it is read.
    read: Arc<Mutex<Option<Mark>>>,
}

/// What is different about a file that has been changed or replaced: its inode, modification time and size.
type Mark = (u64, i64, i64, u64);

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
        Self { origin, environment, read: Arc::default() }
    }

    /// Whether the settings file is another one, or has other contents, than when it was last read.
    pub(crate) fn has_changed(&self) -> bool {
        let now = self.mark();
        now != *self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self) -> Option<Mark> {
        let Origin::File(path) = &self.origin else { return None };
        let about =
            |about: Metadata| (about.ino(), about.mtime(), about.mtime_nsec(), about.size());
        std::fs::metadata(path).ok().map(about)
    }

    /// Reads and checks the settings.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = self.mark();
        let environment = self.environment.iter().cloned();
        match &self.origin {
            Origin::File(path) => {
                let bytes = DiskFiles::bytes(path)
                    .map_err(|error| LoadError::Unreadable { path: path.clone(), error })?;
                let text = decode_text(path, bytes).map_err(LoadError::Wrong)?;
                load(path, &text, environment, &DiskFiles).map_err(LoadError::Wrong)
            }
            Origin::Url { url, system_user } => {
                from_url(url, environment, system_user.as_deref(), &DiskFiles)
                    .map_err(LoadError::Wrong)
            }
        }
    }
}
