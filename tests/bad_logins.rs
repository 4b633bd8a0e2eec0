//! Whatever comes in before a login costs its sender the connection at most.

mod common;

use common::{DATABASE, PASSWORD, Scene, ensure, one, refused, run, serve};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{RawClient, say};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// How much more memory than at rest the program may use under nonsense.
const GROWTH_MAX: u64 = 24 << 20;

/// A message with any tag and any declared length.
fn message(tag: u8, declared: u32, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &declared.to_be_bytes(), body].concat()
}

fn untagged(declared: u32, body: &[u8]) -> Vec<u8> {
    [&declared.to_be_bytes()[..], body].concat()
}

#[tokio::test]
async fn nonsense_before_the_login_costs_nothing() -> Result<()> {
    let scene = Scene::calm("stranger", "[pool]\nsize = 1").await?;
    let mut good = scene.raw().await?;
    run(&mut good, "SELECT 1").await?;
    let before = scene.trunkline.usage()?.resident_bytes;
    let version = |number: u32| untagged(8, &number.to_be_bytes());
    let user = say::startup(say::PROTOCOL_3_0, &[("user", "stranger"), ("database", DATABASE)]);
    let many: Vec<(String, String)> = (0..300).map(|i| (format!("a{i}"), "v".repeat(20))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let inputs: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        vec![0; 10_000],
        vec![0xFF; 10_000],
        untagged(0, b""),
        untagged(3, b""),
        untagged(4, b""),
        untagged(10_001, b"\x00\x03\x00\x00"),
        untagged(0x7FFF_FFFF, b"\x00\x03\x00\x00"),
        version(0x0002_0000),
        version(0x0009_0009),
        version(say::PROTOCOL_3_0),
        say::startup(say::PROTOCOL_3_0, &[("database", DATABASE)]).to_vec(),
        say::startup(say::PROTOCOL_3_0, &[("user", "")]).to_vec(),
        say::startup(say::PROTOCOL_3_0, &many).to_vec(),
        user[..user.len() - 1].to_vec(),
        untagged(12, &[&say::CANCEL_CODE.to_be_bytes()[..], b"1234"].concat()),
        say::ssl_request().repeat(100),
        say::gss_request().repeat(100),
        [&user[..], &say::query("SELECT 1")].concat(),
        [&user[..], &message(b'p', 0x3FFF_FFFF, b"endless")].concat(),
        [&user[..], &message(b'p', 3, b"")].concat(),
        [&user[..], &say::password("no SASL at all")].concat(),
        [&user[..], &say::sasl_initial("SCRAM-SHA-1", b"n,,n=,r=x")].concat(),
        [&user[..], &say::sasl_initial("SCRAM-SHA-256", b"n,,n=,r=")].concat(),
        [&user[..], &say::sasl_initial("SCRAM-SHA-256", &[0xFF; 5_000])].concat(),
    ];
    for bytes in inputs {
        let mut client = RawClient::tcp(scene.trunkline.address()).await?;
        // It may be closed before everything is sent.
        drop(client.send(&bytes).await);
        drop(client.finish().await);
        closed(&mut client).await?;
        assert_eq!(one(&mut good, "SELECT 1").await?, "1");
    }
    let after = scene.trunkline.usage()?.resident_peak_bytes;
    assert!(after <= before + GROWTH_MAX, "{after} bytes, {before} before");
    Ok(())
}

/// Waits until the server has closed, whatever it says before.
async fn closed(client: &mut RawClient) -> Result<()> {
    loop {
        if let Err(error) = client.read_bytes(1).await {
            let told = format!("{error:#}");
            let gone = told.contains("closed") || told.contains("reset") || told.contains("pipe");
            return ensure(gone, told);
        }
    }
}

#[tokio::test]
async fn an_application_name_need_not_be_text() -> Result<()> {
    let scene = Scene::calm("odd", "").await?;
    // As the server tells it, and as it has it.
    let seen = async |address| {
        let mut client = RawClient::tcp(address).await?;
        let startup = [
            &say::PROTOCOL_3_0.to_be_bytes()[..],
            b"user\0odd\0database\0postgres\0application_name\0caf\xE9 \xC3\xA9\x01\0\0",
        ]
        .concat();
        let declared = u32::try_from(startup.len())? + 4;
        let welcome = client.login_by(&untagged(declared, &startup), "odd", PASSWORD).await?;
        let told = welcome.parameters.get("application_name").cloned().unwrap_or_default();
        Ok::<_, trunkline_testkit::Error>((told, one(&mut client, "SHOW application_name").await?))
    };
    let direct = seen(scene.node.address()).await?;
    ensure(direct.0.starts_with("caf"), &direct.0)?;
    // The first client waits for a server, the second does not.
    for _ in 0..2 {
        assert_eq!(seen(scene.trunkline.address()).await?, direct);
    }
    Ok(())
}

