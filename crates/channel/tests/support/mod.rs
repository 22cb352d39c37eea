//! A recipient that follows a script, byte by byte, on loopback, and logs what reached it: the judge of these tests.
//!
//! It speaks no HTTP beyond finding where a request ends, so that it can break every rule.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use steadfast_channel::{
    Bytes, DoorSettings, HeaderMap, HttpDoor, Method, Parcel, RESPONSE_BYTES_MAX, Target, Timeouts,
};
use steadfast_retry::{Evidence, FaultKind, Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Longer than anything here takes: reached only by a test that hangs, which is then a failure.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// What a lead looks like here; looked for in everything that reached the recipient.
pub const MARK: &str = "POST /leads";

/// One thing a recipient does on a connection.
#[derive(Clone)]
pub enum Act {
    /// Reads this many bytes.
    Read(usize),
    /// Reads one whole request: its head, and its body by `Content-Length`.
    ReadRequest,
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Writes these bytes again and again, as fast as they are taken, until the door closes the connection.
    Flood(Vec<u8>),
    /// Writes these bytes again and again, one at a time with a pause, until the door closes the connection.
    Drip(Vec<u8>, Duration),
    /// Waits for the door to close the connection, reading what still comes.
    AwaitClose,
    /// Neither reads nor writes until the test gives the cue.
    AwaitCue,
    /// Closes so that the other side sees a reset.
    Reset,
}

/// What the recipient saw and did.
#[derive(Clone, Default, Debug)]
pub struct Log {
    /// Everything read, one entry for each connection.
    pub received: Vec<Vec<u8>>,
    /// How many whole requests were read.
    pub requests: usize,
    /// How many connections came to their end.
    pub ended: usize,
    /// How many bytes of floods were taken, in all: by the door, or by the socket's buffers.
    pub flooded: usize,
}

impl Log {
    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.received.len()
    }

    /// How often a request of these tests arrived, whole or in part.
    pub fn arrived(&self) -> usize {
        self.received.iter().map(|bytes| String::from_utf8_lossy(bytes).matches(MARK).count()).sum()
    }
}

pub struct Recipient {
    address: SocketAddr,
    log: Arc<watch::Sender<Log>>,
    cue: Arc<watch::Sender<bool>>,
    stop: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<JoinSet<()>>,
}

impl Recipient {
    /// Follows one script for each connection, in order, and the last one for all further ones.
    pub async fn start(scripts: Vec<Vec<Act>>) -> Recipient {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(watch::Sender::new(Log::default()));
        let cue = Arc::new(watch::Sender::new(false));
        let stop = watch::Sender::new(false);
        let accepting = tokio::spawn(accept(listener, scripts, log.clone(), cue.clone(), stop.subscribe()));
        Recipient { address, log, cue, stop, accepting }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}/leads?token=s3cret", self.address)
    }

    /// Lets every `AwaitCue` go on.
    pub fn give_cue(&self) {
        self.cue.send_replace(true);
    }

    /// Waits until the log is as the test needs it.
    pub async fn wait_for(&self, what: impl FnMut(&Log) -> bool) {
        let mut log = self.log.subscribe();
        tokio::time::timeout(PATIENCE, log.wait_for(what)).await.expect("the recipient saw it").unwrap();
    }

    /// Waits until every connection has ended (the door must have let go of them) and gives the log.
    pub async fn finish(self) -> Log {
        self.cue.send_replace(true);
        self.stop.send_replace(true);
        let ended = async { self.accepting.await.unwrap().join_all().await };
        tokio::time::timeout(PATIENCE, ended).await.expect("the door let go of every connection");
        self.log.borrow().clone()
    }
}

