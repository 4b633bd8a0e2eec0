//! As much of HTTP as it takes to ask an endpoint on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wait::PATIENCE;

/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How long each step of [`get_now`] may take.
const NOW: Duration = Duration::from_secs(5);

/// What an endpoint answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers, as they came.
    pub headers: String,
    /// The body; it is not in chunks, for we ask in HTTP/1.0.
    pub body: String,
}

/// `GET` over a connection of its own.
pub(super) async fn get(address: SocketAddr, path: &str) -> Result<Reply> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(PATIENCE, asking).await.context("no answer")?;
    let answer = answer.with_context(|| format!("GET http://{address}{path}"))?;
    parse(&String::from_utf8_lossy(&answer))
        .with_context(|| format!("http://{address}{path} does not answer with HTTP"))
}

/// The same where nothing can be awaited: the body of the answer, if there is one soon.
pub(super) fn get_now(address: SocketAddr, path: &str) -> Option<String> {
    use std::io::{Read, Write};

    let mut stream = std::net::TcpStream::connect_timeout(&address, NOW).ok()?;
    stream.set_read_timeout(Some(NOW)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).ok()?;
    Some(parse(&String::from_utf8_lossy(&answer))?.body)
}

/// Status line, headers and body.
fn parse(answer: &str) -> Option<Reply> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = line.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, headers: headers.to_owned(), body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_headers_and_body_are_told_apart() {
        let reply = parse("HTTP/1.1 503 Service Unavailable\r\na: b\r\nc: d\r\n\r\nx\r\n\r\ny");
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.headers.as_str()), (503, "a: b\r\nc: d"));
        assert_eq!(reply.body, "x\r\n\r\ny");
        assert_eq!(parse("SSH-2.0\r\n\r\n"), None);
    }
}
