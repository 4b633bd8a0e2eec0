//! What no statement shows, because a function, a `DO` block, a procedure, a trigger or a view does it: it is replayed, or
//! it pins, and nobody else sees it.

mod common;

use common::{DATABASE, Scene, execute, one, pins, pins_are, run, shown};
use tokio_postgres::SimpleQueryMessage;
use trunkline_testkit::Result;
use trunkline_testkit::peer::{say, tags};

/// Where something is done out of sight: the statements that make a place of this name around `$body` in PL/pgSQL, and the
/// one that does it.
const PLACES: [(&str, &str, &str); 7] = [
    ("function", "CREATE FUNCTION $name() RETURNS void LANGUAGE plpgsql AS $do$ BEGIN $body END $do$", "SELECT $name()"),
    (
        "nested",
        "CREATE FUNCTION $name_in() RETURNS void LANGUAGE plpgsql AS $do$ BEGIN $body END $do$;
         CREATE FUNCTION $name() RETURNS void LANGUAGE plpgsql AS $do$ BEGIN PERFORM $name_in(); END $do$",
        "SELECT $name()",
    ),
    ("procedure", "CREATE PROCEDURE $name() LANGUAGE plpgsql AS $do$ BEGIN $body END $do$", "CALL $name()"),
    ("block", "", "DO $do$ BEGIN $body END $do$"),
    (
        "trigger",
        "CREATE TABLE $name (i int);
         CREATE FUNCTION $name() RETURNS trigger LANGUAGE plpgsql AS $do$ BEGIN $body RETURN new; END $do$;
         CREATE TRIGGER $name BEFORE INSERT ON $name FOR EACH ROW EXECUTE FUNCTION $name();
         GRANT ALL ON $name TO public",
        "INSERT INTO $name VALUES (1)",
    ),
    (
        "view",
        "CREATE FUNCTION $name_in() RETURNS int LANGUAGE plpgsql AS $do$ BEGIN $body RETURN 1; END $do$;
         CREATE VIEW $name AS SELECT $name_in() AS one;
         GRANT ALL ON $name TO public",
        "SELECT one FROM $name",
    ),
    (
        "default",
        "CREATE FUNCTION $name_in() RETURNS int LANGUAGE plpgsql AS $do$ BEGIN $body RETURN 1; END $do$;
         CREATE TABLE $name (i int, j int DEFAULT $name_in());
         GRANT ALL ON $name TO public",
        "INSERT INTO $name (i) VALUES (1)",
    ),
];

/// Makes every place for something done, and tells the statements that do it.
async fn places(scene: &Scene<'_>, what: &str, body: &str) -> Result<Vec<(String, String)>> {
    let mut places = Vec::new();
    for (place, make, use_it) in PLACES {
        let name = format!("{}_{what}_{place}", scene.user);
        let filled = |text: &str| text.replace("$name", &name).replace("$body", body);
        if !make.is_empty() {
            scene.node.execute(DATABASE, &filled(make)).await?;
        }
        places.push((place.to_owned(), filled(use_it)));
    }
    Ok(places)
}

