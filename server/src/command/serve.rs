//! `steadfast serve`: runs until told to stop; reloads when told to, or when the file changes.

use crate::assemble::{Assembled, assemble, keep_config, keys};
use crate::config;
use anyhow::{Context, Result, bail};
use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, SystemTime};
use steadfast_api::ServeLimits;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

/// What to run with.
pub(crate) struct ServeArgs {
    pub(crate) config: PathBuf,
    pub(crate) data: Option<PathBuf>,
    pub(crate) listen: Option<SocketAddr>,
}

/// Runs the server until SIGTERM or SIGINT, then drains it.
///
/// # Errors
/// When the configuration has problems, the address is taken or refused, or the store cannot be opened.
pub(crate) async fn serve(args: ServeArgs) -> Result<()> {
    let loaded = config::load(&args.config)?;
    for warning in loaded.warnings.iter() {
        tracing::warn!("{warning}");
    }
    let listen = args.listen.unwrap_or(loaded.server.listen);
    if let Some(why) = loaded.server.refuses(listen) {
        bail!("{listen} {why}");
    }
    let data = args.data.unwrap_or_else(|| loaded.server.store.path.clone());
    let listener = TcpListener::bind(listen).await.with_context(|| format!("listening on {listen}"))?;
    let assembled = assemble(&loaded, &data, None).await?;
    let address = listener.local_addr()?;
    // Before it says that it is ready: whoever waited for that may stop it at once.
    let signals = Signals::listen()?;
    let flows = loaded.settings.flows.len();
    writeln!(
        std::io::stdout(),
        "steadfast ready on http://{address}, data in {}, {flows} flow{}, config version {}",
        data.display(),
        if flows == 1 { "" } else { "s" },
        assembled.version
    )?;
    run(listener, &assembled, signals, &args.config, loaded.server.drain_timeout).await
}

/// What tells a running server to stop or to reload.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on they no longer end the process.
    fn listen() -> Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Serves until told to stop, then drains.
async fn run(
    listener: TcpListener,
    assembled: &Assembled,
    signals: Signals,
    config: &Path,
    patience: Duration,
) -> Result<()> {
    let (stop, stopped) = watch::channel(false);
    let router = steadfast_api::router(assembled.api.clone());
    let mut until = stopped.clone();
    let serving = tokio::spawn(steadfast_api::serve(listener, router, ServeLimits::default(), async move {
        // A sender that is gone means stop as well.
        let _stopped = until.wait_for(|stop| *stop).await;
    }));
    watch_signals(assembled, signals, config).await;
    drain(assembled, patience).await?;
    stop.send_replace(true);
    serving.await.context("serving")??;
    Ok(())
}

/// Returns when told to stop; reloads meanwhile.
async fn watch_signals(assembled: &Assembled, mut signals: Signals, config: &Path) {
    let changed = Arc::new(Notify::new());
    let _looking = look_after(config.to_owned(), Arc::clone(&changed));
    let mut seen = stamp(config);
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            _ = signals.hangup.recv() => {}
            () = changed.notified() => {
                if stamp(config) == seen {
                    continue;
                }
            }
        }
        seen = stamp(config);
        reload(assembled, config).await;
    }
}

/// Looks now and then whether a file has changed, and tells, until what it answers with is dropped. On a thread of its own, which
/// wakes nobody for nothing.
fn look_after(path: PathBuf, changed: Arc<Notify>) -> Sender<Infallible> {
    const LOOK_EVERY: Duration = Duration::from_secs(4);
    let (looking, until) = mpsc::channel();
    std::thread::spawn(move || {
        let mut seen = stamp(&path);
        while until.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            let now = stamp(&path);
            if now != seen && now.is_some() {
                seen = now;
                changed.notify_one();
            }
        }
    });
    looking
}

/// What tells that a file has changed: its time and its length.
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Puts the file's configuration in force: whole, or not at all.
async fn reload(assembled: &Assembled, path: &Path) {
    match try_reload(assembled, path).await {
        Ok(version) => tracing::info!(version, "the configuration was reloaded"),
        Err(error) => tracing::error!("the configuration was not reloaded, the one in force stays: {error:#}"),
    }
}

async fn try_reload(assembled: &Assembled, path: &Path) -> Result<u64> {
    let loaded = config::load(path)?;
    let version = keep_config(assembled.engine.store().as_ref(), &loaded, assembled.engine.now()).await?;
    assembled.api.replace_keys(keys(&loaded.server));
    assembled.archive.use_folder(loaded.server.archive.clone());
    assembled.engine.replace_book(loaded.into_book(version));
    Ok(version)
}

async fn drain(assembled: &Assembled, patience: Duration) -> Result<()> {
    let under_way = assembled.engine.in_flight();
    tracing::info!(under_way, "stopping: no more leads, waiting for attempts under way");
    if !assembled.engine.drain(patience).await? {
        tracing::warn!("attempts were still under way; they count as cut off at the next start");
    }
    Ok(())
}
