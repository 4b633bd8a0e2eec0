//! Fresh data directories, made by `initdb` once per version and copied ever after.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Binaries, SUPERUSER, SUPERUSER_PASSWORD, files};
use crate::process::Account;

/// How every data directory is made. Checksums are wanted for `pg_rewind` and to notice a broken
/// copy; syncing is not, for the copy is thrown away.
const INITDB_ARGUMENTS: [&str; 8] = [
    "--data-checksums",
    "--no-sync",
    "--no-instructions",
    "--encoding=UTF8",
    "--no-locale",
    "--auth-local=trust",
    "--auth-host=scram-sha-256",
    "--username",
];

/// Puts a fresh data directory for `account` at `target`, which must not exist. `root` is a
/// directory on the same file system in which `account` may write.
pub(super) fn copy_to(
    binaries: &Binaries,
    account: Account,
    root: &Path,
    target: &Path,
) -> Result<()> {
    let cache = cache_directory()?;
    let template = cache.join(name(binaries));
    if !template.exists() {
        // Test processes that start side by side make it once: the others wait here.
        let lock = File::create(cache.join("lock")).context("cannot make the lock of the cache")?;
        lock.lock().context("cannot lock the cache of data directories")?;
        if !template.exists() {
            make(binaries, account, root, &template)?;
        }
    }
    files::copy_tree(&template, target, account)
}

/// Runs `initdb` and puts the outcome into the cache. Renamed last, so that a template that exists
/// is whole.
fn make(binaries: &Binaries, account: Account, root: &Path, template: &Path) -> Result<()> {
    let (fresh, password) = (root.join("initdb"), root.join("initdb-password"));
    files::write(&password, SUPERUSER_PASSWORD, account)?;
    let mut command = Command::new(binaries.directory().join("initdb"));
    command.args(INITDB_ARGUMENTS).arg(SUPERUSER).arg("--pgdata").arg(&fresh);
    command.arg("--pwfile").arg(&password).current_dir("/");
    account.run_as(&mut command);
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "initdb: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let unfinished = template.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).context("cannot remove what an earlier test left")?;
    }
    files::copy_tree(&fresh, &unfinished, Account::OURS)?;
    fs::rename(&unfinished, template)?;
    fs::remove_file(&password)?;
    fs::remove_dir_all(&fresh)?;
    Ok(())
}

/// A name that differs whenever the outcome of `initdb` may differ.
fn name(binaries: &Binaries) -> String {
    let mut hasher = DefaultHasher::new();
    (binaries.directory(), binaries.version(), INITDB_ARGUMENTS, SUPERUSER, SUPERUSER_PASSWORD)
        .hash(&mut hasher);
    format!("pg{}-{:016x}", binaries.major(), hasher.finish())
}

/// The directory that all test processes of this user share. In a directory that everybody may
/// write to, a name that can be guessed must not be trusted unless it is ours.
fn cache_directory() -> Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let path = std::env::temp_dir().join(format!("trunkline-testkit-{user}"));
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        other => other.with_context(|| format!("cannot make {}", path.display()))?,
    }
    let found = fs::symlink_metadata(&path)?;
    ensure!(
        found.is_dir() && found.uid() == user && found.mode().trailing_zeros() >= 6,
        "{} exists but is not a directory of user {user} alone: remove it",
        path.display()
    );
    Ok(path)
}
