//! The two flows of `examples/` that are whole businesses, through the real process: auto insurance sold to the first of three
//! buyers, and school leads to a CRM with a copy. Only hosts are put in place of the examples' own, and hours that suit the moment;
//! what the hours do as they stand is seen under a clock of its own in `server/src/config/example_tests.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use stage::{Arrival, Recipient, Reply, Server};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ALWAYS: &str = "24/7";
/// A minute of the year in which no test runs.
const NEVER: &str = "Feb 28 03:00-03:01";

/// An example with some of its words in place of others; each must be there.
fn example(name: &str, swaps: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let swapped = swaps.iter().fold(text, |text, (old, new)| {
        assert!(text.contains(old), "{name} has no {old:?} any more");
        text.replace(old, new)
    });
    format!("[server]\nallow_private_networks = [\"127.0.0.0/8\"]\n{swapped}")
}

/// The example of the three buyers, by path at one address; two of them open or closed.
fn auto(buyers: &Recipient, open: bool) -> String {
    let at = |path: &str| format!("http://{}/{path}", buyers.address);
    let hours = format!("hours = \"{}\"", if open { ALWAYS } else { NEVER });
    example(
        "auto.toml",
        &[
            ("https://leads.acme-auto.example", &at("acme")),
            ("https://api.bestrate.example", &at("bestrate")),
            ("https://api.carewell.example", &at("carewell")),
            ("https://night.carewell.example", &at("night")),
            ("hours = \"Mo-Fr 08:00-18:00\"", &hours),
            ("hours = \"Mo-Sa 08:00-21:00\"", &hours),
            ("holidays = [2026-12-25, 2027-01-01]\n", ""),
        ],
    )
}

