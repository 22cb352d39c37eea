//! What was acknowledged survives: `kill -9` and power cuts in a loop under load, an orderly stop, a reload, a second server, bad files.
//! The judge is the recipient's own log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use http_body_util::Full;
use stage::{Recipient, Reply, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

fn config(recipient: &Recipient) -> String {
    format!(
        r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[policies.quick]
extended = true
max_retries = 50
initial_delay = "100ms"
multiplier = 1.5
max_interval = "1s"
total_timeout = "10m"
[retry]
policy = "quick"
[recipients.bank]
retry_budget = false
breaker = {{ mode = "off" }}
[flows.auto]
[[flows.auto.steps]]
id = "sell"
recipient = "bank"
request = {{ type = "http", method = "POST", url = "{}", format = "json", timeout = "5s" }}
"#,
        recipient.url()
    )
}

/// Fails a fifth of all first attempts, so that retries are waiting whenever the server dies.
fn mostly_well(arrival: &stage::Arrival) -> Reply {
    let unlucky = arrival.delivery.bytes().map(u32::from).sum::<u32>() % 5 == 0;
    Reply::Status(if unlucky && arrival.attempt < 3 { 503 } else { 200 })
}

/// Posts leads one after the other until told to stop, each with so many bytes more than its number; the numbers that were
/// acknowledged.
async fn post_until_gone(address: String, first: u64, more: usize) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    let more = "x".repeat(more);
    for number in first.. {
        let request = hyper::Request::post("/v1/flows/auto/leads")
            .header("content-type", "application/json")
            .body(Full::from(format!("{{\"number\":{number},\"more\":\"{more}\"}}")))
            .unwrap();
        match stage::call(&address, request).await {
            Ok(answer) if answer.status == 202 => acknowledged.push(number),
            Ok(_) | Err(_) => return acknowledged,
        }
    }
    acknowledged
}

/// How many rounds: a few, unless a long run asks for more.
fn rounds(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |rounds| rounds.parse().expect(variable))
}

const CLIENTS: u64 = 8;
/// Bytes of a lead that takes many pages.
const LARGE: usize = 48 << 10;

type Clients = Vec<tokio::task::JoinHandle<Vec<u64>>>;

fn clients(server: &Server, round: u64, more: usize) -> Clients {
    let first = |client| (round * CLIENTS + client) * 1_000_000;
    (0..CLIENTS).map(|client| tokio::spawn(post_until_gone(server.address.clone(), first(client), more))).collect()
}

/// Clients that post for as long as the server lives, after a different amount of work each round.
async fn load(server: &Server, recipient: &Recipient, round: u64) -> Clients {
    let before = recipient.log().len();
    let clients = clients(server, round, 0);
    recipient.arrivals(before + 20 + usize::try_from(round * 37 % 150).unwrap()).await;
    clients
}

/// Clients whose leads are so large that the log is soon long enough to be copied, when that has begun and a different amount
/// of work came after it each round: sooner or later within a copy, and after it.
async fn load_until_copied(server: &Server, recipient: &Recipient, recorder: &stage::Recorder, round: u64) -> Clients {
    let before = recorder.main_written_at();
    let clients = clients(server, round, LARGE);
    recorder.copying_begins(before).await;
    recipient.arrivals(recipient.log().len() + usize::try_from(round * 7 % 40).unwrap()).await;
    clients
}

/// Everything acknowledged is delivered in the end: nothing waits and nothing is held. Only what three kills in a row cut off is
/// in review, where a person sees it.
async fn judge(server: &Server, recipient: &Recipient, acknowledged: &BTreeSet<u64>) {
    let settled = wait_until_settled(server).await;
    let mut accepted_by_recipient: BTreeMap<u64, BTreeMap<String, u64>> = BTreeMap::new();
    for arrival in recipient.log() {
        if let Reply::Status(200) = mostly_well(&arrival) {
            let body: serde_json::Value = serde_json::from_slice(&arrival.body).unwrap();
            let keys = accepted_by_recipient.entry(body["number"].as_u64().unwrap()).or_default();
            *keys.entry(arrival.key).or_default() += 1;
        }
    }
    let in_review = cut_off_three_times(server).await;
    let is_lost = |number: &&u64| !accepted_by_recipient.contains_key(number) && !in_review.contains(number);
    let lost: Vec<&u64> = acknowledged.iter().filter(is_lost).collect();
    let again: u64 = accepted_by_recipient.values().flat_map(BTreeMap::values).map(|times| times - 1).sum();
    println!(
        "leads acknowledged: {}; lost: {}; accepted again under the same key: {again}; cut off three times and in review: \
         {}; requests: {}",
        acknowledged.len(),
        lost.len(),
        in_review.len(),
        recipient.log().len()
    );
    assert!(lost.is_empty(), "lost {} of {}: {lost:?}; states {settled}", lost.len(), acknowledged.len());
    assert_eq!((&settled["in_review"], &settled["closed"]), (&in_review.len().into(), &0.into()), "{settled}");
    let twice = accepted_by_recipient.values().filter(|keys| keys.len() > 1).count();
    assert_eq!(twice, 0, "a lead was sent under two keys, so no recipient could tell that it was the same");
}

