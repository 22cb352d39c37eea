//! The recipient at the end: knows each lead by the number in its body, keeps when every attempt came and what it was told.
//! What it answers is in the path it is called at, so that nothing has to be configured.
//!
//! `/ok` takes; `/fail-first` says 503 to the first attempt of each lead; `/slow` takes after [`SLOW`], `/brisk` after a 50th
//! of it; `/hole` never answers; `/down` takes anything, or says 503 for as long as it is told to.

use crate::clock::{micros, now_us};
use crate::http1::serve;
use crate::quantiles::Quantiles;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::StatusCode;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// How late `/slow` answers.
pub(crate) const SLOW: Duration = Duration::from_millis(250);
/// How late `/brisk` answers: the same, fifty times as fast.
pub(crate) const BRISK: Duration = Duration::from_millis(5);
/// Given up when nothing was delivered for so long.
const QUIET_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What is known of one lead.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// When it was due at the generator.
    born_us: u64,
    /// When its first attempt came; 0 before.
    first_us: u64,
    /// When it was first taken; 0 before.
    taken_us: u64,
    /// When the attempt that was refused last came; 0 without one.
    refused_us: u64,
    /// How often it was taken.
    taken: u32,
}

#[derive(Default)]
struct Book {
    /// The number of the first lead that counts.
    from: u64,
    leads: Vec<Seen>,
    delivered: usize,
    /// From each refusal to the next attempt.
    gaps_us: Vec<u64>,
    unknown: u64,
    /// When each request came to `/down`.
    arrivals_us: Vec<u64>,
}

/// A running recipient.
#[derive(Clone)]
pub(crate) struct Sink {
    address: SocketAddr,
    book: Arc<Mutex<Book>>,
    down: Arc<AtomicBool>,
}

/// What the recipient saw of one round.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// Different leads that were taken.
    pub(crate) delivered: usize,
    /// Leads taken again after they had been taken.
    pub(crate) duplicates: u64,
    /// When the last lead was taken first.
    pub(crate) last_taken_us: u64,
    /// From a lead's due time at the generator to its first attempt.
    pub(crate) to_first: Quantiles,
    /// The same, to its being taken.
    pub(crate) to_taken: Quantiles,
    /// From each refusal to the next attempt.
    pub(crate) gaps: Quantiles,
}

