//! What sessions begin with is known as far as a server tells it for sure.

mod common;

use common::{mark, read};
use tokio_postgres::Client;
use trunkline_route::Snapshot;
use trunkline_testkit::{Cluster, Node, Result};

const SETTINGS: [&str; 3] =
    ["search_path", "default_transaction_isolation", "default_transaction_read_only"];

/// Roles with settings of their own and without; `watcher` may look at what a member of `pg_monitor` may.
const ROLES: &str = "
CREATE ROLE watcher LOGIN PASSWORD 'w'; GRANT pg_monitor TO watcher;
CREATE ROLE plain LOGIN PASSWORD 'w'; CREATE ROLE \"Odd one\" LOGIN PASSWORD 'w'; CREATE ROLE other LOGIN PASSWORD 'w';
ALTER ROLE \"Odd one\" SET search_path = 'everywhere, \"B\"', public;
ALTER ROLE \"Odd one\" SET default_transaction_isolation = serializable;
ALTER ROLE \"Odd one\" IN DATABASE postgres SET search_path = here;
ALTER ROLE other IN DATABASE template1 SET search_path = elsewhere;
ALTER ROLE other SET work_mem = '1MB';
";

async fn as_role(node: &Node, role: &str) -> Result<Client> {
    let options = format!(
        "host={} port={} dbname=postgres user='{role}' password=w",
        node.address().ip(),
        node.port()
    );
    let (client, connection) = tokio_postgres::connect(&options, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// What the snapshot says is what a session of each role really begins with, wherever it says something.
async fn is_true(node: &Node, snapshot: &Snapshot, known: bool) -> Result<()> {
    for role in ["watcher", "plain", "Odd one", "other"] {
        let session = as_role(node, role).await?;
        for setting in SETTINGS {
            let row = session.query_one("SELECT current_setting($1)", &[&setting]).await?;
            let real: String = row.get(0);
            let told = snapshot.default_of(setting, role);
            assert!(told.is_none_or(|told| told == real), "{setting} of {role}: {told:?}, {real}");
            assert!(told.is_some() || !known, "{setting} of {role}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_a_session_begins_with_is_that_of_its_role_its_database_or_the_server() -> Result<()> {
    let cluster = Cluster::builder().start().await?;
    let node = cluster.primary();
    node.execute("postgres", ROLES).await?;
    let watcher = as_role(node, "watcher").await?;
    let snapshot = read(&watcher).await?;
    is_true(node, &snapshot, true).await?;
    let path = |snapshot: &Snapshot, role: &str| {
        snapshot.default_of("search_path", role).map(str::to_owned)
    };
    assert_eq!(path(&snapshot, "Odd one").as_deref(), Some("here"));
    assert_eq!(path(&snapshot, "other").as_deref(), Some("\"$user\", public"));
    assert_eq!(snapshot.default_of("work_mem", "other"), None);

    // Each is another mark, and wider ones count for those who have none of their own.
    let mut before = mark(&watcher).await?;
    for (sql, plain) in [
        ("ALTER ROLE ALL SET search_path = for_all", "for_all"),
        ("ALTER DATABASE postgres SET search_path = of_database", "of_database"),
        ("ALTER ROLE plain SET search_path TO own, public", "own, public"),
        ("ALTER ROLE plain IN DATABASE postgres SET search_path TO narrowest", "narrowest"),
        ("ALTER ROLE plain IN DATABASE postgres RESET search_path", "own, public"),
        ("ALTER ROLE plain RESET ALL", "of_database"),
        ("ALTER DATABASE postgres SET default_transaction_read_only = on", "of_database"),
        ("ALTER DATABASE postgres RESET default_transaction_read_only", "of_database"),
    ] {
        node.execute("postgres", &format!("BEGIN READ WRITE; {sql}; COMMIT")).await?;
        let after = mark(&watcher).await?;
        assert_ne!(before, after, "{sql}");
        before = after;
        let snapshot = read(&watcher).await?;
        assert_eq!(path(&snapshot, "plain").as_deref(), Some(plain), "{sql}");
        is_true(node, &snapshot, true).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_askers_own_settings_are_not_taken_for_the_servers() -> Result<()> {
    let cluster = Cluster::builder().start().await?;
    let node = cluster.primary();
    node.execute("postgres", ROLES).await?;
    node.execute("postgres", "ALTER ROLE watcher SET search_path = mine").await?;
    let watcher = as_role(node, "watcher").await?;
    let snapshot = read(&watcher).await?;
    assert_eq!(snapshot.default_of("search_path", "plain"), None);
    assert_eq!(snapshot.default_of("search_path", "watcher"), Some("mine"));
    assert_eq!(snapshot.default_of("default_transaction_read_only", "plain"), Some("off"));
    is_true(node, &snapshot, false).await?;
    // Nor what the session itself has been given since.
    watcher.batch_execute("SET default_transaction_read_only = on").await?;
    let snapshot = read(&watcher).await?;
    assert_eq!(snapshot.default_of("default_transaction_read_only", "plain"), None);

    // The server's file is read again in a session that goes on.
    watcher.batch_execute("RESET default_transaction_read_only").await?;
    let before = mark(&watcher).await?;
    node.set("default_transaction_read_only", "on")?;
    node.reload().await?;
    let after = mark(&watcher).await?;
    assert_ne!(before, after);
    let snapshot = read(&watcher).await?;
    assert_eq!(snapshot.default_of("default_transaction_read_only", "plain"), Some("on"));
    Ok(())
}

#[tokio::test]
async fn what_a_trigger_does_at_logins_nobody_knows() -> Result<()> {
    let cluster = Cluster::builder().start().await?;
    let node = cluster.primary();
    node.execute("postgres", ROLES).await?;
    let watcher = as_role(node, "watcher").await?;
    let version = watcher.query_one("SELECT current_setting('server_version_num')::int", &[]);
    if version.await?.get::<_, i32>(0) < 170_000 {
        return Ok(());
    }
    let before = mark(&watcher).await?;
    node.execute(
        "postgres",
        "CREATE FUNCTION greet() RETURNS event_trigger LANGUAGE plpgsql AS
           $$BEGIN PERFORM set_config('search_path', 'greeted', false); END$$;
         CREATE EVENT TRIGGER greet ON login EXECUTE FUNCTION greet()",
    )
    .await?;
    assert_ne!(before, mark(&watcher).await?);
    let snapshot = read(&watcher).await?;
    for role in ["plain", "Odd one"] {
        assert!(SETTINGS.iter().all(|setting| snapshot.default_of(setting, role).is_none()));
    }
    is_true(node, &snapshot, false).await
}
