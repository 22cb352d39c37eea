//! `steadfast classify` over the whole table of recorded answers, as a user runs it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod answers;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn classify(arguments: &[&str], stored: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steadfast"));
    command.arg("classify").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that is used wrongly may end without reading.
    let _written = child.stdin.take().unwrap().write_all(stored.as_bytes());
    child.wait_with_output().unwrap()
}

fn rules_file(folder: &Path, text: &str) -> String {
    let path = folder.join("rules.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_recorded_answer_means_what_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for group in answers::groups() {
        let rules = rules_file(folder.path(), &group.rules);
        for answer in &group.answers {
            let output = classify(&["--rules", &rules], &answer.stored().to_string());
            let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}: {output:?}", answer.name));
            wrong.extend(
                answer.differences(&said).into_iter().map(|what| format!("{}: {}: {what}", group.title, answer.name)),
            );
            let code = if answer.expect.outcome == "success" { 0 } else { 1 };
            assert_eq!(output.status.code(), Some(code), "{}", answer.name);
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 80, "{count}");
}

#[test]
fn a_step_of_a_config_reads_as_it_would_live() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.toml");
    let init = Command::new(env!("CARGO_BIN_EXE_steadfast")).arg("init").arg(&config).output().unwrap();
    assert!(init.status.success(), "{init:?}");
    let config = config.to_str().unwrap();
    let step = ["--config", config, "--flow", "auto", "--step", "sell"];
    let json = |body: &str| serde_json::json!({ "status": 200, "headers": { "content-type": "application/json" }, "body": body });
    let sold = classify(&step, &json(r#"{"result":{"status":"accepted","id":"A-1"},"price":12.5}"#).to_string());
    let said: serde_json::Value = serde_json::from_slice(&sold.stdout).unwrap();
    assert_eq!(
        (said["outcome"].as_str(), said["price"].as_str(), said["reference"].as_str()),
        (Some("success"), Some("12.5"), Some("A-1"))
    );
    assert_eq!(sold.status.code(), Some(0));
    let quota = classify(&step, r#"{"status":403,"body":"Quota exceeded"}"#);
    let said: serde_json::Value = serde_json::from_slice(&quota.stdout).unwrap();
    assert_eq!(
        (said["kind"].as_str(), said["retryable"].as_bool(), said["decided_by"].as_str()),
        (Some("rate_limited"), Some(true), Some("quota"))
    );
    assert_eq!(quota.status.code(), Some(1));
}

#[test]
fn wrong_usage_is_told_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let good = rules_file(folder.path(), "");
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    for (stored, expected) in [
        ("", "unusable"),
        ("{}", "neither status nor error"),
        ("{\"status\":\"200\"}", "unusable"),
        ("{\"error\":\"timeout\"}", "known are dns_not_found"),
        ("{\"status\":200,\"phase\":\"done\"}", "known are prepare"),
        ("{\"status\":200,\"body\":\"\",\"body_base64\":\"\"}", "both"),
        ("{\"status\":200,\"body_base64\":\"*\"}", "unusable"),
        ("{\"status\":200,\"bdy\":\"\"}", "bdy"),
    ] {
        let output = classify(&["--rules", &good], stored);
        assert_eq!(output.status.code(), Some(2), "{stored}: {output:?}");
        assert!(said(&output).contains(expected) && output.stdout.is_empty(), "{stored}: {}", said(&output));
    }
    let bad =
        rules_file(folder.path(), "[response]\noutcome_search_term = \"/(/\"\n[[rules]]\nmatch = { status = 200 }\n");
    let output = classify(&["--rules", &bad], "{\"status\":200}");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("rules.toml:2:23: response.outcome_search_term = \"/(/\": is not a pattern"), "{text}");
    assert!(text.contains("rules[0].outcome: is missing"), "{text}");
    for arguments in [
        &[][..],
        &["--config", "x"],
        &["--rules", "x", "--config", "y", "--flow", "f", "--step", "s"],
        &["--rules", "no-such-file"],
    ] {
        assert_eq!(classify(arguments, "{\"status\":200}").status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn what_a_look_up_is_answered_is_tried_by_its_own_table() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.toml");
    let text = |in_doubt: &str| {
        format!(
            r#"
[recipients.bank]
in_doubt = "{in_doubt}"
request = {{ url = "https://bank.example/leads" }}
[recipients.bank.verify]
url = "https://bank.example/status"
response = {{ outcome_search_path = "state", outcome_search_term = "/^stored$/" }}
rules = [{{ name = "busy", match = {{ status = 503 }}, outcome = "error", retryable = false }}]
[flows.auto]
steps = [{{ id = "sell", recipient = "bank" }}]
"#
        )
    };
    std::fs::write(&config, text("verify")).unwrap();
    let path = config.to_str().unwrap();
    let step = ["--config", path, "--flow", "auto", "--step", "sell"];
    let tried = |stored: &str| {
        let output = classify(&[&step[..], &["--look-up"]].concat(), stored);
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (said["look_up"].clone(), said["retryable"].clone(), output.status.code())
    };
    let json = |status: u16, body: &str| {
        let headers = serde_json::json!({ "content-type": "application/json" });
        serde_json::json!({ "status": status, "headers": headers, "body": body }).to_string()
    };
    assert_eq!(tried(&json(200, r#"{"state":"stored"}"#)), ("found".into(), false.into(), Some(0)));
    assert_eq!(tried(&json(200, r#"{"state":"none"}"#)), ("not_found".into(), false.into(), Some(1)));
    assert_eq!(tried(&json(404, "")), ("not_found".into(), false.into(), Some(1)));
    assert_eq!(tried(&json(200, "{}")), ("unknown".into(), true.into(), Some(1)));
    assert_eq!(tried(&json(503, "")), ("unknown".into(), false.into(), Some(1)));
    let explained = Command::new(env!("CARGO_BIN_EXE_steadfast"))
        .args(["explain", path, "--flow", "auto", "--step", "sell", "--json"])
        .output()
        .unwrap();
    let explained: serde_json::Value = serde_json::from_slice(&explained.stdout).unwrap();
    let look_up = serde_json::json!({
        "method": "GET", "origin": "https://bank.example:443", "read_by": ["rules", "status", "response"],
    });
    assert_eq!(explained["look_up"], look_up);
    std::fs::write(&config, text("retry")).unwrap();
    let refused = classify(&[&step[..], &["--look-up"]].concat(), &json(404, ""));
    assert_eq!(refused.status.code(), Some(2));
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("asks nobody"), "{message}");
}

/// A rule by each thing an answer can be told by, as somebody new would try them before saving.
#[test]
fn rules_by_status_header_body_and_paths_are_tried_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let answer = |content_type: &str, body: &str| {
        let headers = serde_json::json!({ "Content-Type": content_type, "X-Error": "E42" });
        serde_json::json!({ "status": 418, "headers": headers, "body": body }).to_string()
    };
    let json = answer("application/json", r#"{"errors":[{"code":"X"},{"code":"Q1"}],"left":0}"#);
    let xml = answer("text/xml", "<s:E xmlns:s='u'><s:Fault><faultcode>s:Server</faultcode></s:Fault></s:E>");
    let html = answer("text/html", "<div class=err><b>We are CLOSED</b></div>");
    for (matches, stored) in [
        ("status = 418", &json),
        ("status = ['4xx', 503]", &json),
        ("header = { X-Error = '/^E4\\d$/' }", &json),
        ("body = '/\"left\":\\s*0\\b/'", &json),
        ("path = { path = 'errors[*].code', term = '/^Q1$/' }", &json),
        ("path = { path = \"//*[local-name()='Fault']/faultcode\", term = 'server' }", &xml),
        ("path = { path = 'div.err > b', term = 'closed' }", &html),
        ("kind = 'client_error'", &json),
    ] {
        let said = |meaning: &str| {
            let rules =
                rules_file(folder.path(), &format!("[[rules]]\nname = \"mine\"\nmatch = {{ {matches} }}\n{meaning}"));
            let output = classify(&["--rules", &rules], stored);
            serde_json::from_slice::<serde_json::Value>(&output.stdout)
                .unwrap_or_else(|_| panic!("{matches}: {output:?}"))
        };
        let later = said("kind = \"rate_limited\"\nreason = \"full\"\nretryable = true\ndelay = \"15m\"");
        let expected = serde_json::json!({
            "outcome": "error", "kind": "rate_limited", "reason": "full", "retryable": true, "delay": "15m",
            "price": null, "reference": null, "decided_by": "mine",
        });
        assert_eq!(later, expected, "{matches}");
        let no = said("kind = \"capped\"");
        assert_eq!(
            (&no["outcome"], &no["kind"], &no["retryable"]),
            (&"failure".into(), &"capped".into(), &false.into())
        );
    }
    let rules = rules_file(folder.path(), "[[rules]]\nmatch = { body = \"/\\d/\" }\noutcome = \"error\"");
    let refused = classify(&["--rules", &rules], &json);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && message.contains("a backslash is written twice"), "{message}");
}
