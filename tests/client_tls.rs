//! TLS towards clients: how a connection ends in order, and what the log tells of one that was refused.

mod common;

use common::{DATABASE, PASSWORD, Scene, ensure, error_in, one, shared};
use trunkline_testkit::certs::Authority;
use trunkline_testkit::peer::{RawClient, Tls, say};
use trunkline_testkit::process::Signal;
use trunkline_testkit::{Result, Trunkline, TrunklineOptions};

/// Offers TLS, and asks for client certificates of this authority.
fn with_tls(options: TrunklineOptions, authority: &Authority) -> Result<TrunklineOptions> {
    let server = authority.server(&["127.0.0.1", "localhost"])?;
    Ok(options
        .file("server.crt", server.pem())
        .file("server.key", server.key())
        .file("ca.crt", authority.pem())
        .config(
            "[client_tls]\nmode = \"allow\"\ncertificate = \"server.crt\"\nkey = \"server.key\"\nca = \"ca.crt\"",
        ))
}

/// A scene with TLS.
async fn scene(user: &str, authority: &Authority) -> Result<Scene<'static>> {
    let cluster = shared().await?;
    let options = Trunkline::builder().cluster(cluster).user(user, PASSWORD);
    Scene::with(cluster, user, with_tls(options, authority)?).await
}

#[tokio::test]
async fn a_cancel_request_ends_with_the_goodbye_of_tls() -> Result<()> {
    let authority = Authority::new("Ours")?;
    let scene = scene("cancelling", &authority).await?;
    let address = scene.trunkline.address();
    let tls = Tls::new(&authority, "localhost");
    let mut client = RawClient::tcp(address).await?.request_tls(&tls).await?;
    let key = client.login("cancelling", PASSWORD, DATABASE).await?;
    client.send(&say::query("SELECT pg_sleep(3600)")).await?;
    scene.in_state("active", 1).await?;
    // The second one finds nothing to cancel, and ends no worse.
    for _ in 0..2 {
        let mut cancel = RawClient::tcp(address).await?.request_tls(&tls).await?;
        cancel.send(&say::cancel(key.pid, &key.key)).await?;
        // An end without the goodbye would be an error here, as it is to libpq 17.
        let said = cancel.expect_closed().await?;
        ensure(said.is_empty(), format!("{said:?}"))?;
    }
    error_in(&client.read_until(b'Z').await?, "57014")?;
    assert_eq!(one(&mut client, "SELECT 1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_refused_handshake_is_logged_with_its_reason_and_without_what_was_sent() -> Result<()> {
    let (ours, foreign) = (Authority::new("Ours")?, Authority::new("Foreign")?);
    let scene = scene("refused", &ours).await?;
    let address = scene.trunkline.address();
    // Ours is not good enough for the client.
    let distrusting = Tls::new(&foreign, "localhost");
    ensure(RawClient::tcp(address).await?.request_tls(&distrusting).await.is_err(), "trusted")?;
    refusal(&scene, "alert").await?;
    // The client's is not good enough for us. Under TLS 1.3 it learns that after its own part of the handshake.
    let stranger = foreign.client("refused")?;
    let shown = Tls { certificate: Some(&stranger), ..Tls::new(&ours, "localhost") };
    if let Ok(mut client) = RawClient::tcp(address).await?.request_tls(&shown).await {
        ensure(client.login("refused", PASSWORD, DATABASE).await.is_err(), "let in")?;
    }
    refusal(&scene, "invalid peer certificate").await?;
    // The client goes on without TLS, with what should have been secret.
    let mut plain = RawClient::tcp(address).await?;
    plain.send(&say::ssl_request()).await?;
    assert_eq!(plain.read_bytes(1).await?, "S");
    let startup = say::startup(say::PROTOCOL_3_0, &[("user", "hunter2"), ("database", "hunter2")]);
    plain.send(&[&startup[..], &say::password("hunter2")].concat()).await?;
    plain.read_bytes(1).await.ok();
    refusal(&scene, "corrupt message").await?;
    // Direct TLS for another protocol.
    let web = Tls { protocols: &[b"http/1.1"], ..Tls::new(&ours, "localhost") };
    ensure(RawClient::tcp(address).await?.encrypt(&web).await.is_err(), "served as a web server")?;
    refusal(&scene, "doesn't support any known protocol").await?;
    let log = scene.trunkline.log();
    ensure(!log.contains("hunter2"), log)
}

/// Waits for the line that tells why, and of whom.
async fn refusal(scene: &Scene<'_>, reason: &str) -> Result<()> {
    let line = scene.trunkline.logged(reason).await?;
    ensure(
        line.contains("WARN") && line.contains("the TLS handshake with a client failed"),
        &line,
    )?;
    ensure(line.contains("client=127.0.0.1:"), &line)
}

#[tokio::test]
async fn a_key_that_is_not_the_certificates_changes_nothing() -> Result<()> {
    let authority = Authority::new("Ours")?;
    let scene = scene("mismatched", &authority).await?;
    let other = authority.server(&["127.0.0.1"])?;
    std::fs::write(scene.trunkline.directory().join("server.key"), other.key())?;
    scene.trunkline.signal(Signal::HUP)?;
    scene.trunkline.logged("settings not changed").await?;
    scene.trunkline.logged("this is not the key of the certificate in").await?;
    scene.trunkline.logged("trunkline.toml:").await?;
    let tls = Tls::new(&authority, "localhost");
    let mut client = RawClient::tcp(scene.trunkline.address()).await?.request_tls(&tls).await?;
    client.login("mismatched", PASSWORD, DATABASE).await?;
    assert_eq!(one(&mut client, "SELECT 1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn certificates_that_are_renewed_are_taken_without_a_signal() -> Result<()> {
    let (old, new) = (Authority::new("Old")?, Authority::new("New")?);
    let scene = scene("recertified", &old).await?;
    let address = scene.trunkline.address();
    let mut client =
        RawClient::tcp(address).await?.request_tls(&Tls::new(&old, "localhost")).await?;
    client.login("recertified", PASSWORD, DATABASE).await?;
    // One after the other: for a moment the key is not the certificate's.
    let renewed = new.server(&["127.0.0.1", "localhost"])?;
    let at = |name: &str| scene.trunkline.directory().join(name);
    std::fs::write(at("server.crt"), renewed.pem())?;
    std::fs::write(at("server.key"), renewed.key())?;
    scene.trunkline.logged("setting changed: client_tls.certificate").await?;
    let tls = Tls::new(&new, "localhost");
    let mut later = RawClient::tcp(address).await?.request_tls(&tls).await?;
    later.login("recertified", PASSWORD, DATABASE).await?;
    assert_eq!(one(&mut later, "SELECT 1").await?, "1");
    // A bad one changes nothing.
    std::fs::write(at("server.crt"), "nothing of the kind\n")?;
    scene.trunkline.logged("holds no certificate in PEM form").await?;
    let mut later = RawClient::tcp(address).await?.request_tls(&tls).await?;
    later.login("recertified", PASSWORD, DATABASE).await?;
    // Who was there before is not disturbed.
    assert_eq!(one(&mut client, "SELECT 1").await?, "1");
    Ok(())
}
