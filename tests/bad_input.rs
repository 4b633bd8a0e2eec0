//! Whatever comes in after a login costs its sender the connection at most; and who asks for too much is told so at once.

mod common;

use std::fmt::Write as _;

use common::{DATABASE, PASSWORD, Scene, ensure, error_in, one, run, serve};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{Frame, RawClient, say, tags};
use trunkline_testkit::wait::PATIENCE;

/// How much more memory than at rest the program may use under nonsense.
const GROWTH_MAX: u64 = 24 << 20;

/// A message with any tag and any declared length.
fn message(tag: u8, declared: u32, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &declared.to_be_bytes(), body].concat()
}

/// A message whose length is right.
fn whole(tag: u8, body: &[u8]) -> Vec<u8> {
    message(tag, u32::try_from(body.len() + 4).expect("test messages are short"), body)
}

/// What is sent after a login, each as the first thing.
fn mistakes() -> Vec<(&'static str, Vec<u8>)> {
    let parse = say::parse("", "SELECT $1::int", &[]);
    let pair = [&parse[..], &say::bind("", "", &[Some("1"), Some("2")])].concat();
    vec![
        ("a syntax error", say::query("SELEC 1").to_vec()),
        ("too many values", pair),
        ("no values", [&parse[..], &say::bind("", "", &[])].concat()),
        (
            "not a number",
            [&parse[..], &say::bind("", "", &[Some("x")]), &say::execute("", 0)].concat(),
        ),
        ("an unknown portal", say::execute("nowhere", 0).to_vec()),
        ("an unknown statement", say::bind("", "nothing", &[]).to_vec()),
        ("a description of nothing", say::describe_statement("nothing").to_vec()),
        ("a description of nowhere", say::describe_portal("nowhere").to_vec()),
        ("a description of what", whole(b'D', b"xname\0")),
        ("closing what", whole(b'C', b"xname\0")),
        ("closing nothing", say::close_statement("nothing").to_vec()),
        ("a query without its end", whole(b'Q', b"SELECT 1")),
        ("a query behind its end", whole(b'Q', b"SELECT 1\0SELECT 2\0")),
        ("an empty query", say::query("").to_vec()),
        ("half a bind", whole(b'B', b"\0\0\0\x05\0\0")),
        ("half a parse", whole(b'P', b"name\0SELECT 1")),
        ("types without number", whole(b'P', b"\0SELECT 1\0\0\x09")),
        ("an execute without rows", whole(b'E', b"\0")),
        ("data outside of COPY", say::copy_data(b"x").to_vec()),
        ("the end of no COPY", say::copy_done().to_vec()),
        ("the failure of no COPY", say::copy_fail("why").to_vec()),
        ("a call of nothing", whole(b'F', b"\0\0\0\0\0\0\0\0\0\0")),
        ("an unknown message", whole(b'~', b"")),
        ("a password", say::password("late").to_vec()),
        ("a message of the server", whole(b'Z', b"I")),
        ("an invalid byte", say::query("SELECT '\u{0}'").to_vec()),
        ("bytes that are no text", whole(b'Q', b"SELECT '\xFF\xFE'\0")),
    ]
}

/// What is answered: tags and SQLSTATEs up to the answer of a last query, or to the end.
async fn answer(client: &mut RawClient, bytes: &[u8]) -> Result<String> {
    let all = [bytes, &say::sync()[..], &say::query("SELECT 'last'")].concat();
    client.send(&all).await?;
    let mut told = String::new();
    loop {
        let frame = match client.read().await {
            Ok(frame) => frame,
            Err(error) if format!("{error:#}").contains("clos") => return Ok(told + "end"),
            Err(error) if format!("{error:#}").contains("reset") => return Ok(told + "end"),
            Err(error) => return Err(error),
        };
        write!(told, "{}{} ", char::from(frame.tag), frame.sqlstate())?;
        if frame.tag == b'D' && frame.row()? == [Some("last".to_owned())] {
            return Ok(told);
        }
    }
}

