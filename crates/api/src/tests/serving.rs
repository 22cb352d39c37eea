//! The listener, over real connections.

use super::harness::Server;
use crate::serve::{ServeLimits, serve};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Listening {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

async fn listen(server: &Server, limits: ServeLimits) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        let _dropped = stopped.await;
    };
    let serving = tokio::spawn(serve(listener, server.router.clone(), limits, shutdown));
    Listening { address, stop, serving }
}

/// A listener that hangs fails its test instead of holding it up.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("this should not take long")
}

/// Reads one answer: its head and its body by Content-Length.
async fn read_answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        let read = soon(stream.read(&mut piece)).await.unwrap();
        assert!(read > 0, "the connection ended: {text}");
        bytes.extend_from_slice(&piece[..read]);
    }
}

const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn connections_are_kept_and_stopped_in_good_order() {
    let server = Server::start().await;
    let listening = listen(&server, ServeLimits::default()).await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    for _ in 0..3 {
        stream.write_all(GET).await.unwrap();
        assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    // A request whose body is still coming when the stop begins is answered.
    let head =
        "POST /v1/flows/auto/leads HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n";
    let mut slow = TcpStream::connect(listening.address).await.unwrap();
    slow.write_all(GET).await.unwrap();
    read_answer(&mut slow).await;
    slow.write_all(head.as_bytes()).await.unwrap();
    slow.write_all(b"{\"a\"").await.unwrap();
    stream.write_all(GET).await.unwrap();
    read_answer(&mut stream).await;
    listening.stop.send(()).unwrap();
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty(), "the idle connection is closed");
    slow.write_all(b":1}").await.unwrap();
    assert!(read_answer(&mut slow).await.starts_with("HTTP/1.1 202"));
    soon(listening.serving).await.unwrap().unwrap();
    TcpStream::connect(listening.address).await.unwrap_err();
}

/// A request whose body has come half.
const HALF: &[u8] = b"POST /v1/flows/auto/leads HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
    Expect: 100-continue\r\nContent-Length: 7\r\n\r\n{\"a\"";

#[tokio::test]
async fn further_connections_wait_while_all_are_within_a_request() {
    let server = Server::start().await;
    let listening = listen(&server, ServeLimits { connections_max: 1, ..ServeLimits::default() }).await;
    let mut first = TcpStream::connect(listening.address).await.unwrap();
    first.write_all(HALF).await.unwrap();
    let mut going_on = [0; 25];
    soon(first.read_exact(&mut going_on)).await.unwrap();
    assert_eq!(&going_on, b"HTTP/1.1 100 Continue\r\n\r\n", "its body is being read");
    let mut second = TcpStream::connect(listening.address).await.unwrap();
    second.write_all(GET).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(100), second.read_u8()).await;
    assert!(early.is_err(), "there is no room yet");
    first.write_all(b":1}").await.unwrap();
    assert!(read_answer(&mut first).await.starts_with("HTTP/1.1 202"), "nobody is cut off within a request");
    assert!(read_answer(&mut second).await.starts_with("HTTP/1.1 200"), "who was answered makes room");
}

#[tokio::test]
async fn a_flood_of_connections_that_ask_nothing_keeps_nobody_out() {
    let server = Server::start().await;
    let listening = listen(&server, ServeLimits { connections_max: 8, ..ServeLimits::default() }).await;
    let mut flood = Vec::new();
    for number in 0..100 {
        let mut stream = TcpStream::connect(listening.address).await.unwrap();
        // Some say nothing, some begin a head and never end it, some asked once; each was closed or will be.
        let said: &[u8] = [b"", &GET[..20], GET][number % 3];
        let _closed = stream.write_all(said).await;
        flood.push(stream);
        if number % 10 == 9 {
            let mut good = TcpStream::connect(listening.address).await.unwrap();
            good.write_all(GET).await.unwrap();
            assert!(read_answer(&mut good).await.starts_with("HTTP/1.1 200"), "after {number}");
        }
    }
    // All but the last eight were let go of.
    for mut stream in flood.into_iter().take(90) {
        let mut rest = Vec::new();
        let _reset = soon(stream.read_to_end(&mut rest)).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_cut_off() {
    let server = Server::start().await;
    let limits = ServeLimits {
        write_timeout: Duration::from_millis(100),
        stop_patience: Duration::from_secs(3_600),
        ..ServeLimits::default()
    };
    let listening = listen(&server, limits).await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    // More than the sockets between them hold. The server stops reading where it cannot write, and then so does this.
    let get = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2_000);
    soon(async { while stream.write_all(&get).await.is_ok() {} }).await;
    listening.stop.send(()).unwrap();
    soon(listening.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_waited_for() {
    let server = Server::start().await;
    let limits = ServeLimits { header_timeout: Duration::from_millis(100), ..ServeLimits::default() };
    let listening = listen(&server, limits).await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let mut rest = Vec::new();
    // Ends by itself; a reset is as good as an end.
    let _reset = soon(stream.read_to_end(&mut rest)).await;
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn large_heads_are_refused() {
    let server = Server::start().await;
    let listening = listen(&server, ServeLimits::default()).await;
    for (bytes, body) in [(20_000, "urn:steadfast:problem:headers-too-large"), (200_000, "")] {
        let mut stream = TcpStream::connect(listening.address).await.unwrap();
        let head = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(bytes));
        // The server may close before it has read everything.
        let _closed = stream.write_all(head.as_bytes()).await;
        let answer = read_answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 431") && answer.contains(body), "{answer}");
    }
}

#[tokio::test]
async fn open_streams_do_not_hold_up_a_stop() {
    let server = Server::start().await;
    let listening =
        listen(&server, ServeLimits { stop_patience: Duration::from_secs(3_600), ..ServeLimits::default() }).await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n").await.unwrap();
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    listening.stop.send(()).unwrap();
    soon(listening.serving).await.unwrap().unwrap();
}
