//! `steadfast init`: a commented config to start from. Never overwrites.

use anyhow::Context as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// What is written.
const STARTER: &str = include_str!("starter.toml");

/// Writes a config to start from. False when there is a file already, which is left alone.
///
/// # Errors
/// When the file or `out` cannot be written.
pub(crate) fn init(path: &Path, out: &mut impl Write) -> anyhow::Result<bool> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            writeln!(out, "{} is there already and was left alone", path.display())?;
            return Ok(false);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
    };
    file.write_all(STARTER.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    let shown = path.display();
    writeln!(out, "wrote {shown}; next: steadfast check {shown}, then steadfast serve --config {shown}")?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Wanted, check, explain};

    fn said(result: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<bool>) -> (bool, String) {
        let mut out = Vec::new();
        let good = result(&mut out).unwrap();
        (good, String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_init_writes_passes_check_and_explains_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steadfast.toml");
        let (good, text) = said(|out| init(&path, out));
        assert!(good && text.contains("steadfast check"), "{text}");
        for terminal in [false, true] {
            let (good, text) = said(|out| check(&path, terminal, out));
            assert!(good && text.contains("no problems, 0 warnings; 1 flow, 1 step, 1 recipient"), "{text}");
        }
        let wanted = Wanted { flow: "auto", step: "sell", terminal: false, json: false };
        let (good, text) = said(|out| explain(&path, wanted, out));
        assert!(good, "{text}");
        let tight: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(tight.contains("max_retries 100 step sell (policy outage)"), "{tight}");
        assert!(tight.contains("jitter 0.2 built-in default"), "{tight}");
        assert!(tight.contains("sent and not answered: retry, not before 1m"), "{tight}");
        assert!(tight.contains("2 [20s, 24s] [30s, 36s] yes"), "{tight}");
    }

    #[test]
    fn a_file_that_is_there_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steadfast.toml");
        std::fs::write(&path, "mine").unwrap();
        let (good, text) = said(|out| init(&path, out));
        assert!(!good && text.contains("left alone"), "{text}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn problems_end_with_their_number_and_a_no() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.toml");
        std::fs::write(&path, "[retry]\nmax_retries = 11\nmax_retrys = 3\n").unwrap();
        let (good, text) = said(|out| check(&path, false, out));
        assert!(!good);
        let shown = path.display();
        assert!(
            text.starts_with(&format!("{shown}:2:15: retry.max_retries = 11: is out of range (allowed: 1 to 10")),
            "{text}"
        );
        assert!(text.contains(&format!(
            "{shown}:3:1: retry.max_retrys: is not a key of [retry]; did you mean \"max_retries\"?"
        )));
        assert!(text.ends_with(": 2 problems\n"), "{text}");
        let (good, text) = said(|out| check(&path, true, out));
        assert!(!good && text.contains("max_retries = 11") && text.contains("allowed: 1 to 10"), "{text}");
        let wanted = Wanted { flow: "auto", step: "sell", terminal: false, json: false };
        assert!(!said(|out| explain(&path, wanted, out)).0);
    }

    #[test]
    fn explain_says_json_with_windows_in_milliseconds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        let text = "[retry]\nmax_retries = 10\ntotal_timeout = \"250s\"\n[recipients.b]\nrequest.url = \"https://b.example/\"\n\
                    [[flows.auto.steps]]\nid = \"sell\"\nrecipient = \"b\"\n";
        std::fs::write(&path, text).unwrap();
        let wanted = Wanted { flow: "auto", step: "sell", terminal: false, json: true };
        let (good, text) = said(|out| explain(&path, wanted, out));
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(good);
        assert_eq!(answer["values"][2]["key"], "max_retries");
        assert_eq!(answer["values"][2]["value"], "10");
        assert_eq!(answer["values"][2]["origin"], "system");
        let schedule = answer["schedule"].as_array().unwrap();
        assert_eq!(schedule[2]["after_failure_ms"], serde_json::json!([8_000, 9_600]));
        assert_eq!(schedule[2]["since_first_ms"], serde_json::json!([14_000, 16_800]));
        let fits: Vec<&str> = schedule.iter().filter_map(|retry| retry["within_total_timeout"].as_str()).collect();
        let expected =
            ["always", "always", "always", "always", "always", "always", "always", "sometimes", "never", "never"];
        assert_eq!(fits, expected);
        let missing = Wanted { step: "buy", ..wanted };
        let (good, text) = said(|out| explain(&path, missing, out));
        assert!(!good && text.contains("flow auto has no step \"buy\"; it has: sell"), "{text}");
    }
}