#[tokio::test]
async fn who_takes_too_long_to_log_in_is_closed() -> Result<()> {
    let config = "[general]\nlogin_timeout = \"500ms\"\nmax_pending_logins = 20";
    let scene = Scene::calm("slow", config).await?;
    let mut slow = RawClient::tcp(scene.trunkline.address()).await?;
    let startup = say::startup(say::PROTOCOL_3_0, &[("user", "slow"), ("database", DATABASE)]);
    let trickle = async {
        for byte in startup.chunks(1) {
            slow.send(byte).await?;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Result::<()>::Ok(())
    };
    let cut = trickle.await.is_err();
    if !cut {
        closed(&mut slow).await?;
    }
    // Strangers who say nothing take all places; when they are thrown out, others come in.
    let mut strangers = Vec::new();
    for _ in 0..60 {
        strangers.push(RawClient::tcp(scene.trunkline.address()).await?);
    }
    for stranger in &mut strangers {
        closed(stranger).await?;
    }
    wait_for("a good client is let in", PATIENCE, async || scene.raw().await.map(drop)).await
}

#[tokio::test]
async fn a_storm_of_wrong_passwords_is_refused_and_hinders_nobody() -> Result<()> {
    const EACH: usize = 40;
    let scene = Scene::calm("stormed", "[pool]\nsize = 1").await?;
    let mut good = scene.raw().await?;
    run(&mut good, "SELECT 1").await?;
    let before = scene.trunkline.usage()?.resident_bytes;
    let address = scene.trunkline.address();
    let attempts = ["stormed", "nobody"].repeat(EACH).into_iter().enumerate();
    let attempts: Vec<_> = attempts
        .map(|(number, user)| {
            tokio::spawn(async move {
                let password = format!("guess {number}");
                let refused = RawClient::logged_in(address, user, &password, DATABASE).await;
                refused.err().map(|error| format!("{error:#}")).unwrap_or_default()
            })
        })
        .collect();
    serve(&mut good, 100).await?;
    for attempt in attempts {
        let told = attempt.await?;
        ensure(told.contains("28P01"), told)?;
    }
    scene.raw().await?;
    let after = scene.trunkline.usage()?.resident_peak_bytes;
    ensure(after <= before + GROWTH_MAX, format!("{after} bytes, {before} before"))
}

#[tokio::test]
async fn one_client_too_many_is_told_at_once() -> Result<()> {
    let config = "[general]\nmax_clients = 2\n[users.many]\nmax_clients = 1";
    let scene = Scene::calm("over", config).await?;
    let (first, _second) = (scene.raw().await?, scene.raw().await?);
    refused(scene.raw().await, "53300")?;
    drop(first);
    wait_for("a place is free", PATIENCE, async || scene.raw().await.map(drop)).await?;
    let scene = Scene::calm("single", "[users.single]\nmax_clients = 1").await?;
    let _first = scene.raw().await?;
    refused(scene.raw().await, "53300")
}

/// Connections that send a part of a password each.
const HALVES: usize = 600;

#[tokio::test]
async fn long_passwords_that_never_end_are_bounded_together() -> Result<()> {
    let config = "[auth]\nmethod = \"password\"\n[limits]\nheld_total = \"16MiB\"";
    let scene = Scene::calm("halved", config).await?;
    let mut good = scene.raw().await?;
    run(&mut good, "SELECT repeat('x', 1000000)").await?;
    let before = scene.trunkline.usage()?.resident_bytes;
    let startup = say::startup(say::PROTOCOL_3_0, &[("user", "halved"), ("database", DATABASE)]);
    let password = say::password(&"p".repeat(65_000));
    let (part, _) = password.split_at(60_000);
    let mut strangers = Vec::new();
    for _ in 0..HALVES {
        let mut client = RawClient::tcp(scene.trunkline.address()).await?;
        client.send(&startup).await?;
        client.expect(b'R').await?;
        // Most are refused before they are through with it.
        drop(client.send(part).await);
        strangers.push(client);
    }
    let mut last = strangers.pop().unwrap();
    let told = last.expect_error("53200").await?;
    assert!(common::words(&told).contains("limits.held_total"), "{told:?}");
    // Ordinary logins take so little that they are let in.
    serve(&mut scene.raw().await?, 1).await?;
    serve(&mut good, 1).await?;
    let peak = scene.trunkline.usage()?.resident_peak_bytes;
    assert!(peak <= before + GROWTH_MAX, "{peak} bytes, {before} before");
    // When they are gone, a long password is looked at again.
    drop((strangers, last));
    wait_for("there is room again", PATIENCE, async || {
        let mut client = RawClient::tcp(scene.trunkline.address()).await?;
        client.send(&startup).await?;
        client.expect(b'R').await?;
        client.send(&password).await?;
        client.expect_error("28P01").await.map(drop)
    })
    .await
}
