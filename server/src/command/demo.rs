//! `steadfast demo`: everything at once, on this machine, with a recipient that fails in every usual way.

use crate::assemble::assemble;
use crate::client::ApiClient;
use crate::config;
use crate::demo::{CONFIG, FlakyRecipient, RECIPIENT_ADDRESS, Screen, Traffic, post_leads};
use anstyle::AnsiColor;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use steadfast_api::ServeLimits;
use steadfast_engine::SystemClock;
use tokio::net::TcpListener;

/// What to run with.
pub(crate) struct DemoArgs {
    /// Ends by itself after this; runs until interrupted otherwise.
    pub(crate) lasts: Option<Duration>,
    /// Where to listen; a free port is taken when this one is not.
    pub(crate) listen: SocketAddr,
    /// Leads per second.
    pub(crate) rate: u32,
}

/// Runs the demo.
///
/// # Errors
/// When it cannot listen, or has no place for its data.
pub(crate) async fn demo(args: DemoArgs) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("steadfast-demo-").context("a folder for the demo's data")?;
    let recipient = FlakyRecipient::start(Arc::new(SystemClock)).await.context("starting the flaky recipient")?;
    let text = CONFIG.replace(RECIPIENT_ADDRESS, &recipient.address().to_string());
    let path = folder.path().join("demo.toml");
    std::fs::write(&path, text).context("writing the demo's configuration")?;
    let loaded = config::load(&path)?;
    let listener = listen(args.listen).await?;
    let address = listener.local_addr()?;
    let screen = Arc::new(Screen::new());
    let assembled = assemble(&loaded, &folder.path().join("data"), Some(Arc::clone(&screen) as _)).await?;
    introduce(&screen, &address.to_string());

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let router = steadfast_api::router(assembled.api.clone());
    let serving = tokio::spawn(steadfast_api::serve(listener, router, ServeLimits::default(), async move {
        // A sender that is gone means stop as well.
        let _stopped = stopped.await;
    }));
    let client = Arc::new(ApiClient::new(&format!("http://{address}"), None)?);
    let traffic = Traffic { every: Duration::from_secs(1) / args.rate.max(1) };
    let posting = tokio::spawn(post_leads(client, traffic));
    let telling = tokio::spawn(tell(Arc::clone(&screen), recipient.mood_watch()));
    until_end(args.lasts).await;
    posting.abort();
    telling.abort();
    screen.say(AnsiColor::Cyan, "stopping: waiting for attempts under way");
    assembled.engine.drain(loaded.server.drain_timeout).await?;
    drop(stop);
    serving.await??;
    conclude(&screen, &recipient);
    Ok(())
}

async fn listen(wanted: SocketAddr) -> Result<TcpListener> {
    match TcpListener::bind(wanted).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind("127.0.0.1:0").await.context("listening on a free port"),
    }
}

async fn until_end(lasts: Option<Duration>) {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    match lasts {
        None => interrupted.await,
        Some(lasts) => tokio::select! {
            () = interrupted => {}
            () = tokio::time::sleep(lasts) => {}
        },
    }
}

fn introduce(screen: &Screen, address: &str) {
    for line in [
        format!("Steadfast demo: server and API on http://{address}"),
        "Two test leads a second go to a recipient that is down, busy, slow or resets connections in turn.".to_owned(),
        "First tries that succeed are only counted; every failure and every retry is shown below.".to_owned(),
        "Look closer from another terminal:".to_owned(),
        format!("  curl -s http://{address}/v1/deliveries?state=waiting     # what waits, and until when"),
        format!(
            "  curl -s http://{address}/v1/deliveries/dl_...            # every attempt: evidence, decision, because"
        ),
        format!("  curl -s 'http://{address}/v1/explain?flow=demo&step=sell' # where each retry setting comes from"),
        format!("  curl -s http://{address}/metrics"),
        "End with Ctrl-C.".to_owned(),
    ] {
        screen.say(AnsiColor::Cyan, &line);
    }
}

/// Tells what the recipient does now, and the figures, each time its mood changes.
async fn tell(screen: Arc<Screen>, mut moods: tokio::sync::watch::Receiver<&'static str>) {
    loop {
        let mood = *moods.borrow_and_update();
        let tally = screen.tally();
        let figures = format!(
            "---- recipient is {mood} ---- accepted {} | delivered {} ({} by a retry) | retries {} | in review {}",
            tally.accepted, tally.delivered, tally.saved, tally.retries, tally.review
        );
        screen.say(AnsiColor::Cyan, &figures);
        if moods.changed().await.is_err() {
            return;
        }
    }
}

fn conclude(screen: &Screen, recipient: &FlakyRecipient) {
    let tally = screen.tally();
    let (requests, taken) = recipient.counts();
    let open = tally.accepted.saturating_sub(tally.delivered + tally.review);
    for line in [
        format!(
            "accepted {}, delivered {} ({} by a retry), in review {}, waiting {open}",
            tally.accepted, tally.delivered, tally.saved, tally.review
        ),
        format!("the recipient saw {requests} requests and took {taken} different leads; none of them twice"),
    ] {
        screen.say(AnsiColor::Cyan, &line);
    }
}
