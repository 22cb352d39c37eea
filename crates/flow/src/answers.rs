//! How a step reads answers: its response table over its recipient's, key by key, and its rules before its recipient's.

use crate::body::soap_fault;
use crate::place::{Fault, Place, Warning};
use crate::request_settings::Format;
use crate::settings::{RecipientSettings, StepSettings};
use steadfast_retry::Reading;
use steadfast_retry::reading::{Compat, Misfit, OutcomeWord, ResponseSettings, RuleSettings};

/// What a step's answers are read by.
///
/// # Errors
/// Everything wrong with it, each thing where it was written.
pub(crate) fn reading(
    step: (&StepSettings, &Place),
    recipient: (&RecipientSettings, &Place),
) -> Result<Reading, Vec<Fault>> {
    let (own, theirs) = (step.0, recipient.0);
    let soap = own.request.over(&theirs.request).effective_format() == Format::Soap;
    let faults = soap.then(soap_fault::rules).into_iter().flatten();
    let rules: Vec<RuleSettings> = own.rules.iter().chain(&theirs.rules).cloned().chain(faults).collect();
    let response = own.response.over(&theirs.response);
    let place = |misfit: &Misfit| match rule_of(&misfit.key) {
        Some((index, rest)) if index >= own.rules.len() => {
            recipient.1.join(&Place::of(&format!("rules[{}]{rest}", index - own.rules.len())))
        }
        None if is_from_recipient(&misfit.key, &own.response, &theirs.response) => {
            recipient.1.join(&Place::of(&misfit.key))
        }
        Some(_) | None => step.1.join(&Place::of(&misfit.key)),
    };
    Reading::build(&response, &rules)
        .map_err(|misfits| misfits.iter().map(|misfit| fault(misfit, place(misfit))).collect())
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

fn is_from_recipient(key: &str, own: &ResponseSettings, theirs: &ResponseSettings) -> bool {
    let says = |table: &ResponseSettings| match key {
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
    };
    says(theirs) && !says(own)
}

/// What a step's table says that works, but hardly as meant.
pub(crate) fn warnings(place: &Place, response: &ResponseSettings) -> Vec<Warning> {
    let at = |key: &str, text: String| Warning { place: place.key("response").key(key), text };
    let mut found = Vec::new();
    if let Some((term, longer)) = also_found(response) {
        let text = format!(
            "{term:?} is also found in {longer:?}, which then counts as sold; write /^{term}$/, or name the other in failure_search_term"
        );
        found.push(at("outcome_search_term", text));
    }
    let catches_all = response.outcome_search_term.is_some()
        && response.outcome_search_path.is_none()
        && response.failure_search_term.is_none()
        && response.compat != Some(Compat::LeadConduit)
        && response.outcome_on_match.unwrap_or(OutcomeWord::Success) == OutcomeWord::Success;
    if catches_all {
        let text = "whatever does not hold the term is a rejection, the page of an outage too; outcome_search_path or \
                    failure_search_term tells them apart";
        found.push(at("outcome_search_term", text.to_owned()));
    }
    match response.on_unrecognized {
        Some(OutcomeWord::Success) => {
            found.push(at("on_unrecognized", "the page of an outage counts as sold".to_owned()));
        }
        Some(OutcomeWord::Failure) => {
            found.push(at("on_unrecognized", "the page of an outage becomes a rejection".to_owned()));
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
