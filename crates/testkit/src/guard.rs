//! The guard: what ends processes and removes files, even after the test process itself has died.
//!
//! Each fixture has a directory of its own and one guard, a small shell that reads from a pipe
//! whose other end only the test process holds. When that end closes, because the fixture was
//! dropped or because the process was killed, the guard kills every process of the fixture, gives
//! back PostgreSQL's System V shared memory segment (which outlives a SIGKILL) and removes the
//! directory. There is thus one way of cleaning up, and every test exercises it.
//!
//! A process belongs to the fixture if its program is the fixture's (`postgres`, `trunkline`) and
//! its command line names the fixture's directory. That is told by `/proc/<pid>/cmdline`, which
//! everybody may read, and finds server processes whose postmaster is already gone.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::process::Account;

/// Set to anything, it keeps the files of all fixtures for a look at them.
pub const KEEP_VARIABLE: &str = "TRUNKLINE_TESTKIT_KEEP";

/// Longest path below which PostgreSQL's socket still fits into the 107 bytes of `sun_path`.
const ROOT_PATH_MAX: usize = 60;

/// Waits for the end of its input, then kills and removes. `grep` looks for the mark with its first
/// letter in brackets, so that it does not find itself.
const SCRIPT: &str = r#"
trap '' HUP INT TERM QUIT
cat >/dev/null
rest=${GUARD_MARK#?}
pattern="[${GUARD_MARK%"$rest"}]$rest"
round=0
while [ $round -lt 100 ]; do
    found=
    for file in $(grep -la "$pattern" /proc/[0-9]*/cmdline 2>/dev/null); do
        line=$(tr '\0' ' ' 2>/dev/null <"$file")
        case ${line%% *} in
            "$GUARD_PROGRAM" | "$GUARD_PROGRAM:" | */"$GUARD_PROGRAM")
                pid=${file#/proc/}
                kill -KILL "${pid%/cmdline}" 2>/dev/null && found=yes ;;
        esac
    done
    [ -z "$found" ] && break
    round=$((round + 1))
    sleep 0.02
done
for file in "$GUARD_ROOT"/*/postmaster.pid; do
    [ -f "$file" ] || continue
    set -- $(sed -n 7p "$file")
    [ -n "$2" ] && ipcrm -m "$2" 2>/dev/null
done
[ -n "$TRUNKLINE_TESTKIT_KEEP" ] || rm -rf "$GUARD_ROOT"
"#;

/// A fixture's directory, and the promise that it and the fixture's processes go away.
#[derive(Debug)]
pub struct Guard {
    root: PathBuf,
    mark: String,
    shell: Child,
}

impl Guard {
    /// Makes a fresh directory that belongs to `account` alone and watches over it and the
    /// processes named `program`.
    pub(crate) fn new(program: &str, account: Account) -> Result<Self> {
        let root = fresh_directory(account)?;
        let mark = root.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
        ensure!(!mark.is_empty(), "a directory of {} has no plain name", root.display());
        let shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .env("GUARD_ROOT", &root)
            .env("GUARD_MARK", &mark)
            .env("GUARD_PROGRAM", program)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at the terminal is for the tests, not for who cleans up after them.
            .process_group(0)
            .spawn()
            .context("cannot start a shell to clean up after the test")?;
        Ok(Self { root, mark, shell })
    }

    /// The fixture's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The last part of [`Self::root`]; no other fixture has the same.
    pub fn mark(&self) -> &str {
        &self.mark
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // The shell's rounds are limited, so this ends. Nothing can be done about a failure here.
        drop(self.shell.wait());
    }
}

/// A new directory, readable by `account` only, with a path short enough for a socket below it.
fn fresh_directory(account: Account) -> Result<PathBuf> {
    let mut base = std::env::temp_dir();
    if base.as_os_str().len() > ROOT_PATH_MAX {
        base = PathBuf::from("/tmp");
    }
    let directory = tempfile::Builder::new()
        .prefix("tk-")
        .rand_bytes(10)
        .tempdir_in(&base)
        .with_context(|| format!("cannot make a directory in {}", base.display()))?;
    account.give(directory.path())?;
    Ok(directory.keep())
}
