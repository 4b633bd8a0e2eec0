//! The files that settings name, as the caller hands them in.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::Settings;

/// Reads the files that settings refer to. Paths arrive already joined with the directory of the file that names them.
pub trait Files {
    /// The content of a file as text. Implementations should refuse what is longer than [`MAX_FILE_BYTES`].
    fn read(&self, path: &Path) -> io::Result<String>;

    /// As [`Self::read`], of a file that is private: an error of the kind `PermissionDenied` if others than its owner
    /// may read or write it.
    fn read_private(&self, path: &Path) -> io::Result<String> {
        self.read(path)
    }

    /// The paths of the entries of a directory, in any order (for `include_dir` in HBA files).
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;

    /// What is wrong with the content of files that only those can tell who work with it, such as certificates and
    /// keys. A file that was found wrong already is empty in the settings.
    fn flaws(&self, _settings: &Settings) -> Vec<Flaw> {
        Vec::new()
    }
}

/// What is wrong with a file, or with several together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The setting that names it, as `client_tls.key`.
    pub setting: &'static str,
    /// The file and what is wrong with it, without anything of a secret.
    pub message: String,
}

/// The largest file that is taken: a `userlist.txt` of half a million users stays below.
pub const MAX_FILE_BYTES: usize = 64 << 20;

/// Files that exist only in memory: for tests, and for settings that name none.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles(pub BTreeMap<PathBuf, String>);

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> io::Result<String> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such file");
        self.0.get(&plain(path)).cloned().ok_or_else(missing)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let directory = plain(directory);
        Ok(self.0.keys().filter(|path| path.parent() == Some(&directory)).cloned().collect())
    }
}

/// The path without `.` parts.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// Reads a file within the size limit; the error is a sentence's end: "cannot read `x`: <error>".
pub(crate) fn read_file(files: &dyn Files, path: &Path) -> Result<String, String> {
    let text = files.read(path).map_err(|error| error.to_string())?;
    if text.len() > MAX_FILE_BYTES {
        return Err(format!("it is larger than {} MiB", MAX_FILE_BYTES >> 20));
    }
    Ok(text)
}

/// A path named in a file of `base`'s directory.
pub(crate) fn relative_to(base: &Path, path: &Path) -> PathBuf {
    match base.parent() {
        Some(directory) if path.is_relative() => directory.join(path),
        _ => path.to_owned(),
    }
}
