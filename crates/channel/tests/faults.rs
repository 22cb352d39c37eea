//! The door against a recipient that misbehaves at every phase: what the evidence says, and that no request ever arrives
//! twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use steadfast_channel::{Bytes, Parcel};
use steadfast_retry::{Evidence, FaultKind, Phase};
use support::{Act, Log, assert_answer, assert_fault, door, parcel, send_to, write};

const SHORT: Duration = Duration::from_millis(150);
/// More than loopback's socket buffers hold: a request of this size is not written whole unless somebody reads.
const HUGE: usize = 32 * 1024 * 1024;

fn unchanged(_: &mut Parcel) {}

fn huge(parcel: &mut Parcel) {
    parcel.body = Bytes::from(vec![b'x'; HUGE]);
}

fn impatient(parcel: &mut Parcel) {
    parcel.timeouts.total = SHORT;
}

async fn after_request(then: Act) -> (Evidence, Log) {
    send_to(vec![Act::ReadRequest, then], unchanged).await
}

#[track_caller]
fn assert_once(log: &Log) {
    assert_eq!((log.connections(), log.arrived()), (1, 1), "{log:?}");
}

#[track_caller]
fn assert_bounded(evidence: &Evidence) {
    // Not earlier than the bound, and far from what an unbounded wait would take.
    assert!(evidence.timings.total >= SHORT && evidence.timings.total < support::PATIENCE / 4, "{evidence:?}");
}

#[tokio::test]
async fn refused() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/leads?token=s3cret", listener.local_addr().unwrap());
    drop(listener);
    let evidence = door().send(parcel(&url)).await;
    assert_fault(&evidence, Phase::Connect, FaultKind::ConnectRefused);
    assert!(evidence.remote.is_some() && evidence.timings.connect.is_some());
}

#[tokio::test]
async fn a_full_queue_that_takes_no_connection() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Fills the kernel's queue of connections that nobody accepts.
    let mut waiting = Vec::new();
    while let Ok(opened) = tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address)).await {
        waiting.push(opened.unwrap());
    }
    let mut parcel = parcel(&format!("http://{address}/leads"));
    parcel.timeouts.connect = SHORT;
    let evidence = door().send(parcel).await;
    assert_fault(&evidence, Phase::Connect, FaultKind::ConnectTimeout);
    assert_bounded(&evidence);
}

#[tokio::test]
async fn no_way_there() {
    // TCP to the broadcast address is refused by this machine's own routing; no packet leaves.
    let mut settings = support::settings();
    settings.allow_private_networks = "all".parse().unwrap();
    let door = steadfast_channel::HttpDoor::new(settings).unwrap();
    let evidence = door.send(parcel("http://255.255.255.255:9/leads")).await;
    assert_fault(&evidence, Phase::Connect, FaultKind::Unreachable);
}

#[tokio::test]
async fn a_blocked_address_is_not_called() {
    let recipient = support::Recipient::start(vec![vec![]]).await;
    let mut settings = support::settings();
    settings.allow_private_networks = Default::default();
    let door = steadfast_channel::HttpDoor::new(settings).unwrap();
    let port = recipient.address().port();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]"] {
        let evidence = door.send(parcel(&format!("http://{host}:{port}/leads"))).await;
        assert_fault(&evidence, Phase::Prepare, FaultKind::BlockedAddress);
    }
    let evidence = door.send(parcel(&format!("http://localhost:{port}/leads"))).await;
    assert_fault(&evidence, Phase::Resolve, FaultKind::BlockedAddress);
    assert_eq!(recipient.finish().await.connections(), 0);
}

#[tokio::test]
async fn closed_or_reset_on_arrival() {
    for script in [vec![], vec![Act::Reset]] {
        let (evidence, log) = send_to(script, unchanged).await;
        // Whether the end or the request comes first is the network's choice; the evidence says which it was.
        let kind = evidence.fault.as_ref().unwrap().kind;
        assert_eq!(kind, FaultKind::Reset);
        assert!((Phase::Connect..=Phase::Sent).contains(&evidence.phase), "{evidence:?}");
        assert_fault(&evidence, evidence.phase, kind);
        assert_eq!(log.connections(), 1);
    }
}

