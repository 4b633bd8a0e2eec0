//! Who has a say in where a statement goes: hints, what a session sets, lists and rules in the settings; and how one of
//! several standbys is chosen.

mod common;

use common::nodes::{mark, three, where_is};
use common::{DATABASE, Scene, ensure, error_in, fails, one, refused, run, shown, words};
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Error, Result};

const ON: &str = "[routing]\nmode = \"on\"\n[cluster]\nprobe_interval = \"100ms\"";

async fn scene<'a>(cluster: &'a Cluster, user: &str, config: &str) -> Result<Scene<'a>> {
    let scene = Scene::operated_before(cluster, user, config).await?;
    cluster.caught_up().await?;
    Ok(scene)
}

/// The name of the node that is given a statement.
async fn place(client: &mut RawClient, sql: &str, cluster: &Cluster) -> Result<String> {
    let mark = mark();
    run(client, &format!("{sql} -- {mark} ")).await?;
    Ok(where_is(&mark, cluster)?.name().to_owned())
}

const READ: &str = "SELECT count(*) FROM t";

/// Waits until the client's reads are served by a standby, as they are when it has caught up; its name.
async fn on_a_standby(client: &mut RawClient, sql: &str, cluster: &Cluster) -> Result<String> {
    wait_for(&format!("a standby is given {sql}"), PATIENCE, async || {
        let seen = place(client, sql, cluster).await?;
        ensure(seen != "primary", &seen)?;
        Ok(seen)
    })
    .await
}

/// The client could read from a standby, but this statement is the primary's.
async fn stays_home(client: &mut RawClient, sql: &str, cluster: &Cluster) -> Result<()> {
    on_a_standby(client, "SELECT 'here'", cluster).await?;
    let seen = place(client, sql, cluster).await?;
    ensure(seen == "primary", format!("{sql} is at {seen}"))
}

/// What `EXPLAIN ROUTE` says of a statement: where to, and why.
async fn explained(client: &mut RawClient, sql: &str) -> Result<[String; 2]> {
    let rows = client.rows(&format!("EXPLAIN ROUTE {sql}")).await?;
    let value = |what: &str| {
        let row = rows.iter().find(|row| row.first().is_some_and(|it| it.as_deref() == Some(what)));
        row.and_then(|row| row.get(1).cloned().flatten()).unwrap_or_default()
    };
    Ok([value("route"), value("reason")])
}

/// A table, a sequence, and functions of which nobody can be sure.
async fn furnish(scene: &Scene<'_>, cluster: &Cluster) -> Result<()> {
    let schema = &scene.user;
    let sql = format!(
        "SET search_path = {schema}; SET ROLE {schema};
         CREATE TABLE t (i int); CREATE SEQUENCE ticket;
         CREATE FUNCTION doubtful() RETURNS int LANGUAGE plpgsql AS $$BEGIN RETURN 7; END$$;
         CREATE FUNCTION sly() RETURNS bigint LANGUAGE plpgsql AS
             $$BEGIN EXECUTE 'INSERT INTO {schema}.t VALUES (' || '1)'; RETURN 8; END$$;
         CREATE FUNCTION known() RETURNS bigint LANGUAGE plpgsql STABLE AS
             $$BEGIN RETURN nextval('ticket'); END$$;
         CREATE FUNCTION steady() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 9'"
    );
    scene.node.execute(DATABASE, &sql).await?;
    cluster.caught_up().await
}

#[tokio::test]
async fn a_hint_sends_a_text_to_the_primary_or_takes_a_doubt_about_a_function() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "hints", ON).await?;
    furnish(&scene, &cluster).await?;
    let mut client = scene.raw().await?;
    for hint in ["/* trunkline:primary */", "--trunkline:primary\n", "/*NO LOAD BALANCE*/"] {
        stays_home(&mut client, &format!("{hint} {READ}"), &cluster).await?;
        on_a_standby(&mut client, "SELECT 'here'", &cluster).await?;
        run(&mut client, &format!("{hint} BEGIN READ ONLY")).await?;
        let seen = place(&mut client, READ, &cluster).await?;
        ensure(seen == "primary", format!("{hint}: {seen}"))?;
        run(&mut client, "COMMIT").await?;
    }
    // One that is not known to be harmless, and one that nobody knows.
    stays_home(&mut client, "SELECT doubtful()", &cluster).await?;
    let hinted = "/* trunkline:standby */ SELECT doubtful()";
    on_a_standby(&mut client, hinted, &cluster).await?;
    assert_eq!(explained(&mut client, hinted).await?, ["standby", "hint"]);
    // What writes, or is known to, stays where it belongs.
    for sql in ["INSERT INTO t VALUES (1)", "SELECT nextval('ticket')", "SELECT known()"] {
        stays_home(&mut client, &format!("/* trunkline:standby */ {sql}"), &cluster).await?;
    }
    // One that writes all the same is carried out by the primary, and remembered.
    let sly = "/* trunkline:standby */ SELECT sly()";
    for _ in 0..3 {
        on_a_standby(&mut client, "SELECT 'here'", &cluster).await?;
        assert_eq!(one(&mut client, sly).await?, "8");
    }
    let tried = cluster.standbys().iter().map(|node| node.log().matches(sly).count());
    // Once, and its error tells of it as well.
    let tried: usize = tried.sum();
    ensure((1..=2).contains(&tried), format!("it was tried {tried} times"))?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "4");
    Ok(())
}

