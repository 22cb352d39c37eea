//! What an import shows while it goes: a bar on a terminal, else a line now and then.

use super::progress::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;
use tokio::time::Instant;

/// Between two lines where nobody watches.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows how far it has come, on stderr.
pub(super) struct Screen {
    bar: Option<ProgressBar>,
    bytes: u64,
    said_at: Instant,
}

impl Screen {
    /// Of a file with so many bytes, of which some are settled already.
    pub(super) fn new(bytes: u64, settled: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr()).with_position(settled);
            let template = "{bar:30} {percent:>3} %  {bytes_per_sec}  {msg}  {eta} left";
            bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Screen { bar, bytes, said_at: Instant::now() }
    }

    /// Shows it.
    pub(super) fn show(&mut self, progress: &Progress) {
        let (accepted, refused) = (progress.accepted, progress.refused);
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{accepted} accepted, {refused} refused"));
            bar.set_position(progress.offset);
            return;
        }
        if self.said_at.elapsed() >= LINE_EVERY {
            self.said_at = Instant::now();
            let percent = progress.offset.saturating_mul(100) / self.bytes.max(1);
            // Nobody reading is no reason to stop.
            let _written = writeln!(std::io::stderr(), "{percent} %: {accepted} accepted, {refused} refused");
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
