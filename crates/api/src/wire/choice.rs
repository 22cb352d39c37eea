//! How an endpoint was chosen, and what a leg chooses between.

use crate::wire::words;
use serde::Serialize;
use steadfast_flow::{ExplainedBalance, ExplainedCandidate};
use steadfast_lead::CandidateName;
use steadfast_retry::{Choice, Rating};
use utoipa::ToSchema;

/// A choice between the endpoints of a leg.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChoiceView {
    /// Which one, by its name.
    endpoint: String,
    /// When it was chosen.
    #[schema(schema_with = words::time)]
    at: String,
    /// Why that one.
    because: String,
    /// Every endpoint of the leg, as it stood then.
    candidates: Vec<RatedView>,
}

/// What one endpoint was rated.
#[derive(Serialize, ToSchema)]
pub(crate) struct RatedView {
    /// Its name.
    name: String,
    /// The highest wins; missing where it was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<i64>,
    /// Why it was left out: `region`, `regulation`, `just_failed`, `in_doubt`, or what holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<String>,
}

/// How a leg chooses between several endpoints.
#[derive(Serialize, ToSchema)]
pub(crate) struct BalanceView {
    /// weighted, least_loaded or best.
    by: &'static str,
    /// What counts for a share, by weight: accepted or answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    share_of: Option<&'static str>,
    /// The zone whose days shares are counted in.
    time_zone: String,
    /// What the best is the best in, the most important first.
    criteria: Vec<&'static str>,
    /// Every endpoint.
    endpoints: Vec<CandidateView>,
}

/// One of several endpoints that a leg chooses between.
#[derive(Serialize, ToSchema)]
pub(crate) struct CandidateView {
    /// Its name.
    name: String,
    /// Whom it sends to.
    recipient: String,
    /// Where it goes: scheme, host and port.
    origin: String,
    /// Its share: of what the weights of all come to.
    weight: u32,
    /// What a lead costs there, in millionths.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_millionths: Option<u64>,
    /// The regions it takes leads of; none for all.
    regions: Vec<String>,
    /// The regulations it may take leads under.
    regulations: Vec<String>,
}

impl From<&Choice> for ChoiceView {
    fn from(choice: &Choice) -> Self {
        ChoiceView {
            endpoint: choice.candidate.to_string(),
            at: choice.at.to_string(),
            because: choice.because.to_string(),
            candidates: choice.rated.iter().map(RatedView::from).collect(),
        }
    }
}

impl From<&(CandidateName, Rating)> for RatedView {
    fn from((name, rating): &(CandidateName, Rating)) -> Self {
        let (score, left_out) = match rating {
            Rating::Score(score) => (Some(*score), None),
            Rating::Out(why) => (None, Some(why.to_string())),
        };
        RatedView { name: name.to_string(), score, left_out }
    }
}

impl From<ExplainedBalance> for BalanceView {
    fn from(balance: ExplainedBalance) -> Self {
        BalanceView {
            by: balance.by.name(),
            share_of: balance.share_of.map(|word| word.name()),
            time_zone: balance.time_zone,
            criteria: balance.criteria.into_iter().map(|word| word.name()).collect(),
            endpoints: balance.candidates.into_iter().map(CandidateView::from).collect(),
        }
    }
}

impl From<ExplainedCandidate> for CandidateView {
    fn from(one: ExplainedCandidate) -> Self {
        let texts = |tags: Vec<Box<str>>| tags.into_iter().map(String::from).collect();
        CandidateView {
            name: one.name.to_string(),
            recipient: one.recipient.to_string(),
            origin: one.origin.to_string(),
            weight: one.weight,
            cost_millionths: one.cost_millionths,
            regions: texts(one.regions),
            regulations: texts(one.regulations),
        }
    }
}