async fn scene(name: &'static str, config: &str) -> Result<Scene<'static>> {
    Scene::operated(name, &format!("[pool]\nsize = 1\n{config}")).await
}

#[tokio::test]
async fn settings_made_out_of_sight_are_replayed() -> Result<()> {
    let scene = scene("unseen", "").await?;
    scene.node.execute(DATABASE, "CREATE ROLE unseen_other; GRANT unseen_other TO unseen").await?;
    let body = "SET TimeZone = 'Asia/Tokyo'; PERFORM set_config('unseen.tenant', 'acme', false); SET ROLE unseen_other;";
    let shown = "SELECT concat_ws(' ', current_setting('TimeZone'), coalesce(nullif(current_setting('unseen.tenant', true), ''), 'none'), current_user)";
    let operator = scene.console().await?;
    let mut bob = scene.raw().await?;
    for (place, statement) in places(&scene, "set", body).await? {
        for extended in [false, true] {
            let mut alice = scene.raw().await?;
            assert_eq!(one(&mut bob, shown).await?, "UTC none unseen", "before {place}");
            if extended {
                execute(&mut alice, &statement, &[]).await?;
            } else {
                run(&mut alice, &statement).await?;
            }
            // The same server, which both use in turn.
            for _ in 0..2 {
                assert_eq!(
                    one(&mut alice, shown).await?,
                    "Asia/Tokyo acme unseen_other",
                    "{place}"
                );
                assert_eq!(one(&mut bob, shown).await?, "UTC none unseen", "{place}");
            }
            pins_are(&operator, &[]).await?;
        }
    }
    assert_eq!(scene.servers().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_placeholder_set_from_a_parameter_is_replayed() -> Result<()> {
    let scene = scene("tenants", "").await?;
    let make = "CREATE FUNCTION tenants_set(t text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('tenants.id', t, false) $$";
    scene.node.execute(DATABASE, make).await?;
    let mut clients = Vec::new();
    for number in 0..4 {
        let mut client = scene.raw().await?;
        execute(&mut client, "SELECT tenants_set($1)", &[Some(&number.to_string())]).await?;
        clients.push(client);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(one(client, "SELECT current_setting('tenants.id')").await?, number.to_string());
    }
    let reset = "CREATE FUNCTION tenants_reset() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RESET tenants.id; END $$";
    scene.node.execute(DATABASE, reset).await?;
    run(&mut clients[0], "SELECT tenants_reset()").await?;
    assert_eq!(one(&mut clients[0], "SELECT current_setting('tenants.id')").await?, "");
    assert_eq!(one(&mut clients[1], "SELECT current_setting('tenants.id')").await?, "1");
    Ok(())
}

#[tokio::test]
async fn what_is_made_out_of_sight_pins_until_it_is_gone() -> Result<()> {
    let scene = scene("making", "").await?;
    let operator = scene.console().await?;
    for (what, body, gone, reason) in [
        ("lock", "PERFORM pg_advisory_lock(71);", "SELECT pg_advisory_unlock(71)", "advisory lock"),
        ("temp", "CREATE TEMP TABLE kept (i int);", "DROP TABLE kept", "temporary object"),
        (
            "type",
            "CREATE TYPE pg_temp.kept AS (i int);",
            "DROP TYPE pg_temp.kept",
            "temporary object",
        ),
        ("prepared", "EXECUTE 'PREPARE kept AS SELECT 1';", "DEALLOCATE kept", "prepared by SQL"),
    ] {
        for (place, statement) in places(&scene, what, body).await? {
            let mut alice = scene.raw().await?;
            run(&mut alice, &statement).await?;
            let kept = pins_are(&operator, &[reason]).await;
            kept.map_err(|error| error.context(format!("{what} of {place}")))?;
            run(&mut alice, gone).await?;
            pins_are(&operator, &[]).await?;
            // The one server of the pool serves others again.
            run(&mut scene.raw().await?, "SELECT 1").await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_is_made_through_trunkline_is_known_from_then_on() -> Result<()> {
    let scene = scene("maker", "").await?;
    scene.node.execute(DATABASE, "GRANT CREATE ON SCHEMA public TO maker").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "CREATE TABLE made (i int)").await?;
    let insert = "INSERT INTO made VALUES (1)";
    // Before anything of the kind is there.
    let parse = [say::parse("before", insert, &[]), say::sync()].concat();
    assert_eq!(tags(&alice.exchange(&parse, 1).await?), "1Z");
    let prepared = [say::bind("", "before", &[]), say::execute("", 0), say::sync()].concat();
    let body = "BEGIN PERFORM set_config('maker.id', 'hers', false); RETURN new; END";
    for make in [
        &format!("CREATE FUNCTION made_by() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"),
        "CREATE FUNCTION made_one() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('maker.id', 'hers', false); RETURN 1; END $$",
        "CREATE TRIGGER made BEFORE INSERT ON made FOR EACH ROW EXECUTE FUNCTION made_by()",
    ] {
        run(&mut bob, make).await?;
    }
    let shown = "SELECT coalesce(nullif(current_setting('maker.id', true), ''), 'nothing')";
    let told = alice.exchange(&prepared, 1).await?;
    assert_eq!(tags(&told), "2CZ");
    for other in [
        "",
        "DROP TRIGGER made ON made; ALTER TABLE made ALTER i SET DEFAULT made_one()",
        "ALTER TABLE made ALTER i DROP DEFAULT; CREATE VIEW made_view AS SELECT made_one() AS one",
    ] {
        if !other.is_empty() {
            run(&mut alice, "SELECT set_config('maker.id', '', false)").await?;
            run(&mut bob, other).await?;
            let unseen = if other.contains("VIEW") {
                "SELECT one FROM made_view"
            } else {
                "INSERT INTO made DEFAULT VALUES"
            };
            run(&mut alice, unseen).await?;
        }
        assert_eq!(one(&mut bob, shown).await?, "nothing", "{other}");
        assert_eq!(one(&mut alice, shown).await?, "hers", "{other}");
    }
    Ok(())
}

#[tokio::test]
async fn a_lock_that_is_had_twice_pins_until_it_is_given_back_twice() -> Result<()> {
    let scene = scene("twice", "").await?;
    let operator = scene.console().await?;
    let mut alice = scene.raw().await?;
    run(&mut alice, "SELECT pg_advisory_lock(72), pg_try_advisory_lock(72)").await?;
    run(&mut alice, "SELECT pg_advisory_unlock(72)").await?;
    pins_are(&operator, &["advisory lock"]).await?;
    run(&mut alice, "SELECT pg_advisory_unlock(72)").await?;
    pins_are(&operator, &[]).await?;
    // One that was not to be had, and those of a transaction, do not pin.
    run(
        &mut scene.raw().await?,
        "BEGIN; SELECT pg_advisory_xact_lock(72); SELECT pg_advisory_lock_shared(73); COMMIT",
    )
    .await?;
    let before = one(
        &mut alice,
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
    );
    assert_eq!(before.await?, "0");
    Ok(())
}

#[tokio::test]
async fn of_functions_that_leave_nothing_nobody_is_pinned_and_they_are_counted() -> Result<()> {
    let scene = scene("harmless", "").await?;
    let make = "CREATE FUNCTION harmless_one() RETURNS int LANGUAGE sql AS 'SELECT 1'";
    scene.node.execute(DATABASE, make).await?;
    let operator = scene.console().await?;
    let mut alice = scene.raw().await?;
    for _ in 0..5 {
        assert_eq!(one(&mut alice, "SELECT harmless_one()").await?, "1");
    }
    pins_are(&operator, &[]).await?;
    let shown = operator.simple_query("SHOW READBACKS").await?;
    let counted = shown.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) if row.get("function") == Some("harmless_one") => {
            Some((row.get("read_backs").map(str::to_owned), row.get("found").map(str::to_owned)))
        }
        _ => None,
    });
    assert_eq!(counted, Some((Some("5".to_owned()), Some("0".to_owned()))));
    Ok(())
}

#[tokio::test]
async fn where_hidden_state_is_trusted_nobody_asks() -> Result<()> {
    let scene = scene("trusting", "hidden_state = \"trust\"").await?;
    let operator = scene.console().await?;
    let mut alice = scene.raw().await?;
    run(&mut alice, "DO $$ BEGIN PERFORM set_config('trusting.x', 'mine', false); END $$").await?;
    assert_eq!(pins(&operator).await?, Vec::<String>::new());
    let metrics = scene.trunkline.get("/metrics").await?.body;
    let asked = metrics.lines().find(|line| line.starts_with("trunkline_read_backs_total{"));
    assert!(asked.is_some_and(|line| line.ends_with(" 0")), "{asked:?}");
    // That is what it costs.
    let mut bob = scene.raw().await?;
    assert_eq!(one(&mut bob, "SELECT current_setting('trusting.x', true)").await?, "mine");
    Ok(())
}

#[tokio::test]
async fn who_begins_to_keep_a_server_is_told_by_a_notice() -> Result<()> {
    let scene = scene("noticed", "pin_notice = true").await?;
    let mut alice = scene.raw().await?;
    run(&mut alice, "CREATE TEMP TABLE kept AS SELECT 'secret' AS a").await?;
    let notice = alice.read_until(b'N').await?;
    let told = String::from_utf8_lossy(&notice.last().expect("a notice").body).into_owned();
    for part in [
        "NOTICE",
        "keeps a server connection",
        "temporary object",
        "CREATE TEMP TABLE kept AS SELECT ?",
    ] {
        assert!(told.contains(part), "{part} is missing: {told}");
    }
    assert!(!told.contains("secret"));
    let operator = scene.console().await?;
    let by = shown(&operator, "SHOW PINS", "statement").await?;
    assert_eq!(by, ["CREATE TEMP TABLE kept AS SELECT ? AS a"]);
    Ok(())
}
