//! Listeners with a role: one leads to the primary, one to standbys, for programs that know two addresses.

mod common;

use std::net::SocketAddr;
use std::process::Command;

use common::{DATABASE, PASSWORD, Scene, ensure, error_in, fails, one, run, words};
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{Frame, RawClient, say};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Error, Node, Result};

const LISTENERS: &str = "[listen]\nprimary_addresses = [\"127.0.0.1:0\"]\n\
    standby_addresses = [\"127.0.0.2:0\"]\n[cluster]\nprobe_interval = \"100ms\"\n[general]\nworkers = 1";

async fn cluster(standbys: usize) -> Result<Cluster> {
    let options = Cluster::builder().standbys(standbys).setting("max_connections", 60);
    options.setting("log_statement", "all").start().await
}

async fn scene<'a>(cluster: &'a Cluster, user: &str, config: &str) -> Result<Scene<'a>> {
    let scene = Scene::before(cluster, user, &format!("{LISTENERS}\n{config}")).await?;
    cluster.caught_up().await?;
    Ok(scene)
}

/// Where the listener of this role listens.
fn listener(scene: &Scene<'_>, role: &str) -> Result<SocketAddr> {
    let log = scene.trunkline.log();
    let line = log.lines().find(|line| line.contains("listening") && line.contains(role));
    let line = line.ok_or_else(|| Error::msg(log.clone()))?;
    let words = line.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'));
    let found = words.filter(|word| word.contains("127.0.0.")).find_map(|word| word.parse().ok());
    found.ok_or_else(|| Error::msg(line.to_owned()))
}

async fn connect(scene: &Scene<'_>, role: &str) -> Result<RawClient> {
    let mut client = RawClient::tcp(listener(scene, role)?).await?;
    let own = [("user", scene.user.as_str()), ("database", DATABASE)];
    client.login_with(say::PROTOCOL_3_0, &own, PASSWORD).await?;
    Ok(client)
}

/// The port of the node that serves the client.
async fn port(client: &mut RawClient) -> Result<u16> {
    Ok(one(client, "SELECT inet_server_port()").await?.parse()?)
}

fn is_standby(port: u16, cluster: &Cluster) -> bool {
    cluster.standbys().iter().any(|node| node.port() == port)
}

async fn furnish(scene: &Scene<'_>, cluster: &Cluster) -> Result<()> {
    let schema = &scene.user;
    let sql = format!(
        "SET search_path = {schema}; SET ROLE {schema}; CREATE TABLE t (i int); CREATE SEQUENCE ticket"
    );
    scene.node.execute(DATABASE, &sql).await?;
    cluster.caught_up().await
}

#[tokio::test]
async fn each_listener_leads_where_it_says_whatever_is_sent() -> Result<()> {
    let cluster = cluster(1).await?;
    for (user, config) in [
        ("ports_off", "[routing]\nmode = \"off\""),
        ("ports_on", "[routing]\nmode = \"on\""),
        ("ports_session", "[pool]\nmode = \"session\""),
    ] {
        let scene = scene(&cluster, user, config).await?;
        furnish(&scene, &cluster).await?;
        let mut primary = connect(&scene, "primary").await?;
        for _ in 0..5 {
            assert_eq!(port(&mut primary).await?, cluster.primary().port());
            run(&mut primary, "INSERT INTO t VALUES (1)").await?;
            cluster.caught_up().await?;
        }
        assert_eq!(one(&mut primary, "SHOW in_hot_standby").await?, "off");
        let mut standby = settled(&scene, &cluster).await?;
        for (show, value) in [
            ("SHOW transaction_read_only", "on"),
            ("SHOW in_hot_standby", "on"),
            ("SELECT pg_is_in_recovery()", "t"),
            ("SELECT count(*) FROM t", "5"),
        ] {
            assert_eq!(one(&mut standby, show).await?, value, "{show}");
        }
        // Whatever is sent goes there, and is answered by the standby itself.
        for sql in [
            "INSERT INTO t VALUES (1)",
            "CREATE TABLE u (i int)",
            "SELECT i FROM t FOR UPDATE",
            "CREATE TEMPORARY TABLE u (i int)",
            "SELECT nextval('ticket')",
        ] {
            let told = words(&fails(&mut standby, sql, "25006").await?);
            assert!(told.contains("read-only transaction"), "{told}");
        }
        // Also what is not known at once to be what.
        for length in [2_000, 40_000] {
            let long = format!("INSERT INTO t SELECT 1 WHERE '{}' <> ''", "x".repeat(length));
            fails(&mut standby, &long, "25006").await?;
        }
        fails(&mut standby, "LISTEN news", "25006").await?;
        run(&mut standby, "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT i FROM t; COMMIT").await?;
        assert_eq!(one(&mut standby, "FETCH c").await?, "1");
        run(&mut standby, "CLOSE c").await?;
        run(&mut standby, "SET work_mem = '1MB'").await?;
        assert_eq!(one(&mut standby, "SHOW work_mem").await?, "1MB");
        let insert = say::extended("INSERT INTO t VALUES ($1)", &[Some("1")]);
        error_in(&standby.exchange(&insert, 1).await?, "25006")?;
    }
    Ok(())
}

