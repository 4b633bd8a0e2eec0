//! What the tests of the built program share: one server for all calm tests of a file, and a
//! Trunkline of its own, with a role of its own, for each test.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

pub mod nodes;

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Display;
use std::mem;

use tokio::sync::OnceCell;
use tokio_postgres::{Client, SimpleQueryMessage};
use trunkline_testkit::cluster::{Cluster, SUPERUSER_PASSWORD};
use trunkline_testkit::link::Link;
use trunkline_testkit::peer::{Answers, Frame, Peer, RawClient, Startup, say};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Error, Node, Result, Trunkline, TrunklineOptions};

/// The password of every role.
pub const PASSWORD: &str = "secret";

/// The database that all roles may use.
pub const DATABASE: &str = "postgres";

/// Backends of the shared server: enough for all tests of a file at once.
const BACKENDS: u32 = 300;

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

/// The server that the calm tests of this file share. It goes with the process.
pub async fn shared() -> Result<&'static Cluster> {
    CLUSTER.get_or_try_init(cluster).await
}

/// A server of the caller's own, for tests that do it harm.
pub async fn cluster() -> Result<Cluster> {
    Cluster::builder().setting("max_connections", BACKENDS).start().await
}

/// A Trunkline before a server, and a role that only this test uses.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The program.
    pub trunkline: Trunkline,
    /// The server.
    pub node: &'a Node,
    /// The role.
    pub user: String,
}

impl Scene<'static> {
    /// A scene before the shared server. `user` must be no other test's of the same file.
    pub async fn calm(user: &str, config: &str) -> Result<Self> {
        Scene::before(shared().await?, user, config).await
    }

    /// The same, and the user may give every command of the console.
    pub async fn operated(user: &str, config: &str) -> Result<Self> {
        Scene::operated_before(shared().await?, user, config).await
    }
}

impl<'a> Scene<'a> {
    /// A scene before this cluster.
    pub async fn before(cluster: &'a Cluster, user: &str, config: &str) -> Result<Self> {
        let options = Trunkline::builder().cluster(cluster).user(user, PASSWORD).config(config);
        Scene::with(cluster, user, options).await
    }

    /// The same, and the user may give every command of the console.
    pub async fn operated_before(cluster: &'a Cluster, user: &str, config: &str) -> Result<Self> {
        let options = Trunkline::builder().cluster(cluster).user(user, PASSWORD).config(config);
        Scene::with(cluster, user, options.set("console", "admin_users", vec![user])).await
    }

    /// A scene with a Trunkline of the caller's own wishes.
    pub async fn with(cluster: &'a Cluster, user: &str, options: TrunklineOptions) -> Result<Self> {
        create_role(cluster.primary(), user).await?;
        let trunkline = options.start().await?;
        Ok(Self { trunkline, node: cluster.primary(), user: user.to_owned() })
    }

    /// A scene whose Trunkline reaches the server over a link.
    pub async fn over(link: &Link, cluster: &'a Cluster, user: &str, config: &str) -> Result<Self> {
        let options = Trunkline::builder()
            .node("primary", link.address())
            .control("postgres", SUPERUSER_PASSWORD)
            .user(user, PASSWORD)
            .config(config);
        Scene::with(cluster, user, options).await
    }

    /// A client, message by message.
    pub async fn raw(&self) -> Result<RawClient> {
        self.trunkline.raw(&self.user, PASSWORD, DATABASE).await
    }

    /// A client with startup parameters.
    pub async fn raw_with(&self, parameters: &[(&str, &str)]) -> Result<RawClient> {
        let mut client = RawClient::tcp(self.trunkline.address()).await?;
        let own = [("user", self.user.as_str()), ("database", DATABASE)];
        let all = [&own, parameters].concat();
        client.login_with(say::PROTOCOL_3_0, &all, PASSWORD).await?;
        Ok(client)
    }

    /// The console, for a user whom the settings name as its operator.
    pub async fn console(&self) -> Result<Client> {
        self.trunkline.connect(&self.user, PASSWORD, "trunkline").await
    }