#[tokio::test]
async fn mistakes_of_the_protocol_are_answered_as_postgresql_does() -> Result<()> {
    let scene = Scene::calm("mistaken", "[pool]\nsize = 2").await?;
    let mut differences = String::new();
    for (what, bytes) in mistakes() {
        let direct = scene.node.address();
        let mut direct = RawClient::logged_in(direct, "mistaken", PASSWORD, DATABASE).await?;
        let wanted = answer(&mut direct, &bytes).await?;
        for busy in [false, true] {
            let mut client = scene.raw().await?;
            if busy {
                run(&mut client, "BEGIN").await?;
                run(&mut client, "COMMIT").await?;
            }
            let seen = answer(&mut client, &bytes).await?;
            if seen != wanted {
                writeln!(differences, "{what}: {seen}, directly {wanted}")?;
            }
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
    Ok(())
}

/// As by PostgreSQL, which tells its log only.
async fn closed_silently(client: &mut RawClient) -> Result<()> {
    let said = client.expect_closed().await?;
    ensure(said.is_empty(), format!("{said:?}"))
}

#[tokio::test]
async fn impossible_lengths_end_the_client_and_no_other() -> Result<()> {
    let scene = Scene::calm("lengthy", "[pool]\nsize = 1").await?;
    let mut good = scene.raw().await?;
    run(&mut good, "SELECT 1").await?;
    for tag in *b"QPBEDCSHFXdcf" {
        for declared in [0, 3, 0x4000_0000, 0x7FFF_FFFF, u32::MAX] {
            for open in [false, true] {
                let mut client = scene.raw().await?;
                if open {
                    run(&mut client, "BEGIN").await?;
                }
                client.send(&message(tag, declared, b"")).await?;
                closed_silently(&mut client).await?;
            }
        }
        // Messages that are always short.
        if b"EDCSHcf".contains(&tag) {
            let mut client = scene.raw().await?;
            client.send(&message(tag, 0x3FFF_FFFF, b"S")).await?;
            closed_silently(&mut client).await?;
        }
    }
    assert_eq!(one(&mut good, "SELECT 1").await?, "1");
    scene.trunkline.logged("invalid message length").await.map(drop)
}

#[tokio::test]
async fn messages_without_end_cost_no_memory() -> Result<()> {
    let scene = Scene::calm("endless", "[pool]\nsize = 2").await?;
    let mut good = scene.raw().await?;
    run(&mut good, "SELECT repeat('x', 1000000)").await?;
    let before = scene.trunkline.usage()?.resident_bytes;
    for tag in *b"QPB" {
        let mut client = scene.raw().await?;
        client.send(&message(tag, 0x1000_0000, b"\0\0")).await?;
        for _ in 0..64 {
            client.send(&vec![b' '; 512 << 10]).await?;
        }
        assert_eq!(one(&mut good, "SELECT 1").await?, "1");
        client.reset()?;
    }
    let after = scene.trunkline.usage()?.resident_peak_bytes;
    assert!(after <= before + GROWTH_MAX, "{after} bytes, {before} before");
    // The servers that were in the middle of them are not used again.
    let mut next = scene.raw().await?;
    for client in [&mut good, &mut next] {
        run(client, "BEGIN").await?;
        assert_eq!(one(client, "SELECT 1").await?, "1");
    }
    Ok(())
}

#[tokio::test]
async fn a_message_of_a_gigabyte_goes_through_in_little_memory() -> Result<()> {
    // The longest message that PostgreSQL takes: its length counts itself.
    const LENGTH: u32 = 0x3FFF_FFFE;
    let scene = Scene::calm("gigabyte", "[pool]\nsize = 2").await?;
    let (mut client, mut good) = (scene.raw().await?, scene.raw().await?);
    run(&mut client, "CREATE TABLE nowhere (line text)").await?;
    let before = scene.trunkline.usage()?.resident_bytes;
    client.send(&say::query("COPY nowhere FROM STDIN WHERE false")).await?;
    client.expect(b'G').await?;
    client.send(&message(b'd', LENGTH, b"")).await?;
    let mut left = usize::try_from(LENGTH - 4)?;
    let lines = [&vec![b'x'; (1 << 20) - 1][..], b"\n"].concat();
    while left > 0 {
        let piece = &lines[lines.len() - left.min(lines.len())..];
        client.send(piece).await?;
        left -= piece.len();
        if left % (64 << 20) < piece.len() {
            assert_eq!(one(&mut good, "SELECT 1").await?, "1");
        }
    }
    client.send(&say::copy_done()).await?;
    client.set_patience(PATIENCE * 3);
    assert_eq!(tags(&client.read_until(b'Z').await?), "CZ");
    assert_eq!(one(&mut client, "SELECT 2").await?, "2");
    let after = scene.trunkline.usage()?.resident_peak_bytes;
    ensure(after <= before + GROWTH_MAX, format!("{after} bytes, {before} before"))
}

#[tokio::test]
async fn messages_that_never_end_to_come_cost_no_memory() -> Result<()> {
    let scene = Scene::calm("ceaseless", "[pool]\nsize = 2").await?;
    let mut good = scene.raw().await?;
    let before = scene.trunkline.usage()?.resident_bytes;
    let kinds = [
        say::sync(),
        say::flush(),
        say::copy_data(b"x"),
        say::copy_fail("x"),
        say::parse("", "SELECT 1", &[]),
        say::close_portal("x"),
    ];
    for kind in kinds {
        let mut client = scene.raw().await?;
        let many = kind.repeat((1 << 20) / kind.len());
        // Nobody reads the answers: sooner or later nothing more is taken.
        let flood = async {
            for _ in 0..32 {
                client.send(&many).await?;
            }
            Result::<()>::Ok(())
        };
        tokio::select! {
            sent = flood => sent?,
            served = serve(&mut good, 300) => served?,
        }
        client.reset()?;
        assert_eq!(one(&mut good, "SELECT 1").await?, "1");
    }
    let after = scene.trunkline.usage()?.resident_peak_bytes;
    ensure(after <= before + GROWTH_MAX, format!("{after} bytes, {before} before"))
}

#[tokio::test]
async fn a_message_may_be_limited() -> Result<()> {
    let scene = Scene::calm("limited", "[limits]\nmax_message = \"1MiB\"").await?;
    for open in [false, true] {
        let mut client = scene.raw().await?;
        if open {
            run(&mut client, "BEGIN").await?;
        }
        run(&mut client, &format!("SELECT length('{}')", "x".repeat(1_000_000))).await?;
        client.send(&message(b'Q', 2 << 20, b"SELECT")).await?;
        let told = error_in(&client.expect_closed().await?, "08P01")?;
        assert!(common::words(&told).contains("limits.max_message"), "{told:?}");
    }
    Ok(())
}

#[tokio::test]
async fn ten_thousand_parameters_are_passed_on() -> Result<()> {
    let scene = Scene::calm("many", "[pool]\nsize = 1").await?;
    let list: Vec<String> = (1..=10_000).map(|number| format!("${number}")).collect();
    let sql = format!("SELECT cardinality(ARRAY[{}]::text[])", list.join(","));
    let values: Vec<String> = (0..10_000).map(|number| format!("value {number}")).collect();
    let values: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
    let mut client = scene.raw().await?;
    for name in ["", "named"] {
        let parts = [
            say::parse(name, &sql, &[]),
            say::bind("", name, &values),
            say::execute("", 0),
            say::sync(),
        ];
        let frames: Vec<Frame> = client.exchange(&parts.concat(), 1).await?;
        assert_eq!(tags(&frames), "12DCZ");
        assert_eq!(frames[2].row()?, [Some("10000".to_owned())]);
    }
    Ok(())
}

#[tokio::test]
async fn bytes_that_trickle_in_are_as_good_as_others() -> Result<()> {
    let scene = Scene::calm("trickling", "[pool]\nsize = 1").await?;
    let (mut slow, mut other) = (scene.raw().await?, scene.raw().await?);
    for byte in say::query("SELECT 'slow'").chunks(1) {
        slow.send(byte).await?;
        // Half a message holds no server.
        assert_eq!(one(&mut other, "SELECT 1").await?, "1");
    }
    for byte in say::extended("SELECT 'slower'", &[]).chunks(1) {
        slow.send(byte).await?;
    }
    let frames = [slow.read_until(b'Z').await?, slow.read_until(b'Z').await?].concat();
    assert_eq!(tags(&frames), "TDCZ12TDCZ");
    Ok(())
}

#[tokio::test]
async fn one_waiter_too_many_is_told_at_once_and_goes_on() -> Result<()> {
    let scene = Scene::calm("queue", "[pool]\nsize = 1\nmax_waiting = 2").await?;
    let mut holder = scene.raw().await?;
    run(&mut holder, "BEGIN").await?;
    let both = [say::query("SELECT 1"), say::extended("SELECT 2", &[])].concat();
    let mut waiting = scene.crowd(2).await?;
    for client in &mut waiting {
        client.send(&both).await?;
    }
    scene.waiting_are(2).await?;
    let mut turned_away = scene.crowd(3).await?;
    for client in &mut turned_away {
        client.send(&both).await?;
        for _ in 0..2 {
            let frames = client.read_until(b'Z').await?;
            assert_eq!(tags(&frames), "EZ");
            error_in(&frames, "53300")?;
        }
    }
    run(&mut holder, "COMMIT").await?;
    for client in &mut waiting {
        assert_eq!(tags(&client.read_until(b'Z').await?), "TDCZ");
        assert_eq!(tags(&client.read_until(b'Z').await?), "12TDCZ");
    }
    for client in &mut turned_away {
        assert_eq!(one(client, "SELECT 3").await?, "3");
    }
    Ok(())
}
