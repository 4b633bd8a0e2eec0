//! Who does not read is not read from: memory stays bounded, nothing deadlocks, and the other
//! clients notice nothing.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{DATABASE, Scene, ensure, one, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use trunkline_testkit::peer::say;
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Error, Result};

/// How much more memory than at rest the program may use while somebody does not read.
const GROWTH_MAX: u64 = 24 << 20;

/// Statements of the other client while somebody does not read.
const OTHERS: usize = 300;

/// Clients come in without a password, so that their two directions can be used apart.
const TRUST: &str = "[auth]\nmethod = \"trust\"\n[pool]\nsize = 2\n";

/// The reading half of a client, as bytes.
struct Reader {
    half: OwnedReadHalf,
    buffer: Vec<u8>,
}

impl Reader {
    /// The tag and the length of the body of the next message, whose body is skipped.
    async fn next(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            if let Some(&[tag, a, b, c, d]) = self.buffer.first_chunk::<5>() {
                let end = usize::try_from(u32::from_be_bytes([a, b, c, d]))? + 1;
                if let Some(body) = self.buffer.get(5..end) {
                    let body = body.to_vec();
                    self.buffer.drain(..end);
                    return Ok((tag, body));
                }
            }
            let mut piece = vec![0; 256 << 10];
            let read = timeout(PATIENCE, self.half.read(&mut piece)).await??;
            ensure(read > 0, "the connection was closed")?;
            piece.truncate(read);
            self.buffer.append(&mut piece);
        }
    }

    /// Counts the messages with this tag up to the `ready`-th `ReadyForQuery`.
    async fn count(&mut self, counted: u8, mut ready: usize) -> Result<usize> {
        let mut count = 0;
        while ready > 0 {
            let (tag, body) = self.next().await?;
            ensure(tag != b'E', String::from_utf8_lossy(&body))?;
            count += usize::from(tag == counted);
            ready -= usize::from(tag == b'Z');
        }
        Ok(count)
    }
}

/// A client whose two directions can be used apart.
async fn halves(scene: &Scene<'_>) -> Result<(Reader, OwnedWriteHalf)> {
    let mut stream = TcpStream::connect(scene.trunkline.address()).await?;
    let parameters = [("user", scene.user.as_str()), ("database", DATABASE)];
    stream.write_all(&say::startup(say::PROTOCOL_3_0, &parameters)).await?;
    let (half, writer) = stream.into_split();
    let mut reader = Reader { half, buffer: Vec::new() };
    reader.count(0, 1).await?;
    Ok((reader, writer))
}

/// Memory of the program once it has served somebody.
async fn at_rest(scene: &Scene<'_>) -> Result<u64> {
    let mut client = scene.raw().await?;
    run(&mut client, "SELECT repeat('x', 1000000)").await?;
    Ok(scene.trunkline.usage()?.resident_bytes)
}

/// Another client is served as ever, and memory does not grow.
async fn nobody_notices(scene: &Scene<'_>, at_rest: u64) -> Result<()> {
    let mut other = scene.raw().await?;
    for _ in 0..OTHERS {
        ensure(one(&mut other, "SELECT 42").await? == "42", "another answer")?;
    }
    let peak = scene.trunkline.usage()?.resident_peak_bytes;
    ensure(peak <= at_rest + GROWTH_MAX, format!("{peak} bytes resident, {at_rest} at rest"))
}

/// Statements that are sent without reading.
const PIPELINED: usize = 100_000;

async fn pipelined(user: &str, one: Vec<u8>, last: &[u8], ready: usize) -> Result<()> {
    let scene = Scene::calm(user, TRUST).await?;
    let before = at_rest(&scene).await?;
    let (mut reader, mut writer) = halves(&scene).await?;
    let sent = Arc::new(AtomicU64::new(0));
    let (counter, last) = (Arc::clone(&sent), last.to_vec());
    let writing = tokio::spawn(async move {
        for chunk in vec![one; PIPELINED].chunks(100) {
            writer.write_all(&chunk.concat()).await?;
            counter.fetch_add(1, Ordering::SeqCst);
        }
        writer.write_all(&last).await?;
        Ok::<_, Error>(writer)
    });
    wait_for("some of it was sent", PATIENCE, async || {
        ensure(sent.load(Ordering::SeqCst) > 10, "little")
    })
    .await?;
    nobody_notices(&scene, before).await?;
    // Now it reads: everything comes, in order, until the last.
    assert_eq!(reader.count(b'C', ready).await?, PIPELINED);
    drop(writing.await??);
    nobody_notices(&scene, before).await
}