    /// So many clients.
    pub async fn crowd(&self, count: usize) -> Result<Vec<RawClient>> {
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(self.raw().await?);
        }
        Ok(clients)
    }

    /// So many clients, each of which holds a server in an open transaction.
    pub async fn holders(&self, count: usize) -> Result<Vec<RawClient>> {
        let mut clients = self.crowd(count).await?;
        run_each(&mut clients, "BEGIN").await?;
        Ok(clients)
    }

    /// Puts settings over the present ones, and waits until the log tells of this change.
    pub async fn reload(&self, config: &str, change: &str) -> Result<()> {
        self.trunkline.reload(config)?;
        self.trunkline.logged(change).await.map(drop)
    }

    /// Waits until so many clients wait for a server.
    pub async fn waiting_are(&self, count: usize) -> Result<()> {
        let state = format!("user=\"{}\"", self.user);
        wait_for(&format!("{count} clients wait"), PATIENCE, async || {
            let metrics = self.trunkline.get("/metrics").await?.body;
            let line = metrics.lines().find(|line| {
                line.starts_with("trunkline_pool_clients{")
                    && line.contains(&state)
                    && line.contains("state=\"waiting\"")
            });
            let waiting = line.and_then(|line| line.rsplit(' ').next()).unwrap_or("none");
            ensure(waiting == count.to_string(), waiting)
        })
        .await
    }

    /// Waits until a fresh client is served.
    pub async fn served_again(&self) -> Result<()> {
        wait_for("a later client is served", PATIENCE, async || {
            let mut client = self.raw().await?;
            let seen = one(&mut client, "SELECT 6 * 7").await?;
            ensure(seen == "42", seen)
        })
        .await
    }

    /// The process numbers of this role's servers.
    pub async fn servers(&self) -> Result<BTreeSet<u32>> {
        servers(self.node, &self.user).await
    }

    /// Waits until this role has so many servers.
    pub async fn servers_are(&self, count: usize) -> Result<BTreeSet<u32>> {
        wait_for(&format!("{} has {count} servers", self.user), PATIENCE, async || {
            let seen = self.servers().await?;
            ensure(seen.len() == count, format!("{seen:?}"))?;
            Ok(seen)
        })
        .await
    }

    /// Waits until this role has no more servers than that.
    pub async fn servers_are_at_most(&self, count: usize) -> Result<()> {
        wait_for(&format!("{} has {count} servers at most", self.user), PATIENCE, async || {
            let seen = self.servers().await?;
            ensure(seen.len() <= count, format!("{seen:?}"))
        })
        .await
    }

    /// Waits until so many servers of this role are in the given state of `pg_stat_activity`. One that is at a question of
    /// Trunkline's own, whose operators are all qualified, does not count as active.
    pub async fn in_state(&self, state: &str, count: usize) -> Result<()> {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = '{}' AND state = '{state}' \
             AND NOT (state = 'active' AND query LIKE '%OPERATOR(pg_catalog.%')",
            self.user
        );
        wait_for(&format!("{count} servers of {} are {state}", self.user), PATIENCE, async || {
            let seen = self.node.query_text(DATABASE, &sql).await?;
            if seen == count.to_string() { Ok(()) } else { Err(Error::msg(seen)) }
        })
        .await
    }
}

/// All servers of a pool, of which one at a time is free: whoever comes next gets that one.
#[derive(Debug)]
pub struct Seesaw {
    idle: RawClient,
    /// Each holds one; the first is the next to let it go.
    holders: VecDeque<RawClient>,
}

impl Seesaw {
    /// Of the servers of a pool of two, which nobody may hold.
    pub async fn of(scene: &Scene<'_>) -> Result<Self> {
        Self::held_by(scene.crowd(2).await?).await
    }

    /// Of the servers of a pool of as many as there are clients.
    pub async fn held_by(mut clients: Vec<RawClient>) -> Result<Self> {
        run_each(&mut clients, "BEGIN").await?;
        let mut holders = VecDeque::from(clients);
        let idle = let_go(&mut holders).await?;
        Ok(Self { idle, holders })
    }

    /// Another one is free from now on, each in turn.
    pub async fn tilt(&mut self) -> Result<()> {
        run(&mut self.idle, "BEGIN").await?;
        let next = let_go(&mut self.holders).await?;
        self.holders.push_back(mem::replace(&mut self.idle, next));
        Ok(())
    }
}

/// The first of them, which holds its server no longer.
async fn let_go(holders: &mut VecDeque<RawClient>) -> Result<RawClient> {
    let mut first = holders.pop_front().ok_or_else(|| Error::msg("nobody holds a server"))?;
    run(&mut first, "COMMIT").await?;
    Ok(first)
}

/// A Trunkline before a scripted server, which plays a healthy primary to the probes.
pub async fn scripted(config: &str) -> Result<(Peer, Trunkline)> {
    let probes = |startup: &Startup| startup.parameter("user") == "postgres";
    let answers = Answers::new().on(
        "pg_is_in_recovery",
        &["in_recovery", "system_identifier", "timeline"],
        &[&[Some("f"), Some("7000000000000000001"), Some("1")]],
    );
    let peer = Peer::start_with(probes, answers).await?;
    let trunkline = Trunkline::builder()
        .node("pg1", peer.address())
        .user("alice", PASSWORD)
        .config("[server_tls]\nmode = \"disable\"")
        // It has no functions that could be asked for.
        .set("pool", "hidden_state", "trust")
        .config(config)
        .start()
        .await?;
    Ok((peer, trunkline))
}

/// Makes a login role with a schema of its own.
pub async fn create_role(node: &Node, user: &str) -> Result<()> {
    node.execute(
        DATABASE,
        &format!(
            "CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'; CREATE SCHEMA AUTHORIZATION {user}"
        ),
    )
    .await
}

