//! The files that settings name, on this machine's disk.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use trunkline_settings::{Files, Flaw, MAX_FILE_BYTES, Settings};

use super::marks::Marks;
use crate::tls;

/// The permissions of others than the owner.
const OF_OTHERS: u32 = 0o077;

/// The files of this machine, and which of them were read.
#[derive(Debug, Default)]
pub struct DiskFiles {
    read: RefCell<Marks>,
}

impl DiskFiles {
    pub(super) fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.note(path);
        contents(File::open(path)?)
    }

    fn note(&self, path: &Path) {
        self.read.borrow_mut().note(path);
    }

    /// How the files that were read were just before.
    pub(super) fn into_marks(self) -> Marks {
        self.read.into_inner()
    }
}

fn contents(file: File) -> io::Result<Vec<u8>> {
    let most = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    // One byte more than allowed, so that the reader of the text notices.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.split(|byte| *byte == b'\n').count();
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8"))
    })
}

impl Files for DiskFiles {
    fn read(&self, path: &Path) -> io::Result<String> {
        text(self.bytes(path)?)
    }

    fn read_private(&self, path: &Path) -> io::Result<String> {
        self.note(path);
        // Before it is opened: opening a pipe would wait for its writer.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
        }
        let file = File::open(path)?;
        if file.metadata()?.mode() & OF_OTHERS != 0 {
            let message = "its permissions let group or others at it";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        text(contents(file)?)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        self.note(directory);
        std::fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }

    fn flaws(&self, settings: &Settings) -> Vec<Flaw> {
        tls::flaws(settings)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_file_that_is_no_text_is_told_with_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("latin1");
        fs::write(&path, b"\"bob\" \"x\"\n\"andr\xe9\" \"x\"\n").unwrap();
        let error = DiskFiles::default().read(&path).unwrap_err().to_string();
        assert_eq!(error, "line 2 is not UTF-8");
    }

    #[test]
    fn a_private_file_is_read_only_if_nobody_else_may() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".pgpass");
        let kind =
            |path: &Path| DiskFiles::default().read_private(path).map_err(|error| error.kind());
        assert_eq!(kind(&path), Err(io::ErrorKind::NotFound));
        assert_eq!(kind(directory.path()), Err(io::ErrorKind::InvalidInput));
        fs::write(&path, "secret").unwrap();
        for (mode, expected) in [
            (0o600, Ok("secret".to_owned())),
            (0o400, Ok("secret".to_owned())),
            (0o640, Err(io::ErrorKind::PermissionDenied)),
            (0o604, Err(io::ErrorKind::PermissionDenied)),
            (0o620, Err(io::ErrorKind::PermissionDenied)),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(kind(&path), expected, "{mode:o}");
        }
    }
}
