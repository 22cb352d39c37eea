//! Forgetting: one lead by its id, or everything of a person.
//!
//! No answer repeats the address or number that was asked about.

use crate::answer::json;
use crate::auth::{Caller, Scope};
use crate::content::asked;
use crate::path::{self, PathText};
use crate::problem::{Problem, ProblemKind};
use crate::query::{Query, read_duration};
use crate::resource::verbs::bounded;
use crate::state::ApiState;
use crate::wire::words;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use steadfast_engine::{ErasedLead, Erasing, RefusedErasure, Whom};
use steadfast_lead::LeadId;
use utoipa::ToSchema;

/// How long an answer waits for the erasure unless asked otherwise.
const WAIT_DEFAULT: Duration = Duration::from_secs(5);

/// Why, and who.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErasureReason {
    /// Why, such as a case's number. Kept after everything else is gone, so it must name no person; at most 500 characters.
    reason: Option<String>,
    /// Who, for the history; the API key's name unless given. At most 500 characters.
    by: Option<String>,
}

/// Whom to forget, why, and who asks.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErasureRequest {
    /// An email address, in any case.
    email: Option<String>,
    /// A telephone number, however written.
    phone: Option<String>,
    /// Why, such as a case's number. Kept after everything else is gone, so it must name no person; at most 500 characters.
    reason: Option<String>,
    /// Who, for the history; the API key's name unless given. At most 500 characters.
    by: Option<String>,
}

/// How far an erasure is.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErasureView {
    /// Its number.
    number: u64,
    /// `done`, or `under_way`: then it is carried out whatever happens, after a restart too.
    state: &'static str,
    /// Leads erased so far.
    leads_erased: u64,
    /// The first thousand of them.
    leads: Vec<ErasedLeadView>,
    /// Deliveries whose attempt under way is waited for.
    waits_for: Vec<String>,
}

/// What was done with one lead.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErasedLeadView {
    /// Its id.
    id: String,
    /// Its deliveries.
    deliveries: Vec<ErasedDeliveryView>,
}

/// What was done with one delivery.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErasedDeliveryView {
    /// Its id.
    id: String,
    /// Where it stood.
    #[schema(schema_with = words::state)]
    was: &'static str,
    /// Where it stands.
    #[schema(schema_with = words::state)]
    state: &'static str,
}

impl ErasureView {
    fn of(erasing: &Erasing) -> Self {
        ErasureView {
            number: erasing.number,
            state: if erasing.finished { "done" } else { "under_way" },
            leads_erased: erasing.leads,
            leads: erasing.told.iter().map(ErasedLeadView::of).collect(),
            waits_for: erasing.waits_for.iter().map(ToString::to_string).collect(),
        }
    }
}

impl ErasedLeadView {
    fn of(erased: &ErasedLead) -> Self {
        let deliveries = erased.deliveries.iter().map(|(id, was, state)| ErasedDeliveryView {
            id: id.to_string(),
            was: was.name(),
            state: state.name(),
        });
        ErasedLeadView { id: erased.lead.to_string(), deliveries: deliveries.collect() }
    }
}

/// Erase a lead.
///
/// Closes what waits, is held or in review, waits for what is in flight, and wipes what the lead said and what was answered.
/// Ids, states, times and counts stay. Leads of the same person are turned away for a while (`[erasure]`).
#[utoipa::path(
    delete, path = "/v1/leads/{id}", tag = "Leads", operation_id = "eraseLead",
    params(
        ("id" = String, Path, description = "The lead's id"),
        ("wait" = Option<String>, Query, description = "Wait this long for it, such as `10s`; at most `60s`, `5s` unless given"),
    ),
    request_body(content = Option<ErasureReason>, content_type = "application/json"),
    responses(
        (status = 200, description = "Done", body = ErasureView),
        (status = 202, description = "Under way: an attempt is waited for, or there is much to do", body = ErasureView),
    )
)]
pub(crate) async fn erase_lead(
    State(state): State<ApiState>,
    id: PathText,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Operate)?;
    let wait = wait(&state, parts.uri.query())?;
    let id: LeadId = path::id(id)?;
    let asked: ErasureReason = asked(&parts.headers, body, &state).await?;
    let lead = state.engine().store().lead(id).await?;
    if lead.is_some_and(|(lead, _)| !caller.sees(&lead.flow, &state.engine().book())) {
        return Err(refused(RefusedErasure::Unknown(id)));
    }
    let reason = nameless(asked.reason.as_deref(), None)?;
    let by = bounded("by", asked.by.as_deref())?;
    carry_out(&state, &caller, Whom::Lead(id), reason, by, wait).await
}

