//! What a source is told, written as LeadConduit writes it: JSON or XML, with the same names in the same order.

use crate::answer::typed;
use crate::problem::{MEDIA_TYPE, Problem, ProblemView};
use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use steadfast_flow::{SaidOutcome, Told};
use steadfast_lead::LeadId;
use utoipa::ToSchema;

/// What became of a submission.
#[derive(Serialize, ToSchema)]
pub(crate) struct SubmissionView {
    /// `success`, `failure` or `error`.
    #[schema(value_type = String)]
    outcome: &'static str,
    /// Why, where there is more to say than success.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The lead.
    lead: SubmittedLeadView,
    /// What the lead is worth to the source; 0 where no price is known.
    #[schema(value_type = f64)]
    price: Box<RawValue>,
}

/// What is offered for a lead that was asked about.
#[derive(Serialize, ToSchema)]
pub(crate) struct BidView {
    /// `success` where a price is offered, else `failure`.
    #[schema(value_type = String)]
    outcome: &'static str,
    /// `no bid` where none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The price that is offered; 0 where none is.
    #[schema(value_type = f64)]
    price: Box<RawValue>,
}

/// The lead that was submitted.
#[derive(Serialize, ToSchema)]
pub(crate) struct SubmittedLeadView {
    /// Its id.
    id: String,
}

/// A refusal, with the two words that sources look for.
#[derive(Serialize, ToSchema)]
pub(crate) struct SubmissionRefusalView<'a> {
    /// Always `error`.
    #[schema(value_type = String)]
    outcome: &'static str,
    /// The same as `detail`.
    #[schema(value_type = String)]
    reason: &'a str,
    #[serde(flatten)]
    problem: &'a ProblemView<'a>,
}

/// The answer for a lead that is kept.
pub(crate) fn say(media: &'static str, lead: LeadId, told: Told) -> Response {
    let body = if is_xml(media) {
        xml(told.outcome, told.reason.as_deref(), Some(&lead.to_string()), &told.price)
    } else {
        json(lead, told)
    };
    typed(StatusCode::CREATED, media, Body::from(body))
}

/// The answer to a question what would be offered.
pub(crate) fn say_bid(media: &'static str, told: Told) -> Response {
    let body = if is_xml(media) {
        xml(told.outcome, told.reason.as_deref(), None, &told.price)
    } else {
        let view = BidView { outcome: told.outcome.name(), reason: told.reason, price: number(told.price) };
        serde_json::to_string(&view).unwrap_or_default()
    };
    typed(StatusCode::OK, media, Body::from(body))
}

/// The answer where nothing was kept.
pub(crate) fn say_refused(media: &'static str, problem: Problem) -> Response {
    if is_xml(media) {
        return problem.written(media, |view| xml(SaidOutcome::Error, Some(view.detail), None, "0").into_bytes());
    }
    problem.written(MEDIA_TYPE, |view| {
        let view = SubmissionRefusalView { outcome: SaidOutcome::Error.name(), reason: view.detail, problem: view };
        // Plain text in plain structs: writing it cannot fail.
        serde_json::to_vec(&view).unwrap_or_default()
    })
}

fn is_xml(media: &str) -> bool {
    media.ends_with("/xml")
}

fn json(lead: LeadId, told: Told) -> String {
    let price = number(told.price);
    let lead = SubmittedLeadView { id: lead.to_string() };
    let view = SubmissionView { outcome: told.outcome.name(), reason: told.reason, lead, price };
    serde_json::to_string(&view).unwrap_or_default()
}

/// A price is checked to be a number as JSON writes them.
fn number(price: Box<str>) -> Box<RawValue> {
    RawValue::from_string(price.into()).unwrap_or_default()
}

fn xml(outcome: SaidOutcome, reason: Option<&str>, lead: Option<&str>, price: &str) -> String {
    let reason = match reason {
        Some(reason) => format!("<reason>{}</reason>", escaped(reason)),
        None => "<reason/>".to_owned(),
    };
    let lead = lead.map(|id| format!("  <lead>\n    <id>{id}</id>\n  </lead>\n")).unwrap_or_default();
    let outcome = outcome.name();
    format!(
        "<?xml version=\"1.0\"?>\n<result>\n  <outcome>{outcome}</outcome>\n  {reason}\n{lead}  <price>{price}</price>\n</result>"
    )
}

/// A recipient's words as text of an element; characters that XML cannot hold are left out.
fn escaped(text: &str) -> String {
    let allowed =
        |char: &char| matches!(char, '\t' | '\n' | '\r') || (*char >= ' ' && !matches!(char, '\u{fffe}' | '\u{ffff}'));
    let plain: String = text.chars().filter(allowed).collect();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{json, xml};
    use steadfast_flow::{SaidOutcome, Told};
    use steadfast_lead::LeadId;

    fn of(outcome: SaidOutcome, reason: Option<&str>, price: &str) -> Told {
        let (reason, price) = (reason.map(str::to_owned), price.into());
        Told { outcome, reason, price, reference: None, probable: false }
    }

    #[test]
    fn written_as_sources_know_it() {
        let lead: LeadId = "ld_0000000000001".parse().unwrap();
        let told = of(SaidOutcome::Failure, Some("bad!"), "0");
        let expected = r#"{"outcome":"failure","reason":"bad!","lead":{"id":"ld_0000000000001"},"price":0}"#;
        assert_eq!(json(lead, told), expected);
        let told = of(SaidOutcome::Success, None, "12.50");
        assert_eq!(json(lead, told), r#"{"outcome":"success","lead":{"id":"ld_0000000000001"},"price":12.50}"#);
        let failed = "<?xml version=\"1.0\"?>\n<result>\n  <outcome>failure</outcome>\n  <reason>a &lt;b&gt; &amp; c</reason>\n  <lead>\n    \
                      <id>123</id>\n  </lead>\n  <price>0</price>\n</result>";
        assert_eq!(xml(SaidOutcome::Failure, Some("a <b> &\u{1} c"), Some("123"), "0"), failed);
        assert!(xml(SaidOutcome::Success, None, Some("1"), "2").contains("\n  <reason/>\n"));
    }
}
