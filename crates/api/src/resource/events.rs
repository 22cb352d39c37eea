//! The journal: by the page, or as a stream that follows it.
//!
//! A stream reads the next lines only when its reader has taken the ones before, so a slow reader costs one page of memory
//! and no writer waits for it.

use crate::answer::{json, typed};
use crate::auth::Scope;
use crate::frame::accepts;
use crate::problem::{Problem, ProblemKind};
use crate::query::Query;
use crate::serve::Stopping;
use crate::state::ApiState;
use crate::wire::PageView;
use crate::wire::event::EventView;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, stream};
use http::{HeaderMap, HeaderName, StatusCode};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use steadfast_retry::Event;
use steadfast_store::{Cursor, Store};
use tokio::sync::{OwnedSemaphorePermit, watch};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const EVENT_STREAM: &str = "text/event-stream";
/// Lines read at a time.
const LINES: usize = 200;
/// A quiet stream says so this often, so that everybody on the way knows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What happened, in the order it was committed.
///
/// With `Accept: text/event-stream` a stream that follows the journal: each event's id is its cursor, its data the same
/// object as in a page. It begins after `Last-Event-ID`, else after `after`, else with what happens next.
#[utoipa::path(
    get, path = "/v1/events", tag = "Figures", operation_id = "listEvents",
    params(
        ("after" = Option<String>, Query, description = "A cursor: what came later. A page begins with the oldest line unless given"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 unless given; for pages"),
        ("Last-Event-ID" = Option<String>, Header, description = "A cursor, as browsers send it when a stream broke off"),
    ),
    responses(
        (status = 200, description = "A page, or a stream", content(
            (PageView<EventView> = "application/json"), (String = "text/event-stream"),
        )),
    )
)]
pub(crate) async fn list_events(State(state): State<ApiState>, request: Request) -> Result<Response, Problem> {
    let headers = request.headers();
    state.authorize(headers, Scope::Read)?.of_all_accounts()?;
    let query = Query::read(request.uri().query(), &["after", "limit"])?;
    let (after, limit) = (query.read_as("after", "a cursor as an answer gave it", cursor)?, query.limit()?);
    let store = state.engine().store();
    let from = if wants_stream(headers) { last_event_id(headers)?.or(after) } else { after };
    if let Some(from) = from {
        refuse_gap(store.journal_pruned_to().await?, from)?;
    }
    if wants_stream(headers) {
        let stopping = request.extensions().get::<Stopping>().cloned();
        return stream_events(&state, from, stopping);
    }
    let from = after.unwrap_or_default();
    let events = store.events(from, limit).await?;
    let last = events.last().map_or(from, |(cursor, _)| *cursor);
    let items = events.iter().map(|(cursor, event)| EventView::of(*cursor, event)).collect();
    Ok(json(StatusCode::OK, &PageView { items, next: Some(last.0.to_string()) }))
}

/// Whoever reads on from before what was deleted would miss lines without knowing it. From the very beginning is from the
/// oldest line there is.
fn refuse_gap(pruned_to: Cursor, from: Cursor) -> Result<(), Problem> {
    if from >= pruned_to || from == Cursor::default() {
        return Ok(());
    }
    let detail = format!(
        "the journal begins after the cursor {}: `retention.journal` has deleted the lines before",
        pruned_to.0
    );
    Err(Problem::new(ProblemKind::EventsPruned, detail).naming("after"))
}

fn wants_stream(headers: &HeaderMap) -> bool {
    // Who names no type wants a page.
    let named = headers
        .get_all(http::header::ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains(EVENT_STREAM)));
    named && accepts(headers, EVENT_STREAM)
}

pub(crate) fn cursor(text: &str) -> Option<Cursor> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(Cursor)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Cursor>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let refused = || Problem::bad_parameter("Last-Event-ID", &text, "a cursor as an event's id gave it");
    cursor(&text).map(Some).ok_or_else(refused)
}

fn stream_events(state: &ApiState, from: Option<Cursor>, stopping: Option<Stopping>) -> Result<Response, Problem> {
    let permit = Arc::clone(state.streams()).try_acquire_owned().map_err(|_| {
        let max = state.limits().streams_max;
        Problem::new(ProblemKind::TooManyReaders, format!("{max} streams are open, as many as may be"))
            .after_seconds(15)
    })?;
    let store = Arc::clone(state.engine().store());
    let mut tip = store.tip();
    let at = from.unwrap_or_else(|| *tip.borrow_and_update());
    let follower = Follower { store, tip, at, stopping, begun: false, _permit: permit };
    Ok(typed(StatusCode::OK, EVENT_STREAM, Body::from_stream(follow(follower))))
}

/// One reader of the stream.
struct Follower {
    store: Arc<dyn Store>,
    tip: watch::Receiver<Cursor>,
    at: Cursor,
    stopping: Option<Stopping>,
    begun: bool,
    _permit: OwnedSemaphorePermit,
}

fn follow(follower: Follower) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(follower, |mut follower| async move {
        let text = follower.next().await?;
        Some((Ok(Bytes::from(text)), follower))
    })
}

impl Follower {
    /// The next piece of the stream; `None` ends it.
    async fn next(&mut self) -> Option<String> {
        if !self.begun {
            self.begun = true;
            // Something at once, so that the reader knows that it is connected.
            return Some("retry: 2000\n: connected\n\n".to_owned());
        }
        loop {
            // Marked as seen before reading: a line that comes meanwhile wakes us again.
            self.tip.borrow_and_update();
            let lines = match self.store.events(self.at, LINES).await {
                Ok(lines) => lines,
                Err(error) => {
                    // The reader comes back with its last id.
                    tracing::error!(%error, "the journal could not be read; a stream ends");
                    return None;
                }
            };
            if let Some((last, _)) = lines.last() {
                self.at = *last;
                return Some(lines.iter().map(|(cursor, event)| line(*cursor, event)).collect());
            }
            tokio::select! {
                changed = self.tip.changed() => changed.ok()?,
                () = tokio::time::sleep(HEARTBEAT) => return Some(": still here\n\n".to_owned()),
                () = stopped(self.stopping.clone()) => return None,
            }
        }
    }
}

async fn stopped(stopping: Option<Stopping>) {
    match stopping {
        Some(stopping) => stopping.stopped().await,
        None => std::future::pending().await,
    }
}

fn line(cursor: Cursor, event: &Event) -> String {
    // Plain structs with text keys: writing them cannot fail; and JSON on one line holds no line break.
    let data = serde_json::to_string(&EventView::of(cursor, event)).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {data}\n\n", cursor.0, event.kind.name())
}
