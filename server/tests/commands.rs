//! Every command as a user runs it, with the examples that ship.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use stage::{Recipient, Reply, Server};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn steadfast(arguments: &[&str]) -> Output {
    Command::new(stage::binary()).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

#[test]
fn the_demo_shows_retries_and_delivers_what_failed() {
    let output = steadfast(&["demo", "--seconds", "11", "--rate", "5", "--listen", "127.0.0.1:0"]);
    let (shown, errors) = (out(&output), said(&output));
    assert!(output.status.success(), "{errors}");
    for expected in
        ["Steadfast demo: server and API on http://127.0.0.1:", "(retry 1): ", "recipient is down: answers 503"]
    {
        assert!(shown.contains(expected), "no {expected:?} in\n{shown}");
    }
    let last = shown.lines().last().unwrap();
    assert!(last.contains("none of them twice"), "{last}");
}

#[test]
fn every_example_config_passes_check() {
    for file in std::fs::read_dir(example("")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let variables =
                text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| (name, "x"));
            let check = Command::new(stage::binary()).arg("check").arg(&path).envs(variables).output().unwrap();
            assert!(check.status.success(), "{}\n{}", path.display(), out(&check));
        }
    }
}

#[test]
fn every_example_scenario_runs_and_draws_a_chart() {
    let folder = tempfile::TempDir::new().unwrap();
    for file in std::fs::read_dir(example("scenarios")).unwrap() {
        let (path, chart) = (file.unwrap().path(), folder.path().join("chart.svg"));
        let path = path.to_str().unwrap();
        let text = steadfast(&["simulate", path, "--chart", chart.to_str().unwrap()]);
        assert!(text.status.success(), "{path}: {}", said(&text));
        assert!(std::fs::read_to_string(&chart).unwrap().starts_with("<svg"));
        let json = steadfast(&["simulate", path, "--json"]);
        let report: serde_json::Value = serde_json::from_str(&out(&json)).unwrap();
        assert!(report["policies"][0]["attempts"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(out(&json), out(&steadfast(&["simulate", path, "--json"])), "the same seed, the same run");
        assert_ne!(out(&json), out(&steadfast(&["simulate", path, "--json", "--seed", "99"])));
    }
}

#[test]
fn init_writes_what_check_accepts_and_explain_names_the_level_of_each_value() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("steadfast.toml");
    let path = path.to_str().unwrap();
    assert!(steadfast(&["init", path]).status.success());
    assert!(steadfast(&["check", path]).status.success());
    assert!(!steadfast(&["init", path]).status.success(), "nothing is overwritten");

    let demo = example("demo.toml");
    let demo = demo.to_str().unwrap();
    let explained = steadfast(&["explain", demo, "--flow", "demo", "--step", "sell"]);
    let text = out(&explained);
    let line = |key: &str| text.lines().find(|line| line.trim_start().starts_with(key)).unwrap_or_default().to_owned();
    assert!(line("max_retries").contains('5') && line("max_retries").contains("system (policy aggressive)"), "{text}");
    assert!(line("jitter").contains("built-in default"), "{text}");
    let json = steadfast(&["explain", demo, "--flow", "demo", "--step", "sell", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out(&json)).unwrap();
    assert!(json.to_string().contains("aggressive"), "{json}");
    let missing = steadfast(&["explain", demo, "--flow", "demo", "--step", "sel"]);
    assert_eq!(missing.status.code(), Some(1), "{}{}", out(&missing), said(&missing));
}

#[test]
fn every_value_beyond_the_specification_is_refused_with_line_key_value_and_range() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("bad.toml");
    let bad = [
        ("max_retries = 11", "1 to 10"),
        ("max_retries = 0", "1 to 10"),
        ("initial_delay = \"61s\"", "1s to 1m"),
        ("initial_delay = \"900ms\"", "1s to 1m"),
        ("multiplier = 3.1", "1.5 to 3.0"),
        ("multiplier = 1.4", "1.5 to 3.0"),
        ("max_interval = \"6m\"", "1s to 5m"),
        ("total_timeout = \"2h\"", "1s to 1h"),
        ("jitter = 1.5", "0.0 to 1.0"),
        ("retry_on = [\"5yy\"]", "classes (5xx)"),
    ];
    for (line, allowed) in bad {
        std::fs::write(&path, format!("[retry]\n{line}\n")).unwrap();
        let output = steadfast(&["check", path.to_str().unwrap()]);
        let shown = out(&output);
        let (key, value) = line.split_once(" = ").unwrap();
        let value = value.trim_matches(['"', '[', ']']);
        assert_eq!(output.status.code(), Some(1), "{line}: {shown}");
        for expected in ["bad.toml:2:", key, value, allowed] {
            assert!(shown.contains(expected), "{line}: no {expected:?} in {shown}");
        }
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [&["serv"][..], &["explain"], &["demo", "--rate", "0"], &["key", "new", "x", "--scopes", "all"]] {
        assert_eq!(steadfast(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_open_what_their_scopes_say_and_the_desk_works_from_a_terminal() {
    let recipient = Recipient::start(|arrival| Reply::Status(if arrival.attempt == 1 { 404 } else { 200 })).await;
    let made = out(&steadfast(&["key", "new", "desk", "--scopes", "ingest,read,operate"]));
    let key = made.lines().find_map(|line| line.split("Bearer ").nth(1)).unwrap().to_owned();
    let table: String = made.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let config = format!(
        "[server]\nallow_private_networks = [\"127.0.0.0/8\"]\n{table}\n[recipients.bank]\n[flows.auto]\n\
         [[flows.auto.steps]]\nid = \"sell\"\nrecipient = \"bank\"\nrequest = {{ url = \"{}\" }}\n",
        recipient.url()
    );
    let server = Server::start(&config).await;
    assert_eq!(server.post("/v1/flows/auto/leads", r#"{"n":1}"#).await.status, 401);
    let request = hyper::Request::post("/v1/flows/auto/leads?wait=20s")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {key}"))
        .body(http_body_util::Full::from(r#"{"n":1}"#))
        .unwrap();
    let posted = stage::call(&server.address, request).await.unwrap();
    assert_eq!(posted.status, 200, "{:?}", posted.body);
    let id = posted.json()["deliveries"][0]["id"].as_str().unwrap().to_owned();

    let base = format!("http://{}", server.address);
    let desk = |arguments: &[&str]| {
        let mut all = vec!["deliveries", "--server", &base, "--key", &key];
        all.extend(arguments);
        // The command waits for the server, which runs on this test's runtime's recipient: keep the runtime going.
        tokio::task::block_in_place(|| steadfast(&all))
    };
    let listed = out(&desk(&["list", "--state", "in_review"]));
    assert!(listed.contains(&id) && listed.contains("client_error"), "{listed}");
    let refused = desk(&["list", "--state", "sleeping"]);
    assert!(!refused.status.success() && said(&refused).contains("in_review"), "{}", said(&refused));
    assert!(desk(&["retry", &id]).status.success());
    recipient.arrivals(2).await;
    let shown = out(&desk(&["show", &id]));
    assert!(shown.contains("client_error is not retried"), "{shown}");
    assert!(!desk(&["dismiss", &id, "--reason", "late"]).status.success());
    assert!(desk(&["--json", "show", &id]).stdout.starts_with(b"{"));
}
