//! Recipients that mean harm: each costs the attempt that called it, for its timeout at most and with bounded memory, and
//! those called beside it notice nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;
use steadfast_channel::{Bytes, HttpDoor};
use steadfast_retry::{Evidence, FaultKind, Phase};
use support::{Act, Log, PATIENCE, Recipient, answer, assert_answer, assert_fault, door, parcel, send_to, write};
use tokio::task::JoinSet;

/// What an attempt may take that only its timeout ends.
const TIMEOUT: Duration = Duration::from_millis(200);
/// Attempts at once to each kind of recipient.
const AT_ONCE: usize = 4;
/// What is kept of a body, in bytes.
const KEPT_MAX: usize = 16 * 1024;
/// What one connection can be made to take beyond what is kept: buffers of the door and of two sockets.
const BUFFERS_MAX: usize = 16 << 20;

fn again(times: usize, acts: &[Act]) -> Vec<Act> {
    acts.iter().cycle().take(times * acts.len()).cloned().collect()
}

/// One way of doing harm, and how an attempt may end that meets it.
struct Hostile {
    name: &'static str,
    script: Vec<Act>,
    ends: &'static [(Phase, FaultKind)],
}

impl Hostile {
    /// Short for those that only a timeout ends; for the others so long that a timeout would be a failure.
    fn timeout(&self) -> Duration {
        let is_late = self.ends.iter().any(|(_, kind)| *kind == FaultKind::TimeoutRead);
        if is_late { TIMEOUT } else { PATIENCE / 2 }
    }
}

fn hostile(name: &'static str, then: Vec<Act>, ends: &'static [(Phase, FaultKind)]) -> Hostile {
    Hostile { name, script: [vec![Act::ReadRequest], then].concat(), ends }
}

fn flood(head: &str, piece: &str) -> Vec<Act> {
    vec![write(&format!("HTTP/1.1 200 OK\r\n{head}")), Act::Flood(piece.repeat(1 + 4_096 / piece.len()).into_bytes())]
}

fn drip(text: &str, piece: &str) -> Vec<Act> {
    vec![write(text), Act::Drip(piece.into(), Duration::from_millis(5))]
}

/// A gzip header and a body that says it would grow a thousandfold: it is never unpacked, so its size is that on the wire.
fn gzip_bomb() -> Vec<Act> {
    let packed = [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], &[0_u8; 4_086]].concat();
    vec![write("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10737418240\r\n\r\n"), Act::Flood(packed)]
}

const LATE: &[(Phase, FaultKind)] = &[(Phase::Receiving, FaultKind::TimeoutRead)];
const LARGE: &[(Phase, FaultKind)] = &[(Phase::Receiving, FaultKind::ResponseTooLarge)];
const NOT_HTTP: &[(Phase, FaultKind)] = &[(Phase::Receiving, FaultKind::Protocol)];