/// Erase everything of a person.
///
/// As erasing a lead, for every lead that holds the email address or the telephone number. Not for keys that are limited to
/// an account: it reaches every account.
#[utoipa::path(
    post, path = "/v1/erasures", tag = "Leads", operation_id = "erasePerson",
    params(
        ("wait" = Option<String>, Query, description = "Wait this long for it, such as `10s`; at most `60s`, `5s` unless given"),
    ),
    request_body(content = ErasureRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "Done", body = ErasureView),
        (status = 202, description = "Under way: an attempt is waited for, or there is much to do", body = ErasureView),
    )
)]
pub(crate) async fn erase_person(State(state): State<ApiState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Operate)?;
    if let Some(account) = caller.account() {
        let detail = format!("erasing a person reaches every account, and this key is limited to account {account}");
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let wait = wait(&state, parts.uri.query())?;
    let asked: ErasureRequest = asked(&parts.headers, body, &state).await?;
    let reason = nameless(asked.reason.as_deref(), asked.phone.as_deref())?;
    let by = bounded("by", asked.by.as_deref())?;
    let given = |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(Into::into);
    let whom = Whom::Person { email: given(&asked.email), phone: given(&asked.phone) };
    carry_out(&state, &caller, whom, reason, by, wait).await
}

fn wait(state: &ApiState, query: Option<&str>) -> Result<Duration, Problem> {
    let max = state.limits().wait_max;
    let allowed = format!("a duration like 10s, at most {}s", max.as_secs());
    let query = Query::read(query, &["wait"])?;
    let wait = query.read_as("wait", &allowed, |text| read_duration(text).filter(|wait| *wait <= max))?;
    Ok(wait.unwrap_or(WAIT_DEFAULT))
}

/// A reason without an email address, and without the number that is asked about.
pub(crate) fn nameless<'a>(reason: Option<&'a str>, phone: Option<&str>) -> Result<Option<&'a str>, Problem> {
    let reason = bounded("reason", reason)?;
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let phone = phone.map(digits).filter(|digits| digits.len() >= 7);
    let names =
        |reason: &&str| reason.contains('@') || phone.as_deref().is_some_and(|phone| digits(reason).contains(phone));
    match reason.filter(names) {
        None => Ok(reason),
        Some(_) => {
            let detail = "the reason is kept after everything else is gone: it must hold no address and no number";
            Err(Problem::new(ProblemKind::BadRequest, detail).naming("reason"))
        }
    }
}

async fn carry_out(
    state: &ApiState,
    caller: &Caller,
    whom: Whom,
    reason: Option<&str>,
    by: Option<&str>,
    wait: Duration,
) -> Result<Response, Problem> {
    let by = by.unwrap_or(caller.name());
    let erasing = state.engine().erase(whom, reason, by, wait).await.map_err(refused)?;
    let status = if erasing.finished { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(json(status, &ErasureView::of(&erasing)))
}

fn refused(refused: RefusedErasure) -> Problem {
    let detail = refused.to_string();
    match refused {
        RefusedErasure::Unknown(_) => Problem::new(ProblemKind::UnknownLead, detail).naming("id"),
        RefusedErasure::Already(_) => Problem::new(ProblemKind::LeadErased, detail).naming("id"),
        RefusedErasure::BadEmail => Problem::new(ProblemKind::BadRequest, detail).naming("email"),
        RefusedErasure::BadPhone => Problem::new(ProblemKind::BadRequest, detail).naming("phone"),
        RefusedErasure::Nobody => Problem::new(ProblemKind::BadRequest, detail).naming("email"),
        RefusedErasure::Store(error) => Problem::from(error),
    }
}
