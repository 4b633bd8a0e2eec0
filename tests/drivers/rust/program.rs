//! Programs that are run against a server, with a limit of time.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;
use tokio::time::timeout;
use trunkline_testkit::Result;

/// Where a program connects, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The port on 127.0.0.1.
    pub(crate) port: u16,
    /// The user.
    pub(crate) user: &'static str,
    /// Its password.
    pub(crate) password: &'static str,
    /// The database.
    pub(crate) database: String,
}

impl Place {
    /// The program, told by its environment where to connect, and by nothing else.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", self.user)
            .env("PGPASSWORD", self.password)
            .env("PGDATABASE", &self.database)
            .env("PGCONNECT_TIMEOUT", "20")
            .env("LC_ALL", "C.UTF-8")
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// The directory of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the program to its end.
pub(crate) async fn run(mut command: Command, limit: Duration) -> Result<Output> {
    let what = format!("{:?}", command.as_std());
    let child = command.spawn().with_context(|| format!("{what} (see scripts/test-deps)"))?;
    let output = timeout(limit, child.wait_with_output()).await;
    output.with_context(|| format!("{what} has not ended after {limit:?}"))?.context(what)
}

/// Runs the program, which must succeed, and gives what it printed.
pub(crate) async fn succeed(command: Command, limit: Duration) -> Result<String> {
    let what = format!("{:?}", command.as_std());
    let output = run(command, limit).await?;
    let text = printed(&output);
    ensure!(output.status.success(), "{what}: {}\n{text}", output.status);
    Ok(text)
}

/// What a program printed, first as a result, then as messages.
pub(crate) fn printed(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}
