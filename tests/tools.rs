//! PostgreSQL's own programs through Trunkline: psql, dumps and their restoring, vacuumdb, createdb,
//! dropdb, and pgbench in all its ways with up to a thousand clients.

#[path = "drivers/rust/program.rs"]
mod program;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use trunkline_testkit::{Cluster, Result, Trunkline};

use crate::program::{Place, printed, root, run, succeed};

const USER: &str = "app";
const PASSWORD: &str = "app-password";

/// The longest that one program may take. They take seconds.
const TIME_MAX: Duration = Duration::from_secs(120);

/// Servers of the pool for pgbench.
const SERVERS: i64 = 20;

/// Descriptors that a thousand clients need on either side, with room for the servers and files.
const DESCRIPTORS_MIN: u64 = 2200;

/// A server, and Trunkline before it.
struct Stage {
    cluster: Cluster,
    trunkline: Trunkline,
}

impl Stage {
    async fn set(pool_size: i64) -> Result<Self> {
        let cluster = Cluster::builder()
            .setting("autovacuum", "off")
            .setting("max_connections", 60)
            .user(USER, PASSWORD)
            .initial_sql("postgres", &format!("ALTER ROLE {USER} CREATEDB"))
            .database(USER, USER)
            .start()
            .await?;
        let trunkline = Trunkline::builder()
            .cluster(&cluster)
            .user(USER, PASSWORD)
            .set("pool", "mode", "transaction")
            .set("pool", "size", pool_size)
            // A thousand clients of a debug build share these servers on a busy machine.
            .set("pool", "wait_timeout", "100s")
            .start()
            .await?;
        Ok(Self { cluster, trunkline })
    }

    fn place(&self) -> Place {
        let (user, password, database) = (USER, PASSWORD, USER.to_owned());
        Place { port: self.trunkline.port(), user, password, database }
    }

    /// Runs a program that must succeed; its arguments are separated by spaces.
    async fn program(&self, place: &Place, name: &str, arguments: &str) -> Result<String> {
        let mut command = place.command(name);
        command.args(arguments.split_whitespace());
        succeed(command, TIME_MAX).await.with_context(|| self.trunkline.log_tail())
    }

    /// Runs SQL and psql's own commands, one after the other, and gives what psql printed.
    async fn psql(&self, place: &Place, commands: &[&str]) -> Result<String> {
        let mut command = place.command("psql");
        command.args([
            "--no-psqlrc",
            "--quiet",
            "--no-align",
            "--tuples-only",
            "-v",
            "ON_ERROR_STOP=1",
        ]);
        for text in commands {
            command.args(["-c", text]);
        }
        succeed(command, TIME_MAX).await.with_context(|| self.trunkline.log_tail())
    }
}

/// The same place in another database.
fn within(place: &Place, database: &str) -> Place {
    Place { database: database.to_owned(), ..place.clone() }
}

#[tokio::test]
async fn psql_describes_what_is_there() -> Result<()> {
    let stage = Stage::set(2).await?;
    let place = stage.place();
    stage
        .psql(&place, &["CREATE TABLE parent (id serial PRIMARY KEY, name text NOT NULL DEFAULT 'x')",
            "CREATE VIEW view_of_it AS SELECT name FROM parent",
            "CREATE TABLE child (parent int REFERENCES parent ON DELETE CASCADE, CHECK (parent > 0))"])
        .await?;
    let tables = stage
        .psql(&place, &["\\d", "\\dt+", "\\dv", "\\df", "\\dn", "\\du", "\\l", "\\dx"])
        .await?;
    for wanted in
        ["public|parent|table|app", "public|parent_id_seq|sequence", "public|view_of_it|view"]
    {
        ensure!(tables.contains(wanted), "{wanted:?} is not in\n{tables}");
    }
    let parent = stage
        .psql(&place, &["\\pset tuples_only off", "\\d+ parent", "\\d child", "\\sv view_of_it"])
        .await?;
    for wanted in
        ["nextval('parent_id_seq'::regclass)", "\"parent_pkey\" PRIMARY KEY", "ON DELETE CASCADE"]
    {
        ensure!(parent.contains(wanted), "{wanted:?} is not in\n{parent}");
    }
    // PostgreSQL 16 and later leave out the name of the only table.
    ensure!(parent.contains("SELECT parent.name") || parent.contains("SELECT name"), "{parent}");
    // The same words as without Trunkline.
    let direct = Place { port: stage.cluster.primary().port(), ..place.clone() };
    let commands =
        ["\\pset tuples_only off", "\\d", "\\d+ parent", "\\d+ child", "\\l", "\\dconfig"];
    ensure!(stage.psql(&place, &commands).await? == stage.psql(&direct, &commands).await?);
    Ok(())
}

