//! What is asked of a classification, and what it answers. Nothing a lead holds beyond what the recipient said of it, and in a
//! range not even that.

use super::attempt::VerdictView;
use super::reading::{ResponseTable, RuleTable};
use super::{millis, words};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use steadfast_retry::{LookUpAnswer, Outcome, Verdict};
use utoipa::ToSchema;

/// What to read, and how. Of `answer`, `attempt` and `range` exactly one; and either `step`, or `response` and `rules`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClassifyRequest {
    /// What a recipient answered, or how it did not.
    pub(crate) answer: Option<AskedAnswer>,
    /// An attempt that was made.
    pub(crate) attempt: Option<AskedAttempt>,
    /// Every attempt of the deliveries accepted in a time.
    pub(crate) range: Option<AskedRange>,
    /// As this step reads answers now.
    pub(crate) step: Option<AskedStep>,
    /// By a table that is tried; the keys of `response` in the config.
    pub(crate) response: Option<ResponseTable>,
    /// By rules that are tried; the keys of `rules` in the config.
    pub(crate) rules: Option<Vec<RuleTable>>,
}

/// A stored response: `status` with `headers` and `body`, or `error` with `phase`; or both, for an answer that broke off.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskedAnswer {
    /// The status code, 100 to 999.
    pub(crate) status: Option<u16>,
    /// Names in any case, each with its value or values.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, HeaderValues>,
    /// The whole body.
    pub(crate) body: Option<String>,
    /// The whole body in base 64, for what is not text.
    pub(crate) body_base64: Option<String>,
    /// What went wrong, for what never answered.
    #[schema(schema_with = words::fault, required = false)]
    pub(crate) error: Option<String>,
    /// How far it came; `sent` with an error and `responded` without, unless given.
    #[schema(schema_with = words::phase, required = false)]
    pub(crate) phase: Option<String>,
}

/// What one header says.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum HeaderValues {
    /// Once.
    One(String),
    /// Several times.
    Several(Vec<String>),
}

/// An attempt.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskedAttempt {
    /// The delivery's id.
    pub(crate) delivery: String,
    /// The attempt's number, from 1.
    pub(crate) number: u32,
}

/// Every attempt of the deliveries accepted in a time, newest deliveries first.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskedRange {
    /// Of deliveries accepted at this time or later.
    #[schema(schema_with = words::time)]
    pub(crate) since: String,
    /// Of deliveries accepted before this time.
    #[schema(schema_with = words::time)]
    pub(crate) until: String,
    /// Of this flow.
    pub(crate) flow: Option<String>,
    /// To this recipient.
    pub(crate) recipient: Option<String>,
    /// Attempts, at most: 1 to 1,000,000; 100,000 unless given.
    pub(crate) limit: Option<u32>,
    /// The `next` of the answer before.
    pub(crate) after: Option<String>,
}

/// A step.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskedStep {
    /// The flow's name.
    pub(crate) flow: String,
    /// The step's name.
    pub(crate) step: String,
    /// By how it reads the answers to its look-ups (`verify`). For a given `answer` only.
    #[serde(default)]
    pub(crate) look_up: bool,
}

/// For one answer or attempt what it means; for a range what changes.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ClassifyView {
    /// Of one.
    One(Box<ClassifiedView>),
    /// Of a range.
    Range(RangeView),
}

/// What an answer means.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClassifiedView {
    /// success, failure or error.
    #[schema(schema_with = words::outcome)]
    outcome: &'static str,
    /// Why, in the recipient's words or a rule's.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The kind of a failure or error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::kind, required = false)]
    kind: Option<&'static str>,
    /// Whether it would be retried while retries are left: by the step's conditions, or for a table that is tried by those
    /// in force where nothing is configured.
    retryable: bool,
    /// How long a rule makes a retry wait at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    /// What the recipient pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    /// The recipient's own id for the lead.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// The rule, term or table row that decided.
    decided_by: String,
    /// Read as the answer to a look-up: `found`, `not_found`, or `unknown` where it says neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    look_up: Option<&'static str>,
    /// What was stored as its meaning when the attempt was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<VerdictView>,
    /// Only the head of the body was stored, and only that was read: the whole might mean something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_cut: Option<bool>,
}

