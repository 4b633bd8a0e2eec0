//! The checks of tokio-postgres.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::{SinkExt, StreamExt, TryStreamExt, future::try_join_all};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Config, IsolationLevel, NoTls};
use trunkline_testkit::Result;
use trunkline_testkit::wait::wait_for;

use crate::program::Place;

/// Nothing here takes long; a pooler that does not answer must not hang the tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs every check and writes its line; ends with the first that fails.
pub(crate) async fn check_all(place: &Place, lines: &mut String) -> Result<()> {
    macro_rules! check {
        ($($says:literal: $check:ident,)*) => {$(
            let outcome = timeout(PATIENCE, $check(place)).await;
            let outcome = outcome.context("no answer in time").and_then(|outcome| outcome);
            let word = if outcome.is_ok() { "ok     " } else { "FAILED " };
            writeln!(lines, "{word} {}", $says)?;
            outcome.context($says)?;
        )*};
    }
    check! {
        "carries values of many types": carries_types,
        "looks up types in the catalog": looks_up_types,
        "prepared statements work on every server": prepares,
        "statements sent without waiting": pipelines,
        "transactions, rollback, savepoints and isolation levels": keeps_transactions,
        "errors, and the connection goes on": recovers,
        "portals that are read in portions": reads_portals,
        "COPY in and out": copies,
        "rows that are not read to the end": drops_rows,
        "notifications and notices": hears,
        "a statement is cancelled, and the connection goes on": cancels,
        "settings follow to every server": follows_settings,
        "twelve clients on the few servers": serves_crowd,
    }
    Ok(())
}

/// A client, and what the server says unasked.
struct Connected {
    client: Client,
    heard: mpsc::UnboundedReceiver<AsyncMessage>,
}

async fn connect(place: &Place) -> Result<Connected> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(place.port).dbname(&place.database);
    config.user(place.user).password(place.password).connect_timeout(PATIENCE);
    let (client, mut connection) = config.connect(NoTls).await?;
    let (says, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        // It ends with the client, or with an error that the client sees too.
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if says.send(message).is_err() {
                // Nobody listens; the connection goes on.
            }
        }
    });
    Ok(Connected { client, heard })
}

async fn server_of(client: &Client) -> Result<i32> {
    Ok(client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0))
}

/// Holds the server that the client used last, until what is given is dropped or released.
async fn hold(place: &Place, client: &Client) -> Result<Connected> {
    let before = server_of(client).await?;
    let mut holders = Vec::new();
    // Whoever gets another one keeps that until the server is found.
    let found = loop {
        ensure!(holders.len() <= 2, "the server is not found");
        let holder = connect(place).await?;
        holder.client.batch_execute("BEGIN").await?;
        if server_of(&holder.client).await? == before {
            break holder;
        }
        holders.push(holder);
    };
    for other in holders {
        release(other).await?;
    }
    ensure!(server_of(client).await? != before, "the client keeps its server");
    Ok(found)
}

async fn release(holder: Connected) -> Result<()> {
    Ok(holder.client.batch_execute("ROLLBACK").await?)
}

async fn carries_types(place: &Place) -> Result<()> {
    let client = connect(place).await?.client;
    let long = "0123456789abcdef".repeat(65536);
    let bytes: Vec<u8> = (0..=255).collect();
    let row = client
        .query_one(
            "SELECT $1::bool, $2::int2, $3::int8, $4::float8, $5::text, $6::bytea, $7::int4[], $8::text",
            &[&true, &-7_i16, &i64::MIN, &1.5e300, &long, &bytes, &vec![Some(1), None], &None::<&str>],
        )
        .await?;
    ensure!(
        row.get::<_, bool>(0) && row.get::<_, i16>(1) == -7 && row.get::<_, i64>(2) == i64::MIN
    );
    ensure!(
        row.get::<_, f64>(3).to_bits() == 1.5e300_f64.to_bits() && row.get::<_, &str>(4) == long
    );
    ensure!(
        row.get::<_, &[u8]>(5) == bytes && row.get::<_, Vec<Option<i32>>>(6) == [Some(1), None]
    );
    ensure!(row.get::<_, Option<&str>>(7).is_none());
    Ok(())
}

async fn looks_up_types(place: &Place) -> Result<()> {
    let client = connect(place).await?.client;
    client
        .batch_execute("DROP TYPE IF EXISTS mood_tokio; CREATE TYPE mood_tokio AS ENUM ('sad')")
        .await?;
    for _ in 0..2 {
        let held = hold(place, &client).await?;
        let statement =
            client.prepare("SELECT 'sad'::mood_tokio, ARRAY['sad']::mood_tokio[]").await?;
        let names: Vec<_> =
            statement.columns().iter().map(|column| column.type_().name()).collect();
        ensure!(names == ["mood_tokio", "_mood_tokio"], "{names:?}");
        release(held).await?;
    }
    Ok(())
}

