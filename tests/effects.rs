//! When a changed setting is felt: what the column "Takes effect" of the table of settings says, seen from outside.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{DATABASE, PASSWORD, Scene, create_role, ensure, error_in, one, run};
use trunkline_settings::Effect;
use trunkline_settings::catalogue::catalogue;
use trunkline_testkit::Result;
use trunkline_testkit::peer::{RawClient, say};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// What is seen when a setting is felt.
enum Sign {
    /// This statement of a client is refused.
    Refused(fn() -> String),
    /// A login with this password into this database succeeds, or fails.
    Login { password: &'static str, database: &'static str, succeeds: bool },
    /// The log is written as JSON.
    JsonLog,
    /// HTTP does not answer.
    NoHttp,
    /// The Unix socket has these permissions.
    SocketMode(u32),
}

/// The setting, a change of it as TOML in which `USER` stands for the client's user, and what is seen then.
type Row = (&'static str, &'static str, Sign);

const ROWS: [Row; 13] = [
    ("limits.max_message", "[limits]\nmax_message = '64KiB'", Sign::Refused(long_statement)),
    ("timeouts.query", "[timeouts]\nquery = '100ms'", Sign::Refused(slow_statement)),
    ("pool.mode", "[pool]\nmode = 'statement'", Sign::Refused(block)),
    ("databases.pool_mode", "[databases.postgres]\npool_mode = 'statement'", Sign::Refused(block)),
    ("users.pool_mode", "[users.USER]\npool_mode = 'statement'", Sign::Refused(block)),
    ("general.max_clients", "[general]\nmax_clients = 1", login(PASSWORD, DATABASE, false)),
    ("users.max_clients", "[users.USER]\nmax_clients = 1", login(PASSWORD, DATABASE, false)),
    ("users.password", "[users.USER]\npassword = 'other'", login("other", DATABASE, true)),
    ("auth.method", "[auth]\nmethod = 'trust'", login("wrong", DATABASE, true)),
    (
        "console.stats_users",
        "[console]\nstats_users = ['USER']",
        login(PASSWORD, "trunkline", true),
    ),
    ("log.format", "[log]\nformat = 'json'", Sign::JsonLog),
    ("http.address", "[http]\naddress = ''", Sign::NoHttp),
    ("listen.unix_socket_mode", "[listen]\nunix_socket_mode = '0700'", Sign::SocketMode(0o700)),
];

const fn login(password: &'static str, database: &'static str, succeeds: bool) -> Sign {
    Sign::Login { password, database, succeeds }
}

fn long_statement() -> String {
    format!("SELECT length('{}')", "x".repeat(70_000))
}

fn slow_statement() -> String {
    "SELECT pg_sleep(2)".to_owned()
}

fn block() -> String {
    "BEGIN".to_owned()
}

/// What the table says of a setting.
fn effect(table: &str, name: &str) -> Effect {
    let groups = catalogue().into_iter().filter(|group| group.name == table);
    let found = groups.flat_map(|group| group.settings).find(|setting| setting.name == name);
    found.expect("a row is about a setting that there is").effect
}

/// Whether a statement is refused; what it may have begun is ended.
async fn is_refused(client: &mut RawClient, sql: &str) -> Result<bool> {
    client.send(&say::query(sql)).await?;
    loop {
        match client.read().await?.tag {
            b'E' => return Ok(true),
            b'Z' => break,
            _ => {}
        }
    }
    run(client, "ROLLBACK").await?;
    Ok(false)
}

impl Sign {
    /// Whether the sign is seen; by this client, if it is one that clients see.
    async fn is_seen(&self, scene: &Scene<'_>, client: &mut RawClient) -> Result<bool> {
        match self {
            Self::Refused(sql) => is_refused(client, &sql()).await,
            Self::Login { password, database, succeeds } => {
                let login = scene.trunkline.raw(&scene.user, password, database).await;
                Ok(login.is_ok() == *succeeds)
            }
            Self::JsonLog => {
                Ok(scene.trunkline.log().lines().last().is_some_and(|line| line.starts_with('{')))
            }
            Self::NoHttp => Ok(scene.trunkline.get("/livez").await.is_err()),
            Self::SocketMode(mode) => {
                let name = format!(".s.PGSQL.{}", scene.trunkline.port());
                let about = fs::metadata(scene.trunkline.directory().join(name))?;
                Ok(about.permissions().mode() & 0o777 == *mode)
            }
        }
    }

