//! The yardstick's log: what is appended while one sync runs shares the next one. Never read again.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc;
use tokio::sync::oneshot;

/// How many entries one sync takes at most.
const BATCH_MAX: usize = 4_096;

/// What is appended, and who waits for it.
type Entry = (Bytes, oneshot::Sender<()>);

/// A log with a writer thread of its own.
#[derive(Clone)]
pub(crate) struct Log(mpsc::Sender<Entry>);

impl Log {
    /// Makes the file and starts the thread, which ends with the last handle.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path).with_context(|| format!("making {}", path.display()))?;
        let (sender, entries) = mpsc::channel();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write(file, &entries))?;
        Ok(Log(sender))
    }

    /// Returns when the entry is on the disk.
    ///
    /// # Errors
    /// When writing failed.
    pub(crate) async fn append(&self, entry: Bytes) -> Result<()> {
        let (done, synced) = oneshot::channel();
        if self.0.send((entry, done)).is_err() {
            bail!("the log's writer ended");
        }
        synced.await.context("the log's writer ended")
    }
}

/// Ends at the first fault: whoever waits is told by the closed channel.
fn write(mut file: File, entries: &mpsc::Receiver<Entry>) {
    let mut buffer = Vec::new();
    let mut waiting = Vec::new();
    while let Ok(first) = entries.recv() {
        buffer.clear();
        let more = entries.try_iter().take(BATCH_MAX - 1);
        for (entry, done) in std::iter::once(first).chain(more) {
            buffer.extend_from_slice(&u32::try_from(entry.len()).unwrap_or(u32::MAX).to_le_bytes());
            buffer.extend_from_slice(&entry);
            waiting.push(done);
        }
        if let Err(error) = file.write_all(&buffer).and_then(|()| file.sync_data()) {
            eprintln!("writing the log: {error}");
            return;
        }
        for done in waiting.drain(..) {
            // Who no longer waits needs no answer.
            let _told = done.send(());
        }
    }
}
