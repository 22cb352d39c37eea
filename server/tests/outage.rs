//! Ten minutes of 503, twice: by the simulator, and by the real process with every time a sixtieth. One scenario file says what
//! happens and one judge looks at both: what the recipient saw, what became of the leads, and what it cost them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use serde_json::Value;
use stage::{Arrival, PATIENCE, Recipient, Reply, Server, binary};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use steadfast_retry::policy::RetryPolicy;
use steadfast_sim::{Protection, Scenario, ScenarioFile, Traffic, parse_duration};
use tokio::time::MissedTickBehavior;

/// By so much the live run is faster: the ten minutes become ten seconds.
const FASTER: u32 = 60;
/// Attempts that may be under way when the fifth failure comes back.
const UNDER_WAY_MAX: u64 = 4;
/// What a recipient took is learned in spans of a tenth of the way back: six seconds, unless set otherwise.
const SPAN: Duration = Duration::from_secs(6);
const MINUTE: Duration = Duration::from_secs(60);

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/scenarios/probed-outage.toml")
}

/// The scenario: what is sent, how it is protected, and from when to when the recipient is down.
struct Script {
    traffic: Traffic,
    protection: Protection,
    policy: RetryPolicy,
    down: (Duration, Duration),
}

fn script() -> Script {
    let file: ScenarioFile = toml::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    let [phase] = &file.recipient.phases[..] else { panic!("one outage") };
    let down = (parse_duration(&phase.from).unwrap(), parse_duration(&phase.to).unwrap());
    let Scenario { candidates, protected, .. } = file.compile().unwrap();
    let [bank] = &protected.expect("it is guarded").recipients[..] else { panic!("one recipient") };
    Script { traffic: bank.traffic, protection: bank.protection, policy: candidates[0].policy.clone(), down }
}

/// What was seen of a run, in the scenario's time.
struct Seen {
    leads: u64,
    delivered: u64,
    retries_used: u64,
    /// When each attempt reached the recipient, in order.
    arrivals: Vec<Duration>,
    /// Transitions of the breaker, in order: when, where to, and why.
    told: Vec<(Duration, String, String)>,
}

impl Seen {
    fn failed(&self) -> u64 {
        u64::try_from(self.arrivals.len()).unwrap() - self.delivered
    }

    fn first(&self, state: &str) -> Duration {
        self.told.iter().find(|(_, to, _)| to == state).unwrap_or_else(|| panic!("never {state}: {:#?}", self.told)).0
    }

    fn between(&self, from: Duration, to: Duration) -> usize {
        self.arrivals.iter().filter(|at| (from..to).contains(at)).count()
    }

    /// The most in any span of that length that begins within those times.
    fn busiest(&self, length: Duration, from: Duration, to: Duration) -> usize {
        let begins = self.arrivals.iter().filter(|at| (from..to).contains(at));
        begins.map(|begin| self.between(*begin, *begin + length)).max().unwrap_or(0)
    }
}