impl Sink {
    /// Starts it on a thread of its own.
    ///
    /// # Errors
    /// When it cannot listen.
    pub(crate) fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let sink = Sink { address: listener.local_addr()?, book: Arc::default(), down: Arc::default() };
        let serving = sink.clone().listen(listener);
        std::thread::Builder::new().name("sink".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(serving) {
                eprintln!("the recipient ended: {error}");
            }
        })?;
        Ok(sink)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forgets everything; leads from this number on count.
    pub(crate) fn begin(&self, from: u64) {
        *self.book.lock() = Book { from, ..Book::default() };
    }

    /// Waits until so many different leads were taken.
    ///
    /// # Errors
    /// When nothing comes any more.
    pub(crate) async fn wait(&self, delivered: usize) -> Result<()> {
        let (mut known, mut since) = (0, now_us());
        loop {
            let now = self.book.lock().delivered;
            if now >= delivered {
                return Ok(());
            }
            if now > known {
                (known, since) = (now, now_us());
            } else if now_us() - since > micros(QUIET_MAX) {
                bail!("{now} of {delivered} leads were delivered, and no more came for {} s", QUIET_MAX.as_secs());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until so many different leads of those that `counts` says yes to (by number since the begin) were taken.
    pub(crate) async fn wait_for(&self, delivered: usize, counts: impl Fn(usize) -> bool) {
        let taken = |book: &Book| {
            book.leads.iter().enumerate().filter(|(place, seen)| counts(*place) && seen.taken > 0).count()
        };
        while taken(&self.book.lock()) < delivered {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Whether `/down` is.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// When each request came to `/down` since [`Sink::begin`].
    pub(crate) fn arrivals(&self) -> Vec<u64> {
        self.book.lock().arrivals_us.clone()
    }

    /// Waits until so many requests came to `/down`.
    pub(crate) async fn wait_for_arrivals(&self, count: usize) {
        while self.book.lock().arrivals_us.len() < count {
            sleep(LOOK_EVERY).await;
        }
    }

    /// What was seen since [`Sink::begin`], of the leads that `counts` says yes to (by number since the begin).
    pub(crate) fn receipts(&self, counts: impl Fn(usize) -> bool) -> Receipts {
        let book = self.book.lock();
        let leads = || book.leads.iter().enumerate().filter(|(place, _)| counts(*place)).map(|(_, seen)| seen);
        let taken = || leads().filter(|seen| seen.taken > 0);
        Receipts {
            delivered: taken().count(),
            duplicates: taken().map(|seen| u64::from(seen.taken - 1)).sum(),
            last_taken_us: taken().map(|seen| seen.taken_us).max().unwrap_or(0),
            to_first: Quantiles::of(
                leads()
                    .filter(|seen| seen.first_us > 0)
                    .map(|seen| seen.first_us.saturating_sub(seen.born_us))
                    .collect(),
            ),
            to_taken: Quantiles::of(taken().map(|seen| seen.taken_us.saturating_sub(seen.born_us)).collect()),
            gaps: Quantiles::of(book.gaps_us.clone()),
        }
    }

    async fn listen(self, listener: std::net::TcpListener) -> std::io::Result<()> {
        let answer = move |path: String, body: Bytes| {
            let sink = self.clone();
            async move { sink.answer(&path, &body).await }
        };
        serve(TcpListener::from_std(listener)?, answer).await
    }

    async fn answer(&self, path: &str, body: &[u8]) -> StatusCode {
        let now = now_us();
        match path {
            "/down" => {
                self.book.lock().arrivals_us.push(now);
                let down = self.down.load(Ordering::SeqCst);
                return if down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            }
            "/hole" => std::future::pending().await,
            "/slow" => sleep(SLOW).await,
            "/brisk" => sleep(BRISK).await,
            _ => {}
        }
        match numbers(body) {
            Ok((number, born_us)) => self.book.lock().note(number, born_us, now, path == "/fail-first"),
            Err(_) => {
                self.book.lock().unknown += 1;
                StatusCode::BAD_REQUEST
            }
        }
    }
}

impl Book {
    fn note(&mut self, number: u64, born_us: u64, now: u64, fails_first: bool) -> StatusCode {
        // What is left of an earlier round counts no more.
        let Some(place) = number.checked_sub(self.from).and_then(|place| usize::try_from(place).ok()) else {
            return StatusCode::OK;
        };
        if self.leads.len() <= place {
            self.leads.resize(place + 1, Seen::default());
        }
        let seen = &mut self.leads[place];
        let first = seen.first_us == 0;
        if first {
            (seen.born_us, seen.first_us) = (born_us, now);
        }
        let refused_us = std::mem::take(&mut seen.refused_us);
        if refused_us > 0 {
            // Counted from before the refusal was written: a retry may seem later than it is, never earlier.
            self.gaps_us.push(now - refused_us);
        }
        if first && fails_first {
            seen.refused_us = now;
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        if seen.taken == 0 {
            seen.taken_us = now;
            self.delivered += 1;
        }
        seen.taken += 1;
        StatusCode::OK
    }
}

/// The number and due time at the front of a lead's JSON.
fn numbers(body: &[u8]) -> Result<(u64, u64)> {
    let head = body.get(..body.len().min(128)).unwrap_or_default();
    let text = std::str::from_utf8(head).context("a body that is no text")?;
    Ok((number_after(text, "\"bench_number\":")?, number_after(text, "\"bench_due_us\":")?))
}

fn number_after(text: &str, key: &str) -> Result<u64> {
    let at = text.find(key).context("a body without its number")? + key.len();
    let digits = text[at..].split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    Ok(digits.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_is_known_by_what_stands_at_its_front() {
        assert_eq!(numbers(br#"{"bench_number":12,"bench_due_us":345,"rest":"x"}"#).unwrap(), (12, 345));
        assert!(numbers(b"{}").is_err());
    }

    #[test]
    fn first_attempts_refusals_and_duplicates_are_told_apart() {
        let mut book = Book { from: 10, ..Book::default() };
        assert_eq!(book.note(9, 0, 1, false), StatusCode::OK);
        assert_eq!(book.note(10, 5, 100, true), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(book.note(10, 5, 350, true), StatusCode::OK);
        assert_eq!(book.note(10, 5, 400, true), StatusCode::OK);
        assert_eq!((book.delivered, book.gaps_us.as_slice(), book.leads[0].taken), (1, &[250][..], 2));
        let sink = Sink { address: ([127, 0, 0, 1], 1).into(), book: Arc::new(Mutex::new(book)), down: Arc::default() };
        let receipts = sink.receipts(|_| true);
        assert_eq!((receipts.delivered, receipts.duplicates, receipts.last_taken_us), (1, 1, 350));
        assert_eq!((receipts.to_first.at(0.5), receipts.to_taken.at(0.5)), (95, 345));
    }
}
