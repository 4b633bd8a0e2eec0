//! Statements that SQL prepares: they follow their client to any server, in one namespace with those of the protocol, and
//! keep nobody.

mod common;

use common::{
    DATABASE, Scene, Seesaw, backend, ensure, error_in, execute, fails, nobody_is_pinned, one,
    pins_are, run, words,
};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{Frame, RawClient, say, tags};

/// The rows of a statement that is bound by its name.
async fn bound(client: &mut RawClient, name: &str, values: &[Option<&str>]) -> Result<String> {
    let burst = [say::bind("", name, values), say::execute("", 0), say::sync()].concat();
    let frames = client.exchange(&burst, 1).await?;
    ensure(tags(&frames) == "2DCZ", format!("{frames:?}"))?;
    let row = frames.get(1).map(Frame::row).transpose()?.unwrap_or_default();
    Ok(row.first().cloned().flatten().unwrap_or_default())
}

#[tokio::test]
async fn what_sql_prepares_follows_the_client_from_server_to_server() -> Result<()> {
    let scene = Scene::operated("following", "[pool]\nsize = 2").await?;
    let mut alice = scene.raw().await?;
    run(&mut alice, "PREPARE mine (text) AS SELECT pg_backend_pid(), $1").await?;
    run(&mut alice, "PREPARE \"Mine\" AS SELECT 'in quotes'").await?;
    nobody_is_pinned(&scene).await?;
    let mut seesaw = Seesaw::of(&scene).await?;
    let mut seen = Vec::new();
    for round in 0..4 {
        seesaw.tilt().await?;
        let rows = alice.rows("EXECUTE mine('x')").await?;
        assert_eq!(rows[0][1].as_deref(), Some("x"));
        seen.push(rows[0][0].clone());
        assert_eq!(one(&mut alice, "/* which? */ execute \"Mine\" ;").await?, "in quotes");
        let plan = one(&mut alice, "EXPLAIN (COSTS OFF) EXECUTE mine('x')").await?;
        assert_eq!(plan, "Result");
        run(&mut alice, &format!("CREATE TABLE made_{round} AS EXECUTE mine('made')")).await?;
        bound(&mut alice, "mine", &[Some("x")]).await?;
        let table = format!("SELECT \"?column?\" FROM made_{round}");
        assert_eq!(one(&mut alice, &table).await?, "made");
    }
    assert_ne!(seen[0], seen[1]);
    assert_eq!((&seen[0], &seen[1]), (&seen[2], &seen[3]));
    // A name belongs to its client alone.
    let mut bob = scene.raw().await?;
    fails(&mut bob, "EXECUTE mine('x')", "26000").await?;
    run(&mut bob, "PREPARE mine AS SELECT 'of bob'").await?;
    seesaw.tilt().await?;
    assert_eq!(one(&mut bob, "EXECUTE mine").await?, "of bob");
    assert_eq!(one(&mut alice, "EXECUTE \"Mine\"").await?, "in quotes");
    nobody_is_pinned(&scene).await
}

#[tokio::test]
async fn both_kinds_share_their_names_on_any_server() -> Result<()> {
    let scene = Scene::operated("sharing", "[pool]\nsize = 2").await?;
    let mut alice = scene.raw().await?;
    let mut seesaw = Seesaw::of(&scene).await?;
    for _ in 0..3 {
        run(&mut alice, "PREPARE s (int) AS SELECT $1 + 1").await?;
        seesaw.tilt().await?;
        assert_eq!(bound(&mut alice, "s", &[Some("41")]).await?, "42");
        fails(&mut alice, "PREPARE s AS SELECT 1", "42P05").await?;
        let parse = [say::parse("s", "SELECT 1", &[]), say::sync()].concat();
        error_in(&alice.exchange(&parse, 1).await?, "42P05")?;
        seesaw.tilt().await?;
        let close = [say::close_statement("s"), say::sync()].concat();
        assert_eq!(tags(&alice.exchange(&close, 1).await?), "3Z");
        fails(&mut alice, "EXECUTE s(1)", "26000").await?;
        fails(&mut alice, "DEALLOCATE s", "26000").await?;
        assert_eq!(tags(&alice.exchange(&parse, 1).await?), "1Z");
        seesaw.tilt().await?;
        assert_eq!(one(&mut alice, "EXECUTE s").await?, "1");
        run(&mut alice, "DEALLOCATE s").await?;
        seesaw.tilt().await?;
        let bind = [say::bind("", "s", &[]), say::sync()].concat();
        error_in(&alice.exchange(&bind, 1).await?, "26000")?;
    }
    // Not undone with the transaction, and gone with all.
    run(&mut alice, "BEGIN; PREPARE s AS SELECT 'kept'; ROLLBACK").await?;
    seesaw.tilt().await?;
    assert_eq!(one(&mut alice, "EXECUTE s").await?, "kept");
    run(&mut alice, "DEALLOCATE ALL").await?;
    seesaw.tilt().await?;
    fails(&mut alice, "EXECUTE s", "26000").await?;
    nobody_is_pinned(&scene).await
}

