//! The drivers that applications use, each through Trunkline in transaction mode, with few servers
//! for many connections, so that what a driver relies on is met by another server.
//!
//! The checks of a driver are written in its own language, in `tests/drivers`; `scripts/test-deps`
//! installs the drivers.

mod common;
#[path = "drivers/rust/pgx.rs"]
mod pgx;
#[path = "drivers/rust/program.rs"]
mod program;
#[path = "drivers/rust/tokio_driver.rs"]
mod tokio_driver;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use tokio::process::Command;
use trunkline_testkit::{Cluster, Result, Trunkline};

use crate::program::{Place, root, succeed};

const USER: &str = "app";
const PASSWORD: &str = "app-password";

/// Servers of the pool: one for a listener, one that is held, and one to go on with.
const POOL_SIZE: u32 = 3;

/// So few that drivers which prepare much see their statements closed and prepared again.
const SERVER_STATEMENTS: i64 = 20;

/// The longest that the checks of one driver may take. They take seconds.
const TIME_MAX: Duration = Duration::from_secs(150);

/// A server with an application's database, and Trunkline before it.
struct Stage {
    trunkline: Trunkline,
    _cluster: Cluster,
}

impl Stage {
    async fn set() -> Result<Self> {
        let cluster = Cluster::builder()
            .setting("autovacuum", "off")
            .setting("max_prepared_transactions", 20)
            .user(USER, PASSWORD)
            .database(USER, USER)
            .start()
            .await?;
        let trunkline = Trunkline::builder()
            .cluster(&cluster)
            .user(USER, PASSWORD)
            .set("pool", "mode", "transaction")
            .set("pool", "size", POOL_SIZE)
            .set("pool", "max_prepared_statements", SERVER_STATEMENTS)
            .start()
            .await?;
        Ok(Self { trunkline, _cluster: cluster })
    }

    fn place(&self) -> Place {
        let (user, password, database) = (USER, PASSWORD, USER.to_owned());
        Place { port: self.trunkline.port(), user, password, database }
    }
}

/// Shows the lines of a driver, also when the test passes.
fn show(name: &str, lines: &str) {
    // Not `println!`, which the harness keeps to itself when a test passes.
    let mut out = std::io::stderr();
    writeln!(out, "{name}:\n{lines}").expect("stderr takes a few lines");
}

fn installed(path: PathBuf) -> Result<PathBuf> {
    ensure!(path.exists(), "{} is missing: run scripts/test-deps", path.display());
    Ok(path)
}

/// Runs a script to its end, on a stage of its own.
async fn prove(name: &str, script: impl FnOnce(&Place) -> Result<Command>) -> Result<()> {
    let stage = Stage::set().await?;
    let lines = succeed(script(&stage.place())?, TIME_MAX).await;
    let lines = lines.map_err(|error| error.context(stage.trunkline.log_tail()))?;
    show(name, &lines);
    Ok(())
}

fn python(place: &Place, script: &str) -> Result<Command> {
    let mut command = place.command(installed(root().join(".venv/bin/python"))?);
    command.arg(root().join("tests/drivers/python").join(script));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

#[tokio::test]
async fn psycopg_works_with_its_own_libpq() -> Result<()> {
    prove("psycopg", |place| python(place, "psycopg_checks.py")).await
}

/// An older libpq has no function that closes a statement; psycopg says `DEALLOCATE` instead.
#[tokio::test]
async fn psycopg_works_with_the_libpq_of_the_system() -> Result<()> {
    prove("psycopg, pure Python", |place| {
        let mut command = python(place, "psycopg_checks.py")?;
        command.env("PSYCOPG_IMPL", "python");
        Ok(command)
    })
    .await
}

#[tokio::test]
async fn asyncpg_works() -> Result<()> {
    prove("asyncpg", |place| python(place, "asyncpg_checks.py")).await
}

#[tokio::test]
async fn sqlalchemy_works() -> Result<()> {
    prove("SQLAlchemy", |place| python(place, "sqlalchemy_checks.py")).await
}

#[tokio::test]
async fn django_works() -> Result<()> {
    prove("Django", |place| python(place, "django_checks.py")).await
}

fn node(place: &Place, package: &str, script: &str) -> Result<Command> {
    let directory = root().join("tests/drivers/node");
    installed(directory.join("node_modules").join(package))?;
    let mut command = place.command("node");
    // It warns of functions that its next version will not have.
    command.arg("--no-deprecation").arg(directory.join(script));
    Ok(command)
}

#[tokio::test]
async fn node_postgres_works() -> Result<()> {
    prove("node-postgres", |place| node(place, "pg", "checks.js")).await
}

#[tokio::test]
async fn postgres_js_works() -> Result<()> {
    prove("postgres.js", |place| node(place, "postgres", "postgresjs.js")).await
}

#[tokio::test]
async fn pgjdbc_works() -> Result<()> {
    prove("pgjdbc", |place| {
        let named = std::env::var_os("TRUNKLINE_PGJDBC").map(PathBuf::from);
        let debian = || Path::new("/usr/share/java/postgresql.jar").to_owned();
        let mut command = place.command("java");
        command.arg("-cp").arg(installed(named.unwrap_or_else(debian))?);
        command.arg(root().join("tests/drivers/java/Checks.java"));
        Ok(command)
    })
    .await
}

#[tokio::test]
async fn tokio_postgres_works() -> Result<()> {
    let stage = Stage::set().await?;
    let mut lines = String::new();
    let outcome = tokio_driver::check_all(&stage.place(), &mut lines).await;
    show("tokio-postgres", &lines);
    outcome.map_err(|error| error.context(stage.trunkline.log_tail()))
}

/// The driver is Go's: its messages are said by the kit.
#[tokio::test]
async fn pipelines_as_of_pgx_work() -> Result<()> {
    let stage = Stage::set().await?;
    let outcome = pgx::check_all(&stage.place(), usize::try_from(POOL_SIZE)?).await;
    outcome.map_err(|error| error.context(stage.trunkline.log_tail()))
}
