//! Copies of data directories.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process::Account;

/// PostgreSQL refuses a data directory that others may enter.
const DIRECTORY_MODE: u32 = 0o700;

/// Files of a primary that its copy must not have.
const PRIMARY_ONLY: [&str; 2] = ["postmaster.pid", "postmaster.opts"];

/// Copies the directory `source` to `target`, which must not exist, and gives the copy to
/// `account`.
pub(super) fn copy_tree(source: &Path, target: &Path, account: Account) -> Result<()> {
    fs::create_dir(target).with_context(|| format!("cannot make {}", target.display()))?;
    fs::set_permissions(target, fs::Permissions::from_mode(DIRECTORY_MODE))?;
    account.give(target)?;
    let entries =
        fs::read_dir(source).with_context(|| format!("cannot read {}", source.display()))?;
    for entry in entries {
        let entry = entry?;
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&from, &to, account)?;
        } else if kind.is_file() {
            fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
            account.give(&to)?;
        } else {
            bail!("{} is neither a file nor a directory", from.display());
        }
    }
    Ok(())
}

/// Copies a stopped primary and marks the copy as a standby. The primary's replication slots stay
/// behind.
pub(super) fn copy_standby(primary: &Path, target: &Path, account: Account) -> Result<()> {
    copy_tree(primary, target, account)?;
    for name in PRIMARY_ONLY {
        match fs::remove_file(target.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    for slot in fs::read_dir(target.join("pg_replslot"))? {
        fs::remove_dir_all(slot?.path())?;
    }
    write(&target.join("standby.signal"), "", account)
}

/// Writes a file that belongs to `account` and that others cannot read.
pub(super) fn write(path: &Path, text: &str, account: Account) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    account.give(path)
}