#[tokio::test]
async fn a_hundred_thousand_queries_without_reading() -> Result<()> {
    let query = say::query("SELECT 'an answer of some length, so that buffers fill'").to_vec();
    pipelined("piping", query, &[], PIPELINED).await
}

#[tokio::test]
async fn a_hundred_thousand_statements_without_a_sync() -> Result<()> {
    let one =
        [say::parse("", "SELECT 'an answer'", &[]), say::bind("", "", &[]), say::execute("", 0)];
    pipelined("unsynced", one.concat(), &say::sync(), 1).await
}

#[tokio::test]
async fn a_huge_result_that_nobody_reads() -> Result<()> {
    let scene = Scene::calm("huge", TRUST).await?;
    let before = at_rest(&scene).await?;
    let sql = "SELECT repeat('x', 10000) FROM generate_series(1, 30000)";
    for read in [false, true] {
        let (mut reader, mut writer) = halves(&scene).await?;
        writer.write_all(&say::query(sql)).await?;
        reader.next().await?;
        nobody_notices(&scene, before).await?;
        if read {
            assert_eq!(reader.count(b'D', 1).await?, 30_000);
        }
        drop((reader, writer));
        // Whether it was read or not, the server is free again.
        scene.in_state("active", 0).await?;
        nobody_notices(&scene, before).await?;
    }
    Ok(())
}

#[tokio::test]
async fn data_and_notices_pass_each_other() -> Result<()> {
    let scene = Scene::calm("passing", TRUST).await?;
    let mut setup = scene.raw().await?;
    run(
        &mut setup,
        "CREATE TABLE rows (t text); \
         CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN RAISE NOTICE 'row %', repeat('n', 500); RETURN NULL; END $$; \
         CREATE TRIGGER loud BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION shout()",
    )
    .await?;
    let before = at_rest(&scene).await?;
    let (mut reader, mut writer) = halves(&scene).await?;
    writer.write_all(&say::query("COPY rows FROM STDIN")).await?;
    let rows: usize = 30_000;
    let writing = tokio::spawn(async move {
        let row = say::copy_data(format!("{}\n", "r".repeat(500)).as_bytes());
        for _ in 0..rows / 100 {
            writer.write_all(&row.repeat(100)).await?;
        }
        writer.write_all(&say::copy_done()).await?;
        Ok::<_, Error>(writer)
    });
    // It does not read for a while: the server has to wait with its notices, then with the rows.
    nobody_notices(&scene, before).await?;
    assert_eq!(reader.count(b'N', 1).await?, rows);
    drop(writing.await??);
    nobody_notices(&scene, before).await
}

#[tokio::test]
async fn a_server_that_does_not_read_holds_up_its_client_only() -> Result<()> {
    let scene = Scene::calm("blocking", TRUST).await?;
    let before = at_rest(&scene).await?;
    let mut setup = scene.raw().await?;
    run(&mut setup, "CREATE TABLE rows (t text)").await?;
    run(&mut setup, "BEGIN; LOCK TABLE rows").await?;
    let mut client = scene.raw().await?;
    client.send(&say::query("COPY rows FROM STDIN")).await?;
    let row = say::copy_data(&vec![b'r'; 10_000]);
    let pushing = async {
        while client.send(&row).await.is_ok() {}
        Err::<(), _>(Error::msg("the client was closed"))
    };
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = \
                 'blocking.rows'::regclass";
    let others = async {
        wait_for("the server is blocked", PATIENCE, async || {
            let seen = scene.node.query_text(DATABASE, waits).await?;
            ensure(seen == "1", seen)
        })
        .await?;
        for _ in 0..OTHERS {
            run(&mut setup, "SELECT 1").await?;
        }
        Result::<()>::Ok(())
    };
    tokio::select! {
        stopped = pushing => stopped?,
        served = others => served?,
    }
    let peak = scene.trunkline.usage()?.resident_peak_bytes;
    assert!(peak <= before + GROWTH_MAX, "{peak} bytes resident, {before} at rest");
    // The client dies while nothing can be read from it: that is noticed, although its server is blocked.
    client.reset()?;
    wait_for("the server is freed", PATIENCE, async || {
        let seen = scene.node.query_text(DATABASE, waits).await?;
        ensure(seen == "0", seen)
    })
    .await?;
    run(&mut setup, "COMMIT").await
}