fn everyone() -> Vec<Hostile> {
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    vec![
        Hostile {
            name: "reads nothing",
            script: vec![Act::AwaitClose],
            ends: &[(Phase::Sent, FaultKind::TimeoutRead)],
        },
        hostile("never answers", vec![Act::AwaitClose], &[(Phase::Sent, FaultKind::TimeoutRead)]),
        hostile("drips its head", drip("HTTP/1.1 200 OK\r\nX: ", "x"), LATE),
        hostile("drips its body", drip("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "x"), LATE),
        hostile("drips chunks", drip(&format!("HTTP/1.1 200 OK\r\n{chunked}"), "1\r\nx\r\n"), LATE),
        hostile("sends gigabytes with a length", flood("Content-Length: 107374182400\r\n\r\n", "x"), LARGE),
        hostile("sends gigabytes to the end of the connection", flood("Connection: close\r\n\r\n", "x"), LARGE),
        hostile("sends gigabytes in chunks", flood(chunked, &format!("400\r\n{}\r\n", "x".repeat(1_024))), LARGE),
        hostile("sends gigabytes in chunks of one", flood(chunked, "1\r\nx\r\n"), LARGE),
        hostile("gzips a bomb", gzip_bomb(), LARGE),
        hostile("floods headers", flood("", "X-Flood: v\r\n"), NOT_HTTP),
        hostile("sends one header without end", flood("X-Flood: ", "v"), NOT_HTTP),
        hostile(
            "sends a status line without end",
            vec![write("HTTP/1.1 200 "), Act::Flood(vec![b'K'; 4_096])],
            NOT_HTTP,
        ),
        hostile(
            "floods interim answers",
            vec![Act::Flood("HTTP/1.1 103 Hints\r\nLink: <x>\r\n\r\n".repeat(200).into())],
            LARGE,
        ),
        hostile("floods trailers", flood(&format!("{chunked}0\r\n"), "X-Trailer: v\r\n"), NOT_HTTP),
        hostile("sends a chunk's length without end", flood(chunked, "0"), LARGE),
        hostile("floods chunk extensions", flood(chunked, &format!("1;{}\r\nx\r\n", "e".repeat(1_000))), NOT_HTTP),
        hostile(
            "frames its chunks wrongly",
            vec![write(&format!("HTTP/1.1 200 OK\r\n{chunked}5\r\nhelloworld\r\n")), Act::AwaitClose],
            NOT_HTTP,
        ),
        hostile(
            "resets in the middle of a chunk",
            vec![write(&format!("HTTP/1.1 200 OK\r\n{chunked}ffff\r\nhel")), Act::Reset],
            // A reset may overtake the bytes before it.
            &[(Phase::Receiving, FaultKind::Reset), (Phase::Sent, FaultKind::Reset)],
        ),
        hostile("speaks another protocol without end", vec![Act::Flood(vec![0; 4_096])], NOT_HTTP),
    ]
}

async fn attempt(door: HttpDoor, url: String, timeout: Duration) -> Evidence {
    let mut parcel = parcel(&url);
    parcel.timeouts.total = timeout;
    parcel.response_bytes_max = KEPT_MAX;
    door.send(parcel).await
}

/// What an attempt's evidence keeps in memory and in the store, in bytes.
fn kept(evidence: &Evidence) -> usize {
    let Some(answer) = &evidence.answer else { return 0 };
    answer.body.len() + answer.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
}

fn assert_harmless(hostile: &Hostile, evidence: &[Evidence], log: &Log) {
    for evidence in evidence {
        let fault = evidence.fault.as_ref().unwrap_or_else(|| panic!("{}: {evidence:?}", hostile.name));
        assert!(
            hostile.ends.contains(&(evidence.phase, fault.kind)),
            "{}: {:?} {fault:?}",
            hostile.name,
            evidence.phase
        );
        assert_fault(evidence, evidence.phase, fault.kind);
        assert!(kept(evidence) <= KEPT_MAX + 16 * 1024, "{}: {} bytes kept", hostile.name, kept(evidence));
        assert!(evidence.timings.total < PATIENCE / 2, "{}: {:?}", hostile.name, evidence.timings.total);
    }
    // One connection each, and each was let go of: whoever sends without end has nobody who listens.
    assert_eq!((log.connections(), log.ended), (AT_ONCE, AT_ONCE), "{}", hostile.name);
    assert!(log.flooded <= AT_ONCE * (KEPT_MAX + BUFFERS_MAX), "{}: {} bytes taken", hostile.name, log.flooded);
}

/// Each of them called several times at once: all of these attempts end in bounds, and a recipient in good order is served
/// through the same door meanwhile.
#[tokio::test]
async fn each_costs_its_timeout_at_most_and_nobody_else_anything() {
    let door = door();
    let good = Recipient::start(vec![again(100, &[Act::ReadRequest, answer("200 OK", "sold")])]).await;
    for hostile in everyone() {
        let recipient = Recipient::start(vec![hostile.script.clone()]).await;
        let mut attempts = JoinSet::new();
        for _ in 0..AT_ONCE {
            attempts.spawn(attempt(door.clone(), recipient.url(), hostile.timeout()));
        }
        recipient.wait_for(|log| log.connections() == AT_ONCE).await;
        assert_answer(&door.send(parcel(&good.url())).await, 200, "sold");
        let evidence = attempts.join_all().await;
        assert_harmless(&hostile, &evidence, &recipient.finish().await);
    }
}

/// A recipient that sends everybody on to itself, for ever.
#[tokio::test]
async fn a_redirect_loop_is_one_request() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let text = format!("HTTP/1.1 {status}\r\nLocation: /leads?token=s3cret\r\nContent-Length: 0\r\n\r\n");
        let script = again(20, &[Act::ReadRequest, write(&text)]);
        let (evidence, log) = send_to(script, |_| ()).await;
        assert_answer(&evidence, status[..3].parse().unwrap(), "");
        assert_eq!((log.connections(), log.arrived(), log.requests), (1, 1, 1), "{status}");
    }
}

/// A large lead to one who reads it a byte at a time: the attempt ends by its timeout, and the lead is not copied for it.
#[tokio::test]
async fn a_recipient_that_reads_a_byte_at_a_time() {
    let (evidence, log) = send_to(vec![Act::Read(1), Act::AwaitCue], |parcel| {
        parcel.body = Bytes::from(vec![b'x'; 32 << 20]);
        parcel.timeouts.total = TIMEOUT;
    })
    .await;
    assert_fault(&evidence, Phase::Sending, FaultKind::TimeoutRead);
    assert_eq!((log.connections(), log.requests), (1, 0));
}
