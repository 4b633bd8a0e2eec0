//! What the named prepared statements of all clients take is bounded: what goes beyond is refused, sessions go on, and
//! what clients give up makes room.

mod common;

use common::{Scene, ensure, error_in, one, run, words};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{Frame, RawClient, say};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// Bytes of each text.
const LEN: usize = 16 << 10;

/// How much more memory than at rest, and than the limit, the program may use: what is on its way, and what the allocator
/// does not give back.
const GROWTH_MAX: u64 = 24 << 20;

fn settings(total: usize) -> String {
    format!(
        "[auth]\nmethod = \"trust\"\n[pool]\nsize = 2\nmax_prepared_bytes = \"1MiB\"\n[limits]\nstatements_total = {total}"
    )
}

/// A text that no other number has.
fn text(number: usize) -> String {
    format!("SELECT {number}, length('{}')", "x".repeat(LEN))
}

/// The client prepares one.
async fn prepare(client: &mut RawClient, name: &str, number: usize) -> Result<Vec<Frame>> {
    let burst = [say::parse(name, &text(number), &[]), say::sync()].concat();
    client.exchange(&burst, 1).await
}

async fn accepted(client: &mut RawClient, name: &str, number: usize) -> Result<()> {
    let frames = prepare(client, name, number).await?;
    ensure(frames.first().is_some_and(|frame| frame.tag == b'1'), format!("{frames:?}"))
}

/// The client runs one that it has prepared.
async fn runs(client: &mut RawClient, name: &str) -> Result<()> {
    let burst = [say::bind("", name, &[]), say::execute("", 0), say::sync()].concat();
    let tags: Vec<u8> = client.exchange(&burst, 1).await?.iter().map(|frame| frame.tag).collect();
    ensure(tags == b"2DCZ", format!("{tags:?}"))
}

async fn metric(scene: &Scene<'_>, name: &str) -> Result<u64> {
    let text = scene.trunkline.get("/metrics").await?.body;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.unwrap_or("none").parse()?)
}

#[tokio::test]
async fn what_goes_beyond_is_refused_and_the_session_goes_on() -> Result<()> {
    // Three texts fit, and no fourth.
    let limit = 4 * LEN;
    let scene = Scene::calm("beyond", &settings(limit)).await?;
    let (mut one_of_them, mut other) = (scene.raw().await?, scene.raw().await?);
    for number in 0..3 {
        accepted(&mut one_of_them, &format!("s{number}"), number).await?;
    }
    let refused = error_in(&prepare(&mut one_of_them, "s3", 3).await?, "53200")?;
    assert_eq!(refused.fields()[&'S'], "ERROR");
    let told = words(&refused);
    assert!(
        told.contains("limits.statements_total") && told.contains(&limit.to_string()),
        "{told}"
    );
    // What follows in the pipeline is skipped, and a transaction has failed.
    run(&mut other, "BEGIN").await?;
    let burst =
        [say::parse("t", &text(4), &[]), say::bind("", "t", &[]), say::execute("", 0), say::sync()];
    let frames = other.exchange(&burst.concat(), 1).await?;
    error_in(&frames, "53200")?;
    assert_eq!(frames.iter().map(|frame| frame.tag).collect::<Vec<_>>(), b"EZ");
    error_in(&other.query("SELECT 1").await?, "25P02")?;
    run(&mut other, "ROLLBACK").await?;
    // A text that somebody has is no further one.
    accepted(&mut other, "mine", 0).await?;
    runs(&mut other, "mine").await?;
    runs(&mut one_of_them, "s2").await?;
    assert_eq!(one(&mut one_of_them, "SELECT 42").await?, "42");
    assert_eq!(metric(&scene, "trunkline_statements").await?, 3);
    assert_eq!(metric(&scene, "trunkline_statements_refused_total").await?, 2);
    assert_eq!(metric(&scene, "trunkline_statement_limit_bytes").await?, u64::try_from(limit)?);
    // It makes room when the last client gives it up.
    one_of_them.exchange(&[say::close_statement("s0"), say::sync()].concat(), 1).await?;
    error_in(&prepare(&mut one_of_them, "s3", 3).await?, "53200")?;
    other.exchange(&[say::close_statement("mine"), say::sync()].concat(), 1).await?;
    accepted(&mut one_of_them, "s3", 3).await?;
    // So does a higher limit.
    error_in(&prepare(&mut other, "t", 4).await?, "53200")?;
    scene.reload(&settings(2 * limit), "limits.statements_total").await?;
    wait_for("there is more room", PATIENCE, async || {
        let now = metric(&scene, "trunkline_statement_limit_bytes").await?;
        ensure(now == 2 * u64::try_from(limit)?, now)
    })
    .await?;
    accepted(&mut other, "t", 4).await?;
    runs(&mut other, "t").await?;
    drop((one_of_them, other));
    wait_for("nothing counts", PATIENCE, async || {
        let left = metric(&scene, "trunkline_statement_bytes").await?;
        ensure(left == 0, left)
    })
    .await
}

#[tokio::test]
async fn memory_is_bounded_for_many_clients() -> Result<()> {
    const LIMIT: usize = 8 << 20;
    const CLIENTS: usize = 50;
    const EACH: usize = 60;
    let scene = Scene::calm("many", &settings(LIMIT)).await?;
    let mut clients = scene.crowd(CLIENTS).await?;
    run(&mut clients[0], "SELECT 1").await?;
    let at_rest = scene.trunkline.usage()?.resident_bytes;
    let mut refused = 0;
    for (index, client) in clients.iter_mut().enumerate() {
        for number in 0..EACH {
            let frames = prepare(client, &format!("s{number}"), index * EACH + number).await?;
            if frames.iter().any(|frame| frame.tag == b'E') {
                error_in(&frames, "53200")?;
                refused += 1;
            }
        }
    }
    let fit = CLIENTS * EACH - refused;
    assert!((LIMIT / LEN * 9 / 10..=LIMIT / LEN).contains(&fit), "{fit} of them fit");
    assert!(metric(&scene, "trunkline_statement_bytes").await? <= u64::try_from(LIMIT)?);
    let peak = scene.trunkline.usage()?.resident_peak_bytes;
    let most = at_rest + u64::try_from(LIMIT)? + GROWTH_MAX;
    ensure(peak <= most, format!("{peak} bytes resident, {at_rest} at rest"))
}
