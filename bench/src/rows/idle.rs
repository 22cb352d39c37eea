//! Nothing to do: what a server uses then, and how soon one is ready over an empty store.

use super::Bench;
use crate::clock::now_us;
use crate::quantiles::median;
use crate::servers::Setup;
use crate::table::Line;
use anyhow::Result;
use std::time::Duration;
use tokio::time::sleep;

const SETTLES: Duration = Duration::from_secs(2);
const WAKEUPS_MAX: f64 = 1.0;
const RSS_MIB_MAX: f64 = 30.0;
const READY_S_MAX: f64 = 0.2;

/// Measures.
///
/// # Errors
/// When the server does not come up.
pub(crate) async fn run(bench: &Bench) -> Result<Vec<Line>> {
    let setup = Setup::plain(1);
    let mut ready = Vec::new();
    for _ in 0..bench.rounds() {
        let folder = bench.folder()?;
        let began = now_us();
        let server = bench.programs.server(folder.path(), &setup, &bench.sink)?;
        ready.push((now_us() - began) as f64 / 1e6);
        server.stop().await?;
    }
    let folder = bench.folder()?;
    let server = bench.programs.server(folder.path(), &setup, &bench.sink)?;
    sleep(SETTLES).await;
    let before = server.usage()?;
    let watched = bench.scaled(Duration::from_secs(10), Duration::from_secs(30));
    sleep(watched).await;
    let after = server.usage()?;
    server.stop().await?;
    let per_s = (after.wakeups - before.wakeups) as f64 / watched.as_secs_f64();
    let rss_mib = after.rss_bytes as f64 / f64::from(1 << 20);
    let ready_s = median(ready);
    Ok(vec![
        Line {
            row: "idle-wakeups",
            what: "wakeups a second with nothing to do".to_owned(),
            target: "at most 1",
            measured: format!("{per_s:.1}"),
            beside: String::new(),
            met: Some(per_s <= WAKEUPS_MAX),
        },
        Line {
            row: "idle-memory",
            what: "memory held with nothing to do".to_owned(),
            target: "at most 30 MiB",
            measured: format!("{rss_mib:.1} MiB"),
            beside: String::new(),
            met: Some(rss_mib <= RSS_MIB_MAX),
        },
        Line {
            row: "cold-start-empty",
            what: "from start to ready, no store yet".to_owned(),
            target: "at most 0.2 s",
            measured: format!("{ready_s:.3} s"),
            beside: String::new(),
            met: Some(ready_s <= READY_S_MAX),
        },
    ])
}
