//! An installation of PostgreSQL on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Names the directory of the programs, and is believed before everything else.
pub const DIRECTORY_VARIABLE: &str = "TRUNKLINE_PG_BIN";

/// Where packages put one directory per version, with `bin` below it.
const PARENTS: [&str; 4] = ["/usr/lib/postgresql", "/usr", "/usr/local", "/opt/homebrew/opt"];

/// The programs without which there is no server.
const NEEDED: [&str; 2] = ["postgres", "initdb"];

/// The programs of one PostgreSQL version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    directory: PathBuf,
    version: String,
    major: u32,
}

impl Binaries {
    /// The installation to test with: `TRUNKLINE_PG_BIN`, else what `pg_config --bindir` says, else
    /// the newest one in the places where packages install.
    pub fn find() -> Result<Self> {
        if let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE).filter(|it| !it.is_empty()) {
            return Self::at(Path::new(&directory))
                .with_context(|| format!("{DIRECTORY_VARIABLE} names no PostgreSQL server"));
        }
        let told = pg_config_directory().and_then(|it| Self::at(&it).ok());
        told.or_else(|| Self::installed().pop()).with_context(|| {
            format!(
                "no PostgreSQL server was found. Install one (on Debian: apt-get install \
                 postgresql postgresql-contrib) or name the directory of its programs in \
                 {DIRECTORY_VARIABLE}"
            )
        })
    }

    /// Every installation in the places where packages install, the newest last.
    pub fn installed() -> Vec<Self> {
        let mut found: Vec<_> = PARENTS
            .iter()
            .filter_map(|parent| fs::read_dir(parent).ok())
            .flatten()
            .filter_map(|entry| Self::at(&entry.ok()?.path().join("bin")).ok())
            .collect();
        found.sort_by_key(|binaries| binaries.major);
        found
    }

    /// The installation whose programs are in `directory`.
    pub fn at(directory: &Path) -> Result<Self> {
        for name in NEEDED {
            let path = directory.join(name);
            ensure!(path.is_file(), "{} does not exist", path.display());
        }
        let directory = directory
            .canonicalize()
            .with_context(|| format!("{} cannot be resolved", directory.display()))?;
        let version = output(Command::new(directory.join("postgres")).arg("--version"))?;
        let major = major_of(&version)
            .with_context(|| format!("no version number in the answer {version:?}"))?;
        Ok(Self { directory, version, major })
    }

    /// The directory of the programs.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What `postgres --version` says.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The major version: 15, 16, …
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The path of a program of this installation, or of the one that the search path gives if the
    /// installation lacks it (some have no `psql` or `pgbench`).
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let here = self.directory.join(name);
        if here.is_file() {
            return Ok(here);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let elsewhere =
            std::env::split_paths(&path).map(|it| it.join(name)).find(|it| it.is_file());
        elsewhere.with_context(|| {
            format!("{name} is neither in {} nor in the search path", self.directory.display())
        })
    }
}

/// The number behind the last blank-separated word that begins with a digit, up to its point:
/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `postgres (PostgreSQL) 19devel`.
fn major_of(version: &str) -> Option<u32> {
    let (_, rest) = version.split_once("(PostgreSQL) ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// What `pg_config`, if there is one, says of the directory of the programs.
fn pg_config_directory() -> Option<PathBuf> {
    output(Command::new("pg_config").arg("--bindir")).ok().map(PathBuf::from)
}

/// The trimmed standard output of a command that ends well.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_the_server_says_of_itself() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 19devel"), Some(19));
        assert_eq!(major_of("mysqld 8"), None);
    }

    #[test]
    fn a_directory_without_a_server_is_refused_by_name() {
        let error = Binaries::at(Path::new("/nonexistent")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/postgres"), "{error}");
    }
}
