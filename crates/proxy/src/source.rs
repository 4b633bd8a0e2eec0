//! Where the settings come from, and reading them again.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use trunkline_settings::{Diagnostics, Files, Loaded, MAX_FILE_BYTES, from_url, load};

/// Where the settings come from.
#[derive(Debug, Clone)]
pub struct Source {
    origin: Origin,
    /// The variables of the environment, as they were when the process started.
    environment: Vec<(String, String)>,
}

#[derive(Clone)]
enum Origin {
    File(PathBuf),
    Url(String),
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            // It may hold a password.
            Self::Url(_) => f.write_str("Url"),
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
        Self { origin: Origin::File(path), environment: environment.into_iter().collect() }
    }

    /// A connection URL, and no file.
    pub fn url(url: String, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { origin: Origin::Url(url), environment: environment.into_iter().collect() }
    }

    /// The settings file; none for a URL.
    pub fn path(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File(path) => Some(path),
            Origin::Url(_) => None,
        }
    }

    /// Reads and checks the settings.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        let environment = self.environment.iter().cloned();
        match &self.origin {
            Origin::File(path) => {
                let text = DiskFiles
                    .read(path)
                    .map_err(|error| LoadError::Unreadable { path: path.clone(), error })?;
                load(path, &text, environment, &DiskFiles).map_err(LoadError::Wrong)
            }
            Origin::Url(url) => from_url(url, environment, &DiskFiles).map_err(LoadError::Wrong),
        }
    }
}

/// The files of this machine.
#[derive(Debug, Clone, Copy)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn read(&self, path: &Path) -> io::Result<String> {
        let most = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
        let mut text = String::new();
        // One byte more than allowed, so that the reader of the text notices.
        std::fs::File::open(path)?.take(most.saturating_add(1)).read_to_string(&mut text)?;
        Ok(text)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }
}
