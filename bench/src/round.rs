//! One round: a load on one server, until everything is delivered, and what it took.

use crate::child::Child;
use crate::load::{Load, Posted, next_number};
use crate::quantiles::{Quantiles, median};
use crate::sink::{Receipts, Sink};
use anyhow::{Result, ensure};
use std::sync::Arc;

/// What a round is to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where leads are posted, in turn.
    pub(crate) paths: Arc<[String]>,
    /// How many.
    pub(crate) leads: u64,
    /// How many at once at most.
    pub(crate) connections: usize,
    /// How many a second, if not as fast as they are answered.
    pub(crate) rate: Option<u32>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Round {
    /// What the generator saw.
    pub(crate) posted: Posted,
    /// What the recipient saw.
    pub(crate) receipts: Receipts,
    /// Delivered a second, from the first post to the last delivery.
    pub(crate) delivered_per_s: f64,
    /// Acknowledged a second.
    pub(crate) acknowledged_per_s: f64,
    /// The server's processor time for each lead.
    pub(crate) cpu_us: f64,
    /// Bytes the server had written to disk for each lead.
    pub(crate) written_bytes: f64,
}

impl Plan {
    /// Runs it.
    ///
    /// # Errors
    /// When a lead is not acknowledged or not delivered.
    pub(crate) async fn run(&self, sink: &Sink, server: &Child) -> Result<Round> {
        sink.begin(next_number());
        let before = server.usage()?;
        let load = Load {
            to: server.address(),
            paths: Arc::clone(&self.paths),
            leads: self.leads,
            connections: self.connections,
            rate: self.rate,
        };
        let posted = load.post().await?;
        sink.wait(usize::try_from(self.leads)?).await?;
        let after = server.usage()?;
        let receipts = sink.receipts(|_| true);
        ensure!(receipts.duplicates == 0, "{} leads were delivered twice", receipts.duplicates);
        let each = |sum: f64| sum / self.leads as f64;
        let per_s = |until_us: u64| self.leads as f64 * 1e6 / until_us.saturating_sub(posted.began_us).max(1) as f64;
        Ok(Round {
            delivered_per_s: per_s(receipts.last_taken_us),
            acknowledged_per_s: per_s(posted.ended_us),
            cpu_us: each((after.cpu.saturating_sub(before.cpu)).as_secs_f64() * 1e6),
            written_bytes: each(after.written_bytes.saturating_sub(before.written_bytes) as f64),
            posted,
            receipts,
        })
    }
}

/// The median over rounds of one of their figures.
pub(crate) fn over(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> f64 {
    median(rounds.iter().map(figure))
}

/// The median over rounds of a quantile, in milliseconds.
pub(crate) fn ms(rounds: &[Round], of: impl Fn(&Round) -> &Quantiles, share: f64) -> f64 {
    over(rounds, |round| of(round).at(share) as f64 / 1e3)
}