#[tokio::test]
async fn reset_while_the_request_is_being_read() {
    let (evidence, log) = send_to(vec![Act::Read(1_000), Act::Reset], huge).await;
    assert_fault(&evidence, Phase::Sending, FaultKind::Reset);
    assert_once(&log);
}

#[tokio::test]
async fn closed_while_the_request_is_being_read() {
    let (evidence, log) = send_to(vec![Act::Read(1_000)], huge).await;
    assert_fault(&evidence, Phase::Sending, FaultKind::Reset);
    assert_once(&log);
}

#[tokio::test]
async fn a_request_that_nobody_reads() {
    // A head that is written apart from the body is not the whole request.
    for head_bytes in [0, 100_000] {
        let (evidence, log) = send_to(vec![Act::AwaitCue], |parcel| {
            huge(parcel);
            impatient(parcel);
            parcel.headers.insert("x-long", "x".repeat(head_bytes).parse().unwrap());
        })
        .await;
        assert_fault(&evidence, Phase::Sending, FaultKind::TimeoutRead);
        assert_bounded(&evidence);
        assert_eq!(log.connections(), 1);
    }
}

#[tokio::test]
async fn reset_after_a_part_of_a_small_request() {
    let (evidence, log) = send_to(vec![Act::Read(20), Act::Reset], unchanged).await;
    assert_fault(&evidence, Phase::Sent, FaultKind::Reset);
    assert_once(&log);
}

#[tokio::test]
async fn closed_or_reset_after_the_request() {
    for script in [vec![Act::ReadRequest], vec![Act::ReadRequest, Act::Reset]] {
        let (evidence, log) = send_to(script, unchanged).await;
        assert_fault(&evidence, Phase::Sent, FaultKind::Reset);
        assert_eq!(evidence.answer, None);
        assert_once(&log);
    }
}

#[tokio::test]
async fn no_answer_within_the_first_byte_bound_or_the_total() {
    let changes: [fn(&mut Parcel); 2] = [|parcel| parcel.timeouts.first_byte = SHORT, impatient];
    for change in changes {
        let (evidence, log) = send_to(vec![Act::ReadRequest, Act::AwaitClose], change).await;
        assert_fault(&evidence, Phase::Sent, FaultKind::TimeoutRead);
        assert_bounded(&evidence);
        assert_once(&log);
    }
}

#[tokio::test]
async fn an_answer_that_drips() {
    let every = Duration::from_millis(5);
    for text in ["x", "\r\nX-Slow: x"] {
        let script = vec![Act::ReadRequest, write("HTTP/1.1 200 OK\r\nX: "), Act::Drip(text.into(), every)];
        let (evidence, log) = send_to(script, impatient).await;
        assert_fault(&evidence, Phase::Receiving, FaultKind::TimeoutRead);
        assert_bounded(&evidence);
        assert_once(&log);
    }
}

#[tokio::test]
async fn a_body_that_drips_keeps_its_status() {
    let head = write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    let drip = Act::Drip("x".into(), Duration::from_millis(5));
    let (evidence, log) = send_to(vec![Act::ReadRequest, head, drip], impatient).await;
    assert_fault(&evidence, Phase::Receiving, FaultKind::TimeoutRead);
    assert_bounded(&evidence);
    assert_eq!(evidence.answer.unwrap().status, 200);
    assert_once(&log);
}

#[tokio::test]
async fn interim_answers_without_end() {
    let flood = Act::Flood("HTTP/1.1 100 Continue\r\n\r\n".repeat(2_000).into());
    let (evidence, log) = after_request(flood).await;
    assert_fault(&evidence, Phase::Receiving, FaultKind::ResponseTooLarge);
    assert_eq!(evidence.answer, None);
    assert_once(&log);
}