#[tokio::test]
async fn a_session_says_where_its_statements_go() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "saying", ON).await?;
    furnish(&scene, &cluster).await?;
    let mut client = scene.raw().await?;
    on_a_standby(&mut client, READ, &cluster).await?;
    run(&mut client, "SET trunkline.route = 'primary'").await?;
    for _ in 0..3 {
        assert_eq!(place(&mut client, READ, &cluster).await?, "primary");
        assert_eq!(one(&mut client, "SHOW trunkline.route").await?, "primary");
        cluster.caught_up().await?;
    }
    assert_eq!(explained(&mut client, READ).await?, ["primary", "setting"]);
    assert_eq!(explained(&mut client, "BEGIN").await?, ["primary", "transaction"]);
    // A hint is more particular.
    let hinted = format!("/* trunkline:standby */ {READ}");
    on_a_standby(&mut client, &hinted, &cluster).await?;
    run(&mut client, "RESET trunkline.route").await?;
    on_a_standby(&mut client, READ, &cluster).await?;
    stays_home(&mut client, "SELECT doubtful()", &cluster).await?;
    run(&mut client, "SET trunkline.route TO Standby").await?;
    on_a_standby(&mut client, "SELECT doubtful()", &cluster).await?;
    assert_eq!(
        explained(&mut client, "SELECT doubtful()").await?,
        ["standby", "standby asked for"]
    );
    for sql in ["INSERT INTO t VALUES (1)", "SELECT known()", "/* trunkline:primary */ SELECT 1"] {
        stays_home(&mut client, sql, &cluster).await?;
    }
    // It follows transactions as settings do.
    run(&mut client, "BEGIN; SET trunkline.route = 'primary'; ROLLBACK").await?;
    on_a_standby(&mut client, "SELECT doubtful()", &cluster).await?;
    run(&mut client, "BEGIN; SET LOCAL trunkline.route = 'primary'; COMMIT").await?;
    on_a_standby(&mut client, "SELECT doubtful()", &cluster).await?;
    run(&mut client, "BEGIN; SET trunkline.route = 'primary'; COMMIT").await?;
    assert_eq!(place(&mut client, READ, &cluster).await?, "primary");
    run(&mut client, "DISCARD ALL").await?;
    on_a_standby(&mut client, READ, &cluster).await?;
    run(&mut client, "SELECT set_config('trunkline.route', 'primary', false)").await?;
    assert_eq!(place(&mut client, READ, &cluster).await?, "primary");
    Ok(())
}

#[tokio::test]
async fn a_word_that_means_nothing_is_refused() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "wrongly", ON).await?;
    let mut client = scene.raw().await?;
    let wrong = "SET trunkline.route = 'replica'";
    let told = words(&fails(&mut client, wrong, "22023").await?);
    let message = "invalid value for parameter \"trunkline.route\": \"replica\"";
    assert!(told.contains(message) && told.contains("any, primary, standby"), "{told}");
    let frames = client.exchange(&say::extended(wrong, &[]), 1).await?;
    assert_eq!(tags(&frames), "EZ");
    error_in(&frames, "22023")?;
    for name in ["", "s"] {
        let parts = [say::parse(name, wrong, &[]), say::describe_statement(name), say::sync()];
        let frames = client.exchange(&parts.concat(), 1).await?;
        assert_eq!(tags(&frames), "EZ");
        error_in(&frames, "22023")?;
    }
    run(&mut client, "BEGIN").await?;
    fails(&mut client, "SET LOCAL trunkline.route = nowhere", "22023").await?;
    fails(&mut client, "SELECT 1", "25P02").await?;
    run(&mut client, "ROLLBACK").await?;
    fails(&mut client, "SET trunkline.route = primary, standby", "22023").await?;
    // Nothing has come of it.
    assert_eq!(one(&mut client, "SELECT current_setting('trunkline.route', true)").await?, "");
    Ok(())
}

