//! A recipient that fails in every usual way, on a schedule, and keeps count of what it took by `Idempotency-Key`.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use steadfast_engine::Clock;
use steadfast_lead::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How much of a request is read.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Longer than the demo's request timeout, so that a slow answer is one that never comes.
const SLOW: Duration = Duration::from_secs(8);

/// What the recipient does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Takes leads.
    Well,
    /// Answers 503.
    Down,
    /// Answers 429 and asks for three seconds' pause.
    Busy,
    /// Takes the lead and answers too late.
    Slow,
    /// Takes the lead and drops the connection instead of answering.
    Resetting,
}

/// The moods in turn, and how long each lasts.
const MOODS: [(Mood, u64); 7] = [
    (Mood::Well, 6),
    (Mood::Down, 7),
    (Mood::Well, 5),
    (Mood::Busy, 4),
    (Mood::Resetting, 3),
    (Mood::Well, 5),
    (Mood::Slow, 3),
];

impl Mood {
    /// The mood so long after the start; the moods repeat.
    pub(crate) fn at(since_start: Duration) -> Mood {
        let round: u64 = MOODS.iter().map(|(_, seconds)| seconds).sum();
        let mut left = since_start.as_secs() % round;
        for (mood, seconds) in MOODS {
            if left < seconds {
                return mood;
            }
            left -= seconds;
        }
        Mood::Well
    }

    /// For people.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Mood::Well => "well: takes leads",
            Mood::Down => "down: answers 503",
            Mood::Busy => "busy: answers 429, Retry-After: 3",
            Mood::Slow => "slow: takes the lead, answers too late",
            Mood::Resetting => "resetting: takes the lead, drops the connection",
        }
    }
}

/// The recipient's own books: what it took, and how often.
#[derive(Default)]
struct Books {
    requests: u64,
    taken: HashSet<String>,
}

/// The recipient. Ends when dropped.
pub(crate) struct FlakyRecipient {
    address: SocketAddr,
    books: Arc<Mutex<Books>>,
    moods: watch::Receiver<&'static str>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl FlakyRecipient {
    /// Starts on a free port of the loopback address.
    ///
    /// # Errors
    /// Whatever binding says.
    pub(crate) async fn start(clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let books = Arc::new(Mutex::new(Books::default()));
        let start = clock.now();
        let (mood, moods) = watch::channel(Mood::Well.describe());
        let tasks = [
            tokio::spawn(accept(listener, Arc::clone(&books), Arc::clone(&clock), start)),
            tokio::spawn(change_moods(mood, clock, start)),
        ];
        Ok(FlakyRecipient { address, books, moods, tasks })
    }

    /// Tells what the recipient does, whenever that changes.
    pub(crate) fn mood_watch(&self) -> watch::Receiver<&'static str> {
        self.moods.clone()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests seen, and distinct leads taken.
    pub(crate) fn counts(&self) -> (u64, usize) {
        let books = self.books.lock();
        (books.requests, books.taken.len())
    }
}

impl Drop for FlakyRecipient {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

async fn change_moods(mood: watch::Sender<&'static str>, clock: Arc<dyn Clock>, start: Timestamp) {
    for second in 1_u64.. {
        clock.sleep_until(start.after(Duration::from_secs(second))).await;
        let now = Mood::at(clock.now().since(start)).describe();
        mood.send_if_modified(|mood| std::mem::replace(mood, now) != now);
    }
}

async fn accept(listener: TcpListener, books: Arc<Mutex<Books>>, clock: Arc<dyn Clock>, start: Timestamp) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&books), Arc::clone(&clock), start));
    }
}

async fn serve(stream: TcpStream, books: Arc<Mutex<Books>>, clock: Arc<dyn Clock>, start: Timestamp) {
    let service = service_fn(|request| answer(request, Arc::clone(&books), Mood::at(clock.now().since(start))));
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // A connection that breaks, ours by intention among them, ends; there is nobody to tell.
    let _ended = serving.await;
}

/// The connection is dropped without an answer.
#[derive(Debug, thiserror::Error)]
#[error("dropped on purpose")]
struct Dropped;

async fn answer(
    request: Request<Incoming>,
    books: Arc<Mutex<Books>>,
    mood: Mood,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or("").to_owned();
    if Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await.is_err() {
        return Ok(reply(StatusCode::PAYLOAD_TOO_LARGE, "too large"));
    }
    books.lock().requests += 1;
    match mood {
        Mood::Down => return Ok(reply(StatusCode::SERVICE_UNAVAILABLE, "down for a moment")),
        Mood::Busy => {
            let mut busy = reply(StatusCode::TOO_MANY_REQUESTS, "too many requests");
            busy.headers_mut().insert("retry-after", http::HeaderValue::from_static("3"));
            return Ok(busy);
        }
        Mood::Well | Mood::Slow | Mood::Resetting => {}
    }
    // A key that is known already is the same lead again, which is not taken twice.
    let first = books.lock().taken.insert(key);
    match mood {
        Mood::Resetting => return Err(Dropped),
        Mood::Slow => tokio::time::sleep(SLOW).await,
        Mood::Well | Mood::Down | Mood::Busy => {}
    }
    Ok(reply(
        StatusCode::OK,
        if first { r#"{"outcome":"accepted"}"# } else { r#"{"outcome":"accepted","again":true}"# },
    ))
}

fn reply(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moods_come_in_turn_and_repeat() {
        let at = |seconds| Mood::at(Duration::from_secs(seconds));
        assert_eq!([at(0), at(6), at(13), at(18), at(22), at(25), at(30)], MOODS.map(|(mood, _)| mood));
        assert_eq!(at(33), Mood::Well);
        assert_eq!(at(33 + 6), Mood::Down);
    }
}
