//! Which of several functions a call means depends on the session's `search_path`: one that is no read is never called on a
//! standby, and one that is may be, whatever others of its name do in schemas that the session does not look into.

mod common;

use common::{DATABASE, PASSWORD, Scene, by_itself, ensure, one, run};
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{RawClient, say};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Result, Trunkline};

const ON: &str = "[routing]\nmode = \"on\"\n[cluster]\nprobe_interval = \"100ms\"";

/// `calm.answer` only reads; `wild.answer` and `other.answer` may do anything, and tell whether they were called on a standby.
const SCHEMAS: &str = "
CREATE SCHEMA calm; CREATE SCHEMA wild; CREATE SCHEMA other;
CREATE FUNCTION calm.answer() RETURNS text LANGUAGE sql STABLE AS $$SELECT 'calm'$$;
CREATE FUNCTION wild.answer() RETURNS text LANGUAGE sql VOLATILE AS $$SELECT pg_is_in_recovery() || ' wild'$$;
CREATE FUNCTION other.answer() RETURNS text LANGUAGE sql VOLATILE AS $$SELECT pg_is_in_recovery() || ' wild'$$;
GRANT USAGE ON SCHEMA calm, wild, other TO public;
CREATE ROLE other;
";

async fn cluster() -> Result<Cluster> {
    Cluster::builder().standbys(1).setting("max_connections", 60).start().await
}

async fn scene<'a>(cluster: &'a Cluster, user: &str) -> Result<Scene<'a>> {
    let node = cluster.primary();
    node.execute(DATABASE, SCHEMAS).await?;
    let scene = Scene::operated_before(cluster, user, ON).await?;
    node.execute(DATABASE, &format!("GRANT other TO {user}")).await?;
    cluster.caught_up().await?;
    Ok(scene)
}

/// Where the call goes by itself.
async fn route(client: &mut RawClient) -> Result<String> {
    let [route, _] = by_itself(client, "SELECT answer()").await?;
    Ok(route)
}

/// Waits until the call goes there: what the catalog and the servers tell comes after a while.
async fn comes_to(client: &mut RawClient, place: &str) -> Result<()> {
    wait_for(&format!("the call goes to the {place}"), PATIENCE, async || {
        safe(client).await?;
        let route = route(client).await?;
        ensure(route == place, route)
    })
    .await
}

/// Makes the call: what is no read is not called on a standby.
async fn safe(client: &mut RawClient) -> Result<String> {
    let frames = client.exchange(&say::query("SELECT answer()"), 1).await?;
    let row = frames.iter().find(|frame| frame.tag == b'D');
    let text = row.map(|row| String::from_utf8_lossy(&row.body).into_owned()).unwrap_or_default();
    assert!(!text.contains("true wild"), "what is no read was called on a standby");
    Ok(text)
}

