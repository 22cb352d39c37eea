//! Maintenance of recipients by a person's word: said, and cancelled.

use crate::answer::json;
use crate::auth::Scope;
use crate::content::asked;
use crate::path::{self, PathText, TwoTexts};
use crate::problem::{Problem, ProblemKind, shown};
use crate::query::Query;
use crate::resource::recipients::{RecipientView, one};
use crate::resource::stops::{JOURNAL, operated};
use crate::resource::verbs::{bounded, needed_reason};
use crate::state::ApiState;
use crate::wire::calendar::begins;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use steadfast_engine::RefusedMaintenance;
use steadfast_lead::{RecipientName, Timestamp};
use utoipa::ToSchema;

const MOMENTS: &str = "2026-12-24T22:00:00-05:00, or 2026-12-24T22:00 in the zone of the recipient's calendar";

/// From when until when, why, and who says so.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MaintenanceRequest {
    /// From when nothing is sent; now unless given. With an offset, or local in the zone of the recipient's calendar.
    from: Option<String>,
    /// Until just before when. At most a year.
    #[schema(required)]
    until: Option<String>,
    /// Why, for the journal, and for whoever asks what holds a delivery. At most 500 characters.
    #[schema(required)]
    reason: Option<String>,
    /// Who, for the journal; the API key's name unless given. At most 500 characters.
    by: Option<String>,
}

/// Send nothing to a recipient from one time until another.
///
/// What comes due meanwhile is held with its endpoint (`maintenance`) and uses no retry. Durable before the answer.
#[utoipa::path(
    post, path = "/v1/recipients/{recipient}/maintenance", tag = "Recipients", operation_id = "maintainRecipient",
    params(("recipient" = String, Path, description = "The recipient's name")),
    request_body(content = MaintenanceRequest, content_type = "application/json"),
    responses((status = 200, description = "The recipient now", body = RecipientView))
)]
pub(crate) async fn maintain(
    State(state): State<ApiState>,
    recipient: PathText,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Operate)?;
    let name = operated(&state, &caller, &path::text(recipient)?)?;
    Query::read(parts.uri.query(), &[])?;
    let wish: MaintenanceRequest = asked(&parts.headers, body, &state).await?;
    let reason = needed_reason(wish.reason.as_deref(), JOURNAL)?;
    let by = bounded("by", wish.by.as_deref())?.unwrap_or(caller.name());
    let from = moment(&state, &name, "from", wish.from.as_deref())?.map_or(state.engine().now(), |(from, _)| from);
    let until = moment(&state, &name, "until", wish.until.as_deref())?.map(|(_, until)| until).ok_or_else(|| {
        Problem::new(ProblemKind::BadRequest, format!("until is missing: say when it ends, such as {MOMENTS}"))
            .naming("until")
    })?;
    state.engine().maintain(&name, (from, until), by, reason).await.map_err(refused)?;
    Ok(json(StatusCode::OK, &one(&state, &caller, &name).await?))
}

/// Cancel maintenance: end it now, or take it back before it begins.
#[utoipa::path(
    delete, path = "/v1/recipients/{recipient}/maintenance/{id}", tag = "Recipients", operation_id = "cancelMaintenance",
    params(
        ("recipient" = String, Path, description = "The recipient's name"),
        ("id" = String, Path, description = "The window's id, as the recipient shows it"),
    ),
    responses((status = 200, description = "The recipient now", body = RecipientView))
)]
pub(crate) async fn cancel(
    State(state): State<ApiState>,
    names: TwoTexts,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Operate)?;
    Query::read(parts.uri.query(), &[])?;
    let (recipient, id) = path::two(names)?;
    let name = operated(&state, &caller, &recipient)?;
    let from = begins(&id);
    let unknown = || {
        let detail = format!("{name} has no maintenance with the id {}", shown(&id));
        Problem::new(ProblemKind::UnknownMaintenance, detail).naming("id")
    };
    let from = from.ok_or_else(unknown)?;
    if !state.engine().end_maintenance(&name, from, caller.name(), "cancelled").await? {
        return Err(unknown());
    }
    Ok(json(StatusCode::OK, &one(&state, &caller, &name).await?))
}

/// A time as a person writes it; both where a clock shows it twice.
fn moment(
    state: &ApiState,
    name: &RecipientName,
    key: &'static str,
    text: Option<&str>,
) -> Result<Option<(Timestamp, Timestamp)>, Problem> {
    let Some(text) = bounded(key, text)? else { return Ok(None) };
    let calendar = state.engine().book().calendar(name).cloned();
    let local = calendar.and_then(|calendar| calendar.zone().read(text));
    let read = local.or_else(|| Timestamp::parse(text).map(|at| (at, at)));
    let refusal = || {
        let detail = format!("{key} = {} is no time: write {MOMENTS}", shown(text));
        Problem::new(ProblemKind::BadRequest, detail).naming(key)
    };
    read.map(Some).ok_or_else(refusal)
}

fn refused(refused: RefusedMaintenance) -> Problem {
    let detail = refused.to_string();
    let bad = |key| Problem::new(ProblemKind::BadRequest, detail.clone()).naming(key);
    match refused {
        RefusedMaintenance::Backwards { .. } | RefusedMaintenance::Over(_) | RefusedMaintenance::TooLong => {
            bad("until")
        }
        RefusedMaintenance::Overlaps { .. } | RefusedMaintenance::Full { .. } => bad("from"),
        RefusedMaintenance::Store(error) => Problem::from(error),
    }
}