#[tokio::test]
async fn psql_copies_a_hundred_thousand_rows_in_and_out() -> Result<()> {
    let stage = Stage::set(2).await?;
    let place = stage.place();
    let (source, target) =
        (stage.trunkline.directory().join("in"), stage.trunkline.directory().join("out"));
    let mut lines = String::new();
    for number in 0..100_000 {
        writeln!(lines, "{number}\trow {number}")?;
    }
    fs::write(&source, &lines)?;
    let copy_in = format!("\\copy copied FROM '{}'", source.display());
    let copy_out = format!("\\copy (SELECT * FROM copied ORDER BY i) TO '{}'", target.display());
    stage.psql(&place, &["CREATE TABLE copied (i int, t text)", &copy_in, &copy_out]).await?;
    ensure!(fs::read_to_string(&target)? == lines, "the rows have changed on their way");
    fs::write(&source, "1\tgood\nbad\n")?;
    let failed = stage.psql(&place, &[&copy_in]).await;
    ensure!(failed.is_err_and(|error| format!("{error:#}").contains("invalid input syntax")));
    ensure!(stage.psql(&place, &["SELECT count(*) FROM copied"]).await?.trim() == "100000");
    Ok(())
}

#[tokio::test]
async fn psql_stops_at_ctrl_c_and_goes_on() -> Result<()> {
    let stage = Stage::set(2).await?;
    let python = root().join(".venv/bin/python");
    ensure!(python.exists(), "{} is missing: run scripts/test-deps", python.display());
    let mut command = stage.place().command(python);
    command.arg(root().join("tests/drivers/python/psql_checks.py"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    succeed(command, TIME_MAX).await.with_context(|| stage.trunkline.log_tail())?;
    Ok(())
}

/// What is dumped: names outside `public`, sequences, constraints, functions, awkward values.
const DUMPED: &str = r#"
CREATE SCHEMA shop;
CREATE TYPE shop.state AS ENUM ('new', 'paid');
CREATE TABLE shop.customer (id serial PRIMARY KEY, name text UNIQUE, born timestamptz DEFAULT '2020-01-01Z');
CREATE TABLE shop."Order" (id bigserial PRIMARY KEY, customer int REFERENCES shop.customer, state shop.state,
    price numeric(12, 3), note bytea, tags text[], details jsonb);
CREATE INDEX ON shop."Order" (state) WHERE price > 100;
CREATE FUNCTION shop.total(int) RETURNS numeric LANGUAGE sql STABLE
    AS $$ SELECT sum(price) FROM shop."Order" WHERE customer = $1 $$;
CREATE VIEW shop.debtor AS SELECT name, shop.total(id) FROM shop.customer;
CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := '\x00ff'; RETURN NEW; END $$;
INSERT INTO shop.customer (name) SELECT 'name ' || i || E'\t\\''"ü' FROM generate_series(1, 500) i;
INSERT INTO shop."Order" (customer, state, price, note, tags, details)
    SELECT 1 + i % 500, 'paid', i / 7.0, decode(md5(i::text), 'hex'), ARRAY['a,b', NULL, '"'],
    jsonb_build_object('i', i) FROM generate_series(1, 5000) i;
CREATE TRIGGER stamp BEFORE INSERT ON shop."Order" FOR EACH ROW EXECUTE FUNCTION shop.stamp();
COMMENT ON TABLE shop.customer IS 'who buys';
"#;

/// One line that tells any difference between two copies of it.
const CHECKSUM: &str = r#"
SELECT md5(string_agg(c::text, '|' ORDER BY id)) FROM shop.customer c
UNION ALL SELECT md5(string_agg(o::text, '|' ORDER BY id)) FROM shop."Order" o
UNION ALL SELECT md5(string_agg(d::text, '|' ORDER BY name)) FROM shop.debtor d
UNION ALL SELECT last_value::text FROM shop."Order_id_seq"
UNION ALL SELECT string_agg(indexdef, '|' ORDER BY indexdef) FROM pg_indexes WHERE schemaname = 'shop'
UNION ALL SELECT string_agg(conname || pg_get_constraintdef(oid), '|' ORDER BY conname)
    FROM pg_constraint WHERE connamespace = 'shop'::regnamespace
UNION ALL SELECT obj_description('shop.customer'::regclass)
"#;

#[tokio::test]
async fn a_dump_restores_to_the_same_and_leaves_others_alone() -> Result<()> {
    let stage = Stage::set(2).await?;
    let place = stage.place();
    let directory = stage.trunkline.directory();
    stage.psql(&place, &[DUMPED]).await?;
    let wanted = stage.psql(&place, &[CHECKSUM]).await?;
    ensure!(wanted.lines().count() == 7, "{wanted}");
    let other = stage.trunkline.connect(USER, PASSWORD, USER).await?;
    other.batch_execute("SET search_path = shop, public").await?;

    let (plain, custom) = (directory.join("plain.sql"), directory.join("custom.dump"));
    dump(&stage, &["-Fp", "-f"], &plain).await?;
    dump(&stage, &["-Fc", "-f"], &custom).await?;

    stage.program(&place, "createdb", "plain").await?;
    let mut restore = within(&place, "plain").command("psql");
    restore.args(["--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&plain);
    succeed(restore, TIME_MAX).await.with_context(|| stage.trunkline.log_tail())?;
    let seen = stage.psql(&within(&place, "plain"), &[CHECKSUM]).await?;
    ensure!(seen == wanted, "plain: {seen}\nnot {wanted}");

    stage.program(&place, "createdb", "custom").await?;
    for jobs in ["1", "2"] {
        let mut restore = place.command("pg_restore");
        restore
            .args(["--clean", "--if-exists", "--exit-on-error", "-d", "custom", "-j", jobs])
            .arg(&custom);
        succeed(restore, TIME_MAX).await.with_context(|| stage.trunkline.log_tail())?;
        let seen = stage.psql(&within(&place, "custom"), &[CHECKSUM]).await?;
        ensure!(seen == wanted, "custom, {jobs} jobs: {seen}\nnot {wanted}");
    }

    // pg_dump empties its search_path; nobody else may find that.
    for _ in 0..5 {
        let row = other.query_one("SELECT current_setting('search_path')", &[]).await?;
        ensure!(row.get::<_, &str>(0) == "shop, public");
        let new = stage.psql(&place, &["SHOW search_path", "SHOW statement_timeout"]).await?;
        ensure!(new == "\"$user\", public\n0\n", "{new}");
    }
    for database in ["plain", "custom"] {
        stage.program(&place, "dropdb", &format!("--force {database}")).await?;
    }
    Ok(())
}

async fn dump(stage: &Stage, arguments: &[&str], file: &Path) -> Result<()> {
    let mut command = stage.place().command("pg_dump");
    command.args(arguments).arg(file);
    succeed(command, TIME_MAX).await.with_context(|| stage.trunkline.log_tail())?;
    Ok(())
}

#[tokio::test]
async fn databases_are_made_cleaned_and_dropped() -> Result<()> {
    let stage = Stage::set(3).await?;
    let place = stage.place();
    stage.psql(&place, &["CREATE TABLE cleaned AS SELECT generate_series(1, 1000) AS i"]).await?;
    stage.program(&place, "vacuumdb", "--analyze -t cleaned app").await?;
    stage.program(&place, "vacuumdb", "--analyze-in-stages -t cleaned app").await?;
    stage.program(&place, "vacuumdb", "-j 2 --full -t cleaned app").await?;
    let seen =
        stage.psql(&place, &["SELECT reltuples FROM pg_class WHERE relname = 'cleaned'"]).await?;
    ensure!(seen.trim() == "1000", "{seen}");
    for _ in 0..2 {
        stage.program(&place, "createdb", "short_lived").await?;
        stage.psql(&within(&place, "short_lived"), &["CREATE TABLE t (i int)", "\\d"]).await?;
        stage.program(&place, "dropdb", "--force short_lived").await?;
        let mut gone = within(&place, "short_lived").command("psql");
        gone.args(["-c", "SELECT 1"]);
        let gone = run(gone, TIME_MAX).await?;
        let text = printed(&gone);
        ensure!(!gone.status.success() && text.contains("does not exist"), "{text}");
    }
    Ok(())
}

/// The clients of a run, and how many transactions each of them does.
const CROWDS: [(usize, usize); 3] = [(1, 20), (50, 5), (1000, 1)];

#[tokio::test]
async fn pgbench_runs_every_way_with_up_to_a_thousand_clients() -> Result<()> {
    ensure!(
        descriptors()? >= DESCRIPTORS_MIN,
        "a thousand clients need {DESCRIPTORS_MIN} open files: raise `ulimit -n`"
    );
    let stage = Stage::set(SERVERS).await?;
    let place = stage.place();
    stage.program(&place, "pgbench", "--initialize --quiet --scale 10").await?;
    for (clients, transactions) in CROWDS {
        for mode in ["simple", "extended", "prepared"] {
            for script in ["select-only", "tpcb-like"] {
                for connect in ["", "--connect"] {
                    let arguments = format!(
                        "--no-vacuum -M {mode} -b {script} {connect} -c {clients} -j {} -t {transactions}",
                        clients.min(4),
                    );
                    let text = stage.program(&place, "pgbench", &arguments).await?;
                    let all = clients * transactions;
                    let done = format!("number of transactions actually processed: {all}/{all}");
                    let good = text.contains(&done)
                        && text.contains("number of failed transactions: 0 ")
                        && !text.contains("error")
                        && !text.contains("aborted");
                    ensure!(good, "pgbench {arguments}\n{text}\n{}", stage.trunkline.log_tail());
                }
            }
        }
    }
    // Each TPC-B transaction adds the same to all three; none was done by half or twice.
    let sums = "SELECT count(DISTINCT s) FROM (SELECT sum(abalance) AS s FROM pgbench_accounts \
         UNION ALL SELECT sum(bbalance) FROM pgbench_branches \
         UNION ALL SELECT sum(tbalance) FROM pgbench_tellers \
         UNION ALL SELECT sum(delta) FROM pgbench_history) AS sums";
    ensure!(stage.psql(&place, &[sums]).await?.trim() == "1", "the books do not balance");
    let servers = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'";
    let servers: i64 = stage.cluster.primary().query_text("postgres", servers).await?.parse()?;
    ensure!(servers <= SERVERS, "{servers} servers");
    Ok(())
}

/// How many files this process and those that it starts may have open.
fn descriptors() -> Result<u64> {
    let limits = fs::read_to_string(PathBuf::from("/proc/self/limits"))?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)).context("no limit of files")?;
    if soft == "unlimited" { Ok(u64::MAX) } else { Ok(soft.parse()?) }
}