#[tokio::test]
async fn a_startup_packet_says_where_statements_go() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "starting", &format!("{ON}\n[pool]\nsize = 1")).await?;
    furnish(&scene, &cluster).await?;
    for parameters in [("options", "-c trunkline.route=primary"), ("trunkline.route", "Primary")] {
        let mut client = scene.raw_with(&[parameters]).await?;
        cluster.caught_up().await?;
        assert_eq!(place(&mut client, READ, &cluster).await?, "primary");
        assert_eq!(one(&mut client, "SHOW trunkline.route").await?.to_lowercase(), "primary");
        run(&mut client, "SET trunkline.route = 'any'").await?;
        on_a_standby(&mut client, READ, &cluster).await?;
        // Back to what it has asked for at its login.
        run(&mut client, "RESET trunkline.route").await?;
        assert_eq!(place(&mut client, READ, &cluster).await?, "primary");
    }
    for parameters in [("options", "-c trunkline.route=replica"), ("trunkline.route", "replica")] {
        refused(scene.raw_with(&[parameters]).await, "22023")?;
    }
    // All of them share the servers.
    scene.servers_are(1).await?;
    Ok(())
}

#[tokio::test]
async fn what_a_session_says_of_its_route_parts_nobody_from_a_server() -> Result<()> {
    let cluster = three().await?;
    let config = format!("{ON}\n[pool]\nsize = 1\nplaceholders = \"strict\"");
    let scene = scene(&cluster, "sharing", &config).await?;
    let (mut one_client, mut other) = (scene.raw().await?, scene.raw().await?);
    let servers = scene.servers_are(1).await?;
    run(&mut one_client, "SET trunkline.route = 'primary'").await?;
    for _ in 0..3 {
        run(&mut other, "CREATE TEMPORARY TABLE x (i int) ON COMMIT DROP").await?;
        run(&mut one_client, "SELECT 1").await?;
        assert_eq!(one(&mut one_client, "SHOW trunkline.route").await?, "primary");
    }
    assert_eq!(scene.servers().await?, servers);
    Ok(())
}

#[tokio::test]
async fn lists_and_patterns_hold_for_what_they_name_and_can_be_changed() -> Result<()> {
    let cluster = three().await?;
    let lists = "primary_functions = [\"steady\"]\nstandby_functions = [\"doubtful\"]\n\
        primary_relations = [\"listing.jobs\"]\nprimary_patterns = [\"(?i)tenant = 42\"]";
    let config = ON.replace("mode = \"on\"", &format!("mode = \"on\"\n{lists}"));
    let scene = scene(&cluster, "listing", &config).await?;
    furnish(&scene, &cluster).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE jobs (tenant int)").await?;
    cluster.caught_up().await?;
    for sql in ["SELECT steady()", "SELECT * FROM jobs", "SELECT * FROM listing.jobs"] {
        stays_home(&mut client, sql, &cluster).await?;
        assert_eq!(explained(&mut client, sql).await?, ["primary", "list"]);
    }
    on_a_standby(&mut client, "SELECT doubtful()", &cluster).await?;
    stays_home(&mut client, "SELECT sly()", &cluster).await?;
    // A pattern looks at the text, and not at its shape.
    let of_tenant =
        |tenant: u32| format!("SELECT i AS x FROM t AS v (tenant), t WHERE TENANT = {tenant}");
    on_a_standby(&mut client, &of_tenant(41), &cluster).await?;
    stays_home(&mut client, &of_tenant(42), &cluster).await?;
    assert_eq!(explained(&mut client, &of_tenant(42)).await?, ["primary", "pattern"]);
    on_a_standby(&mut client, &of_tenant(43), &cluster).await?;
    // What the session says, or a hint, is more particular.
    on_a_standby(&mut client, "/* trunkline:standby */ SELECT steady()", &cluster).await?;
    run(&mut client, "SET trunkline.route = 'standby'").await?;
    on_a_standby(&mut client, &of_tenant(42), &cluster).await?;
    on_a_standby(&mut client, "SELECT * FROM jobs", &cluster).await?;
    run(&mut client, "SET trunkline.route = 'any'").await?;
    stays_home(&mut client, "SELECT * FROM jobs", &cluster).await?;
    run(&mut client, "RESET trunkline.route").await?;
    let other = "primary_functions = []\nstandby_functions = []\nprimary_relations = [\"t\"]";
    let fewer = ON.replace("mode = \"on\"", &format!("mode = \"on\"\n{other}"));
    scene.reload(&fewer, "routing.primary_relations").await?;
    wait_for("the new lists hold", PATIENCE, async || {
        let reasons = [
            explained(&mut client, "SELECT * FROM jobs").await?,
            explained(&mut client, "SELECT steady()").await?,
            explained(&mut client, "SELECT * FROM t").await?,
            explained(&mut client, "SELECT doubtful()").await?,
        ];
        let words = reasons.each_ref().map(|[_, reason]| reason.as_str());
        let wanted = ["read", "read", "list", "unproven function"];
        ensure(words == wanted, format!("{words:?}"))
    })
    .await
}

