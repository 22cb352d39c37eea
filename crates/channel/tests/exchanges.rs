//! Whole answers, and connections used again: what is reported, what is sent, and that a connection which turns out dead
//! never costs a lead and never sends one twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;
use steadfast_channel::{Bytes, HttpDoor, Method};
use steadfast_retry::{Evidence, FaultKind, Phase};
use support::{Act, Recipient, answer, assert_answer, assert_fault, door, parcel, send_to, settings, write};

#[tokio::test]
async fn what_is_sent_is_what_was_packed_and_framed_once() {
    let (evidence, log) = send_to(vec![Act::ReadRequest, answer("200 OK", "")], |parcel| {
        parcel.headers.insert("host", "given.example".parse().unwrap());
        parcel.headers.insert("transfer-encoding", "chunked".parse().unwrap());
        parcel.headers.insert("content-length", "999".parse().unwrap());
        parcel.headers.insert("connection", "close, idempotency-key".parse().unwrap());
        parcel.headers.insert("expect", "100-continue".parse().unwrap());
        parcel.headers.insert("accept-encoding", "gzip".parse().unwrap());
    })
    .await;
    assert_answer(&evidence, 200, "");
    let sent = String::from_utf8(log.received[0].clone()).unwrap();
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines.remove(0), "post /leads?token=s3cret http/1.1");
    lines.sort();
    let agent = format!("user-agent: steadfast/{}", env!("CARGO_PKG_VERSION"));
    let expected = [
        "accept-encoding: identity",
        "content-length: 22",
        "content-type: application/json",
        "host: given.example",
        "idempotency-key: \"delivery-7\"",
        &agent,
    ];
    assert_eq!(lines, expected);
    assert_eq!(body, "{\"phone\":\"5551234567\"}");
}

#[tokio::test]
async fn a_request_without_a_body_says_so_where_one_is_expected() {
    for (method, says_length) in [(Method::POST, true), (Method::PUT, true), (Method::GET, false)] {
        let script = vec![Act::ReadRequest, answer("200 OK", "ok"), Act::AwaitClose];
        let (evidence, log) = send_to(script, |parcel| {
            parcel.method = method.clone();
            parcel.body = Bytes::new();
        })
        .await;
        assert_answer(&evidence, 200, "ok");
        let sent = String::from_utf8(log.received[0].clone()).unwrap().to_ascii_lowercase();
        assert_eq!(sent.contains("content-length: 0\r\n"), says_length, "{method}");
    }
}

#[tokio::test]
async fn an_unanswered_request_without_a_body_was_sent_whole() {
    let (evidence, _) = send_to(vec![Act::ReadRequest], |parcel| parcel.body = Bytes::new()).await;
    assert_fault(&evidence, Phase::Sent, FaultKind::Reset);
}

#[tokio::test]
async fn redirects_are_reported_not_followed() {
    let elsewhere = Recipient::start(vec![vec![answer("200 OK", "")]]).await;
    let location = format!("HTTP/1.1 307 Moved\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", elsewhere.url());
    let (evidence, log) = send_to(vec![Act::ReadRequest, write(&location)], |_| ()).await;
    assert_answer(&evidence, 307, "");
    assert_eq!(evidence.answer.unwrap().header("location"), Some(&*elsewhere.url()));
    assert_eq!((log.connections(), elsewhere.finish().await.connections()), (1, 0));
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n";
    let (evidence, _) = send_to(vec![Act::ReadRequest, write(text), answer("201 Created", "id")], |_| ()).await;
    assert_answer(&evidence, 201, "id");
}

#[tokio::test]
async fn a_compressed_body_stays_as_it_came() {
    let packed = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xff\xff";
    let mut text = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n".to_vec();
    text.extend_from_slice(packed);
    let (evidence, _) = send_to(vec![Act::ReadRequest, Act::Write(text)], |_| ()).await;
    let answer = evidence.answer.unwrap();
    assert_eq!((&answer.body[..], answer.header("content-encoding")), (&packed[..], Some("gzip")));
}

