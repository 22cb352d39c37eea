//! A choice between candidates, as it is kept with a delivery and with each attempt made under it.

use super::{Dictionary, RecordError};
use minicbor::{Decode, Encode};
use std::sync::Arc;
use steadfast_lead::{CandidateName, Timestamp};
use steadfast_retry::{Choice, Rating};

#[derive(Encode, Decode)]
pub(super) struct ChoiceTwin {
    #[n(0)]
    candidate: u32,
    #[n(1)]
    at: i64,
    #[n(2)]
    rated: Vec<RatedTwin>,
    #[n(3)]
    because: String,
}

/// With a score, or with why there is none.
#[derive(Encode, Decode)]
struct RatedTwin {
    #[n(0)]
    name: u32,
    #[n(1)]
    score: Option<i64>,
    #[n(2)]
    out: Option<String>,
}

impl ChoiceTwin {
    pub(super) fn of(choice: &Choice, names: &Dictionary) -> Self {
        let rated = choice.rated.iter().map(|(name, rating)| {
            let (score, out) = match rating {
                Rating::Score(score) => (Some(*score), None),
                Rating::Out(why) => (None, Some(String::from(&**why))),
            };
            RatedTwin { name: names.number(name.as_str()), score, out }
        });
        ChoiceTwin {
            candidate: names.number(choice.candidate.as_str()),
            at: choice.at.as_micros(),
            rated: rated.collect(),
            because: String::from(&*choice.because),
        }
    }

    pub(super) fn value(self, names: &Dictionary) -> Result<Arc<Choice>, RecordError> {
        let rated = self.rated.into_iter().map(|twin| {
            let rating = match twin.score {
                Some(score) => Rating::Score(score),
                None => Rating::Out(twin.out.unwrap_or_default().into()),
            };
            Ok((name(twin.name, names)?, rating))
        });
        Ok(Arc::new(Choice {
            candidate: name(self.candidate, names)?,
            at: Timestamp::from_micros(self.at),
            rated: rated.collect::<Result<_, RecordError>>()?,
            because: self.because.into(),
        }))
    }
}

fn name(number: u32, names: &Dictionary) -> Result<CandidateName, RecordError> {
    CandidateName::new(&names.text(number)?)
        .map_err(|error| RecordError::Damaged { what: "a choice between candidates", detail: error.to_string() })
}