/// Whether it is told so of where the session asks its statements to go.
async fn asks(client: &mut RawClient, expected: &str) -> Result<()> {
    let rows = client.rows(&format!("EXPLAIN ROUTE {READ}")).await?;
    let line = ["asked", expected].map(|word| Some(word.to_owned()));
    ensure(rows.iter().any(|row| **row == line), format!("{rows:?}"))
}

#[tokio::test]
async fn the_first_rule_that_is_for_a_client_counts() -> Result<()> {
    let cluster = three().await?;
    let rules = "[[route]]\nname = \"batch\"\napplication_name = \"/^batch\"\nto = \"primary\"\n\
        [[route]]\nuser = \"ruled\"\ndatabase = \"postgres\"\nto = \"standby\"\n\
        [[route]]\nto = \"primary\"";
    let config = format!("{}\n{rules}", ON.replace("mode =", "log = \"primary\"\nmode ="));
    let scene = scene(&cluster, "ruled", &config).await?;
    furnish(&scene, &cluster).await?;
    let mut client = scene.raw().await?;
    on_a_standby(&mut client, "SELECT doubtful()", &cluster).await?;
    run(&mut client, "SET application_name = 'batch job'").await?;
    for _ in 0..3 {
        assert_eq!(place(&mut client, READ, &cluster).await?, "primary");
        cluster.caught_up().await?;
    }
    assert_eq!(explained(&mut client, READ).await?, ["primary", "rule"]);
    asks(&mut client, "primary, by rule batch").await?;
    scene.trunkline.logged("reason=\"rule batch\"").await?;
    let reasons = shown(&scene.console().await?, "SHOW ROUTES", "reason").await?;
    assert!(reasons.contains(&"rule batch".to_owned()), "{reasons:?}");
    // What the session says, and a hint, are more particular.
    on_a_standby(&mut client, "/* trunkline:standby */ SELECT doubtful()", &cluster).await?;
    run(&mut client, "SET trunkline.route = 'any'").await?;
    on_a_standby(&mut client, READ, &cluster).await?;
    run(&mut client, "RESET trunkline.route; RESET application_name").await?;
    on_a_standby(&mut client, "SELECT doubtful()", &cluster).await?;
    asks(&mut client, "standby, by rule 2").await?;
    let changed = format!("{ON}\n[[route]]\nname = \"2\"\nto = \"primary\"");
    scene.reload(&changed, "route.2.to").await?;
    wait_for("the new rule holds", PATIENCE, async || {
        let [route, reason] = explained(&mut client, READ).await?;
        ensure((route.as_str(), reason.as_str()) == ("primary", "rule"), reason)
    })
    .await
}

/// Settings of the cluster with a few words for the standbys.
fn with_standbys(cluster: &Cluster, first: &str, second: &str, routing: &str) -> String {
    let words = ["", first, second];
    let nodes = cluster.nodes().iter().zip(words);
    let nodes = nodes.map(|(node, words)| {
        let (name, port) = (node.name(), node.port());
        format!("[[node]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\nport = {port}\n{words}\n")
    });
    let routing = ON.replace("mode = \"on\"", &format!("mode = \"on\"\n{routing}"));
    // Each worker thread has turns of its own.
    format!("{}{routing}\n[general]\nworkers = 1", nodes.collect::<String>())
}