/// The same for both runs. `grain` is how exactly times are known.
fn judge(seen: &Seen, script: &Script, grain: Duration) {
    let (down, up) = script.down;
    assert_eq!(seen.delivered, seen.leads, "all are delivered");

    // It opens within five counted failures; what was under way then cannot be called back.
    let (opened, to, why) = &seen.told[0];
    assert!(to == "open" && why.contains("5 failures in a row"), "{to}: {why}");
    let failed_probes = seen.told.windows(2).filter(|pair| pair[0].1 == "half_open" && pair[1].1 == "open").count();
    let before_it_opened = seen.failed() - u64::try_from(failed_probes).unwrap();
    assert!((5..=5 + UNDER_WAY_MAX).contains(&before_it_opened), "{before_it_opened} failures besides the probes");

    // While it is open probes go and nothing else: each that failed, and the two that end it, which are too near the end to tell.
    let recovered = seen.first("recovery");
    assert!(recovered > up && failed_probes > 1, "{:#?}", seen.told);
    let probes = seen.between(*opened + grain, recovered - grain);
    assert!((failed_probes..=failed_probes + 2).contains(&probes), "{probes}: {:#?}", seen.told);

    // A retry was used for what failed and for nothing else, whatever waited.
    assert_eq!(seen.retries_used, seen.failed());

    // The ramp is visible.
    let third = script.protection.guard.breaker.ramp / 3;
    let thirds: Vec<usize> = (0..3).map(|n| seen.between(recovered + third * n, recovered + third * (n + 1))).collect();
    println!("{} leads, {before_it_opened} failures and {failed_probes} probes, ramp {thirds:?}", seen.leads);
    assert!(thirds.is_sorted() && thirds[0] * 3 < thirds[2] * 2, "a ramp: {thirds:?}");

    // And the recipient is never sent more than it took before: in no span more than in the busiest one, give or take one that its
    // edge cuts, and so in no minute many more than in the busiest minute.
    for (length, tolerated) in [(SPAN, None), (MINUTE, Some(3))] {
        let before = seen.busiest(length, Duration::ZERO, down);
        let after = seen.busiest(length, recovered, Duration::MAX);
        println!("at the busiest in {length:?}: {before} before the outage, {after} after it");
        let most = before + tolerated.map_or(1, |part| before / part);
        assert!(after <= most, "{after} in {length:?} after it recovered, {before} before the outage");
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// As `steadfast simulate` tells it. Attempts are told by the bucket; each is taken to be in its middle.
fn simulated() -> (Seen, Duration) {
    let ran = std::process::Command::new(binary()).arg("simulate").arg(path()).arg("--json").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let own = &report["policies"][0];
    let bank = &own["protection"]["recipients"][0];
    let bucket = Duration::from_millis(own["series"]["bucket_ms"].as_u64().unwrap());
    let numbers = |value: &Value| -> Vec<u64> {
        value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
    };
    let arrivals = numbers(&bank["attempts"]).into_iter().enumerate().flat_map(|(place, count)| {
        let at = bucket * u32::try_from(place).unwrap() + bucket / 2;
        (0..count).map(move |_| at)
    });
    let told =
        bank["transitions"].as_array().unwrap().iter().map(|one| {
            (Duration::from_millis(one["at_ms"].as_u64().unwrap()), text(&one["to"]), text(&one["because"]))
        });
    let seen = Seen {
        leads: own["leads"].as_u64().unwrap(),
        delivered: own["delivered"].as_u64().unwrap(),
        retries_used: numbers(&own["retries_by_number"]).into_iter().sum(),
        arrivals: arrivals.collect(),
        told: told.collect(),
    };
    (seen, bucket)
}

/// A time of the scenario as the live run's configuration has it.
fn sooner(time: Duration) -> String {
    format!("{}ms", (time / FASTER).as_millis().max(1))
}

fn config(script: &Script, bank: &Recipient) -> String {
    let (guard, policy) = (&script.protection.guard.breaker, &script.policy);
    let retry = format!(
        "extended = true\nmax_retries = {}\ninitial_delay = \"{}\"\nmax_interval = \"{}\"\ntotal_timeout = \"{}\"",
        policy.max_retries.get(),
        sooner(policy.initial_delay.get()),
        sooner(policy.max_interval.get()),
        sooner(policy.total_timeout.get()),
    );
    let breaker = format!(
        "open_for = \"{}\"\nlongest_open = \"{}\"\nramp = \"{}\"",
        sooner(guard.open_for),
        sooner(guard.longest_open),
        sooner(guard.ramp),
    );
    format!(
        "[server]\nallow_private_networks = [\"127.0.0.0/8\"]\n[retry]\n{retry}\n[recipients.bank.breaker]\n{breaker}\n\
         [[flows.auto.steps]]\nid = \"sell\"\nrecipient = \"bank\"\nrequest = {{ url = \"{}\", timeout = \"2s\" }}\n",
        bank.url()
    )
}

/// When the time of the live run began, and what the recipient answered since.
#[derive(Default)]
struct Run {
    began: OnceLock<Instant>,
    took: AtomicUsize,
    failed: AtomicUsize,
}

/// A recipient that is down when the scenario says so, once the time runs.
async fn bank(script: &Script, run: &Arc<Run>) -> Recipient {
    let ((from, to), run) = (script.down, Arc::clone(run));
    Recipient::start(move |arrival: &Arrival| {
        let began = run.began.get().expect("nothing is sent before the first lead");
        let down = (from..to).contains(&(arrival.at.saturating_duration_since(*began) * FASTER));
        (if down { &run.failed } else { &run.took }).fetch_add(1, Ordering::SeqCst);
        Reply::After(Duration::from_millis(1), if down { 503 } else { 200 })
    })
    .await
}

/// Posts leads as the scenario does, for as long as it does; answers with how many. One after the other, so that a machine that has
/// much to do posts fewer, and never many at once: that would be more than the recipient is to take.
async fn post(server: &Server, traffic: Traffic) -> usize {
    let lasts = traffic.arrival(traffic.leads) / FASTER;
    let mut turns = tokio::time::interval(traffic.per / traffic.count / FASTER);
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut posted, began) = (0, tokio::time::Instant::now());
    while began.elapsed() < lasts {
        turns.tick().await;
        server.lead("auto", &format!("{{\"n\":{posted}}}")).await;
        posted += 1;
    }
    posted
}

/// Everything of a list, page by page.
async fn all(server: &Server, list: &str) -> Vec<Value> {
    let (mut items, mut after) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("{list}?limit=200{after}")).await.json();
        let found = page["items"].as_array().unwrap_or_else(|| panic!("{page:#}"));
        items.extend(found.iter().cloned());
        // The journal's end has a place to go on from too.
        match page["next"].as_str() {
            Some(next) if !found.is_empty() => after = format!("&after={next}"),
            Some(_) | None => return items,
        }
    }
}

