//! Recipients that mean harm, each in a way of its own, and how many requests each has had.

use super::breaking::{find, read_until, reset};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// What a recipient does once it has read the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    NeverAnswers,
    DripsBytes,
    SendsGigabytes,
    ResetsInTheBody,
    FloodsHeaders,
    GzipsABomb,
    RedirectsForEver,
    FramesChunksWrongly,
}

impl Harm {
    pub const ALL: [Harm; 8] = [
        Harm::NeverAnswers,
        Harm::DripsBytes,
        Harm::SendsGigabytes,
        Harm::ResetsInTheBody,
        Harm::FloodsHeaders,
        Harm::GzipsABomb,
        Harm::RedirectsForEver,
        Harm::FramesChunksWrongly,
    ];
}

/// The recipient.
pub struct HostileRecipient {
    pub address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl HostileRecipient {
    pub async fn start(harm: Harm) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<AtomicUsize> = Arc::default();
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Ends when the other side has closed the connection.
                tokio::spawn(serve(stream, harm, Arc::clone(&counted)));
            }
        });
        HostileRecipient { address, requests }
    }

    /// Requests it has had.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, harm: Harm, requests: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut read = Vec::new();
    loop {
        let Some(head) = read_until(&mut stream, &mut read, |read| find(read, b"\r\n\r\n")).await? else {
            return Ok(());
        };
        read.drain(..head + 4);
        requests.fetch_add(1, Ordering::SeqCst);
        harm_by(&mut stream, &mut read, harm).await?;
    }
}

async fn harm_by(stream: &mut TcpStream, read: &mut Vec<u8>, harm: Harm) -> std::io::Result<()> {
    match harm {
        Harm::NeverAnswers => read_until(stream, read, |_| None).await.map(drop),
        Harm::DripsBytes => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n").await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Harm::SendsGigabytes => flood(stream, "Content-Length: 107374182400\r\n\r\n", &[b'x'; 64 << 10]).await,
        Harm::FloodsHeaders => flood(stream, "", "X-Flood: v\r\n".repeat(1_000).as_bytes()).await,
        Harm::GzipsABomb => {
            let packed = [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], &[0_u8; 64 << 10]].concat();
            flood(stream, "Content-Encoding: gzip\r\nContent-Length: 10737418240\r\n\r\n", &packed).await
        }
        Harm::ResetsInTheBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of it").await?;
            reset(stream)?;
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
        Harm::RedirectsForEver => {
            stream.write_all(b"HTTP/1.1 307 Temporary\r\nLocation: /leads\r\nContent-Length: 0\r\n\r\n").await
        }
        Harm::FramesChunksWrongly => {
            let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloworld\r\n";
            stream.write_all(chunks).await?;
            read_until(stream, read, |_| None).await.map(drop)
        }
    }
}

/// Until the other side closes the connection.
async fn flood(stream: &mut TcpStream, head: &str, piece: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes()).await?;
    loop {
        stream.write_all(piece).await?;
    }
}
