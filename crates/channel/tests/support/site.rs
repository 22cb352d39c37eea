//! A site on loopback that answers each request as a test's closure says, and logs what came: a token endpoint or a recipient.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What to do with a request.
pub enum Does {
    /// Answers with this status line and body; further header lines may stand after the status.
    Says(&'static str, String),
    /// The same, once the test gives the cue.
    OnCue(&'static str, String),
    /// Writes this and closes, so that the answer breaks off.
    BreaksOff(&'static str),
    /// Says nothing until the other side is gone.
    Hangs,
}

type Script = dyn Fn(usize, &str) -> Does + Send + Sync;

pub struct Site {
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    count: Arc<watch::Sender<usize>>,
    cue: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Site {
    /// Answers by `script`: the request's number from 1, and its text.
    pub async fn start(script: impl Fn(usize, &str) -> Does + Send + Sync + 'static) -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (log, count, cue) = (Arc::default(), Arc::new(watch::Sender::new(0)), watch::Sender::new(false));
        let seat =
            Seat { log: Arc::clone(&log), count: Arc::clone(&count), cue: cue.subscribe(), script: Arc::new(script) };
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, seat.clone()));
            }
        });
        Site { address, log, count, cue, accepting }
    }

    /// Everything that came, whole requests only.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    /// Waits until so many came.
    pub async fn came(&self, wanted: usize) {
        let mut count = self.count.subscribe();
        let came = count.wait_for(|count| *count >= wanted);
        tokio::time::timeout(super::support::PATIENCE, came).await.expect("it came").unwrap();
    }

    pub fn give_cue(&self) {
        self.cue.send_replace(true);
    }
}

#[derive(Clone)]
struct Seat {
    log: Arc<Mutex<Vec<String>>>,
    count: Arc<watch::Sender<usize>>,
    cue: watch::Receiver<bool>,
    script: Arc<Script>,
}

/// Until the other side, or the script, has enough.
async fn serve(mut stream: TcpStream, mut seat: Seat) {
    while let Some(request) = read_request(&mut stream).await {
        let number = {
            let mut log = seat.log.lock().unwrap();
            log.push(request.clone());
            log.len()
        };
        let does = (seat.script)(number, &request);
        seat.count.send_replace(number);
        let (head, body) = match does {
            Does::Says(head, body) => (head, body),
            Does::OnCue(head, body) => {
                seat.cue.wait_for(|cue| *cue).await.unwrap();
                (head, body)
            }
            Does::BreaksOff(text) => {
                // The other side may be gone already.
                let _gone = stream.write_all(text.as_bytes()).await;
                return;
            }
            Does::Hangs => {
                let _gone = stream.read(&mut [0; 1]).await;
                return;
            }
        };
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(text.into_owned());
        }
    }
}
