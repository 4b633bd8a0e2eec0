//! Where the settings come from, and reading them again.

use std::{
    fs::Metadata,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use trunkline_settings::{
    Diagnostics, Files, Flaw, Loaded, MAX_FILE_BYTES, Settings, decode_text, from_url, load,
};

use crate::tls;

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
        Self::new(Origin::File(path), environment)
    }

    /// A connection URL, and no file.
    pub fn url(url: String, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::new(Origin::Url(url), environment)
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
            Origin::Url(url) => from_url(url, environment, &DiskFiles).map_err(LoadError::Wrong),
        }
    }
}

/// The files of this machine.
#[derive(Debug, Clone, Copy)]
pub struct DiskFiles;

impl DiskFiles {
    fn bytes(path: &Path) -> io::Result<Vec<u8>> {
        let most = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        // One byte more than allowed, so that the reader of the text notices.
        std::fs::File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Files for DiskFiles {
    fn read(&self, path: &Path) -> io::Result<String> {
        String::from_utf8(Self::bytes(path)?).map_err(|error| {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = good.split(|byte| *byte == b'\n').count();
            io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8"))
        })
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }

    fn flaws(&self, settings: &Settings) -> Vec<Flaw> {
        tls::flaws(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_text_is_told_with_the_line() {
        let path = std::env::temp_dir().join(format!("trunkline-latin1-{}", std::process::id()));
        std::fs::write(&path, b"\"bob\" \"x\"\n\"andr\xe9\" \"x\"\n").unwrap();
        let error = DiskFiles.read(&path).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(error, "line 2 is not UTF-8");
    }
}