#[tokio::test]
async fn a_call_goes_where_it_may_by_what_the_session_has_set() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "setter").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "SET search_path = calm").await?;
    comes_to(&mut client, "standby").await?;
    for (sql, place) in [
        ("SET search_path TO wild, calm", "primary"),
        ("SET search_path = 'calm', public", "standby"),
        ("SET SCHEMA 'wild'", "primary"),
        ("SELECT set_config('search_path', 'calm,  nowhere', false)", "standby"),
        ("SELECT set_config('search_path', 'Wild', false)", "primary"),
        ("SET search_path = \"WILD\", Calm", "standby"),
        ("BEGIN; SET search_path = wild; ROLLBACK", "standby"),
        ("BEGIN; SET LOCAL search_path = wild; COMMIT", "standby"),
        ("BEGIN; SET search_path = wild; COMMIT", "primary"),
        ("SET search_path = calm, pg_temp", "primary"),
        ("SET search_path = \"$user\", calm", "standby"),
        ("SET ROLE other", "primary"),
        ("RESET ROLE", "standby"),
        ("SET ROLE 'other'", "primary"),
        ("SET ROLE NONE", "standby"),
        ("BEGIN; SET LOCAL ROLE other; COMMIT", "standby"),
        ("DISCARD ALL", "primary"),
    ] {
        run(&mut client, sql).await?;
        assert_eq!(route(&mut client).await?, place, "{sql}");
        safe(&mut client).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_call_goes_where_it_may_by_what_sessions_begin_with() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "beginner").await?;
    let mut client = scene.raw_with(&[("options", "-c search_path=calm")]).await?;
    comes_to(&mut client, "standby").await?;
    let mut client = scene.raw_with(&[("search_path", "wild, calm")]).await?;
    comes_to(&mut client, "primary").await?;
    assert_ne!(safe(&mut client).await?, "");

    let mut client = scene.raw().await?;
    assert_eq!(safe(&mut client).await?, "", "there is no such function");
    let operator = scene.console().await?;
    let admin = cluster.primary().connect(DATABASE).await?;
    for (sql, place) in [
        ("ALTER ROLE beginner SET search_path = calm", "standby"),
        ("ALTER ROLE beginner IN DATABASE postgres SET search_path = wild, calm", "primary"),
        ("ALTER ROLE beginner IN DATABASE postgres RESET search_path", "standby"),
        ("ALTER ROLE beginner RESET search_path", "primary"),
        ("ALTER DATABASE postgres SET search_path = \"$user\", calm", "standby"),
    ] {
        admin.batch_execute(sql).await?;
        // Old connections have the old path; both count while there are both.
        safe(&mut client).await?;
        cluster.caught_up().await?;
        operator.batch_execute("RECONNECT").await?;
        comes_to(&mut client, place).await?;
    }
    // The schema of the role comes before.
    run(
        &mut client,
        "CREATE FUNCTION beginner.answer() RETURNS text LANGUAGE sql VOLATILE
         AS $$SELECT pg_is_in_recovery() || ' wild'$$",
    )
    .await?;
    comes_to(&mut client, "primary").await?;
    assert!(safe(&mut client).await?.contains("false wild"));
    Ok(())
}

/// Sessions that set this and that, while what sessions begin with is changed.
#[tokio::test]
async fn no_session_ever_calls_on_a_standby_what_is_no_read() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "many").await?;
    let admin = cluster.primary().connect(DATABASE).await?;
    let steps = [
        "SET search_path = calm",
        "SET search_path = wild, calm",
        "RESET search_path",
        "SET ROLE other",
        "RESET ROLE",
        "SET search_path = \"$user\", calm",
        "BEGIN; SET search_path = wild; ROLLBACK",
        "DISCARD ALL",
        "SELECT set_config('search_path', 'wild', false)",
        "SELECT set_config('search_path', 'calm', false)",
    ];
    let defaults = ["calm", "wild, calm", "\"$user\", calm", "other, calm"];
    let mut clients = scene.crowd(12).await?;
    let (mut dice, mut calm) = (1_u64, 0);
    for round in 0..60_usize {
        if round % 6 == 0 {
            let path = defaults[round / 6 % defaults.len()];
            admin.batch_execute(&format!("ALTER ROLE many SET search_path = {path}")).await?;
        }
        for client in &mut clients {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let step = usize::try_from(dice >> 33)?;
            run(client, steps[step % steps.len()]).await?;
            calm += usize::from(safe(client).await?.contains("calm"));
        }
    }
    assert!(calm > 0, "nobody has called the one that only reads");
    let mut client = scene.raw_with(&[("search_path", "calm")]).await?;
    comes_to(&mut client, "standby").await?;
    assert_eq!(one(&mut client, "SELECT answer()").await?, "calm");
    Ok(())
}

/// Where servers are not asked what sessions have, a path that nobody has set is not known.
#[tokio::test]
async fn where_servers_are_not_asked_every_schema_counts() -> Result<()> {
    let cluster = cluster().await?;
    cluster.primary().execute(DATABASE, SCHEMAS).await?;
    let config = format!("{ON}\n[pool]\nhidden_state = \"trust\"");
    let options = Trunkline::builder().cluster(&cluster).user("trusting", PASSWORD).config(&config);
    let scene = Scene::with(&cluster, "trusting", options).await?;
    let mut client = scene.raw_with(&[("search_path", "calm")]).await?;
    let mut set = scene.raw().await?;
    run(&mut set, "SET search_path = calm").await?;
    comes_to(&mut set, "standby").await?;
    assert_eq!(route(&mut client).await?, "primary");
    Ok(())
}
