//! The request a step would send for a lead, without sending it.
//!
//! Holds no credential: secrets, API keys and configured header values are `***`. Nothing is stored, and no recipient is called.

use super::explain::step_of;
use crate::answer::json;
use crate::auth::Scope;
use crate::content::{Media, media, read_json, whole};
use crate::problem::{Problem, ProblemKind};
use crate::query::Query;
use crate::state::ApiState;
use crate::wire::hex;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use steadfast_flow::{Preview, StepPlan};
use steadfast_lead::{JsonLimits, Lead, LeadId, Timestamp, parse_object};
use utoipa::ToSchema;

/// A lead to render.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenderRequest {
    /// The flow's name.
    flow: String,
    /// The step's name.
    step: String,
    /// The lead's fields, as they would come in.
    #[schema(value_type = Object)]
    fields: Box<RawValue>,
    /// When it would have been accepted, RFC 3339; now, unless it is said.
    #[schema(value_type = Option<String>, format = DateTime)]
    accepted_at: Option<String>,
}

/// The request as it would leave.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RenderView {
    /// Method.
    method: String,
    /// The whole address; an API key in it is `***`.
    url: String,
    /// Headers in their order; credentials and configured fixed values are `***`.
    headers: Vec<RenderedHeader>,
    /// The body; secrets in it are `***`.
    body: String,
    /// SHA-256 over method, address and body, as every attempt of this lead would have it.
    digest: String,
    /// Fields whose value does not fit the type they are declared with, and so went as they came.
    unfit: Vec<UnfitField>,
}

/// One header.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RenderedHeader {
    /// In lower case.
    name: String,
    /// As it would leave, or `***`.
    value: String,
}

/// A field that does not fit its type.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnfitField {
    /// Its name, as it came.
    field: String,
    /// The type it is declared with.
    r#type: &'static str,
}

/// Render a lead without sending it.
#[utoipa::path(
    post, path = "/v1/render", tag = "Settings", operation_id = "render",
    request_body = RenderRequest,
    responses(
        (status = 200, description = "The request the step would send", body = RenderView),
    )
)]
pub(crate) async fn render(State(state): State<ApiState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Read)?;
    Query::read(parts.uri.query(), &[])?;
    media(&parts.headers, &[Media::Json])?;
    let body = whole(&parts.headers, body, &state).await?;
    let wanted: RenderRequest = read_json(&body)?;
    let book = state.engine().book();
    let step = step_of(&book, &caller, &wanted.flow, &wanted.step)?;
    let accepted_at = match &wanted.accepted_at {
        Some(text) => Timestamp::parse(text).ok_or_else(|| {
            Problem::new(ProblemKind::BadRequest, "accepted_at is not a time")
                .naming("accepted_at")
                .allowing("RFC 3339")
        })?,
        None => state.engine().now(),
    };
    let lead = lead(step, &wanted.fields, accepted_at)?;
    let preview =
        step.request.preview(&lead).map_err(|failed| Problem::new(ProblemKind::RenderFailed, failed.to_string()))?;
    Ok(json(StatusCode::OK, &RenderView::of(&preview)))
}

fn lead(step: &StepPlan, fields: &RawValue, accepted_at: Timestamp) -> Result<Lead, Problem> {
    let refused = |detail: String| Problem::new(ProblemKind::BadRequest, detail).naming("fields");
    let fields = parse_object(fields.get().as_bytes(), JsonLimits::LEAD).map_err(|why| refused(why.to_string()))?;
    let id = LeadId::from_raw(1).ok_or_else(|| Problem::new(ProblemKind::Internal, "no id for a lead"))?;
    Ok(Lead { id, flow: step.flow.clone(), source: None, accepted_at, test: true, fields })
}

impl RenderView {
    fn of(preview: &Preview) -> Self {
        let header = |(name, value): &(http::HeaderName, String)| RenderedHeader {
            name: name.as_str().to_owned(),
            value: value.clone(),
        };
        let unfit = preview.unfit.iter();
        RenderView {
            method: preview.method.as_str().to_owned(),
            url: preview.url.to_string(),
            headers: preview.headers.iter().map(header).collect(),
            body: String::from_utf8_lossy(&preview.body).into_owned(),
            digest: hex(&preview.digest),
            unfit: unfit.map(|(field, kind)| UnfitField { field: field.to_string(), r#type: kind.name() }).collect(),
        }
    }
}