/// How many of so many new sessions read from each standby.
async fn shares(scene: &Scene<'_>, cluster: &Cluster, sessions: usize) -> Result<[usize; 2]> {
    let mut shares = [0, 0];
    for _ in 0..sessions {
        let mut client = scene.raw().await?;
        match place(&mut client, "SELECT 1", cluster).await?.as_str() {
            "standby1" => shares[0] += 1,
            "standby2" => shares[1] += 1,
            other => return Err(Error::msg(format!("a new session reads from {other}"))),
        }
        client.finish().await?;
    }
    Ok(shares)
}

/// The same, as soon as new sessions read from standbys.
async fn settled(scene: &Scene<'_>, cluster: &Cluster) -> Result<()> {
    wait_for("new sessions read from standbys", PATIENCE, async || {
        shares(scene, cluster, 1).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn standbys_are_chosen_by_weight_zone_and_turn_and_warm_ones_never() -> Result<()> {
    let cluster = three().await?;
    let turns = with_standbys(&cluster, "weight = 2", "", "balance = \"round_robin\"");
    let scene = scene(&cluster, "choosing", &turns).await?;
    settled(&scene, &cluster).await?;
    wait_for("both standbys are read from", PATIENCE, async || {
        let shares = shares(&scene, &cluster, 3).await?;
        ensure(!shares.contains(&0), format!("{shares:?}"))
    })
    .await?;
    assert_eq!(shares(&scene, &cluster, 9).await?, [6, 3]);
    // Below 62 or above 118 once in a thousand million times.
    let chance = with_standbys(&cluster, "weight = 3", "", "balance = \"random\"");
    scene.reload(&chance, "routing.balance").await?;
    let [first, _] = shares(&scene, &cluster, 120).await?;
    ensure((62..=118).contains(&first), first)?;
    for (number, (one, other, routing, expected)) in [
        ("zone = \"east\"", "zone = \"west\"", "zone = \"west\"", [0, 8]),
        ("weight = 0", "zone = \"east\"", "zone = \"west\"", [0, 8]),
        ("", "warm = true", "", [8, 0]),
        ("weight = 0", "warm = true", "", [8, 0]),
    ]
    .into_iter()
    .enumerate()
    {
        // So that the log tells of each.
        let max = format!("{routing}\nmax_lag_bytes = {}", 100_000_000 + number);
        let settings = with_standbys(&cluster, one, other, &max);
        let told = format!("{}", 100_000_000 + number);
        scene.reload(&settings, &told).await?;
        wait_for(&format!("{settings} hold"), PATIENCE, async || {
            let seen = shares(&scene, &cluster, 8).await?;
            ensure(seen == expected, format!("{seen:?}"))
        })
        .await?;
    }
    // If the only one that may be read from is away, nobody reads from a warm one.
    cluster.standby(0)?.kill().await?;
    let mut client = scene.raw().await?;
    for _ in 0..20 {
        assert_eq!(place(&mut client, "SELECT 1", &cluster).await?, "primary");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_that_has_used_the_primary_reads_from_whichever_standby_has_caught_up()
-> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "moving", ON).await?;
    furnish(&scene, &cluster).await?;
    let mut client = scene.raw().await?;
    let first = on_a_standby(&mut client, READ, &cluster).await?;
    let lagging = cluster.standbys().iter().find(|node| node.name() == first);
    let lagging = lagging.ok_or_else(|| Error::msg(first.clone()))?;
    lagging.pause_replay().await?;
    run(&mut client, "INSERT INTO t VALUES (1)").await?;
    let second = on_a_standby(&mut client, READ, &cluster).await?;
    ensure(second != first, &second)?;
    assert_eq!(one(&mut client, READ).await?, "1");
    lagging.resume_replay().await?;
    Ok(())
}

#[tokio::test]
async fn who_keeps_a_standby_while_routing_is_switched_off_goes_to_the_primary_behind_it()
-> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "switching", ON).await?;
    furnish(&scene, &cluster).await?;
    let mut client = scene.raw().await?;
    on_a_standby(&mut client, READ, &cluster).await?;
    run(&mut client, "BEGIN READ ONLY").await?;
    run(&mut client, "DECLARE c CURSOR WITH HOLD FOR SELECT 'held'").await?;
    run(&mut client, "COMMIT").await?;
    scene.reload(&ON.replace("\"on\"", "\"off\""), "routing.mode").await?;
    assert_eq!(one(&mut client, "FETCH c").await?, "held");
    run(&mut client, "CLOSE c").await?;
    wait_for("it goes to the primary again", PATIENCE, async || {
        run(&mut client, "INSERT INTO t VALUES (1)").await
    })
    .await?;
    assert_eq!(place(&mut client, READ, &cluster).await?, "primary");
    Ok(())
}
