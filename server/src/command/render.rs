//! `steadfast render FILE --flow F --step S`: the request a step would send for a lead, without sending it.
//!
//! Reads the lead as JSON. Shows no credential: secrets and configured header values are `***`.

use super::explain::find;
use crate::config::load;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use steadfast_flow::{Preview, RenderFailed, StepPlan};
use steadfast_lead::{FlowName, JsonLimits, Lead, LeadId, Timestamp, parse_object};

/// How long a lead may be, in bytes: as long as the API takes one.
const LEAD_BYTES_MAX: u64 = 1_048_576;

/// Which step, and how it is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rendering<'a> {
    /// The flow.
    pub(crate) flow: &'a str,
    /// The step.
    pub(crate) step: &'a str,
    /// JSON in place of the request's own form.
    pub(crate) json: bool,
    /// When the lead would have been accepted.
    pub(crate) accepted_at: Timestamp,
}

/// Reads a time as it is given on the command line.
///
/// # Errors
/// A sentence about what it should look like.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "not a time; write it such as 2026-11-24T10:00:00Z".to_owned())
}

/// Renders a lead. False when the config has problems, does not have the step, or the lead does not fit.
///
/// # Errors
/// When the lead cannot be read or `out` not be written.
pub(crate) fn render(
    path: &Path,
    wanted: Rendering<'_>,
    lead: &mut impl Read,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let book = match load(path) {
        Ok(loaded) => loaded.book,
        Err(problems) => {
            write!(out, "{}", problems.plain())?;
            return Ok(false);
        }
    };
    let plan = match find(&book, wanted.flow, wanted.step) {
        Ok(plan) => plan,
        Err(why) => {
            writeln!(out, "{why}")?;
            return Ok(false);
        }
    };
    let preview = preview(plan, wanted.accepted_at, lead)?;
    let text = match &preview {
        Ok(preview) if wanted.json => pretty(&to_json(preview))?,
        Ok(preview) => as_request(preview),
        Err(failed) if wanted.json => pretty(&json!({ "error": "render_failed", "detail": failed.to_string() }))?,
        Err(failed) => format!("render_failed: {failed}\n"),
    };
    out.write_all(text.as_bytes())?;
    Ok(preview.is_ok())
}

fn preview(
    plan: &StepPlan,
    accepted_at: Timestamp,
    input: &mut impl Read,
) -> anyhow::Result<Result<Preview, RenderFailed>> {
    let mut text = Vec::new();
    input.take(LEAD_BYTES_MAX + 1).read_to_end(&mut text).context("cannot read the lead")?;
    anyhow::ensure!(text.len() as u64 <= LEAD_BYTES_MAX, "the lead is longer than {LEAD_BYTES_MAX} bytes");
    let fields = parse_object(&text, JsonLimits::LEAD).context("cannot read the lead")?;
    let id = LeadId::from_raw(1).context("no id")?;
    let flow: FlowName = plan.flow.clone();
    let lead = Lead { id, flow, source: None, accepted_at, test: true, fields };
    Ok(plan.request.preview(&lead))
}

fn as_request(preview: &Preview) -> String {
    let mut text = format!("{} {}\n", preview.method, preview.url);
    for (name, value) in &preview.headers {
        let _ = writeln!(text, "{name}: {value}");
    }
    let _ = writeln!(text, "\n{}", String::from_utf8_lossy(&preview.body));
    let _ = writeln!(text, "\ndigest: {}", hex(&preview.digest));
    for (field, kind) in &preview.unfit {
        let _ = writeln!(text, "field {field:?} is no {}: left as it came", kind.name());
    }
    text
}

fn to_json(preview: &Preview) -> Value {
    let header = |(name, value): &(http::HeaderName, String)| json!({ "name": name.as_str(), "value": value });
    let unfit = |(field, kind): &(Box<str>, steadfast_flow::FieldType)| json!({ "field": field, "type": kind.name() });
    json!({
        "method": preview.method.as_str(),
        "url": &*preview.url,
        "headers": preview.headers.iter().map(header).collect::<Vec<_>>(),
        "body": String::from_utf8_lossy(&preview.body),
        "digest": hex(&preview.digest),
        "unfit": preview.unfit.iter().map(unfit).collect::<Vec<_>>(),
    })
}

fn pretty(value: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value).context("cannot write JSON")? + "\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(config: &Path, step: &str, lead: &str, json: bool) -> (bool, String) {
        let accepted_at = Timestamp::parse("2026-11-24T02:30:00Z").unwrap();
        let mut out = Vec::new();
        let wanted = Rendering { flow: "auto", step, json, accepted_at };
        let yes = render(config, wanted, &mut lead.as_bytes(), &mut out).unwrap();
        (yes, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_lead_is_shown_as_it_would_leave_without_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        let config = "
[secrets]
salt = \"s3cret-salt\"
[recipients.bank]
request = { url = \"https://bank.example/{{ zip }}\", headers = { X-Key = \"k3y\", X-Zip = \"{{ zip }}\" } }
auth = { type = \"api_key\", query = \"key\", key = \"s3cret-key\" }
[flows.auto.fields]
email = \"email\"
zip = \"postal_code\"
[[flows.auto.steps]]
id = \"sell\"
recipient = \"bank\"
[flows.auto.steps.request.body]
person.email = \"{{ email | required }}\"
\"person.zips[0]\" = \"{{ zip }}\"
person.key = \"{{ secret('salt') }}\"
";
        std::fs::write(&path, config).unwrap();
        let (yes, shown) = rendered(&path, "sell", r#"{"email":"A@B.Example","zip":"x1"}"#, false);
        let expected = "POST https://bank.example/x1?key=***\ncontent-type: application/json\naccept: */*\nx-key: ***\n\
                        x-zip: x1\n\n{\"person\":{\"email\":\"A@b.example\",\"key\":\"***\",\"zips\":[\"x1\"]}}\n\ndigest: ";
        assert!(yes && shown.starts_with(expected), "{shown}");
        assert!(shown.ends_with("field \"zip\" is no postal_code: left as it came\n"), "{shown}");
        let (yes, json) = rendered(&path, "sell", r#"{"email":"a@b.example","zip":"60601"}"#, true);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert!(yes && json["url"] == "https://bank.example/60601?key=***" && json["unfit"] == json!([]), "{json}");
        let (yes, failed) = rendered(&path, "sell", r#"{"zip":"60601"}"#, false);
        let said = "render_failed: request.body.person.email: a required value is missing (line 1)\n";
        assert_eq!((yes, &*failed), (false, said));
        let (yes, unknown) = rendered(&path, "buy", "{}", false);
        assert!(!yes && unknown.contains("has no step \"buy\"; it has: sell"), "{unknown}");
    }
}