/// What psql prints that connects by libpq's rules.
fn psql(
    cluster: &Cluster,
    scene: &Scene<'_>,
    addresses: &[SocketAddr],
    attributes: &str,
) -> Result<String> {
    let list =
        |of: &dyn Fn(&SocketAddr) -> String| addresses.iter().map(of).collect::<Vec<_>>().join(",");
    let (hosts, ports) = (list(&|it| it.ip().to_string()), list(&|it| it.port().to_string()));
    let user = &scene.user;
    let conninfo = format!(
        "host={hosts} port={ports} user={user} password={PASSWORD} dbname={DATABASE} \
         target_session_attrs={attributes}"
    );
    let mut command = Command::new(cluster.binaries().program("psql")?);
    command.args(["--no-psqlrc", "--no-align", "--tuples-only", "-c"]);
    command.args(["SELECT pg_is_in_recovery(), inet_server_port()", &conninfo]);
    let done = command.output()?;
    let told = String::from_utf8_lossy(&done.stderr);
    ensure(done.status.success(), format!("{attributes}: {told}"))?;
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

#[tokio::test]
async fn libpq_finds_the_session_that_it_looks_for() -> Result<()> {
    let cluster = cluster(1).await?;
    let scene = scene(&cluster, "attributes", "[routing]\nmode = \"on\"").await?;
    let addresses = [listener(&scene, "standby")?, listener(&scene, "primary")?];
    let turned = [addresses[1], addresses[0]];
    let any = [scene.trunkline.address()];
    let standby = format!("t|{}", cluster.standby(0)?.port());
    let primary = format!("f|{}", cluster.primary().port());
    for (attributes, expected) in [
        ("read-write", &primary),
        ("primary", &primary),
        ("standby", &standby),
        ("read-only", &standby),
        ("prefer-standby", &standby),
    ] {
        for list in [&addresses, &turned] {
            assert_eq!(&psql(&cluster, &scene, list, attributes)?, expected, "{attributes}");
        }
    }
    // The ordinary listener shows the primary.
    for attributes in ["any", "read-write", "primary"] {
        assert_eq!(&psql(&cluster, &scene, &any, attributes)?, &primary, "{attributes}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_more_particular_than_a_listener_counts() -> Result<()> {
    let cluster = cluster(1).await?;
    let scene = scene(&cluster, "particular", "[routing]\nmode = \"on\"").await?;
    furnish(&scene, &cluster).await?;
    let mut standby = settled(&scene, &cluster).await?;
    wait_for("a hint leads to the primary", PATIENCE, async || {
        run(&mut standby, "/* trunkline:primary */ INSERT INTO t VALUES (1)").await
    })
    .await?;
    let long = "x".repeat(40_000);
    run(
        &mut standby,
        &format!("/* trunkline:primary */ INSERT INTO t SELECT 1 WHERE '{long}' <> ''"),
    )
    .await?;
    run(&mut standby, "SET trunkline.route = 'primary'").await?;
    run(&mut standby, "INSERT INTO t VALUES (1)").await?;
    run(&mut standby, "RESET trunkline.route").await?;
    // What it has written, it finds.
    assert_eq!(one(&mut standby, "SELECT count(*) FROM t").await?, "3");
    assert!(is_standby(port(&mut standby).await?, &cluster));
    let mut primary = connect(&scene, "primary").await?;
    run(&mut primary, "SET trunkline.route = 'any'").await?;
    let mark = "SELECT 'elsewhere '";
    wait_for("a read goes to a standby", PATIENCE, async || {
        run(&mut primary, mark).await?;
        ensure(cluster.standby(0)?.log().contains(mark), "it does not")
    })
    .await
}

/// Kills a node, and waits until Trunkline has seen that its server connections, which are all that the role has, are gone.
async fn kill(node: &Node, scene: &Scene<'_>) -> Result<()> {
    node.kill().await?;
    let user = format!("user=\"{}\"", scene.user);
    wait_for("no server connection is left", PATIENCE, async || {
        let metrics = scene.trunkline.get("/metrics").await?.body;
        let own = metrics.lines().filter(|line| line.starts_with("trunkline_pool_servers{"));
        let mut own = own.filter(|line| line.contains(&user));
        let left = own.find(|line| !line.ends_with(" 0"));
        ensure(left.is_none(), left.unwrap_or_default())
    })
    .await
}

/// A client by the listener of standbys, as soon as one serves it.
async fn settled(scene: &Scene<'_>, cluster: &Cluster) -> Result<RawClient> {
    wait_for("a standby serves", PATIENCE, async || {
        let mut client = connect(scene, "standby").await?;
        let port = port(&mut client).await?;
        ensure(is_standby(port, cluster), port)?;
        Ok(client)
    })
    .await
}

#[tokio::test]
async fn without_a_standby_the_primary_serves_the_session_if_the_settings_say_so() -> Result<()> {
    let cluster = cluster(1).await?;
    let scene = scene(&cluster, "falling", "[routing]\nfallback = \"primary\"").await?;
    furnish(&scene, &cluster).await?;
    let mut client = settled(&scene, &cluster).await?;
    cluster.standby(0)?.kill().await?;
    let mut new = wait_for("the primary serves a new session", PATIENCE, async || {
        let mut client = connect(&scene, "standby").await?;
        let port = port(&mut client).await?;
        ensure(port == cluster.primary().port(), port)?;
        Ok(client)
    })
    .await?;
    assert_eq!(port(&mut client).await?, cluster.primary().port());
    run(&mut client, "INSERT INTO t VALUES (1)").await?;
    cluster.standby(0)?.start().await?;
    for client in [&mut client, &mut new] {
        wait_for("the standby serves it again", PATIENCE, async || {
            ensure(is_standby(port(client).await?, &cluster), "the primary does")
        })
        .await?;
        assert_eq!(one(client, "SELECT count(*) FROM t").await?, "1");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_standby_a_session_is_told_so_if_the_settings_say_so() -> Result<()> {
    let cluster = cluster(1).await?;
    let scene = scene(&cluster, "telling", "[routing]\nfallback = \"error\"").await?;
    let mut client = settled(&scene, &cluster).await?;
    kill(cluster.standby(0)?, &scene).await?;
    let told = words(&fails(&mut client, "SELECT 1", "57P03").await?);
    assert!(told.contains("no standby can serve this session"), "{told}");
    let frames = client.exchange(&say::extended("SELECT 1", &[]), 1).await?;
    error_in(&frames, "57P03")?;
    wait_for("nobody is let in", PATIENCE, async || {
        common::refused(connect(&scene, "standby").await, "57P03")
    })
    .await?;
    // The others are served.
    run(&mut connect(&scene, "primary").await?, "SELECT 1").await?;
    run(&mut scene.raw().await?, "SELECT 1").await?;
    cluster.standby(0)?.start().await?;
    wait_for("it is served again", PATIENCE, async || run(&mut client, "SELECT 1").await).await
}

#[tokio::test]
async fn without_a_standby_a_session_waits_for_one() -> Result<()> {
    let cluster = cluster(1).await?;
    let scene = scene(&cluster, "waiting", "[pool]\nwait_timeout = \"60s\"").await?;
    let mut client = settled(&scene, &cluster).await?;
    kill(cluster.standby(0)?, &scene).await?;
    client.send(&say::query("SELECT inet_server_port()")).await?;
    let login = connect(&scene, "standby");
    let (new, again) = tokio::join!(login, cluster.standby(0)?.start());
    again?;
    assert!(is_standby(port(&mut new?).await?, &cluster));
    let frames = client.read_until(b'Z').await?;
    ensure(frames.iter().any(|frame| frame.tag == b'D'), format!("{frames:?}"))
}

#[tokio::test]
async fn a_session_waits_for_a_standby_no_longer_than_for_a_server() -> Result<()> {
    let cluster = cluster(1).await?;
    let scene = scene(&cluster, "tired", "[pool]\nwait_timeout = \"300ms\"").await?;
    let mut client = settled(&scene, &cluster).await?;
    kill(cluster.standby(0)?, &scene).await?;
    let told = words(&fails(&mut client, "SELECT 1", "57P03").await?);
    assert!(told.contains("300ms") && told.contains("pool.wait_timeout"), "{told}");
    wait_for("nobody is let in", PATIENCE, async || {
        common::refused(connect(&scene, "standby").await, "57P03")
    })
    .await?;
    cluster.standby(0)?.start().await?;
    wait_for("it is served again", PATIENCE, async || run(&mut client, "SELECT 1").await).await
}

#[tokio::test]
async fn who_waits_for_a_standby_can_be_cancelled_and_can_leave() -> Result<()> {
    let cluster = cluster(1).await?;
    let scene = scene(&cluster, "leaving", "[pool]\nwait_timeout = \"60s\"").await?;
    let mut other = settled(&scene, &cluster).await?;
    let address = listener(&scene, "standby")?;
    let mut client = RawClient::tcp(address).await?;
    let welcome = client.login(&scene.user, PASSWORD, DATABASE).await?;
    assert_eq!(welcome.parameters["in_hot_standby"], "on");
    assert!(is_standby(port(&mut client).await?, &cluster));
    kill(cluster.standby(0)?, &scene).await?;
    other.send(&say::query("SELECT 1")).await?;
    client.send(&say::query("SELECT 1")).await?;
    let cancelling = async {
        loop {
            // It may come before the statement, and then is for nothing.
            if let Err(error) = RawClient::cancel(address, &welcome).await {
                return error;
            }
        }
    };
    let frames = tokio::select! {
        frames = client.read_until(b'Z') => frames?,
        error = cancelling => return Err(error),
    };
    error_in(&frames, "57014")?;
    drop(other);
    cluster.standby(0)?.start().await?;
    wait_for("it is served again", PATIENCE, async || run(&mut client, "SELECT 1").await).await
}

#[tokio::test]
async fn a_session_of_a_standby_goes_on_at_another_one() -> Result<()> {
    let cluster = cluster(2).await?;
    let scene = scene(&cluster, "going_on", "").await?;
    furnish(&scene, &cluster).await?;
    let mut client = settled(&scene, &cluster).await?;
    let first = port(&mut client).await?;
    let node = cluster.standbys().iter().find(|node| node.port() == first);
    let node = node.ok_or_else(|| Error::msg(first.to_string()))?;
    kill(node, &scene).await?;
    let second = port(&mut client).await?;
    assert!(is_standby(second, &cluster) && second != first, "{second}");
    // One that is in the midst of something is told as it would be by the server itself.
    run(&mut client, "BEGIN").await?;
    run(&mut client, "SELECT count(*) FROM t").await?;
    let node = cluster.standbys().iter().find(|node| node.port() == second);
    node.ok_or_else(|| Error::msg(second.to_string()))?.kill().await?;
    let said = client.expect_closed().await?;
    let last = said.last().filter(|frame| frame.tag == b'E');
    // Either the server has told it, or Trunkline has.
    let code = last.map(Frame::sqlstate).unwrap_or_default();
    ensure(["57P01", "08006"].contains(&code.as_str()), format!("{said:?}"))
}
