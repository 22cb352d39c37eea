//! A recipient that breaks connections at every stage and takes each `Idempotency-Key` once.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Where a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Break {
    /// After the request's head, before its body is read; nothing is taken.
    InRequest,
    /// After the request, before it is taken.
    BeforeTaking,
    /// After the lead was taken, before a byte of the answer.
    BeforeAnswer,
    /// In the middle of the answer, after the lead was taken.
    InAnswer,
}

const BREAKS: [Break; 4] = [Break::InRequest, Break::BeforeTaking, Break::BeforeAnswer, Break::InAnswer];
/// Of a hundred requests, so many break somewhere.
const BREAK_PERCENT: u64 = 40;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// The recipient's books.
#[derive(Default)]
pub struct Books {
    /// Keys taken, and the body each came with.
    pub taken: HashMap<String, Vec<u8>>,
    /// Keys that came again after they were taken.
    pub repeats: u64,
    /// Bodies that differ from the first under the same key; must stay empty.
    pub changed: HashSet<String>,
    /// How often connections broke, and where.
    pub broken: HashMap<Break, u64>,
    seen: HashMap<String, u64>,
}

/// The recipient.
pub struct BreakingRecipient {
    pub address: SocketAddr,
    pub books: Arc<Mutex<Books>>,
}

impl BreakingRecipient {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let books: Arc<Mutex<Books>> = Arc::default();
        let shared = Arc::clone(&books);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        BreakingRecipient { address, books }
    }
}

async fn serve(mut stream: TcpStream, books: Arc<Mutex<Books>>) -> std::io::Result<()> {
    let mut read = Vec::new();
    loop {
        let Some(head_end) = read_until(&mut stream, &mut read, |read| find(read, b"\r\n\r\n")).await? else {
            return Ok(());
        };
        let head = String::from_utf8_lossy(&read[..head_end]).to_ascii_lowercase();
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim_matches([' ', ':', '"']).to_owned()).unwrap_or_default()
        };
        let (key, length): (String, usize) = (header("idempotency-key"), header("content-length").parse().unwrap_or(0));
        let breaks = fate(&mut books.lock().unwrap(), &key);
        if breaks == Some(Break::InRequest) {
            return reset(&stream);
        }
        let whole = head_end + 4 + length;
        if read_until(&mut stream, &mut read, |read| (read.len() >= whole).then_some(whole)).await?.is_none() {
            return Ok(());
        }
        let body = read[head_end + 4..whole].to_vec();
        read.drain(..whole);
        if breaks == Some(Break::BeforeTaking) {
            return reset(&stream);
        }
        take(&mut books.lock().unwrap(), key, body);
        match breaks {
            Some(Break::BeforeAnswer) => return reset(&stream),
            Some(Break::InAnswer) => {
                stream.write_all(&ANSWER[..20]).await?;
                return reset(&stream);
            }
            Some(Break::InRequest | Break::BeforeTaking) | None => stream.write_all(ANSWER).await?,
        }
    }
}

fn take(books: &mut Books, key: String, body: Vec<u8>) {
    match books.taken.get(&key) {
        None => {
            books.taken.insert(key, body);
        }
        Some(first) => {
            if *first != body {
                books.changed.insert(key);
            }
            books.repeats += 1;
        }
    }
}

/// Decides by key and how often it was seen, so that a run can be repeated. From the fifth time on nothing breaks.
fn fate(books: &mut Books, key: &str) -> Option<Break> {
    let times = books.seen.entry(key.to_owned()).or_default();
    *times += 1;
    let mut hasher = DefaultHasher::new();
    (key, *times).hash(&mut hasher);
    let dice = hasher.finish();
    if *times > 4 || dice % 100 >= BREAK_PERCENT {
        return None;
    }
    let breaks = BREAKS[usize::try_from(dice / 100 % 4).unwrap()];
    *books.broken.entry(breaks).or_default() += 1;
    Some(breaks)
}

/// Closes with a reset instead of an orderly end.
pub(super) fn reset(stream: &TcpStream) -> std::io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

pub(super) fn find(read: &[u8], wanted: &[u8]) -> Option<usize> {
    read.windows(wanted.len()).position(|window| window == wanted)
}

/// Reads until `done` says where; nothing when the other side has ended.
pub(super) async fn read_until(
    stream: &mut TcpStream,
    read: &mut Vec<u8>,
    done: impl Fn(&[u8]) -> Option<usize>,
) -> std::io::Result<Option<usize>> {
    loop {
        if let Some(at) = done(read) {
            return Ok(Some(at));
        }
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
}
