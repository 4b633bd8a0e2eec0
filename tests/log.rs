//! What the log tells of statements, and what it never tells.

mod common;

use common::{Scene, ensure, fails, run};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{say, tags};

/// The lines that tell how long a statement of this user took.
fn durations(scene: &Scene<'_>) -> Vec<String> {
    let log = scene.trunkline.log();
    let lines = log.lines().filter(|line| line.contains("statement took"));
    lines.filter(|line| line.contains(&scene.user)).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_statement_is_logged_from_the_limit_on_and_not_below() -> Result<()> {
    let scene = Scene::calm("slow", "[log]\nmin_duration_statement = \"1h\"").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "SELECT pg_sleep(0.3)").await?;
    scene.reload("[log]\nmin_duration_statement = \"200ms\"", "log.min_duration_statement").await?;
    ensure(durations(&scene).is_empty(), scene.trunkline.log_tail())?;
    run(&mut client, "SELECT pg_sleep(0.3)").await?;
    let line = scene.trunkline.logged("statement took").await?;
    let took = line.split("statement took ").nth(1).and_then(|rest| rest.split('.').next());
    ensure(took.is_some_and(|took| took.parse().is_ok_and(|ms: u64| ms >= 300)), &line)?;
    for word in ["database=postgres", "user=slow", "client=127.0.0.1:", "server_pid="] {
        ensure(line.contains(word), format!("{word} is not in {line}"))?;
    }
    // None at all, which is the default.
    let before = durations(&scene).len();
    scene.reload("[log]\nmin_duration_statement = \"-1\"", "-> \"-1\"").await?;
    run(&mut client, "SELECT pg_sleep(0.3)").await?;
    scene.reload("[log]\nmin_duration_statement = \"0s\"", "-> \"0s\"").await?;
    ensure(durations(&scene).len() == before, scene.trunkline.log_tail())
}

#[tokio::test]
async fn values_and_passwords_are_not_logged() -> Result<()> {
    let all = "[log]\nmin_duration_statement = \"0s\"\nlevel = \"trace\"";
    let scene = Scene::calm("discreet", all).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "BEGIN; ALTER ROLE discreet PASSWORD 'hunter2'; ROLLBACK").await?;
    run(&mut client, "SET my.token = 'hunter2'").await?;
    let bound = say::extended("SELECT $1::text", &[Some("hunter2")]);
    assert_eq!(tags(&client.exchange(&bound, 1).await?), "12TDCZ");
    fails(&mut client, "SELECT 'hunter2'::int", "22P02").await?;
    // Kept by the session and sent again to another server.
    let mut other = scene.raw().await?;
    run(&mut other, "BEGIN").await?;
    run(&mut client, "SELECT 1").await?;
    drop(client);
    scene.trunkline.terminate()?;
    run(&mut other, "COMMIT").await?;
    scene.trunkline.ended().await?;
    ensure(durations(&scene).len() >= 5, scene.trunkline.log_tail())?;
    ensure(!scene.trunkline.log().contains("hunter2"), scene.trunkline.log_tail())
}