async fn accept(
    listener: TcpListener,
    scripts: Vec<Vec<Act>>,
    log: Arc<watch::Sender<Log>>,
    cue: Arc<watch::Sender<bool>>,
    mut stop: watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut running = JoinSet::new();
    let mut play = |stream| {
        let mut number = 0;
        log.send_modify(|log| {
            number = log.received.len();
            log.received.push(Vec::new());
        });
        let script = scripts.get(number).or(scripts.last()).cloned().unwrap_or_default();
        let player = Player { stream, number, log: log.clone(), cue: cue.subscribe() };
        running.spawn(player.play(script));
    };
    loop {
        tokio::select! {
            accepted = listener.accept() => play(accepted.unwrap().0),
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    // A connection nobody waited for is evidence too: asks the kernel, not the reactor.
    let listener = listener.into_std().unwrap();
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nonblocking(true).unwrap();
        play(TcpStream::from_std(stream).unwrap());
    }
    running
}

struct Player {
    stream: TcpStream,
    number: usize,
    log: Arc<watch::Sender<Log>>,
    cue: watch::Receiver<bool>,
}

impl Player {
    async fn play(mut self, script: Vec<Act>) {
        for act in script {
            // An error is the door closing the connection: the script is over.
            if self.act(act).await.is_err() {
                break;
            }
        }
        let Player { stream, log, .. } = self;
        // Closed first, told afterwards: who waits for the end finds it closed.
        drop(stream);
        log.send_modify(|log| log.ended += 1);
    }

    async fn act(&mut self, act: Act) -> std::io::Result<()> {
        match act {
            Act::Read(bytes) => self.read(bytes).await.map(|_| ()),
            Act::ReadRequest => self.read_request().await,
            Act::Write(bytes) => self.stream.write_all(&bytes).await,
            Act::Flood(bytes) => loop {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let taken = self.stream.write(rest).await?;
                    self.log.send_modify(|log| log.flooded += taken);
                    rest = &rest[taken..];
                }
            },
            Act::Drip(bytes, pause) => loop {
                for byte in &bytes {
                    self.stream.write_all(&[*byte]).await?;
                    tokio::time::sleep(pause).await;
                }
            },
            Act::AwaitClose => loop {
                self.read(64 * 1024).await?;
            },
            Act::AwaitCue => self.cue.wait_for(|cue| *cue).await.map(|_| ()).map_err(std::io::Error::other),
            Act::Reset => self.stream.set_zero_linger(),
        }
    }

    /// Reads up to `bytes_max` bytes, at least one, and logs them.
    async fn read(&mut self, bytes_max: usize) -> std::io::Result<Vec<u8>> {
        let mut buffer = vec![0; bytes_max];
        let count = self.stream.read(&mut buffer).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer.truncate(count);
        self.log.send_modify(|log| log.received[self.number].extend_from_slice(&buffer));
        Ok(buffer)
    }

    async fn read_request(&mut self) -> std::io::Result<()> {
        let mut request = Vec::new();
        while !is_whole(&request) {
            request.extend(self.read(64 * 1024).await?);
        }
        self.log.send_modify(|log| log.requests += 1);
        Ok(())
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    request.len() >= head.len() + 4 + length.unwrap_or(0_usize)
}

/// A whole answer with this body.
pub fn answer(status: &str, body: &str) -> Act {
    Act::Write(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

pub fn write(text: &str) -> Act {
    Act::Write(text.as_bytes().to_vec())
}

/// A door that may call loopback.
pub fn door() -> HttpDoor {
    HttpDoor::new(settings()).unwrap()
}

pub fn settings() -> DoorSettings {
    let allow_private_networks = "127.0.0.0/8, ::1".parse().unwrap();
    // The system's own roots cost tens of milliseconds to read and play no part here.
    DoorSettings {
        allow_private_networks,
        trust_system_roots: false,
        idle_timeout: Duration::from_secs(30),
        ..DoorSettings::default()
    }
}

/// A lead to this URL.
pub fn parcel(url: &str) -> Parcel {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert("idempotency-key", "\"delivery-7\"".parse().unwrap());
    Parcel {
        target: Target::parse(url).unwrap(),
        method: Method::POST,
        headers,
        body: Bytes::from_static(b"{\"phone\":\"5551234567\"}"),
        timeouts: Timeouts::within(PATIENCE / 2),
        response_bytes_max: RESPONSE_BYTES_MAX,
    }
}

/// Sends one lead to a recipient with this script for its only connection, and lets go of the connection.
pub async fn send_to(script: Vec<Act>, change: impl FnOnce(&mut Parcel)) -> (Evidence, Log) {
    let recipient = Recipient::start(vec![script]).await;
    let door = door();
    let mut parcel = parcel(&recipient.url());
    change(&mut parcel);
    let evidence = door.send(parcel).await;
    door.close_idle();
    (evidence, recipient.finish().await)
}

/// Asserts the fault, and what must hold for every one: nothing secret in its sentence, ambiguous exactly when a byte
/// may have been sent, and the attempt's time noted.
#[track_caller]
pub fn assert_fault(evidence: &Evidence, phase: Phase, kind: FaultKind) {
    let fault = evidence.fault.as_ref().unwrap_or_else(|| panic!("no fault in {evidence:?}"));
    assert_eq!((evidence.phase, fault.kind), (phase, kind), "{evidence:?}");
    assert_eq!(evidence.is_ambiguous(), phase >= Phase::Sending, "{evidence:?}");
    assert!(fault.detail.ends_with('.') && fault.detail.len() > 20, "{}", fault.detail);
    for secret in ["s3cret", "5551234567", "leads?", "delivery-7"] {
        assert!(!fault.detail.contains(secret), "{}", fault.detail);
    }
    assert!(evidence.timings.total > Duration::ZERO);
}

/// Asserts a whole answer of this status.
#[track_caller]
pub fn assert_answer(evidence: &Evidence, status: u16, body: &str) {
    assert_eq!(evidence.fault, None, "{evidence:?}");
    let answer = evidence.answer.as_ref().unwrap();
    assert_eq!((evidence.phase, answer.status), (Phase::Responded, status), "{evidence:?}");
    assert_eq!(String::from_utf8_lossy(&answer.body), body);
    assert_eq!(answer.body_bytes, body.len() as u64);
    assert!(evidence.timings.first_byte.is_some_and(|first| first <= evidence.timings.total));
    assert!(evidence.remote.is_some());
}
