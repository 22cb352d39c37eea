//! The configuration in the store, and its versions. Credentials written into it are never shown.

use crate::answer::json;
use crate::auth::Scope;
use crate::masking::masked;
use crate::problem::{Problem, ProblemKind};
use crate::query::Query;
use crate::state::ApiState;
use crate::wire::words;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::header::ETAG;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use steadfast_engine::Replanning;
use steadfast_store::ConfigVersion;
use utoipa::ToSchema;

/// The newest configuration.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfigView {
    /// Its number.
    version: u64,
    /// The version in force; another one only while a change takes effect.
    running_version: u64,
    /// When it was saved.
    #[schema(schema_with = words::time)]
    at: String,
    /// By whom.
    by: String,
    /// How far what waits follows the version in force; missing where nothing changed since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    replanning: Option<ReplanningView>,
    /// The text, credentials replaced by `***`; absent when it cannot be read, for then they could not be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// What waits is planned anew after a change, in batches, while delivery goes on.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplanningView {
    /// Which version it brings to what waits.
    version: u64,
    /// When it began.
    #[schema(schema_with = words::time)]
    began: String,
    /// Deliveries it has looked at: those that the change may concern.
    looked_at: u64,
    /// Of them, those that are due at another time, wait elsewhere, or have gone to a person.
    changed: u64,
    /// When everything followed; missing while it is at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time)]
    finished: Option<String>,
}

impl From<Replanning> for ReplanningView {
    fn from(told: Replanning) -> Self {
        ReplanningView {
            version: told.version,
            began: told.began.to_string(),
            looked_at: told.looked_at,
            changed: told.changed,
            finished: told.finished.map(|at| at.to_string()),
        }
    }
}

/// Versions, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfigVersionsView {
    /// The versions.
    items: Vec<ConfigVersionView>,
}

/// One version.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfigVersionView {
    /// Its number.
    version: u64,
    /// When it was saved.
    #[schema(schema_with = words::time)]
    at: String,
    /// By whom.
    by: String,
    /// How long its text is.
    bytes: usize,
    /// Whether it is in force.
    running: bool,
}

/// The newest configuration, credentials masked.
#[utoipa::path(
    get, path = "/v1/config", tag = "Settings", operation_id = "getConfig",
    responses(
        (status = 200, description = "The configuration; its version is also the ETag", body = ConfigView),
    )
)]
pub(crate) async fn get_config(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    state.authorize(&headers, Scope::Read)?.of_all_accounts()?;
    Query::read(query.as_deref(), &[])?;
    let newest = state.engine().store().newest_config().await?;
    let newest = newest.ok_or_else(|| Problem::new(ProblemKind::NoConfig, "no configuration was stored yet"))?;
    let view = ConfigView {
        version: newest.version,
        running_version: state.engine().book().version,
        at: newest.at.to_string(),
        by: newest.by.to_string(),
        replanning: state.engine().replanning().map(ReplanningView::from),
        text: masked(&newest.text),
    };
    let mut response = json(StatusCode::OK, &view);
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", newest.version)) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// Versions of the configuration, newest first.
#[utoipa::path(
    get, path = "/v1/config/versions", tag = "Settings", operation_id = "listConfigVersions",
    params(("limit" = Option<u32>, Query, description = "1 to 200, 50 unless given")),
    responses(
        (status = 200, description = "The versions", body = ConfigVersionsView),
    )
)]
pub(crate) async fn list_config_versions(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    state.authorize(&headers, Scope::Read)?.of_all_accounts()?;
    let limit = Query::read(query.as_deref(), &["limit"])?.limit()?;
    let running = state.engine().book().version;
    let view = |config: &ConfigVersion| ConfigVersionView {
        version: config.version,
        at: config.at.to_string(),
        by: config.by.to_string(),
        bytes: config.text.len(),
        running: config.version == running,
    };
    let versions = state.engine().store().configs(limit).await?;
    Ok(json(StatusCode::OK, &ConfigVersionsView { items: versions.iter().map(view).collect() }))
}
