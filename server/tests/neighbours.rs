//! A recipient's trouble is its own: what one asks for or does to us, seen from the others, with the real process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use stage::{Harm, HostileRecipient, Recipient, Reply, Server};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const RECIPIENTS: usize = 500;
const PAUSE: Duration = Duration::from_secs(3);
const POSTS_AT_ONCE: usize = 32;

/// A flow of its own for each recipient.
fn flow(name: &str, url: &str, recipient: &str, request: &str) -> String {
    format!(
        "[recipients.{name}]\n{recipient}\n[[flows.{name}.steps]]\nid = \"sell\"\nrecipient = \"{name}\"\nrequest = {{ url = \
         \"{url}\"{request} }}\n"
    )
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Posts a lead to each of these flows; the ids of their deliveries, and when each was acknowledged.
async fn post(server: &Arc<Server>, flows: &[String]) -> Vec<(String, Instant)> {
    let mut posted = Vec::new();
    for some in flows.chunks(POSTS_AT_ONCE) {
        let mut posts = JoinSet::new();
        for flow in some {
            let (server, flow) = (Arc::clone(server), flow.clone());
            posts.spawn(async move { (server.lead(&flow, "{}").await.1, now()) });
        }
        posted.extend(posts.join_all().await);
    }
    posted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_429_with_three_seconds_stops_its_endpoint_for_three_seconds_and_none_of_499_others() {
    let said = AtomicBool::new(false);
    let all = Recipient::start(move |arrival| match arrival.path.as_str() {
        "/r0" if !said.swap(true, Ordering::SeqCst) => Reply::StatusWith(429, "retry-after", "3".to_owned()),
        _ => Reply::Status(200),
    })
    .await;
    let names: Vec<String> = (0..RECIPIENTS).map(|number| format!("r{number}")).collect();
    let flows: String =
        names.iter().map(|name| flow(name, &format!("http://{}/{name}", all.address), "", "")).collect();
    let config = format!("[server]\nallow_private_networks = [\"127.0.0.0/8\"]\n{flows}");
    let server = Arc::new(Server::start(&config).await);

    let first = post(&server, &names[..1]).await;
    let paused = async {
        while server.get("/v1/recipients/r0").await.json()["endpoints"][0]["paused_until"].is_null() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(stage::PATIENCE, paused).await.expect("its endpoint is paused");
    let behind = post(&server, &vec!["r0".to_owned(); 8]).await;
    let others = post(&server, &names[1..]).await;
    let arrived = all.arrivals(first.len() + 1 + behind.len() + others.len()).await;

    let at_it: Vec<Instant> = arrived.iter().filter(|one| one.path == "/r0").map(|one| one.at).collect();
    assert_eq!(at_it.len(), 1 + first.len() + behind.len(), "one more than leads: the one that was asked to wait");
    let waited = at_it[1] - at_it[0];
    assert!(waited >= PAUSE, "an attempt started {waited:?} after it asked for {PAUSE:?}");
    let arrivals: HashMap<&str, Instant> = arrived.iter().map(|one| (one.delivery.as_str(), one.at)).collect();
    for (id, acknowledged) in &others {
        let took = arrivals[id.as_str()].saturating_duration_since(*acknowledged);
        assert!(took < PAUSE / 2, "{id} of another recipient waited {took:?}");
    }
    for (id, _) in first.iter().chain(&behind).chain(&others) {
        let shown = server.delivery_in(id, "delivered").await;
        assert_eq!(shown["leg"]["retries_used"], 0, "{shown:#}");
    }
}

const TIMEOUT: Duration = Duration::from_secs(2);
/// Leads to each that means harm.
const LEADS: usize = 3;
/// What the process may need more than before, at any time; one of them alone sends that in a blink.
const MEMORY_MAX: u64 = 32 << 20;

const fn kind(harm: Harm) -> &'static str {
    match harm {
        Harm::NeverAnswers | Harm::DripsBytes => "timeout_read",
        Harm::SendsGigabytes | Harm::GzipsABomb => "response_too_large",
        Harm::ResetsInTheBody => "reset",
        Harm::FloodsHeaders | Harm::FramesChunksWrongly => "protocol",
        Harm::RedirectsForEver => "redirect",
    }
}

/// Every slot but one may be taken by those that mean harm. The good one's leads go on, while any of the others' is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_means_harm_costs_a_slot_for_its_timeout_and_nobody_else_anything() {
    let good = Recipient::start(|_| Reply::Status(200)).await;
    let mut hostile = Vec::new();
    for harm in Harm::ALL {
        hostile.push((format!("{harm:?}"), harm, HostileRecipient::start(harm).await));
    }
    let request = format!(", timeout = \"{}s\"", TIMEOUT.as_secs());
    let flows: String = hostile
        .iter()
        .map(|(name, _, one)| flow(name, &format!("http://{}/leads", one.address), "concurrency = 1", &request))
        .collect();
    let config = format!(
        "[server]\nallow_private_networks = [\"127.0.0.0/8\"]\nconcurrency = {}\n[retry]\nenabled = false\n{flows}{}",
        Harm::ALL.len() + 1,
        flow("good", &good.url(), "", &request)
    );
    let server = Arc::new(Server::start(&config).await);
    let warm = post(&server, &vec!["good".to_owned(); 64]).await;
    good.arrivals(warm.len()).await;
    let before = server.rss_bytes();

    let mut harmed = Vec::new();
    for (name, harm, _) in &hostile {
        let ids = post(&server, &vec![name.clone(); LEADS]).await;
        harmed.extend(ids.into_iter().map(|(id, _)| (*harm, id)));
    }
    let (mut served, mut most) = (Vec::new(), before);
    for (_, id) in &harmed {
        while server.get(&format!("/v1/deliveries/{id}")).await.json()["state"] != "in_review" {
            served.extend(post(&server, &["good".to_owned()]).await);
            good.arrivals(warm.len() + served.len()).await;
            most = most.max(server.rss_bytes());
        }
    }
    let arrivals: HashMap<String, Instant> = good.log().into_iter().map(|one| (one.delivery, one.at)).collect();
    let slowest = served.iter().map(|(id, at)| arrivals[id].saturating_duration_since(*at)).max().unwrap();
    println!("{} served, the slowest in {slowest:?}; {} bytes more", served.len(), most - before);
    assert!(served.len() > 10 && slowest < TIMEOUT / 2, "{} served, the slowest in {slowest:?}", served.len());
    assert!(most - before < MEMORY_MAX, "{} bytes more than before", most - before);

    let mut attempts: HashMap<String, Vec<[jiff::Timestamp; 2]>> = HashMap::new();
    for (harm, id) in &harmed {
        let shown = server.delivery_in(id, "in_review").await;
        assert_eq!((&shown["kind"], &shown["attempts_sent"]), (&kind(*harm).into(), &1.into()), "{harm:?}: {shown:#}");
        let attempt = &shown["attempts"][0];
        let [started, ended]: [jiff::Timestamp; 2] =
            ["started", "ended"].map(|key| attempt[key].as_str().unwrap().parse().unwrap());
        let took = Duration::try_from(ended.duration_since(started)).unwrap();
        assert!(took < TIMEOUT + TIMEOUT / 2, "{harm:?} took {took:?}");
        attempts.entry(format!("{harm:?}")).or_default().push([started, ended]);
    }
    for (name, _, one) in &hostile {
        assert_eq!(one.requests(), LEADS, "{name}: a request for each lead");
        let of = attempts.get_mut(name.as_str()).unwrap();
        of.sort_unstable();
        assert!(of.windows(2).all(|pair| pair[0][1] <= pair[1][0]), "{name}: one slot: {of:?}");
    }
}