#[tokio::test]
async fn the_same_text_under_other_settings_gives_each_client_its_own_answer() -> Result<()> {
    let scene = Scene::calm("folding", "[pool]\nsize = 2").await?;
    scene
        .node
        .execute(
            DATABASE,
            "CREATE SCHEMA one AUTHORIZATION folding; CREATE SCHEMA two AUTHORIZATION folding; \
             SET ROLE folding; CREATE TABLE one.t AS SELECT 'one' AS a; \
             CREATE TABLE two.t AS SELECT 'two' AS a",
        )
        .await?;
    let cases = [
        ("SET TimeZone = 'UTC'", "SET TimeZone = 'Asia/Tokyo'", "1577836800", "1577804400"),
        ("SET DateStyle = 'ISO, MDY'", "SET DateStyle = 'ISO, DMY'", "1577923200", "1580515200"),
        ("SET search_path = one", "SET search_path = two", "one", "two"),
    ];
    let texts = [
        "SELECT extract(epoch FROM timestamptz '2020-01-01 00:00')::int",
        "SELECT extract(epoch FROM timestamp '01/02/2020 00:00')::int",
        "SELECT a FROM t",
    ];
    for ((own, others, expected, other), text) in cases.into_iter().zip(texts) {
        let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
        run(&mut alice, own).await?;
        run(&mut bob, others).await?;
        for client in [&mut alice, &mut bob] {
            run(client, &format!("PREPARE p AS {text}")).await?;
        }
        let mut seesaw = Seesaw::of(&scene).await?;
        for _ in 0..4 {
            assert_eq!(one(&mut alice, "EXECUTE p").await?, expected, "{own}");
            assert_eq!(one(&mut bob, "EXECUTE p").await?, other, "{others}");
            assert_eq!(bound(&mut alice, "p", &[]).await?, expected, "{own}");
            seesaw.tilt().await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_a_statement_sets_when_it_is_executed_follows_too() -> Result<()> {
    let scene = Scene::operated("setting", "[pool]\nsize = 2").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "PREPARE p AS SELECT set_config('work_mem', $1, false)").await?;
    let mut seesaw = Seesaw::of(&scene).await?;
    run(&mut alice, "EXECUTE p('9MB')").await?;
    assert_eq!(one(&mut bob, "SHOW work_mem").await?, "4MB");
    seesaw.tilt().await?;
    assert_eq!(one(&mut alice, "SHOW work_mem").await?, "9MB");
    bound(&mut alice, "p", &[Some("8MB")]).await?;
    seesaw.tilt().await?;
    assert_eq!(one(&mut alice, "SHOW work_mem").await?, "8MB");
    run(&mut alice, "BEGIN; EXECUTE p('7MB'); ROLLBACK").await?;
    seesaw.tilt().await?;
    assert_eq!(one(&mut alice, "SHOW work_mem").await?, "8MB");
    let frames = alice.exchange(&say::extended("EXECUTE p('6MB')", &[]), 1).await?;
    assert_eq!(tags(&frames), "12TDCZ");
    assert_eq!(one(&mut bob, "SHOW work_mem").await?, "4MB");
    seesaw.tilt().await?;
    assert_eq!(one(&mut alice, "SHOW work_mem").await?, "6MB");
    nobody_is_pinned(&scene).await?;
    // A lock of the session is one, whoever takes it.
    run(&mut alice, "PREPARE locks AS SELECT pg_advisory_lock(4711); EXECUTE locks").await?;
    let server = backend(&mut alice).await?;
    drop(seesaw);
    let _holder = scene.holders(1).await?;
    assert_eq!(backend(&mut alice).await?, server);
    Ok(())
}

#[tokio::test]
async fn a_server_keeps_few_of_hundreds_and_none_under_a_name_of_a_client() -> Result<()> {
    const COUNT: usize = 300;
    let scene =
        Scene::operated("hundreds", "[pool]\nsize = 2\nmax_prepared_statements = 50").await?;
    let mut alice = scene.raw().await?;
    for number in 0..COUNT {
        let sql = format!("PREPARE s{number} AS SELECT {number}");
        if number % 2 == 0 {
            run(&mut alice, &sql).await?;
        } else {
            execute(&mut alice, &sql, &[]).await?;
        }
    }
    // Nor does it count with which the server is asked for what nobody sees.
    let held = "SELECT count(*) FROM pg_prepared_statements WHERE name <> '__trunkline_look'";
    let mut seesaw = Seesaw::of(&scene).await?;
    for round in 0..2 {
        for number in 0..COUNT {
            let number = number * 7 % COUNT;
            let seen = if number % 3 == round {
                bound(&mut alice, &format!("s{number}"), &[]).await?
            } else {
                one(&mut alice, &format!("EXECUTE s{number}")).await?
            };
            assert_eq!(seen, number.to_string());
        }
        let held: usize = one(&mut alice, held).await?.parse()?;
        assert!((1..=50).contains(&held), "{held}");
        let others = "SELECT count(*) FROM pg_prepared_statements WHERE name !~ '^__trunkline_'";
        assert_eq!(one(&mut alice, others).await?, "0");
        seesaw.tilt().await?;
    }
    nobody_is_pinned(&scene).await
}

#[tokio::test]
async fn in_statement_mode_it_follows_as_well() -> Result<()> {
    let scene = Scene::operated("bystatement", "[pool]\nsize = 1\nmode = \"statement\"").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "PREPARE p AS SELECT 'of alice'").await?;
    run(&mut bob, "PREPARE p AS SELECT 'of bob'").await?;
    assert_eq!(one(&mut alice, "EXECUTE p").await?, "of alice");
    assert_eq!(one(&mut bob, "EXECUTE p").await?, "of bob");
    run(&mut alice, "DEALLOCATE p").await?;
    fails(&mut alice, "EXECUTE p", "26000").await?;
    assert_eq!(one(&mut bob, "EXECUTE p").await?, "of bob");
    nobody_is_pinned(&scene).await
}

#[tokio::test]
async fn clients_that_go_leave_nothing_prepared_under_their_names() -> Result<()> {
    let scene = Scene::calm("going", "[pool]\nsize = 1").await?;
    for round in 0..10 {
        let mut client = scene.raw().await?;
        let sql = format!("PREPARE p AS SELECT {round}");
        match round % 3 {
            // It says goodbye at once.
            0 => client.send(&[say::query(&sql), say::terminate()].concat()).await?,
            // It vanishes in a transaction.
            1 => run(&mut client, &format!("BEGIN; {sql}")).await?,
            _ => run(&mut client, &sql).await?,
        }
        drop(client);
        let mut next = scene.raw().await?;
        fails(&mut next, "EXECUTE p", "26000").await?;
        let others = "SELECT count(*) FROM pg_prepared_statements WHERE name !~ '^__trunkline_'";
        assert_eq!(one(&mut next, others).await?, "0");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_prepared_behind_a_change_of_a_table_is_of_the_new_shape() -> Result<()> {
    let scene = Scene::calm("shapes", "[pool]\nsize = 1").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "CREATE TABLE shape AS SELECT 1 AS a").await?;
    let parse = [say::parse("s", "SELECT * FROM shape", &[]), say::sync()].concat();
    assert_eq!(tags(&alice.exchange(&parse, 1).await?), "1Z");
    assert_eq!(bound(&mut alice, "s", &[]).await?, "1");
    run(&mut bob, "ALTER TABLE shape ADD COLUMN b int").await?;
    let mut carol = scene.raw().await?;
    for client in [&mut bob, &mut carol] {
        assert_eq!(tags(&client.exchange(&parse, 1).await?), "1Z");
        assert_eq!(bound(client, "s", &[]).await?, "1");
    }
    // Who has prepared it before, and does not ask for a description, is told, as by PostgreSQL, but once.
    let bind = [say::bind("", "s", &[]), say::sync()].concat();
    error_in(&alice.exchange(&bind, 1).await?, "0A000")?;
    assert_eq!(bound(&mut alice, "s", &[]).await?, "1");
    // What SQL executes is answered with a description of its rows; and in the transaction of the change itself.
    run(&mut alice, "PREPARE p AS SELECT * FROM shape; EXECUTE p").await?;
    run(&mut alice, "EXECUTE p").await?;
    run(&mut bob, "BEGIN; ALTER TABLE shape ADD COLUMN c int").await?;
    let parse = [say::parse("t", "SELECT * FROM shape", &[]), say::sync()].concat();
    assert_eq!(tags(&bob.exchange(&parse, 1).await?), "1Z");
    assert_eq!(bound(&mut bob, "t", &[]).await?, "1");
    run(&mut bob, "COMMIT").await?;
    run(&mut alice, "EXECUTE p").await?;
    assert_eq!(tags(&carol.exchange(&parse, 1).await?), "1Z");
    assert_eq!(bound(&mut carol, "t", &[]).await?, "1");
    Ok(())
}

#[tokio::test]
async fn who_asks_for_the_description_of_each_result_is_not_told_that_a_table_has_changed()
-> Result<()> {
    let scene = Scene::calm("described", "[pool]\nsize = 1").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "CREATE TABLE described AS SELECT 1 AS a").await?;
    let parse = [say::parse("s", "SELECT * FROM described", &[]), say::sync()].concat();
    assert_eq!(tags(&alice.exchange(&parse, 1).await?), "1Z");
    let ask = [say::bind("", "s", &[]), say::describe_portal(""), say::execute("", 0), say::sync()];
    let ask = ask.concat();
    let mut columns = 1;
    for change in ["ADD b int DEFAULT 2", "DROP a", "ADD a int", "ALTER a TYPE text"] {
        let frames = alice.exchange(&ask, 1).await?;
        ensure(tags(&frames) == "2TDCZ", format!("before {change}: {frames:?}"))?;
        assert_eq!(frames[2].row()?.len(), columns, "before {change}");
        run(&mut bob, &format!("ALTER TABLE described {change}")).await?;
        columns = if change.starts_with("DROP") { 1 } else { 2 };
        run(&mut alice, "BEGIN").await?;
        assert_eq!(tags(&alice.exchange(&ask, 1).await?), "2TDCZ", "behind {change}");
        run(&mut alice, "COMMIT").await?;
    }
    run(&mut bob, "DROP TABLE described").await?;
    error_in(&alice.exchange(&ask, 1).await?, "42P01")?;
    run(&mut bob, "CREATE TABLE described AS SELECT 5 AS x, 6 AS y, 7 AS z").await?;
    assert_eq!(alice.exchange(&ask, 1).await?[2].row()?.len(), 3);
    // Out of sight, it is told once.
    let change = "ALTER TABLE described.described DROP z";
    scene.node.execute(DATABASE, change).await?;
    error_in(&alice.exchange(&ask, 1).await?, "0A000")?;
    assert_eq!(alice.exchange(&ask, 1).await?[2].row()?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_adopted_keeps_its_server_until_it_is_given_up() -> Result<()> {
    let scene = Scene::operated("staying", "[pool]\nsize = 4").await?;
    let operator = scene.console().await?;
    let sum: Vec<_> = (1..=2001).map(|number| format!("${number}::int")).collect();
    let long = format!("PREPARE p AS SELECT 'long' /* {} */", "-".repeat(256 << 10));
    let wide = format!("PREPARE p AS SELECT {}", sum.join("+"));
    for (sql, pin) in [
        (long.as_str(), "prepared by SQL, function that may leave state behind"),
        (&wide, "prepared by SQL"),
        ("DO $$ BEGIN EXECUTE 'PREPARE p AS SELECT 1'; END $$", "prepared by SQL"),
    ] {
        let mut alice = scene.raw().await?;
        run(&mut alice, sql).await?;
        pins_are(&operator, &[pin]).await?;
        let server = backend(&mut alice).await?;
        assert_eq!(
            one(&mut alice, "SELECT name FROM pg_prepared_statements WHERE name = 'p'").await?,
            "p"
        );
        assert_eq!(backend(&mut alice).await?, server);
        run(&mut alice, "DISCARD ALL").await?;
        pins_are(&operator, &[]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn one_that_was_not_described_in_time_is_adopted_behind_the_next_transaction() -> Result<()> {
    let scene = Scene::operated("late", "[pool]\nsize = 2").await?;
    let mut alice = scene.raw().await?;
    run(&mut alice, "CREATE TABLE locked (a int)").await?;
    run(&mut alice, "SET lock_timeout = '10ms'").await?;
    run(&mut alice, "BEGIN; PREPARE p AS SELECT count(*) FROM locked; PREPARE q AS SELECT 'q'")
        .await?;
    // It must be analysed anew for that; and nobody may see the table now.
    let mut bob = scene.raw().await?;
    run(&mut alice, "ROLLBACK TO SAVEPOINT none").await.unwrap_err();
    run(&mut bob, "BEGIN; ALTER TABLE locked ADD COLUMN b int").await?;
    run(&mut alice, "ROLLBACK").await?;
    assert_eq!(one(&mut alice, "EXECUTE q").await?, "q");
    run(&mut bob, "COMMIT").await?;
    run(&mut alice, "SELECT 1").await?;
    nobody_is_pinned(&scene).await?;
    assert_eq!(one(&mut alice, "EXECUTE p").await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_statement_whose_table_has_gone_out_of_sight_is_refused_when_it_is_bound() -> Result<()> {
    let scene = Scene::calm("outofsight", "[pool]\nsize = 1").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "CREATE TABLE going AS SELECT 1 AS a").await?;
    let parse = [say::parse("s", "SELECT a FROM going", &[]), say::sync()].concat();
    assert_eq!(tags(&alice.exchange(&parse, 1).await?), "1Z");
    assert_eq!(bound(&mut alice, "s", &[]).await?, "1");
    scene.node.execute(DATABASE, "DROP TABLE outofsight.going").await?;
    assert_eq!(tags(&bob.exchange(&parse, 1).await?), "1Z");
    let bind = [say::bind("", "s", &[]), say::sync()].concat();
    error_in(&bob.exchange(&bind, 1).await?, "42P01")?;
    // Through Trunkline it is seen.
    run(&mut alice, "CREATE TABLE going AS SELECT 2 AS a; DROP TABLE going").await?;
    let mut carol = scene.raw().await?;
    error_in(&carol.exchange(&parse, 1).await?, "42P01").map(drop)
}

#[tokio::test]
async fn what_a_client_was_told_of_a_statement_holds_on_servers_that_have_never_seen_it()
-> Result<()> {
    let scene = Scene::calm("shape", "[pool]\nsize = 2").await?;
    let mut alice = scene.raw().await?;
    let mut seesaw = Seesaw::of(&scene).await?;
    for (round, (by, described)) in [
        ("a message", say::describe_statement("s").to_vec()),
        ("its portal", [say::bind("", "s", &[]), say::describe_portal("")].concat()),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("shape.changing{round}");
        run(&mut alice, &format!("CREATE TABLE {table} AS SELECT 1 AS a")).await?;
        let parse = say::parse("s", &format!("SELECT * FROM {table}"), &[]);
        let seen = alice.exchange(&[parse, described.into(), say::sync()].concat(), 1).await?;
        assert!(tags(&seen).ends_with("TZ"), "{by}: {seen:?}");
        // Not through Trunkline, and of another server nothing is seen that was prepared before.
        scene.node.execute(DATABASE, &format!("ALTER TABLE {table} ADD b int DEFAULT 2")).await?;
        seesaw.tilt().await?;
        let bind = [say::bind("", "s", &[]), say::execute("", 0), say::sync()].concat();
        run(&mut alice, "BEGIN").await?;
        let error = error_in(&alice.exchange(&bind, 1).await?, "0A000")?;
        assert!(words(&error).starts_with("cached plan must not change result type\n"), "{by}");
        fails(&mut alice, "SELECT 1", "25P02").await?;
        run(&mut alice, "ROLLBACK").await?;
        let frames = alice.exchange(&bind, 1).await?;
        assert_eq!(tags(&frames), "2DCZ", "{by}");
        assert_eq!(frames[1].row()?, [Some("1".to_owned()), Some("2".to_owned())]);
        let close = [say::close_statement("s"), say::sync()].concat();
        assert_eq!(tags(&alice.exchange(&close, 1).await?), "3Z");
    }
    // One that looks the same is carried from server to server.
    let parse = [say::parse("s", "SELECT $1::int", &[]), say::describe_statement("s"), say::sync()];
    assert_eq!(tags(&alice.exchange(&parse.concat(), 1).await?), "1tTZ");
    for _ in 0..2 {
        seesaw.tilt().await?;
        assert_eq!(bound(&mut alice, "s", &[Some("7")]).await?, "7");
    }
    Ok(())
}
