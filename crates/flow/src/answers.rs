//! How a step reads answers: its response table over its recipient's, key by key, and its rules before its recipient's.

use crate::body::soap_fault;
use crate::place::{Fault, Place, Warning};
use crate::request_settings::Format;
use crate::settings::RecipientSettings;
use steadfast_retry::Reading;
use steadfast_retry::reading::{Compat, Misfit, OutcomeWord, ResponseSettings, RuleSettings};

/// What one level says about answers, and where.
pub(crate) struct Said<'a> {
    pub(crate) response: &'a ResponseSettings,
    pub(crate) rules: &'a [RuleSettings],
    pub(crate) place: Place,
}

/// What answers are read by: the levels laid over each other, the nearest first, and `last` after the rules of all.
///
/// # Errors
/// Everything wrong with it, each thing where it was written.
pub(crate) fn reading(levels: &[Said<'_>], last: Vec<RuleSettings>) -> Result<Reading, Vec<Fault>> {
    let rules: Vec<RuleSettings> = levels.iter().flat_map(|level| level.rules).cloned().chain(last).collect();
    let farther = |table: ResponseSettings, level: &Said<'_>| table.over(level.response);
    let response = levels.iter().fold(ResponseSettings::default(), farther);
    Reading::build(&response, &rules)
        .map_err(|misfits| misfits.iter().map(|misfit| fault(misfit, place(&misfit.key, levels))).collect())
}

/// The rules an envelope brings with it: a SOAP fault is an error whatever its status.
pub(crate) fn of_format(format: Format) -> Vec<RuleSettings> {
    (format == Format::Soap).then(soap_fault::rules).into_iter().flatten().collect()
}

/// Where a key was written: at the level whose rule it is or which says it, else at the nearest.
fn place(key: &str, levels: &[Said<'_>]) -> Place {
    if let Some((mut index, rest)) = rule_of(key) {
        for level in levels {
            if index < level.rules.len() {
                return level.place.join(&Place::of(&format!("rules[{index}]{rest}")));
            }
            index -= level.rules.len();
        }
    }
    let said = levels.iter().find(|level| says(level.response, key)).or(levels.first());
    said.map_or_else(|| Place::of(key), |level| level.place.join(&Place::of(key)))
}

/// What is wrong with a recipient's own table and rules, whatever a step may lay over them. Keys that only do not go together
/// are left to the steps.
pub(crate) fn recipient_faults(place: &Place, recipient: &RecipientSettings) -> Vec<Fault> {
    let misfits = Reading::build(&recipient.response, &recipient.rules).err().unwrap_or_default();
    let own = misfits.iter().filter(|misfit| misfit.value.is_some() || rule_of(&misfit.key).is_some());
    own.map(|misfit| fault(misfit, place.join(&Place::of(&misfit.key)))).collect()
}

fn fault(misfit: &Misfit, place: Place) -> Fault {
    Fault { place, value: misfit.value.clone(), problem: misfit.problem.clone(), allowed: misfit.allowed.clone() }
}

/// The index and the rest of `rules[3].match.body`.
fn rule_of(key: &str) -> Option<(usize, &str)> {
    let (index, rest) = key.strip_prefix("rules[")?.split_once(']')?;
    Some((index.parse().ok()?, rest))
}

fn says(table: &ResponseSettings, key: &str) -> bool {
    match key {
        "response.content_type" => table.content_type.is_some(),
        "response.outcome_search_path" => table.outcome_search_path.is_some(),
        "response.outcome_search_term" => table.outcome_search_term.is_some(),
        "response.failure_search_term" => table.failure_search_term.is_some(),
        "response.duplicate_search_term" => table.duplicate_search_term.is_some(),
        "response.on_unrecognized" => table.on_unrecognized.is_some(),
        "response.reason_path" => table.reason_path.is_some(),
        "response.default_reason" => table.default_reason.is_some(),
        "response.price_path" => table.price_path.is_some(),
        "response.fallback_price" => table.fallback_price.is_some(),
        "response.reference_path" => table.reference_path.is_some(),
        _ => false,
    }
}

/// What an answer is about: the words of a warning depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// A lead that was sent.
    Lead,
    /// Whether the recipient has it.
    LookUp,
}

impl About {
    /// One of two words.
    const fn says(self, lead: &'static str, look_up: &'static str) -> &'static str {
        match self {
            About::Lead => lead,
            About::LookUp => look_up,
        }
    }
}

/// What a table says that works, but hardly as meant.
pub(crate) fn warnings(place: &Place, response: &ResponseSettings, about: About) -> Vec<Warning> {
    let at = |key: &str, text: String| Warning { place: place.key("response").key(key), text };
    let mut found = Vec::new();
    if let Some((term, longer)) = also_found(response) {
        let counts = about.says("sold", "found");
        let text = format!(
            "{term:?} is also found in {longer:?}, which then counts as {counts}; write /^{term}$/, or name the other in failure_search_term"
        );
        found.push(at("outcome_search_term", text));
    }
    let catches_all = response.outcome_search_term.is_some()
        && response.outcome_search_path.is_none()
        && response.failure_search_term.is_none()
        && response.compat != Some(Compat::LeadConduit)
        && response.outcome_on_match.unwrap_or(OutcomeWord::Success) == OutcomeWord::Success;
    if catches_all {
        let means = about.says("is a rejection", "means that the lead is not there and is sent again");
        let text = format!(
            "whatever does not hold the term {means}, the page of an outage too; outcome_search_path or \
             failure_search_term tells them apart"
        );
        found.push(at("outcome_search_term", text));
    }
    match response.on_unrecognized {
        Some(OutcomeWord::Success) => {
            let counts = about.says("sold", "found, and the lead as delivered");
            found.push(at("on_unrecognized", format!("the page of an outage counts as {counts}")));
        }
        Some(OutcomeWord::Failure) => {
            let means = about.says("becomes a rejection", "means that the lead is not there and is sent again");
            found.push(at("on_unrecognized", format!("the page of an outage {means}")));
        }
        Some(OutcomeWord::Error) | None => {}
    }
    found
}

/// A plain word that means success, and what says the opposite and holds it as well.
fn also_found(response: &ResponseSettings) -> Option<(&str, String)> {
    let term = response.outcome_search_term.as_deref()?.trim();
    let word = !term.is_empty() && term.chars().all(|c| c.is_alphabetic() || c == ' ');
    let sells = response.outcome_on_match.unwrap_or(OutcomeWord::Success) == OutcomeWord::Success;
    let longer = match term.to_ascii_lowercase().as_str() {
        "sold" | "success" | "successful" | "matched" => format!("un{term}"),
        "valid" => format!("in{term}"),
        "ok" => "token".to_owned(),
        _ => format!("not {term}"),
    };
    // A failure term that catches it settles the matter: it is looked for first.
    let caught = response.failure_search_term.as_ref().is_some_and(|failure| catches(failure, &longer));
    (word && sells && !caught).then_some((term, longer))
}

/// Whether a failure term is found in a text, by reading it as an answer.
fn catches(failure: &str, text: &str) -> bool {
    use steadfast_retry::{Answer, Evidence, Outcome};
    let table = ResponseSettings { failure_search_term: Some(failure.into()), ..ResponseSettings::default() };
    let body = bytes::Bytes::copy_from_slice(text.as_bytes());
    let answer = Answer { status: 200, headers: Vec::new(), body_bytes: 0, body };
    Reading::build(&table, &[])
        .is_ok_and(|reading| matches!(reading.read(&Evidence::of_answer(answer)).outcome, Outcome::Failure(_)))
}