/// What becomes of a range.
#[derive(Serialize, ToSchema)]
pub(crate) struct RangeView {
    /// Attempts that were looked at.
    pub(crate) attempts: u64,
    /// Of them, those whose outcome or kind is another now.
    pub(crate) changed: u64,
    /// Of them, those that could not be judged.
    pub(crate) unjudged: UnjudgedView,
    /// What was judged, by what it was and what it is now; changes first, most attempts first.
    pub(crate) pairs: Vec<PairView>,
    /// Whether attempts were left for another request.
    pub(crate) cut: bool,
    /// Give it as `after`, all else the same, to go on where this ended; there when `cut`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// What could not be judged.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct UnjudgedView {
    /// Only the head of the body was stored.
    pub(crate) body_cut: u64,
    /// The lead was erased, and what was answered with it.
    pub(crate) erased: u64,
    /// The first 20.
    pub(crate) examples: Vec<UnjudgedExample>,
}

/// An attempt that could not be judged.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnjudgedExample {
    /// The delivery's id.
    pub(crate) delivery: String,
    /// The attempt's number.
    pub(crate) attempt: u32,
    /// What it was.
    pub(crate) old: MeaningView,
    /// `body_cut` or `erased`.
    pub(crate) why: &'static str,
}

/// Attempts that were one thing and are one thing now.
#[derive(Serialize, ToSchema)]
pub(crate) struct PairView {
    /// What they were.
    pub(crate) old: MeaningView,
    /// What they are now.
    pub(crate) new: MeaningView,
    /// Whether these differ.
    pub(crate) changed: bool,
    /// How many.
    pub(crate) attempts: u64,
    /// The first 20 of those that changed.
    pub(crate) examples: Vec<ChangedExample>,
}

/// An attempt that changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangedExample {
    /// The delivery's id.
    pub(crate) delivery: String,
    /// The attempt's number.
    pub(crate) attempt: u32,
    /// What it was.
    pub(crate) old: MeaningView,
    /// What it is now.
    pub(crate) new: MeaningView,
    /// What decides now.
    pub(crate) decided_by: String,
}

/// An outcome with its kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub(crate) struct MeaningView {
    /// success, failure or error.
    #[schema(schema_with = words::outcome)]
    outcome: &'static str,
    /// The kind of a failure or error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::kind, required = false)]
    kind: Option<&'static str>,
}

impl From<Outcome> for MeaningView {
    fn from(outcome: Outcome) -> Self {
        MeaningView { outcome: outcome.name(), kind: outcome.kind_name() }
    }
}

impl ClassifiedView {
    /// A verdict, with whether it would be retried.
    pub(crate) fn of(verdict: &Verdict, retryable: bool) -> Self {
        let text = |text: &Option<Box<str>>| text.as_ref().map(ToString::to_string);
        ClassifiedView {
            outcome: verdict.outcome.name(),
            reason: text(&verdict.reason),
            kind: verdict.outcome.kind_name(),
            retryable,
            delay_ms: verdict.delay.map(millis),
            price: text(&verdict.price),
            reference: text(&verdict.reference),
            decided_by: verdict.decided_by.to_string(),
            look_up: None,
            stored: None,
            body_cut: None,
        }
    }

    /// As the answer to a look-up.
    pub(crate) fn answering(self, answer: LookUpAnswer) -> Self {
        ClassifiedView { look_up: Some(answer.name()), ..self }
    }

    /// Beside what was stored.
    pub(crate) fn beside(self, stored: &Verdict, body_cut: bool) -> Self {
        ClassifiedView { stored: Some(stored.into()), body_cut: body_cut.then_some(true), ..self }
    }
}