#[tokio::test]
async fn an_answer_that_breaks_off_in_its_head() {
    for part in
        ["H", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 100 Continue\r\n\r\n"]
    {
        for end in [None, Some(Act::Reset)] {
            let is_reset = end.is_some();
            let mut script = vec![Act::ReadRequest, write(part)];
            script.extend(end);
            let (evidence, log) = send_to(script, unchanged).await;
            // A reset may overtake the bytes before it.
            assert!(evidence.phase == Phase::Receiving || is_reset && evidence.phase == Phase::Sent);
            assert_fault(&evidence, evidence.phase, FaultKind::Reset);
            assert_eq!(evidence.answer, None);
            assert_once(&log);
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_in_its_body_keeps_its_status() {
    for head in ["Content-Length: 10\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\na\r\n"] {
        let (evidence, log) = after_request(write(&format!("HTTP/1.1 503 Busy\r\n{head}12345"))).await;
        assert_fault(&evidence, Phase::Receiving, FaultKind::Reset);
        let answer = evidence.answer.unwrap();
        assert_eq!((answer.status, &answer.body[..], answer.body_bytes), (503, &b"12345"[..], 5));
        assert_once(&log);
    }
}

#[tokio::test]
async fn reset_in_the_middle_of_the_body() {
    // So much that writing it ends only when the door has read some: a reset throws away what was not read yet.
    let script = vec![
        Act::ReadRequest,
        write(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 2 * HUGE)),
        Act::Write(vec![b'x'; HUGE]),
        Act::Reset,
    ];
    let (evidence, log) = send_to(script, |parcel| parcel.response_bytes_max = 2 * HUGE).await;
    assert_fault(&evidence, Phase::Receiving, FaultKind::Reset);
    assert_eq!(evidence.answer.unwrap().status, 200);
    assert_once(&log);
}

#[tokio::test]
async fn a_body_that_is_not_framed_as_http() {
    for body in ["zz\r\nhello\r\n0\r\n\r\n", "5\r\nhelloXX0\r\n\r\n", "ffffffffffffffffff\r\n"] {
        let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let (evidence, log) = send_to(vec![Act::ReadRequest, write(&text), Act::AwaitClose], unchanged).await;
        assert_fault(&evidence, Phase::Receiving, FaultKind::Protocol);
        assert_eq!(evidence.answer.unwrap().status, 200);
        assert_once(&log);
    }
}

#[tokio::test]
async fn what_is_not_http() {
    for text in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "220 mail.example ESMTP\r\n",
        "<html>sorry</html>\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n",
        "\0\0\0\0\0\0\0\0",
    ] {
        let (evidence, log) = send_to(vec![Act::ReadRequest, write(text), Act::AwaitClose], unchanged).await;
        assert_fault(&evidence, Phase::Receiving, FaultKind::Protocol);
        assert_once(&log);
    }
}

#[tokio::test]
async fn floods_of_headers() {
    let many: String = (0..10_000).map(|number| format!("X-{number}: v\r\n")).collect();
    let long = "x".repeat(1024 * 1024);
    for headers in [many, format!("X-Long: {long}"), format!("{long}: v")] {
        let script = vec![Act::ReadRequest, write("HTTP/1.1 200 OK\r\n"), Act::Flood(headers.into_bytes())];
        let (evidence, log) = send_to(script, unchanged).await;
        assert_fault(&evidence, Phase::Receiving, FaultKind::Protocol);
        assert_once(&log);
    }
}

#[tokio::test]
async fn a_body_larger_than_allowed_is_read_up_to_the_bound() {
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    for (head, flood) in [
        ("Content-Length: 99999999999\r\n", "x".repeat(4096)),
        ("Transfer-Encoding: chunked\r\n", chunk),
        ("Connection: close\r\n", "x".repeat(4096)),
    ] {
        let head = write(&format!("HTTP/1.1 429 Slow down\r\nRetry-After: 3\r\n{head}\r\n"));
        let script = vec![Act::ReadRequest, head, Act::Flood(flood.into_bytes())];
        let (evidence, log) = send_to(script, |parcel| parcel.response_bytes_max = 10_000).await;
        assert_fault(&evidence, Phase::Receiving, FaultKind::ResponseTooLarge);
        let answer = evidence.answer.unwrap();
        assert_eq!((answer.status, answer.body.len(), answer.header("retry-after")), (429, 10_000, Some("3")));
        assert!(answer.body_bytes > 10_000);
        assert_once(&log);
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_bound_is_whole() {
    let (evidence, _) = send_to(vec![Act::ReadRequest, support::answer("200 OK", "12345")], |parcel| {
        parcel.response_bytes_max = 5;
    })
    .await;
    assert_answer(&evidence, 200, "12345");
}
