//! Policies against a scripted recipient, in virtual time: the same scenario as the command, written as JSON.

use crate::answer::json;
use crate::auth::Scope;
use crate::content::{Media, media, read_json, whole};
use crate::problem::{Problem, ProblemKind};
use crate::query::Query;
use crate::state::ApiState;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use std::sync::Arc;
use steadfast_retry::Seed;
use steadfast_sim::{ReportFile, Scenario, ScenarioFile, run};

/// Most leads of one simulation over the API, times the policies compared: it runs beside deliveries.
const LEADS_MAX: u64 = 200_000;
/// Problems told at once.
const ERRORS_MAX: usize = 100;

/// Run a scenario.
#[utoipa::path(
    post, path = "/v1/simulations", tag = "Settings", operation_id = "simulate",
    params(("seed" = Option<u64>, Query, description = "In place of the scenario's own")),
    request_body(content = serde_json::Value, content_type = "application/json", description = "A scenario: the keys of a scenario file, as JSON. At most 200,000 leads times policies"),
    responses(
        (status = 200, description = "The report, as `steadfast simulate --json` prints it", body = serde_json::Value),
    )
)]
pub(crate) async fn simulate(State(state): State<ApiState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    state.authorize(&parts.headers, Scope::Read)?;
    let query = Query::read(parts.uri.query(), &["seed"])?;
    let seed = query.read_as("seed", "a whole number from 0 on", |text| text.parse().ok())?;
    media(&parts.headers, &[Media::Json])?;
    let body = whole(&parts.headers, body, &state).await?;
    let scenario = scenario(&body, seed)?;
    let permit = Arc::clone(state.simulations()).try_acquire_owned().map_err(|_| {
        Problem::new(ProblemKind::TooManyReaders, "another simulation is running; try again when it is done")
            .after_seconds(5)
    })?;
    let ran = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        run(&scenario)
    });
    let report =
        ran.await.map_err(|_| Problem::new(ProblemKind::Internal, "the simulation failed; please report this"))?;
    let report = report.map_err(|stopped| Problem::new(ProblemKind::BadRequest, stopped.to_string()))?;
    Ok(json(StatusCode::OK, &ReportFile::from(&report)))
}

fn scenario(body: &[u8], seed: Option<u64>) -> Result<Scenario, Problem> {
    let file: ScenarioFile = read_json(body)?;
    let mut scenario = file.compile().map_err(|faults| {
        let errors: Vec<String> = faults.iter().take(ERRORS_MAX).map(ToString::to_string).collect();
        let detail = format!("the scenario has {} problem{}", faults.len(), if faults.len() == 1 { "" } else { "s" });
        Problem::new(ProblemKind::BadRequest, detail).listing(errors)
    })?;
    let policies = u64::try_from(scenario.candidates.len()).unwrap_or(u64::MAX);
    let leads = u64::from(scenario.traffic.leads).saturating_mul(policies);
    if leads > LEADS_MAX {
        let detail =
            format!("{leads} leads times policies, at most {LEADS_MAX} are simulated here; use steadfast simulate");
        return Err(Problem::new(ProblemKind::BadRequest, detail).naming("traffic.leads"));
    }
    if let Some(seed) = seed {
        scenario.seed = Seed(seed);
    }
    Ok(scenario)
}