/// Acme says no to one name; Carewell's API is down at night.
fn buyer(arrival: &Arrival, night: bool) -> Reply {
    let says = |what: &str| Reply::Body(200, what.to_owned());
    match arrival.path.split('/').nth(1).unwrap() {
        "acme" if arrival.body.windows(4).any(|word| word == b"Nope") => says(r#"{"result":"not accepted"}"#),
        "acme" => says(r#"{"result":"accepted","price":40}"#),
        "bestrate" => says(r#"{"result":"accepted","price":30.25}"#),
        "carewell" if night => Reply::Status(503),
        _ => says(r#"{"result":"accepted"}"#),
    }
}

/// What a source hears, and how the lead's deliveries stand: state or reason.
async fn submitted(server: &Server, name: &str) -> (String, String, Vec<String>) {
    let body = format!("first_name=Ann&last_name={name}&email=ann%40example.com&state=OH&vehicle_year=2019");
    let request = Request::post("/flows/auto/sources/web/submit")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let said = stage::call(&server.address, request).await.unwrap().json();
    let lead = server.get(&format!("/v1/leads/{}", said["lead"]["id"].as_str().unwrap())).await.json();
    let states = lead["deliveries"].as_array().unwrap().iter();
    let word = |one: &Value| one["why"].as_str().unwrap_or_else(|| one["state"].as_str().unwrap()).to_owned();
    (said["outcome"].as_str().unwrap().to_owned(), said["price"].to_string(), states.map(word).collect())
}

fn words(states: [&str; 3]) -> Vec<String> {
    states.map(str::to_owned).to_vec()
}

/// What a command says on its standard output.
fn steadfast(server: &Server, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(stage::binary());
    let ran = command.args(arguments).env("STEADFAST_SERVER", format!("http://{}", server.address)).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// The cap of an hour, as the API shows it.
async fn hourly(server: &Server) -> Value {
    let caps = server.get("/v1/caps").await.json();
    let all = caps["items"].as_array().unwrap_or_else(|| panic!("{caps:#}")).clone();
    all.into_iter().find(|cap| cap["per"] == "hour").unwrap()
}

/// An hour that ends in the middle of a test would begin a new count: waits for the next where it is nearly over.
async fn an_hour_with_time_left(server: &Server) {
    let near = |cap: &Value| {
        let resets: jiff::Timestamp = cap["resets_at"].as_str().unwrap_or_else(|| panic!("{cap:#}")).parse().unwrap();
        resets.duration_since(jiff::Timestamp::now()) < jiff::SignedDuration::from_secs(45)
    };
    while near(&hourly(server).await) {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test]
async fn auto_insurance_goes_to_the_first_that_takes_it_and_at_night_to_the_nightly_endpoint() {
    let night = Arc::new(AtomicBool::new(false));
    let nightly = Arc::clone(&night);
    let buyers = Recipient::start(move |arrival| buyer(arrival, nightly.load(Ordering::SeqCst))).await;
    let server = Server::start(&auto(&buyers, true)).await;
    an_hour_with_time_left(&server).await;

    // The highest price first; a no, and the next has its turn.
    let sold = submitted(&server, "Lee").await;
    assert_eq!(sold, ("success".into(), "40".into(), words(["delivered", "sold", "sold"])));
    let second = submitted(&server, "Nope").await;
    assert_eq!(second, ("success".into(), "30.25".into(), words(["rejected", "delivered", "sold"])));

    // Twenty-five an hour and not one more; what was refused takes no place.
    for number in 2..=25 {
        assert_eq!(submitted(&server, &format!("Lee{number}")).await.2, words(["delivered", "sold", "sold"]));
    }
    let full = submitted(&server, "Late").await;
    assert_eq!(full, ("success".into(), "30.25".into(), words(["capped", "delivered", "sold"])));
    let cap = hourly(&server).await;
    assert_eq!((&cap["max"], &cap["used"], &cap["reserved"]), (&25.into(), &25.into(), &0.into()), "{cap:#}");
    let shown = steadfast(&server, &["caps"]);
    let row = shown.lines().find(|line| line.contains("recipient acme") && line.contains("hour")).unwrap_or_default();
    let columns: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(columns[..7], ["recipient", "acme", "hour", "25", "25", "0", "next"], "{shown}");
    let raw: Value = serde_json::from_str(&steadfast(&server, &["caps", "--json"])).unwrap();
    assert_eq!(raw, server.get("/v1/caps").await.json());
    let at = |path: &str| buyers.log().iter().filter(|arrival| arrival.path.starts_with(path)).count();
    assert_eq!((at("/acme"), at("/bestrate"), at("/carewell")), (26, 2, 0));

    // Evening: two are closed, and the third's API is down for its books.
    night.store(true, Ordering::SeqCst);
    std::fs::write(server.config(), auto(&buyers, false)).unwrap();
    server.signal("HUP");
    let started = tokio::time::Instant::now();
    while server.get("/v1/config").await.json()["running_version"] != 2 {
        assert!(started.elapsed() < stage::PATIENCE, "never reloaded");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (outcome, price, states) = submitted(&server, "Owl").await;
    assert_eq!((&*outcome, &*price), ("success", "18.0"), "the step's price, where an answer names none");
    assert_eq!(states, words(["closed_hours", "closed_hours", "delivered"]));
    assert_eq!((at("/acme"), at("/bestrate"), at("/carewell"), at("/night")), (26, 2, 2, 1));
}

/// The example of the school, with the CRM's quiet hours.
fn school(college: &Recipient, hours: &str) -> String {
    let at = |path: &str| format!("http://{}/{path}", college.address);
    example(
        "school.toml",
        &[
            ("https://crm.college.example", &at("crm")),
            ("https://login.college.example", &at("login")),
            ("https://office.college.example", &at("office")),
            ("${CRM_CLIENT_ID}", "us"),
            ("${CRM_CLIENT_SECRET}", "s3cret"),
            ("Mo-Sa 08:00-21:00; Su 12:00-21:00", hours),
        ],
    )
}

/// Gives tokens, takes leads that come with one, and copies.
fn college(arrival: &Arrival) -> Reply {
    let token = "Bearer t0ken".to_owned();
    match arrival.path.split('/').nth(1).unwrap() {
        "login" => Reply::Body(200, r#"{"access_token":"t0ken","token_type":"bearer","expires_in":3600}"#.to_owned()),
        "crm" if arrival.headers.get("authorization") != Some(&token) => Reply::Status(401),
        "crm" if arrival.attempt == 1 && arrival.body.windows(5).any(|word| word == b"Retry") => Reply::Status(503),
        "crm" => Reply::Body(200, r#"{"status":"created","id":"003A"}"#.to_owned()),
        _ => Reply::Body(200, r#"{"received":true}"#.to_owned()),
    }
}

/// Hours around what a clock in New York shows now: five or six hours earlier, in Hawaii, they have not begun.
fn open_in_new_york_only() -> String {
    let hour = i32::from(jiff::Timestamp::now().in_tz("America/New_York").unwrap().hour());
    let from = (hour + 23) % 24;
    format!("Mo-Su {from:02}:00-{:02}:00", from + 4)
}

#[tokio::test]
async fn a_school_lead_goes_to_the_crm_with_a_token_then_a_copy_and_nothing_in_quiet_hours() {
    let college = Recipient::start(college).await;
    let config = school(&college, &open_in_new_york_only());
    let server =
        Server::start(&config.replace("policy = \"outage\"", "policy = \"outage\", initial_delay = \"1s\"")).await;
    let posted = |name: &str, state: &str| {
        let body =
            format!(r#"{{"first_name":"{name}","email":"a@example.com","state":"{state}","program":"nursing"}}"#);
        server.post("/v1/flows/school/leads", body)
    };
    let ids = |answer: stage::Answer| -> Vec<String> {
        assert_eq!(answer.status, 202, "{:?}", answer.body);
        let all = answer.json()["deliveries"].as_array().unwrap().clone();
        all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let (early, awake) = (ids(posted("Kai", "HI").await), ids(posted("Retry", "NY").await));
    let crm = server.delivery_in(&awake[0], "delivered").await;
    assert_eq!(
        (crm["attempts"].as_array().unwrap().len(), &crm["attempts"][1]["verdict"]["reference"]),
        (2, &"003A".into()),
        "{crm:#}"
    );
    server.delivery_in(&awake[1], "delivered").await;
    let paths: Vec<String> = college.log().into_iter().map(|arrival| arrival.path).collect();
    assert_eq!(paths, ["/login/oauth2/token", "/crm/services/leads", "/crm/services/leads", "/office/inquiries"]);
    let copy = college.log().pop().unwrap();
    assert!(String::from_utf8_lossy(&copy.body).contains("program=nursing"), "{copy:?}");

    // It is too early in Hawaii: the lead waits there for the morning, its copy for the lead.
    let held = server.get(&format!("/v1/deliveries/{}", early[0])).await.json();
    assert_eq!((&held["state"], &held["hold"]["why"]), (&"held".into(), &"contact_time".into()), "{held:#}");
    assert_eq!(held["attempts"], serde_json::json!([]));
    let copy = server.get(&format!("/v1/deliveries/{}", early[1])).await.json();
    assert_eq!((&copy["state"], &copy["hold"]["why"]), (&"held".into(), &"after".into()), "{copy:#}");
}
