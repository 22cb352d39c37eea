//! The yardsticks: the least a delivery server can do. Takes a message, syncs it to a log (or not), answers, and forwards it
//! over kept connections. Knows no retry, keeps no outcome, loses what it holds when it ends.

use crate::http1::{Connection, serve};
use crate::log::Log;
use anyhow::Result;
use bytes::Bytes;
use hyper::StatusCode;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Connections to the recipient.
const SENDERS: usize = 32;
/// Answered and not yet forwarded, at most, for each connection; beyond it the answer waits.
const QUEUE_MAX: usize = 4_096;

/// What to run with.
#[derive(clap::Args)]
pub(crate) struct RelayArgs {
    /// Sync each message to this new file before the answer.
    #[arg(long)]
    wal: Option<PathBuf>,
    /// The recipient.
    #[arg(long)]
    to: SocketAddr,
    /// The recipient's path.
    #[arg(long, default_value = "/ok")]
    path: String,
}

/// Runs until it is killed.
///
/// # Errors
/// When it cannot listen or make its log.
pub(crate) async fn relay(args: RelayArgs) -> Result<()> {
    let log = args.wal.as_deref().map(Log::create).transpose()?;
    let senders = Senders::start(args.to, &args.path);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("relay ready on http://{}", listener.local_addr()?);
    let answer = move |_path, body| take(body, log.clone(), Arc::clone(&senders));
    Ok(serve(listener, answer).await?)
}

/// The connections to the recipient, in turn.
struct Senders {
    queues: Vec<mpsc::Sender<Bytes>>,
    next: AtomicUsize,
}

impl Senders {
    fn start(to: SocketAddr, path: &str) -> Arc<Self> {
        let queues = (0..SENDERS).map(|_| {
            let (queue, jobs) = mpsc::channel(QUEUE_MAX);
            tokio::spawn(forward(jobs, to, path.to_owned()));
            queue
        });
        Arc::new(Senders { queues: queues.collect(), next: AtomicUsize::new(0) })
    }

    async fn send(&self, body: Bytes) -> bool {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.queues.len();
        self.queues[next].send(body).await.is_ok()
    }
}

async fn take(body: Bytes, log: Option<Log>, senders: Arc<Senders>) -> StatusCode {
    if let Some(log) = log
        && let Err(error) = log.append(body.clone()).await
    {
        eprintln!("relay: {error:#}");
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if senders.send(body).await { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn forward(mut jobs: mpsc::Receiver<Bytes>, to: SocketAddr, path: String) {
    let mut connection = Connection::new(to);
    while let Some(body) = jobs.recv().await {
        if let Err(error) = connection.post(&path, body).await {
            eprintln!("relay: a message was dropped: {error:#}");
        }
    }
}
