//! A client that says what the test tells it to, byte by byte if need be.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::frame::{Frame, take_text};
use super::say::{self, PROTOCOL_3_0};
use super::socket::Socket;
use super::tls::Tls;
use crate::wait::PATIENCE;

/// Messages read in one exchange; more are taken for a server that never stops.
const FRAMES_MAX: usize = 1_000_000;

/// What the server said at the end of a login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Welcome {
    /// The last value of each `ParameterStatus`.
    pub parameters: BTreeMap<String, String>,
    /// The number that a cancel must name.
    pub pid: u32,
    /// The key that a cancel must show: 4 bytes in protocol 3.0.
    pub key: Bytes,
    /// How the server asked for the password; empty if it did not.
    pub method: String,
}

/// A client over TCP or a Unix socket.
#[derive(Debug)]
pub struct RawClient {
    socket: Socket,
}

impl RawClient {
    /// Connects over TCP.
    pub async fn tcp(address: SocketAddr) -> Result<Self> {
        let connecting = timeout(PATIENCE, TcpStream::connect(address)).await;
        let stream = connecting.with_context(|| format!("{address} does not answer"))?;
        let stream = stream.with_context(|| format!("cannot connect to {address}"))?;
        Ok(Self { socket: Socket::tcp(stream)? })
    }

    /// Connects to the Unix socket of `port` in `directory`.
    pub async fn unix(directory: &Path, port: u16) -> Result<Self> {
        let path = directory.join(format!(".s.PGSQL.{port}"));
        let connecting = timeout(PATIENCE, UnixStream::connect(&path)).await;
        let stream = connecting.with_context(|| format!("{} does not answer", path.display()))?;
        let stream = stream.with_context(|| format!("cannot connect to {}", path.display()))?;
        Ok(Self { socket: Socket::unix(stream) })
    }

    /// Begins TLS at once (`sslnegotiation=direct`).
    pub async fn encrypt(self, tls: &Tls<'_>) -> Result<Self> {
        Ok(Self { socket: self.socket.encrypt(tls).await? })
    }

    /// Asks for TLS by `SSLRequest` and begins it when the server says `S`.
    pub async fn request_tls(mut self, tls: &Tls<'_>) -> Result<Self> {
        self.send(&say::ssl_request()).await?;
        let answer = self.read_bytes(1).await?;
        ensure!(answer == "S", "the answer to an SSLRequest is {answer:?}");
        self.encrypt(tls).await
    }

    /// The protocol that the server has chosen in the TLS handshake (ALPN).
    pub fn protocol(&self) -> Option<&[u8]> {
        self.socket.protocol()
    }

    /// Connects over TCP and logs in.
    pub async fn logged_in(
        address: SocketAddr,
        user: &str,
        password: &str,
        database: &str,
    ) -> Result<Self> {
        let mut client = Self::tcp(address).await?;
        client.login(user, password, database).await?;
        Ok(client)
    }

    /// Changes how long the next reads and writes may wait; [`PATIENCE`] at first.
    pub fn set_patience(&mut self, patience: Duration) {
        self.socket.patience = patience;
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.write(bytes).await
    }

    /// The next message of the server.
    pub async fn read(&mut self) -> Result<Frame> {
        self.socket.frame().await
    }

    /// The next bytes, when no message is to be expected (the answer to an `SSLRequest`).
    pub async fn read_bytes(&mut self, count: usize) -> Result<Bytes> {
        self.socket.bytes(count).await
    }

    /// The next message that is not asynchronous, which must have this tag.
    pub async fn expect(&mut self, tag: u8) -> Result<Frame> {
        let wanted = char::from(tag);
        loop {
            let context = || format!("the server should send {wanted:?}");
            let frame = self.read().await.with_context(context)?;
            if frame.tag != tag && frame.is_asynchronous() {
                continue;
            }
            ensure!(frame.tag == tag, "the server should send {wanted:?}, but sends {frame:?}");
            return Ok(frame);
        }
    }

    /// An `ErrorResponse` with this SQLSTATE must be next.
    pub async fn expect_error(&mut self, sqlstate: &str) -> Result<Frame> {
        let frame = self.expect(b'E').await?;
        ensure!(frame.sqlstate() == sqlstate, "the SQLSTATE should be {sqlstate}: {frame:?}");
        Ok(frame)
    }