/// The numbers of the leads in review; a delivery is there for one reason only.
async fn cut_off_three_times(server: &Server) -> BTreeSet<u64> {
    let page = server.get("/v1/deliveries?state=in_review&limit=100").await.json();
    let mut numbers = BTreeSet::new();
    for delivery in page["items"].as_array().unwrap() {
        let whole = server.get(&format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap())).await.json();
        let cut_off = |attempt: &&serde_json::Value| attempt["verdict"]["kind"] == "interrupted";
        let times = whole["attempts"].as_array().unwrap().iter().filter(cut_off).count();
        assert_eq!((&whole["why"], times), (&"interrupted".into(), 3), "{whole:#}");
        let lead = server.get(&format!("/v1/leads/{}", delivery["lead_id"].as_str().unwrap())).await.json();
        numbers.insert(lead["fields"]["number"].as_u64().unwrap());
    }
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_in_a_loop_under_load_loses_nothing() {
    let rounds = rounds("STEADFAST_KILL_ROUNDS", 12);
    let recipient = Arc::new(Recipient::start(mostly_well).await);
    let mut server = Server::start(&config(&recipient)).await;
    let (mut acknowledged, mut resumed) = (BTreeSet::new(), Vec::new());
    for round in 0..rounds {
        let clients = load(&server, &recipient, round).await;
        server = server.kill_and_restart().await;
        let (ready, before) = (tokio::time::Instant::now(), recipient.log().len());
        for client in clients {
            acknowledged.extend(client.await.unwrap());
        }
        recipient.arrivals(before + 1).await;
        resumed.push(ready.elapsed());
    }
    resumed.sort();
    println!("rounds: {rounds}; from ready to the first attempt: at most {:?}", resumed.last());
    judge(&server, &recipient, &acknowledged).await;
    assert!(acknowledged.len() > 500, "too little load to prove anything: {}", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_under_load_lose_nothing_acknowledged() {
    if !stage::may_record() {
        eprintln!("skipped: strace is not here, or may not trace");
        return;
    }
    let rounds = rounds("STEADFAST_POWER_CUTS", 2);
    let recipient = Arc::new(Recipient::start(mostly_well).await);
    let (_, mut folder) = Server::start(&config(&recipient)).await.stop().await;
    let (mut acknowledged, mut cuts) = (BTreeSet::new(), Vec::new());
    for round in 0..rounds {
        let recorder = stage::Recorder::before(&folder);
        let server = Server::start_under(folder, &recorder.wrapper()).await.unwrap();
        let clients = match round % 2 {
            0 => load(&server, &recipient, round).await,
            _ => load_until_copied(&server, &recipient, &recorder, round).await,
        };
        let id;
        (id, folder) = server.kill().await;
        for client in clients {
            acknowledged.extend(client.await.unwrap());
        }
        cuts.push(recorder.cut_power(id, round + 1).await);
    }
    let of = |is: fn(&stage::Cut) -> bool| cuts.iter().filter(|cut| is(cut)).count();
    let (begun, amid) = (of(|cut| cut.copied > 0), of(|cut| cut.copied_unsynced > 0));
    let unsynced: usize = cuts.iter().map(|cut| cut.unsynced).sum();
    println!(
        "power cuts: {rounds}, {begun} of them after copying the log began and {amid} amid a copy; writes that were not synced: \
         {unsynced}"
    );
    assert!(begun >= cuts.len() / 2, "the log was hardly ever copied: {cuts:?}");
    let server = Server::start_in(folder).await.unwrap();
    judge(&server, &recipient, &acknowledged).await;
}

/// Waits until nothing waits, is held or in flight, for as long as something is delivered; how many deliveries stand where then.
async fn wait_until_settled(server: &Server) -> serde_json::Value {
    let (mut moved, mut delivered) = (tokio::time::Instant::now(), serde_json::Value::Null);
    loop {
        let stats = server.get("/v1/stats").await.json();
        let total = &stats["total"];
        if total["delivered"] != delivered {
            (moved, delivered) = (tokio::time::Instant::now(), total["delivered"].clone());
        }
        if total["waiting"] == 0 && total["held"] == 0 && stats["in_flight"] == 0 {
            return total.clone();
        }
        assert!(moved.elapsed() < stage::PATIENCE, "nothing goes on: {stats}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_orderly_stop_abandons_nothing_in_flight_and_takes_nothing_more() {
    let recipient = Recipient::start(|_| Reply::After(Duration::from_millis(700), 200)).await;
    let server = Server::start(&config(&recipient)).await;
    let (_, id) = server.lead("auto", r#"{"n":1}"#).await;
    recipient.arrivals(1).await;
    let (code, folder) = server.stop().await;
    assert_eq!(code, Some(0));
    let server = Server::start_in(folder).await.unwrap();
    let delivery = server.delivery_in(&id, "delivered").await;
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1, "the attempt in flight was settled: {delivery:#}");
    assert_eq!(recipient.log().len(), 1, "and not sent again");
}

#[tokio::test]
async fn an_attempt_cut_off_by_a_kill_is_interrupted_uses_a_retry_and_is_sent_again_with_the_same_key() {
    let recipient = Recipient::start(|arrival| match arrival.attempt {
        1 => Reply::After(Duration::from_secs(60), 200),
        _ => Reply::Status(200),
    })
    .await;
    let server = Server::start(&config(&recipient)).await;
    let (_, id) = server.lead("auto", r#"{"n":1}"#).await;
    recipient.arrivals(1).await;
    // The mark that it was taken rides along with the next commit: this lead's.
    let (_, other) = server.lead("auto", r#"{"n":2}"#).await;
    let server = server.kill_and_restart().await;
    let delivery = server.delivery_in(&id, "delivered").await;
    assert_eq!(delivery["attempts"][0]["verdict"]["kind"], "interrupted", "{delivery:#}");
    assert_eq!(delivery["attempts"][1]["retry"], 1);
    // The other was acknowledged a moment before: whether its mark reached the disk is open, that it arrives is not.
    server.delivery_in(&other, "delivered").await;
    let keys: BTreeSet<String> =
        recipient.log().into_iter().filter(|arrival| arrival.delivery == id).map(|arrival| arrival.key).collect();
    assert_eq!(keys.len(), 1);
}

#[tokio::test]
async fn a_reload_is_whole_or_not_at_all_and_what_waits_follows_it() {
    let recipient = Recipient::start(|_| Reply::Status(503)).await;
    let server = Server::start(&config(&recipient).replace("100ms", "20s").replace("\"1s\"", "\"20s\"")).await;
    let (_, id) = server.lead("auto", r#"{"n":1}"#).await;
    server.delivery_in(&id, "waiting").await;

    std::fs::write(server.config(), "[server]\nlisten = 3\n[flows.auto]\nacount = \"x\"\n").unwrap();
    server.signal("HUP");
    let before = server.get("/v1/config").await.json()["version"].as_u64().unwrap();
    assert_eq!(server.post("/v1/flows/auto/leads", r#"{"n":2}"#).await.status, 202, "the old one stays in force");

    let other = Recipient::start(|_| Reply::Status(200)).await;
    // No signal this time: the file's change is noticed by itself.
    std::fs::write(server.config(), config(&other)).unwrap();
    let started = tokio::time::Instant::now();
    while server.get("/v1/config").await.json()["version"].as_u64().unwrap() == before {
        assert!(started.elapsed() < stage::PATIENCE, "never reloaded");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Its retry is planned anew: by the shorter delay, and at the other address.
    other.arrivals(1).await;
    let delivery = server.delivery_in(&id, "delivered").await;
    let versions: Vec<u64> = delivery["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["config_version"].as_u64().unwrap())
        .collect();
    assert!(versions[0] < versions[1], "each attempt names the version it was made under: {versions:?}");
}

#[tokio::test]
async fn bad_stores_and_second_servers_are_refused_by_name() {
    let recipient = Recipient::start(|_| Reply::Status(200)).await;
    let server = Server::start(&config(&recipient)).await;
    let second = stage_folder(&config(&recipient));
    let refused = std::process::Command::new(stage::binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(second.path().join("steadfast.toml"))
        .arg("--data")
        .arg(server.data())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains(server.data().to_str().unwrap()), "{said}");
    drop(server);

    let foreign = stage_folder(&config(&recipient));
    let data = foreign.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for name in ["steadfast.db", "steadfast.sqlite", "store.db"] {
        std::fs::write(data.join(name), b"this is not a store, it is a letter to my aunt".repeat(200)).unwrap();
    }
    let said = Server::start_in(foreign).await.map(drop).unwrap_err();
    assert!(said.contains("not a Steadfast store") || said.contains("not a database"), "{said}");
}

#[tokio::test]
async fn an_open_door_without_keys_is_refused() {
    let recipient = Recipient::start(|_| Reply::Status(200)).await;
    let folder = stage_folder(&config(&recipient));
    let refused = std::process::Command::new(stage::binary())
        .args(["serve", "--listen", "0.0.0.0:0", "--config"])
        .arg(folder.path().join("steadfast.toml"))
        .arg("--data")
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("steadfast key new"), "{said}");
}

fn stage_folder(config: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("steadfast.toml"), config).unwrap();
    folder
}