#[tokio::test]
async fn cookies_are_not_kept() {
    let text = "HTTP/1.1 200 OK\r\nSet-Cookie: session=s3cret\r\nX-Kept: yes\r\nContent-Length: 0\r\n\r\n";
    let (evidence, _) = send_to(vec![Act::ReadRequest, write(text)], |_| ()).await;
    let answer = evidence.answer.unwrap();
    assert_eq!((answer.header("set-cookie"), answer.header("x-kept")), (None, Some("yes")));
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_is_whole() {
    let (evidence, _) = send_to(vec![Act::ReadRequest, write("HTTP/1.1 200 OK\r\n\r\nuntil the end")], |_| ()).await;
    assert_answer(&evidence, 200, "until the end");
}

#[tokio::test]
async fn an_answer_before_the_request_was_read_is_an_answer() {
    let recipient = Recipient::start(vec![vec![Act::Read(100), answer("413 Too Large", "no"), Act::AwaitCue]]).await;
    let door = door();
    let mut parcel = parcel(&recipient.url());
    parcel.body = Bytes::from(vec![b'x'; 32 * 1024 * 1024]);
    assert_answer(&door.send(parcel).await, 413, "no");
    // Half a request is still on its way: nothing else may go over this connection.
    assert_eq!(door.idle_count(), 0);
    recipient.finish().await;
}

#[tokio::test]
async fn connections_are_used_again_after_every_kind_of_whole_answer() {
    let answers = [
        answer("200 OK", "hello"),
        write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        write("HTTP/1.1 204 No Content\r\n\r\n"),
        answer("503 Busy", ""),
        Act::Write([b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n".to_vec(), vec![b'x'; 300_000]].concat()),
        answer("200 OK", "last"),
    ];
    let count = answers.len();
    let script = answers.into_iter().flat_map(|answer| [Act::ReadRequest, answer]).chain([Act::AwaitClose]).collect();
    let recipient = Recipient::start(vec![script]).await;
    let door = door();
    for number in 0..count {
        let evidence = door.send(parcel(&recipient.url())).await;
        assert_eq!((evidence.fault, evidence.phase), (None, Phase::Responded));
        assert_eq!(evidence.timings.connect.is_some(), number == 0, "connecting takes time only once");
        assert_eq!(door.idle_count(), 1, "after answer {number}");
    }
    door.close_idle();
    let log = recipient.finish().await;
    assert_eq!((log.connections(), log.requests), (1, count));
}

#[tokio::test]
async fn a_connection_that_says_it_closes_is_not_kept() {
    for head in ["HTTP/1.1 200 OK\r\nConnection: close\r\n", "HTTP/1.0 200 OK\r\n"] {
        let script = vec![Act::ReadRequest, write(&format!("{head}Content-Length: 2\r\n\r\nok")), Act::AwaitClose];
        let recipient = Recipient::start(vec![script]).await;
        let door = door();
        for _ in 0..2 {
            assert_answer(&door.send(parcel(&recipient.url())).await, 200, "ok");
            assert_eq!(door.idle_count(), 0);
        }
        assert_eq!(recipient.finish().await.connections(), 2);
    }
}

/// The first connection ends or speaks while idle; the second lead must go out over a fresh one, once.
async fn second_lead_after(idle: Vec<Act>) {
    let mut first = vec![Act::ReadRequest, answer("200 OK", "first")];
    first.extend(idle);
    let recipient =
        Recipient::start(vec![first, vec![Act::ReadRequest, answer("200 OK", "second"), Act::AwaitClose]]).await;
    let door = door();
    assert_answer(&door.send(parcel(&recipient.url())).await, 200, "first");
    recipient.give_cue();
    recipient.wait_for(|log| log.ended == 1).await;
    assert_eq!(door.idle_count(), 1, "the door cannot know yet");
    let evidence = door.send(parcel(&recipient.url())).await;
    assert_answer(&evidence, 200, "second");
    assert!(evidence.timings.connect.is_some());
    door.close_idle();
    let log = recipient.finish().await;
    assert_eq!((log.connections(), log.requests, log.arrived()), (2, 2, 2), "{log:?}");
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_nothing() {
    second_lead_after(vec![Act::AwaitCue]).await;
}

#[tokio::test]
async fn a_connection_reset_while_idle_costs_nothing() {
    second_lead_after(vec![Act::AwaitCue, Act::Reset]).await;
}

#[tokio::test]
async fn a_connection_that_speaks_unasked_is_not_trusted() {
    second_lead_after(vec![Act::AwaitCue, answer("200 OK", "not yours")]).await;
}

#[tokio::test]
async fn an_answer_behind_an_answer_is_never_taken_for_the_next_leads() {
    let two = format!("{0}first{0}smuggled", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        .replace("5\r\n\r\nsm", "8\r\n\r\nsm");
    let second = vec![Act::ReadRequest, answer("200 OK", "second"), Act::AwaitClose];
    let recipient = Recipient::start(vec![vec![Act::ReadRequest, write(&two), Act::AwaitClose], second]).await;
    let door = door();
    assert_answer(&door.send(parcel(&recipient.url())).await, 200, "first");
    assert_eq!(door.idle_count(), 0);
    assert_answer(&door.send(parcel(&recipient.url())).await, 200, "second");
    door.close_idle();
    assert_eq!(recipient.finish().await.arrived(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_dies_after_a_byte_was_written_is_reported_never_repeated() {
    for end in [vec![Act::ReadRequest], vec![Act::ReadRequest, Act::Reset], vec![Act::Read(20), Act::Reset]] {
        let mut script = vec![Act::ReadRequest, answer("200 OK", "first")];
        script.extend(end);
        let recipient = Recipient::start(vec![script]).await;
        let door = door();
        assert_answer(&door.send(parcel(&recipient.url())).await, 200, "first");
        assert_fault(&door.send(parcel(&recipient.url())).await, Phase::Sent, FaultKind::Reset);
        assert_eq!(door.idle_count(), 0);
        let log = recipient.finish().await;
        assert_eq!((log.connections(), log.arrived()), (1, 2), "{log:?}");
    }
}

#[tokio::test]
async fn a_fresh_connection_refused_after_a_stale_one_is_reported() {
    let recipient = Recipient::start(vec![vec![Act::ReadRequest, answer("200 OK", "first")]]).await;
    let door = door();
    let url = recipient.url();
    assert_answer(&door.send(parcel(&url)).await, 200, "first");
    recipient.finish().await;
    assert_fault(&door.send(parcel(&url)).await, Phase::Connect, FaultKind::ConnectRefused);
}

#[tokio::test]
async fn a_dropped_attempt_closes_its_connection_and_leaves_the_door_whole() {
    let silent = vec![Act::ReadRequest, Act::AwaitClose];
    let recipient =
        Recipient::start(vec![silent, vec![Act::ReadRequest, answer("200 OK", "next"), Act::AwaitClose]]).await;
    let door = door();
    let attempt = tokio::spawn(sent(&door, &recipient));
    recipient.wait_for(|log| log.requests == 1).await;
    attempt.abort();
    recipient.wait_for(|log| log.ended == 1).await;
    assert_eq!(door.idle_count(), 0);
    assert_answer(&door.send(parcel(&recipient.url())).await, 200, "next");
    door.close_idle();
    assert_eq!(recipient.finish().await.arrived(), 2);
}

/// One lead to this recipient, to run beside the test.
fn sent(door: &HttpDoor, recipient: &Recipient) -> impl Future<Output = Evidence> + Send + 'static {
    let (door, parcel) = (door.clone(), parcel(&recipient.url()));
    async move { door.send(parcel).await }
}

fn answering(times: usize) -> Vec<Act> {
    std::iter::repeat_n([Act::ReadRequest, answer("200 OK", "ok")], times).flatten().chain([Act::AwaitClose]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_bounded_by_endpoint_and_in_all() {
    let mut settings = settings();
    settings.idle_per_endpoint_max = 4;
    settings.idle_total_max = 6;
    let door = HttpDoor::new(settings).unwrap();
    let waiting = vec![Act::ReadRequest, Act::AwaitCue, answer("200 OK", "ok"), Act::AwaitClose];
    let recipients = [Recipient::start(vec![waiting.clone()]).await, Recipient::start(vec![waiting]).await];
    let mut sends = tokio::task::JoinSet::new();
    for recipient in &recipients {
        for _ in 0..10 {
            sends.spawn(sent(&door, recipient));
        }
        recipient.wait_for(|log| log.requests == 10).await;
        recipient.give_cue();
    }
    for evidence in sends.join_all().await {
        assert_answer(&evidence, 200, "ok");
    }
    assert_eq!(door.idle_count(), 6);
    door.close_idle();
    assert_eq!(door.idle_count(), 0);
    for recipient in recipients {
        assert_eq!(recipient.finish().await.requests, 10);
    }
}

#[tokio::test]
async fn idle_connections_are_closed_after_their_time() {
    let mut settings = settings();
    settings.idle_timeout = Duration::from_millis(100);
    let door = HttpDoor::new(settings).unwrap();
    let recipient = Recipient::start(vec![answering(9)]).await;
    for round in 1..=2 {
        assert_answer(&door.send(parcel(&recipient.url())).await, 200, "ok");
        recipient.wait_for(|log| log.ended == round).await;
        assert_eq!(door.idle_count(), 0);
    }
    assert_eq!(recipient.finish().await.connections(), 2);
}

#[tokio::test]
async fn new_settings_hold_for_open_connections_too() {
    let recipient = Recipient::start(vec![answering(9)]).await;
    let door = door();
    assert_answer(&door.send(parcel(&recipient.url())).await, 200, "ok");
    let mut strict = settings();
    strict.allow_private_networks = Default::default();
    door.update(strict).unwrap();
    recipient.wait_for(|log| log.ended == 1).await;
    assert_fault(&door.send(parcel(&recipient.url())).await, Phase::Prepare, FaultKind::BlockedAddress);
    assert_eq!(recipient.finish().await.arrived(), 1);
}

#[tokio::test]
async fn a_connection_out_while_settings_change_is_not_kept() {
    let script = vec![Act::ReadRequest, Act::AwaitCue, answer("200 OK", "ok"), Act::AwaitClose];
    let recipient = Recipient::start(vec![script]).await;
    let door = door();
    let attempt = tokio::spawn(sent(&door, &recipient));
    recipient.wait_for(|log| log.requests == 1).await;
    door.update(settings()).unwrap();
    recipient.give_cue();
    assert_answer(&attempt.await.unwrap(), 200, "ok");
    assert_eq!(door.idle_count(), 0);
    recipient.finish().await;
}