    /// All messages up to and with the first one that has this tag.
    pub async fn read_until(&mut self, tag: u8) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        while frames.len() < FRAMES_MAX {
            let frame = self
                .read()
                .await
                .with_context(|| format!("waiting for {:?} after {frames:?}", char::from(tag)))?;
            let found = frame.tag == tag;
            frames.push(frame);
            if found {
                return Ok(frames);
            }
        }
        bail!("more than {FRAMES_MAX} messages without {:?}", char::from(tag))
    }

    /// Sends bytes and gives all messages up to the `ready`-th `ReadyForQuery`.
    pub async fn exchange(&mut self, bytes: &[u8], ready: usize) -> Result<Vec<Frame>> {
        self.send(bytes).await?;
        let mut frames = Vec::new();
        for _ in 0..ready {
            frames.extend(self.read_until(b'Z').await?);
        }
        Ok(frames)
    }

    /// A simple query and all that answers it.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Frame>> {
        self.exchange(&say::query(sql), 1).await
    }

    /// The rows that answer a simple query; an `ErrorResponse` is an error.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let frames = self.query(sql).await?;
        if let Some(error) = frames.iter().find(|frame| frame.tag == b'E') {
            bail!("{sql}: {error:?}");
        }
        frames.iter().filter(|frame| frame.tag == b'D').map(Frame::row).collect()
    }

    /// Waits until the server has closed, and gives what it said until then.
    pub async fn expect_closed(&mut self) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        while let Some(frame) =
            self.socket.frame_or_end().await.context("the server should close")?
        {
            frames.push(frame);
            ensure!(frames.len() < FRAMES_MAX, "the server goes on talking");
        }
        Ok(frames)
    }

    /// Says that nothing more will be sent (FIN), but goes on reading.
    pub async fn finish(&mut self) -> Result<()> {
        self.socket.finish().await
    }

    /// Closes with RST. Dropping the client closes with FIN.
    pub fn reset(self) -> Result<()> {
        self.socket.reset()
    }

    /// Starts with protocol 3.0 and logs in by whatever method the server asks for, up to
    /// `ReadyForQuery`.
    pub async fn login(&mut self, user: &str, password: &str, database: &str) -> Result<Welcome> {
        let parameters = [("user", user), ("database", database)];
        self.login_with(PROTOCOL_3_0, &parameters, password).await
    }

    /// The same with a version and parameters of the caller's choice.
    pub async fn login_with(
        &mut self,
        version: u32,
        parameters: &[(&str, &str)],
        password: &str,
    ) -> Result<Welcome> {
        let user = parameters.iter().find(|(name, _)| *name == "user").map_or("", |(_, user)| user);
        self.login_by(&say::startup(version, parameters), user, password).await
    }

    /// The same with a startup packet as it stands.
    pub async fn login_by(&mut self, packet: &[u8], user: &str, password: &str) -> Result<Welcome> {
        self.send(packet).await?;
        let mut welcome = Welcome::default();
        loop {
            let mut frame = self.read().await.context("logging in")?;
            match frame.tag {
                b'R' => {
                    if let Some(method) = self.authenticate(frame, user, password).await? {
                        method.clone_into(&mut welcome.method);
                    }
                }
                b'S' => {
                    let name = take_text(&mut frame.body)?;
                    welcome.parameters.insert(name, take_text(&mut frame.body)?);
                }
                b'K' => {
                    welcome.pid = frame.body.try_get_u32()?;
                    welcome.key = frame.body;
                }
                b'Z' => return Ok(welcome),
                b'v' | b'N' => {}
                _ => bail!("the login fails: {frame:?}"),
            }
        }
    }

    /// Sends a `CancelRequest` over a connection of its own and waits until the server closes it.
    pub async fn cancel(address: SocketAddr, welcome: &Welcome) -> Result<()> {
        let mut client = Self::tcp(address).await?;
        client.send(&say::cancel(welcome.pid, &welcome.key)).await?;
        let said = client.expect_closed().await?;
        ensure!(said.is_empty(), "a CancelRequest has no answer, but there is {said:?}");
        Ok(())
    }

    /// Answers a message with tag `R` (55.2.1) and tells the method, but for `AuthenticationOk`.
    async fn authenticate(
        &mut self,
        mut frame: Frame,
        user: &str,
        password: &str,
    ) -> Result<Option<&'static str>> {
        match frame.body.try_get_u32()? {
            0 => Ok(None),
            3 => {
                self.send(&say::password(password)).await?;
                Ok(Some("password"))
            }
            5 => {
                let salt = frame.body.get(..4).context("md5 needs a salt")?.try_into()?;
                let hash = md5_hash(user.as_bytes(), password.as_bytes(), salt);
                self.send(&say::password(&hash)).await?;
                Ok(Some("md5"))
            }
            10 => self.scram(frame.body, password).await.map(Some),
            code => bail!("the server asks for authentication method {code}"),
        }
    }

    /// SCRAM (55.3), bound to the TLS connection if the server offers that.
    async fn scram(&mut self, mut offered: Bytes, password: &str) -> Result<&'static str> {
        let mut mechanisms = Vec::new();
        while offered.len() > 1 {
            mechanisms.push(take_text(&mut offered)?);
        }
        let plus = mechanisms.iter().any(|it| it == SCRAM_SHA_256_PLUS);
        let (mechanism, binding) = match self.socket.end_point() {
            Some(hash) if plus => (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash)),
            Some(_) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            None => (SCRAM_SHA_256, ChannelBinding::unsupported()),
        };
        let mut scram = ScramSha256::new(password.as_bytes(), binding);
        self.send(&say::sasl_initial(mechanism, scram.message())).await?;
        scram.update(&self.sasl_data(11).await?)?;
        self.send(&say::sasl_response(scram.message())).await?;
        scram.finish(&self.sasl_data(12).await?)?;
        Ok(mechanism)
    }

    /// The data of the next SASL message, which must have this code.
    async fn sasl_data(&mut self, code: u32) -> Result<Bytes> {
        let mut frame = self.read().await?;
        ensure!(
            frame.tag == b'R' && frame.body.try_get_u32()? == code,
            "SCRAM ends with {frame:?}"
        );
        Ok(frame.body)
    }
}
