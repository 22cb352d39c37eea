//! `steadfast backup`, `restore` and `migrate`: copies of a store, and stores of an earlier format.
//!
//! A restored store is one whose last hours are missing: whatever waited in it may have been sent since, and is marked so
//! before anything can be.

use crate::config;
use anyhow::{Context, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steadfast_engine::{Clock as _, SystemClock};
use steadfast_lead::{NodeNumber, Timestamp};
use steadfast_retry::{Delivery, Entry, Fence, Shard, StateName, doubt};
use steadfast_store::{Deliveries as _, Filter, Settled, Store, TermKey, Writes as _};
use steadfast_store_embedded::{EmbeddedStore, Examined, Options, back_up, examine, migrate as bring_along};

/// The data folder where neither a command nor a config names one.
const DATA_DEFAULT: &str = "steadfast-data";
/// The store's file in a data folder, and in a backup.
const FILE: &str = "steadfast.db";
/// Deliveries read at once.
const PAGE: usize = 1_000;
/// Deliveries marked at once, so that they share commits.
const AT_ONCE: usize = 512;

/// Which data folder is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct DataFolder {
    /// The data folder.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The config file that names it.
    #[arg(long, conflicts_with = "data")]
    config: Option<PathBuf>,
}

impl DataFolder {
    fn path(self) -> Result<PathBuf> {
        match (self.data, self.config) {
            (Some(data), _) => Ok(data),
            (None, Some(config)) => Ok(config::load(&config)?.server.store.path),
            (None, None) => Ok(PathBuf::from(DATA_DEFAULT)),
        }
    }
}

/// Copies a store that may be in use into a new folder.
///
/// # Errors
/// When there is no store, the folder holds one already, or the copy is not whole.
pub(crate) fn backup(folder: DataFolder, to: &Path, out: &mut dyn Write) -> Result<()> {
    let made = back_up(&folder.path()?, to)?;
    writeln!(out, "backed up to {}", made.file.display())?;
    Ok(tell(&made, out)?)
}

fn tell(store: &Examined, out: &mut dyn Write) -> std::io::Result<()> {
    let Examined { bytes, format, leads, deliveries, open, .. } = store;
    writeln!(
        out,
        "{leads} leads, {deliveries} deliveries, {open} of them wait or are held; {bytes} bytes, store format {format}, checked"
    )
}

/// Brings a store to the present format.
///
/// # Errors
/// When it is in use, was written by a later version, or no backup of it can be made; it is as it was then.
pub(crate) fn migrate(folder: DataFolder, backup: Option<&Path>, out: &mut dyn Write) -> Result<()> {
    let folder = folder.path()?;
    let done = bring_along(&folder, backup)?;
    match &done.backup {
        None => writeln!(out, "{} is in store format {} already", folder.display(), done.to)?,
        Some(backup) => {
            writeln!(out, "{} is in store format {} now, {} before", folder.display(), done.to, done.from)?;
            writeln!(out, "as it was it stands in {}", backup.display())?;
        }
    }
    Ok(())
}

/// Makes a data folder of a backup.
///
/// # Errors
/// When the folder holds anything, or the backup is not a whole store; nothing stands in the folder then.
pub(crate) async fn restore(from: &Path, data: &Path, nothing_sent_since: bool, out: &mut dyn Write) -> Result<()> {
    if std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) || data.is_file() {
        bail!("{} holds something already; nothing is overwritten", data.display());
    }
    let found = examine(from)?;
    let staging = staging_for(data)?;
    if staging.exists() {
        bail!("{} is left of a restore that was cut off: remove it", staging.display());
    }
    let prepared = prepare(from, &staging, nothing_sent_since).await;
    if prepared.is_err() {
        // Half of it would only be in the way of the next try.
        drop(std::fs::remove_dir_all(&staging));
    }
    let marked = prepared?;
    std::fs::rename(&staging, data).with_context(|| format!("naming {}", data.display()))?;
    let parent = data.canonicalize().ok().and_then(|data| data.parent().map(Path::to_owned));
    if let Some(parent) = parent {
        File::open(parent)?.sync_all()?;
    }
    writeln!(out, "restored to {}", data.display())?;
    tell(&found, out)?;
    match nothing_sent_since {
        true => writeln!(out, "nothing is marked: you said that nothing was sent since the backup")?,
        false => writeln!(
            out,
            "{marked} that wait or are held are marked as possibly sent: they may have been since the backup"
        )?,
    }
    writeln!(out, "leads that came after the backup are not in it")?;
    Ok(())
}

fn staging_for(data: &Path) -> Result<PathBuf> {
    let Some(name) = data.file_name() else { bail!("{} is no name for a folder", data.display()) };
    let mut name = name.to_owned();
    name.push(".restoring");
    Ok(data.with_file_name(name))
}

/// A whole data folder under another name; how many deliveries are marked in it.
async fn prepare(from: &Path, staging: &Path, nothing_sent_since: bool) -> Result<u64> {
    std::fs::create_dir_all(staging).with_context(|| format!("making {}", staging.display()))?;
    let copy = staging.join(FILE);
    std::fs::copy(from.join(FILE), &copy).with_context(|| format!("writing {}", copy.display()))?;
    File::open(&copy)?.sync_all()?;
    examine(staging)?;
    bring_along(staging, None)?;
    let marked = if nothing_sent_since { 0 } else { mark_all(staging).await? };
    File::open(staging)?.sync_all()?;
    Ok(marked)
}

/// Marks whatever goes on as possibly sent. The store is not closed in good order: to the server that opens it next, its
/// last stop is the one of the backup, with attempts under way.
async fn mark_all(folder: &Path) -> Result<u64> {
    let now = Arc::new(|| SystemClock.now());
    // What a new store would be made with; this one is there.
    let store = EmbeddedStore::open(folder, Options::new(0, TermKey::new([0; 32]), NodeNumber(0), now))?;
    let mut marked = 0;
    for state in [StateName::Waiting, StateName::Held] {
        let filter = Filter { state: Some(state), ..Filter::default() };
        let mut after = None;
        loop {
            let page = store.list(filter.clone(), after, PAGE).await?;
            marked += mark_page(&store, page.items).await?;
            let Some(next) = page.next else { break };
            after = Some(next);
        }
    }
    Ok(marked)
}

async fn mark_page(store: &Arc<EmbeddedStore>, deliveries: Vec<Delivery>) -> Result<u64> {
    let unmarked = deliveries.into_iter().filter(|delivery| !delivery.progress.in_doubt);
    let marking = unmarked.map(|delivery| mark(store, delivery, SystemClock.now()));
    stream::iter(marking).buffer_unordered(AT_ONCE).try_fold(0, |sum, one| async move { Ok(sum + one) }).await
}

async fn mark(store: &EmbeddedStore, delivery: Delivery, now: Timestamp) -> Result<u64> {
    let fence = Fence { shard: Shard::of(&delivery.endpoint.recipient), epoch: store.identity().epoch };
    let Some(mut settlement) = doubt(&delivery, fence, now) else { return Ok(0) };
    if let Entry::Change(change) = &mut settlement.entry {
        change.because = "restored from a backup: it may have been sent since".into();
    }
    match store.settle(settlement).await? {
        Settled::Applied => Ok(1),
        Settled::Stale { .. } | Settled::OthersChanged | Settled::Fenced { .. } => {
            bail!("the delivery {} changed meanwhile", delivery.id)
        }
    }
}