/// The same scenario, live.
async fn live(script: &Script) -> Seen {
    let run = Arc::new(Run::default());
    let bank = bank(script, &run).await;
    let server = Server::start(&config(script, &bank)).await;
    let start = jiff::Timestamp::now();
    let began = tokio::time::Instant::now().into_std();
    run.began.set(began).unwrap();
    let leads = post(&server, script.traffic).await;
    while run.took.load(Ordering::SeqCst) < leads {
        bank.arrivals(leads + run.failed.load(Ordering::SeqCst)).await;
    }
    let (log, waited) = (bank.log(), tokio::time::Instant::now());
    let mut deliveries = all(&server, "/v1/deliveries").await;
    while deliveries.iter().any(|one| one["state"] != "delivered") {
        assert!(waited.elapsed() < PATIENCE, "what the recipient took is not delivered");
        deliveries = all(&server, "/v1/deliveries").await;
    }
    assert_eq!(deliveries.len(), leads);

    let mut sent: HashMap<String, u64> = HashMap::new();
    log.iter().for_each(|arrival| *sent.entry(arrival.delivery.clone()).or_default() += 1);
    let used = |one: &Value| (one["attempts_sent"].as_u64().unwrap(), one["retries_used"].as_u64().unwrap());
    for one in &deliveries {
        let attempts = sent[one["id"].as_str().unwrap()];
        assert_eq!(used(one), (attempts, attempts - 1), "its attempts, and a retry for each but the first: {one:#}");
    }
    let scenario = |event: &Value| {
        let at: jiff::Timestamp = event["at"].as_str().unwrap().parse().unwrap();
        let since = Duration::try_from(at.duration_since(start)).unwrap();
        (since * FASTER, text(&event["to"]), text(&event["because"]))
    };
    let events = all(&server, "/v1/events").await;
    Seen {
        leads: leads.try_into().unwrap(),
        delivered: deliveries.len().try_into().unwrap(),
        retries_used: deliveries.iter().map(|one| used(one).1).sum(),
        arrivals: log.iter().map(|arrival| (arrival.at - began) * FASTER).collect(),
        told: events.iter().filter(|event| event["type"] == "breaker_changed").map(scenario).collect(),
    }
}

#[test]
fn ten_minutes_of_503_in_the_simulator() {
    let (seen, bucket) = simulated();
    judge(&seen, &script(), bucket);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_ten_minutes_live_in_a_sixtieth_of_the_time() {
    let script = script();
    let seen = live(&script).await;
    judge(&seen, &script, SPAN);
}