/// The process numbers of a role's servers, but for connections of the kit.
pub async fn servers(node: &Node, user: &str) -> Result<BTreeSet<u32>> {
    let sql = format!(
        "SELECT coalesce(string_agg(pid::text, ' '), '') FROM pg_stat_activity \
         WHERE usename = '{user}' AND application_name <> 'testkit'"
    );
    let pids = node.query_text(DATABASE, &sql).await?;
    Ok(pids.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

/// The first column of the first row.
pub async fn one(client: &mut RawClient, sql: &str) -> Result<String> {
    let rows = client.rows(sql).await?;
    let cell = rows.first().and_then(|row| row.first()).cloned().flatten();
    Ok(cell.unwrap_or_default())
}

/// Where `EXPLAIN ROUTE` says that a text goes by itself, whatever the session must find at the moment, and why.
pub async fn by_itself(client: &mut RawClient, sql: &str) -> Result<[String; 2]> {
    let rows = client.rows(&format!("EXPLAIN ROUTE {sql}")).await?;
    let told = rows.into_iter().find_map(|row| match &row[..] {
        [Some(what), Some(value)] if what == "by itself" => Some(value.clone()),
        _ => None,
    });
    let told = told.ok_or_else(|| Error::msg("EXPLAIN ROUTE does not say it"))?;
    let (route, reason) = told.split_once(": ").unwrap_or((&told, ""));
    Ok([route.to_owned(), reason.to_owned()])
}

/// The number of the backend that serves the client.
pub async fn backend(client: &mut RawClient) -> Result<u32> {
    Ok(one(client, "SELECT pg_backend_pid()").await?.parse()?)
}

/// Runs a statement that must succeed.
pub async fn run(client: &mut RawClient, sql: &str) -> Result<()> {
    client.rows(sql).await.map(drop)
}

/// Runs a statement that must succeed in each of them.
pub async fn run_each(clients: &mut [RawClient], sql: &str) -> Result<()> {
    for client in clients {
        run(client, sql).await?;
    }
    Ok(())
}

/// Runs so many statements, each of which must be answered.
pub async fn serve(client: &mut RawClient, count: usize) -> Result<()> {
    for _ in 0..count {
        assert_eq!(one(client, "SELECT 1").await?, "1");
    }
    Ok(())
}

/// Runs a statement that must fail with this SQLSTATE; gives the error.
pub async fn fails(client: &mut RawClient, sql: &str, sqlstate: &str) -> Result<Frame> {
    let frames = client.query(sql).await?;
    error_in(&frames, sqlstate)
}

/// The error among these messages, which must have this SQLSTATE.
pub fn error_in(frames: &[Frame], sqlstate: &str) -> Result<Frame> {
    let error = frames.iter().find(|frame| frame.tag == b'E');
    match error {
        Some(error) if error.sqlstate() == sqlstate => Ok(error.clone()),
        _ => Err(Error::msg(format!("no error {sqlstate} among {frames:?}"))),
    }
}

/// The error that ends a client's connection, which must have this SQLSTATE.
pub async fn ended_with(client: &mut RawClient, sqlstate: &str) -> Result<Frame> {
    let said = client.expect_closed().await?;
    error_in(said.last().map_or(&[], std::slice::from_ref), sqlstate)
}

/// A login that must have been refused with this SQLSTATE.
pub fn refused(login: Result<RawClient>, sqlstate: &str) -> Result<()> {
    let told = login.err().map_or_else(|| "let in".to_owned(), |error| format!("{error:#}"));
    ensure(told.contains(sqlstate), told)
}

/// The text of the error's message, detail and hint.
pub fn words(error: &Frame) -> String {
    let fields = error.fields();
    let part = |code| fields.get(&code).map_or("", String::as_str);
    format!("{}\n{}\n{}", part('M'), part('D'), part('H'))
}

/// Fails with what was seen.
pub fn ensure(holds: bool, seen: impl Display) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::msg(seen.to_string())) }
}

/// A column of a table of the console.
pub async fn shown(operator: &Client, command: &str, column: &str) -> Result<Vec<String>> {
    let shown = operator.simple_query(command).await?;
    let values = shown.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(column).unwrap_or_default().to_owned()),
        _ => None,
    });
    Ok(values.collect())
}

/// The reasons for which clients are pinned, as the console tells them.
pub async fn pins(operator: &Client) -> Result<Vec<String>> {
    shown(operator, "SHOW PINS", "reasons").await
}

/// Waits until these are the reasons: a server is asked behind its client's answer.
pub async fn pins_are(operator: &Client, expected: &[&str]) -> Result<()> {
    wait_for(&format!("the pins are {expected:?}"), PATIENCE, async || {
        let seen = pins(operator).await?;
        ensure(seen == expected, format!("{seen:?}"))
    })
    .await
}

/// Waits until nobody is pinned, in a scene whose user is an operator.
pub async fn nobody_is_pinned(scene: &Scene<'_>) -> Result<()> {
    pins_are(&scene.console().await?, &[]).await
}

/// Runs a statement that must succeed, by messages of the extended protocol.
pub async fn execute(client: &mut RawClient, sql: &str, values: &[Option<&str>]) -> Result<()> {
    let frames = client.exchange(&say::extended(sql, values), 1).await?;
    let done = frames.iter().any(|frame| frame.tag == b'C');
    let failed = frames.iter().any(|frame| frame.tag == b'E');
    ensure(done && !failed, format!("{sql}: {frames:?}"))
}