    /// Whether each client sees it by itself.
    fn is_of_clients(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

#[tokio::test]
async fn settings_are_felt_when_the_table_says() -> Result<()> {
    for (number, (path, change, sign)) in ROWS.iter().enumerate() {
        let checked = check(&format!("effect{number}"), path, change, sign).await;
        checked.map_err(|error| error.context(*path))?;
    }
    Ok(())
}

async fn check(user: &str, path: &str, change: &str, sign: &Sign) -> Result<()> {
    let scene = Scene::calm(user, "[databases.postgres]\n[databases.'*']").await?;
    let mut before = scene.raw().await?;
    ensure(!sign.is_seen(&scene, &mut before).await?, "it is seen before the change")?;
    let (table, name) = path.split_once('.').expect("a setting stands in a table");
    let effect = effect(table, name);
    let told = match effect {
        Effect::Live => "(now)",
        Effect::NewConnections => "(for new connections)",
        Effect::Restart => "(after a restart only)",
    };
    scene.trunkline.reload(&change.replace("USER", user))?;
    wait_for("the log says when the change is felt", PATIENCE, async || {
        let log = scene.trunkline.log();
        let line = log.lines().find(|line| {
            line.contains(&format!("changed: {table}.")) && line.contains(&format!("{name}: "))
        });
        ensure(line.is_some_and(|line| line.contains(told)), log.clone())
    })
    .await?;
    // The loops take settings over in the order of messages: a later login tells that they have.
    let new = scene.raw().await;
    let old = sign.is_seen(&scene, &mut before).await?;
    if sign.is_of_clients() {
        let new = sign.is_seen(&scene, &mut new?).await?;
        let expected = (effect == Effect::Live, effect != Effect::Restart);
        ensure((old, new) == expected, format!("{effect:?}, but seen: {:?}", (old, new)))?;
    } else {
        ensure(old == (effect != Effect::Restart), format!("{effect:?}, but seen: {old}"))?;
    }
    if effect == Effect::Restart {
        scene.trunkline.terminate()?;
        scene.trunkline.ended().await?;
        scene.trunkline.start_again().await?;
        ensure(sign.is_seen(&scene, &mut before).await?, "it is not seen after a restart")?;
    }
    Ok(())
}

/// Where a client is on the servers.
const PLACE: &str = "SELECT current_database() || '/' || current_user";

/// Settings before and after, the database that clients name, and the place of those who come after. `USER` is their
/// user, `mover` another role.
const MOVES: [(&str, &str, &str, &str); 4] = [
    (
        "[databases.shop]\ndbname = 'postgres'",
        "[databases.shop]\ndbname = 'template1'",
        "shop",
        "template1/USER",
    ),
    (
        "[databases.shop]\ndbname = 'postgres'",
        "[databases.shop]\nuser = 'mover'\npassword = 'secret'",
        "shop",
        "postgres/mover",
    ),
    (
        "[databases.shop]\ndbname = 'postgres'",
        "[users.USER]\nserver_user = 'mover'\nserver_password = 'secret'",
        "shop",
        "postgres/mover",
    ),
    ("[databases.'*']", "[databases.postgres]\ndbname = 'template1'", "postgres", "template1/USER"),
];

#[tokio::test]
async fn clients_whom_a_change_would_move_elsewhere_are_told_at_their_next_idle_moment()
-> Result<()> {
    create_role(common::shared().await?.primary(), "mover").await?;
    for (number, row) in MOVES.iter().enumerate() {
        let moved = moves(&format!("moved{number}"), row).await;
        moved.map_err(|error| error.context(format!("{row:?}")))?;
    }
    Ok(())
}

async fn moves(user: &str, row: &(&str, &str, &str, &str)) -> Result<()> {
    let (before, after, database, place) = row;
    let scene = Scene::calm(user, &before.replace("USER", user)).await?;
    let client = async || scene.trunkline.raw(user, PASSWORD, database).await;
    let (mut fresh, mut idle, mut pinned, mut busy) =
        (client().await?, client().await?, client().await?, client().await?);
    run(&mut idle, "SELECT 1").await?;
    run(&mut pinned, "CREATE TEMP TABLE t (i int)").await?;
    run(&mut busy, "BEGIN").await?;
    let was = format!("postgres/{user}");
    assert_eq!(one(&mut busy, PLACE).await?, was);
    scene.trunkline.reload(&after.replace("USER", user))?;
    for client in [&mut fresh, &mut idle, &mut pinned] {
        error_in(&client.expect_closed().await?, "57P01")?;
    }
    // Whoever comes now is at the new place, also while a transaction is open at the old one.
    let mut new = client().await?;
    assert_eq!(one(&mut new, PLACE).await?, place.replace("USER", user));
    assert_eq!(one(&mut busy, PLACE).await?, was);
    busy.send(&say::query("COMMIT")).await?;
    let said = busy.expect_closed().await?;
    error_in(&said, "57P01")?;
    ensure(said.iter().any(|frame| frame.tag == b'C'), "the transaction was not committed")?;
    let left = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}' AND datname = 'postgres'"
    );
    wait_for("the servers of the old place are closed", PATIENCE, async || {
        let left = scene.node.query_text(DATABASE, &left).await?;
        ensure(left == "0", left)
    })
    .await?;
    assert_eq!(one(&mut new, "SELECT 1").await?, "1");
    Ok(())
}
