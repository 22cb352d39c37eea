//! The load generator: posts leads of about 1 KB over kept connections, as fast as they are answered or at a fixed rate.
//!
//! At a fixed rate a lead is due whatever the server does, and its latency counts from then: a server that stalls cannot hide
//! what queued up meanwhile.

use crate::clock::now_us;
use crate::http1::Connection;
use crate::quantiles::Quantiles;
use anyhow::{Result, bail};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Leads are padded to about this many bytes.
const LEAD_BYTES: usize = 1_024;
/// An answer that takes longer ends the round.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Refusals to come back later that one round bears.
const REFUSALS_MAX: u64 = 1_000;
/// How long a refused lead waits.
const COME_BACK: Duration = Duration::from_millis(50);

/// Numbers of leads over the whole run: none is given twice.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What to post.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Where.
    pub(crate) to: SocketAddr,
    /// Paths in turn: lead n goes to the n-th, and around again.
    pub(crate) paths: Arc<[String]>,
    /// How many leads.
    pub(crate) leads: u64,
    /// Over how many connections, and so how many at once.
    pub(crate) connections: usize,
    /// Leads a second; as fast as they are answered without one.
    pub(crate) rate: Option<u32>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Posted {
    /// When it began.
    pub(crate) began_us: u64,
    /// When the last was acknowledged.
    pub(crate) ended_us: u64,
    /// From each lead's due time to its acknowledgement.
    pub(crate) acks: Quantiles,
}

/// The number the next load's first lead will have.
pub(crate) fn next_number() -> u64 {
    NEXT.load(Ordering::Relaxed)
}

impl Load {
    /// Posts everything.
    ///
    /// # Errors
    /// When a lead is not acknowledged.
    pub(crate) async fn post(&self) -> Result<Posted> {
        let first = NEXT.fetch_add(self.leads, Ordering::Relaxed);
        let shared = Arc::new(Shared {
            load: self.clone(),
            first,
            given: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            began_us: now_us(),
            padding: padding(),
        });
        let workers: Vec<_> = (0..self.connections).map(|_| tokio::spawn(work(Arc::clone(&shared)))).collect();
        let mut acks = Vec::new();
        for worker in workers {
            acks.extend(worker.await??);
        }
        Ok(Posted { began_us: shared.began_us, ended_us: now_us(), acks: Quantiles::of(acks) })
    }
}

struct Shared {
    load: Load,
    first: u64,
    given: AtomicU64,
    refused: AtomicU64,
    began_us: u64,
    padding: String,
}

/// Fields as a form would have them.
fn padding() -> String {
    let mut text = String::new();
    for number in 0.. {
        if text.len() + 80 > LEAD_BYTES {
            break;
        }
        text.push_str(&format!(",\"field_number_{number}\":\"a value of twenty one\""));
    }
    text
}

async fn work(shared: Arc<Shared>) -> Result<Vec<u64>> {
    let mut connection = Connection::new(shared.load.to);
    let mut acks = Vec::new();
    loop {
        let place = shared.given.fetch_add(1, Ordering::Relaxed);
        if place >= shared.load.leads {
            return Ok(acks);
        }
        let due_us = match shared.load.rate {
            Some(rate) => due(shared.began_us, place, rate).await,
            None => now_us(),
        };
        let number = shared.first + place;
        let body = format!("{{\"bench_number\":{number},\"bench_due_us\":{due_us}{}}}", shared.padding);
        let path = &shared.load.paths[place as usize % shared.load.paths.len()];
        shared.post(&mut connection, path, Bytes::from(body)).await?;
        acks.push(now_us() - due_us);
    }
}

/// Waits until a lead is due; answers with when that is or was.
async fn due(began_us: u64, place: u64, rate: u32) -> u64 {
    let due_us = began_us + place * 1_000_000 / u64::from(rate.max(1));
    let now = now_us();
    if due_us > now {
        sleep(Duration::from_micros(due_us - now)).await;
    }
    due_us
}

impl Shared {
    /// Posts until it is taken.
    async fn post(&self, connection: &mut Connection, path: &str, body: Bytes) -> Result<()> {
        loop {
            let (status, said) = timeout(ANSWER_MAX, connection.post(path, body.clone())).await??;
            if status.is_success() {
                return Ok(());
            }
            let refused = self.refused.fetch_add(1, Ordering::Relaxed);
            if status.as_u16() != 503 && status.as_u16() != 429 || refused >= REFUSALS_MAX {
                bail!("a lead was answered {status}: {}", String::from_utf8_lossy(&said));
            }
            sleep(COME_BACK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Sink;

    #[tokio::test]
    async fn what_is_posted_arrives_once_and_is_counted() {
        let sink = Sink::start().unwrap();
        sink.begin(next_number());
        let paths = Arc::from(["/ok".to_owned(), "/brisk".to_owned()]);
        let load = Load { to: sink.address(), paths, leads: 20, connections: 4, rate: None };
        let posted = load.post().await.unwrap();
        sink.wait(20).await.unwrap();
        let receipts = sink.receipts(|_| true);
        assert_eq!((posted.acks.count(), receipts.delivered, receipts.duplicates), (20, 20, 0));
        assert_eq!(sink.receipts(|place| place % 2 == 0).delivered, 10);
    }

    #[test]
    fn a_lead_has_about_the_bytes_it_should() {
        assert!((900..=LEAD_BYTES).contains(&(padding().len() + 60)));
    }
}