async fn prepares(place: &Place) -> Result<()> {
    let client = connect(place).await?.client;
    let plus = client.prepare("SELECT $1::int4 + 1").await?;
    let typed = client.prepare_typed("SELECT $1 || 'x'", &[Type::TEXT]).await?;
    for _ in 0..3 {
        let held = hold(place, &client).await?;
        for number in 0..30 {
            ensure!(client.query_one(&plus, &[&number]).await?.get::<_, i32>(0) == number + 1);
            ensure!(client.query_one(&typed, &[&"a"]).await?.get::<_, &str>(0) == "ax");
            // Dropped at the end of its turn, which closes it.
            let once = client.prepare(&format!("SELECT $1::int4 * {number}")).await?;
            ensure!(client.query_one(&once, &[&3]).await?.get::<_, i32>(0) == 3 * number);
        }
        release(held).await?;
    }
    Ok(())
}

async fn pipelines(place: &Place) -> Result<()> {
    let client = connect(place).await?.client;
    let statement = client.prepare("SELECT 100 / $1::int4").await?;
    let numbers: Vec<i32> = (0..200).map(|number| number % 5).collect();
    let outcomes = futures_util::future::join_all(numbers.iter().map(async |number| {
        client.query_one(&statement, &[number]).await.map(|row| row.get::<_, i32>(0))
    }))
    .await;
    for (number, outcome) in numbers.iter().zip(outcomes) {
        match (100_i32.checked_div(*number), outcome) {
            (Some(wanted), Ok(seen)) => ensure!(seen == wanted, "{seen}, not {wanted}"),
            (None, Err(error)) => ensure!(error.code() == Some(&SqlState::DIVISION_BY_ZERO)),
            (wanted, seen) => anyhow::bail!("{seen:?}, not {wanted:?}"),
        }
    }
    Ok(())
}

async fn keeps_transactions(place: &Place) -> Result<()> {
    let mut client = connect(place).await?.client;
    client
        .batch_execute("DROP TABLE IF EXISTS tx_tokio; CREATE TABLE tx_tokio (i int PRIMARY KEY)")
        .await?;
    let mut transaction = client.transaction().await?;
    transaction.execute("INSERT INTO tx_tokio VALUES (1)", &[]).await?;
    let savepoint = transaction.savepoint("s").await?;
    let again = savepoint.execute("INSERT INTO tx_tokio VALUES (1)", &[]).await;
    ensure!(again.is_err_and(|error| error.code() == Some(&SqlState::UNIQUE_VIOLATION)));
    savepoint.rollback().await?;
    transaction.execute("INSERT INTO tx_tokio VALUES (2)", &[]).await?;
    transaction.commit().await?;
    let dropped = client.transaction().await?;
    dropped.execute("INSERT INTO tx_tokio VALUES (3)", &[]).await?;
    drop(dropped);
    let rows = client.query("SELECT i FROM tx_tokio ORDER BY i", &[]).await?;
    ensure!(rows.iter().map(|row| row.get::<_, i32>(0)).eq([1, 2]));
    let strict =
        client.build_transaction().isolation_level(IsolationLevel::Serializable).read_only(true);
    let strict = strict.start().await?;
    let refused = strict.execute("INSERT INTO tx_tokio VALUES (4)", &[]).await;
    ensure!(refused.is_err_and(|error| error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)));
    strict.rollback().await?;
    Ok(())
}

async fn recovers(place: &Place) -> Result<()> {
    let client = connect(place).await?.client;
    for _ in 0..2 {
        for (text, code) in [
            ("SELEC 1", SqlState::SYNTAX_ERROR),
            ("SELECT * FROM nowhere", SqlState::UNDEFINED_TABLE),
            ("SELECT 1/0", SqlState::DIVISION_BY_ZERO),
        ] {
            let prepared = client.query(text, &[]).await;
            ensure!(prepared.is_err_and(|error| error.code() == Some(&code)), "{text}");
            let simple = client.simple_query(text).await;
            ensure!(simple.is_err_and(|error| error.code() == Some(&code)), "{text}");
            server_of(&client).await?;
        }
    }
    Ok(())
}

