use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::*;
use crate::testing::Puppet;

/// How long a test waits for what takes milliseconds; it only decides how late a failure is told.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a free port; true into the sender stops it.
async fn started() -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let listener = HttpListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.address();
    let (_, marks) = watch::channel(Arc::default());
    let console = Console { pooler: Puppet::new(), marks, origin: Instant::now(), shutdown: None };
    let (stop, stopped) = watch::channel(false);
    (address, stop, tokio::spawn(serve(listener, Arc::new(console), stopped)))
}

async fn reply(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    // A server that closes with unread bytes resets the connection; what came before counts.
    drop(stream.read_to_end(&mut reply).await);
    String::from_utf8(reply).unwrap()
}

async fn one_request(address: SocketAddr, request: &str) -> String {
    reply(&mut TcpStream::connect(address).await.unwrap(), request).await
}

#[tokio::test]
async fn addresses_that_others_can_reach_are_refused_with_the_reason() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let error = HttpListener::bind(address.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, HttpError::NotLoopback(_)), "{address}");
        let text = error.to_string();
        assert!(text.contains("TLS") && text.contains("127.0.0.1"), "{text}");
    }
    for address in ["127.0.0.2:0", "[::ffff:127.0.0.1]:0"] {
        HttpListener::bind(address.parse().unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_with_the_systems_words() {
    let first = HttpListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let error = HttpListener::bind(first.address()).await.unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    let HttpError::Bind { address, source } = error else { panic!("{error}") };
    assert_eq!((address, source.kind()), (first.address(), io::ErrorKind::AddrInUse));
}

#[tokio::test]
async fn several_requests_go_over_one_connection() {
    let (address, _stop, _server) = started().await;
    let requests = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n\
        HEAD /metrics HTTP/1.1\r\nhost: x\r\n\r\n\
        GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let replies = one_request(address, requests).await;
    assert_eq!(replies.matches("HTTP/1.1 200 OK").count(), 3, "{replies}");
    assert!(replies.ends_with("ready\n"), "{replies}");
    assert!(!replies.contains("# EOF"), "a HEAD has no body: {replies}");
}

#[tokio::test]
async fn heads_that_are_too_long_are_refused() {
    let (address, _stop, _server) = started().await;
    let long = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(2 * MAX_HEAD));
    let replied = one_request(address, &long).await;
    assert!(replied.starts_with("HTTP/1.1 431"), "{replied}");
    let many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(MAX_HEADERS + 1));
    let replied = one_request(address, &many).await;
    assert!(replied.starts_with("HTTP/1.1 431"), "{replied}");
}

#[tokio::test]
async fn a_body_is_refused_and_what_follows_it_is_not_a_request() {
    let (address, _stop, _server) = started().await;
    let body = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    let request = format!("GET /livez HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let replied = one_request(address, &request).await;
    assert!(replied.starts_with("HTTP/1.1 413"), "{replied}");
    assert_eq!(replied.matches("HTTP/1.1").count(), 1, "{replied}");
}

#[tokio::test]
async fn a_client_that_sends_no_whole_head_is_let_go() {
    let (address, _stop, _server) = started().await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /livez HT").await.unwrap();
    // The server must have begun to wait before the clock is moved.
    one_request(address, "GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    tokio::time::pause();
    let begin = Instant::now();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    assert!(begin.elapsed() <= HEAD_DEADLINE + Duration::from_secs(1), "{:?}", begin.elapsed());
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let (address, _stop, _server) = started().await;
    let mut held = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        stream.read_u8().await.unwrap();
        held.push(stream);
    }
    let mut late = TcpStream::connect(address).await.unwrap();
    late.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let waits = timeout(Duration::from_millis(200), late.read_u8()).await;
    assert!(waits.is_err(), "was served beyond the limit");
    held.pop();
    assert_eq!(timeout(PATIENCE, late.read_u8()).await.unwrap().unwrap(), b'H');
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_the_server() {
    let (address, stop, server) = started().await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    idle.read_u8().await.unwrap();
    stop.send(true).unwrap();
    timeout(PATIENCE, server).await.expect("the server ends").unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    TcpStream::connect(address).await.unwrap_err();
}