async fn reads_portals(place: &Place) -> Result<()> {
    let mut client = connect(place).await?.client;
    let transaction = client.transaction().await?;
    let portal = transaction.bind("SELECT generate_series(1, $1::int4)", &[&25]).await?;
    for wanted in [10, 10, 5, 0] {
        let rows = transaction.query_portal(&portal, 10).await?;
        ensure!(rows.len() == wanted, "{} rows, not {wanted}", rows.len());
        transaction.query_one("SELECT 1", &[]).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn copies(place: &Place) -> Result<()> {
    let client = connect(place).await?.client;
    client
        .batch_execute("DROP TABLE IF EXISTS copy_tokio; CREATE TABLE copy_tokio (i int, t text)")
        .await?;
    let mut sink = pin!(client.copy_in::<_, bytes::Bytes>("COPY copy_tokio FROM STDIN").await?);
    for number in 0..20000 {
        sink.feed(format!("{number}\trow {number}\n").into()).await?;
    }
    ensure!(sink.finish().await? == 20000);
    let pieces: Vec<_> = client.copy_out("COPY copy_tokio TO STDOUT").await?.try_collect().await?;
    let text = String::from_utf8(pieces.concat())?;
    ensure!(text.lines().count() == 20000 && text.ends_with("19999\trow 19999\n"));
    let mut sink = pin!(client.copy_in::<_, bytes::Bytes>("COPY copy_tokio FROM STDIN").await?);
    sink.send("nonsense\tx\n".into()).await?;
    let refused = sink.finish().await;
    ensure!(
        refused.is_err_and(|error| error.code() == Some(&SqlState::INVALID_TEXT_REPRESENTATION))
    );
    let row = client.query_one("SELECT count(*) FROM copy_tokio", &[]).await?;
    ensure!(row.get::<_, i64>(0) == 20000);
    Ok(())
}

async fn drops_rows(place: &Place) -> Result<()> {
    let client = connect(place).await?.client;
    for _ in 0..2 {
        let query =
            client.query_raw("SELECT generate_series(1, 100000)", Vec::<i32>::new()).await?;
        let mut rows = pin!(query);
        ensure!(rows.next().await.context("no row")??.get::<_, i32>(0) == 1);
    }
    server_of(&client).await?;
    Ok(())
}

async fn hears(place: &Place) -> Result<()> {
    let mut listener = connect(place).await?;
    let speaker = connect(place).await?.client;
    listener.client.batch_execute("LISTEN tokio_channel").await?;
    speaker.execute("SELECT pg_notify('tokio_channel', 'from afar')", &[]).await?;
    listener.client.batch_execute("NOTIFY tokio_channel, 'my own'").await?;
    for wanted in ["from afar", "my own"] {
        match listener.heard.recv().await {
            Some(AsyncMessage::Notification(heard)) => {
                ensure!(heard.payload() == wanted, "{heard:?}");
            }
            other => anyhow::bail!("{other:?}"),
        }
    }
    listener.client.batch_execute("UNLISTEN *; DROP TABLE IF EXISTS never_there").await?;
    match listener.heard.recv().await {
        Some(AsyncMessage::Notice(notice)) => ensure!(notice.message().contains("never_there")),
        other => anyhow::bail!("{other:?}"),
    }
    Ok(())
}

async fn cancels(place: &Place) -> Result<()> {
    let client = connect(place).await?.client;
    let looker = connect(place).await?.client;
    for _ in 0..2 {
        let token = client.cancel_token();
        let cancel = async {
            let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' \
                           AND query = 'SELECT pg_sleep(60)'";
            wait_for("the statement runs", PATIENCE, async || {
                let seen: i64 = looker.query_one(running, &[]).await?.get(0);
                ensure!(seen == 1, "{seen} run it");
                Ok(())
            })
            .await?;
            anyhow::Ok(token.cancel_query(NoTls).await?)
        };
        let (slept, cancelled) = tokio::join!(client.batch_execute("SELECT pg_sleep(60)"), cancel);
        cancelled?;
        ensure!(slept.is_err_and(|error| error.code() == Some(&SqlState::QUERY_CANCELED)));
        server_of(&client).await?;
    }
    Ok(())
}

async fn follows_settings(place: &Place) -> Result<()> {
    let client = connect(place).await?.client;
    client.batch_execute("SET TimeZone = 'Asia/Tokyo'").await?;
    client.execute("SELECT set_config('app.tenant', $1, false)", &[&"seven"]).await?;
    for _ in 0..3 {
        let held = hold(place, &client).await?;
        let row = client
            .query_one("SELECT current_setting('TimeZone'), current_setting('app.tenant')", &[])
            .await?;
        ensure!(row.get::<_, &str>(0) == "Asia/Tokyo" && row.get::<_, &str>(1) == "seven");
        release(held).await?;
    }
    Ok(())
}

async fn serves_crowd(place: &Place) -> Result<()> {
    let servers = try_join_all((0..12).map(async |seed: i32| -> Result<Vec<(i32, i32)>> {
        let client = connect(place).await?.client;
        let mut servers = Vec::new();
        for number in 0..40 {
            let statement = client.prepare(&format!("SELECT $1::int4 + {}", number % 5)).await?;
            ensure!(
                client.query_one(&statement, &[&seed]).await?.get::<_, i32>(0) == seed + number % 5
            );
            servers.push((seed, server_of(&client).await?));
        }
        Ok(servers)
    }))
    .await?;
    let mut servers = servers.concat();
    servers.sort_unstable();
    servers.dedup();
    ensure!(servers.len() > 12, "every client kept its server");
    Ok(())
}
