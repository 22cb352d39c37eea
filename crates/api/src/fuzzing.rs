//! What strangers write, read as the resources read it, without a server around it: for the fuzz targets alone, and only there
//! with the feature `fuzzing`. Must never do what a resource does not do.

use crate::batch::reading::Lines;
use crate::content::{Media, read_json};
use crate::idempotency_key;
use crate::lead_body;
use crate::masking;
use crate::problem::Problem;
use crate::query::{Query, read_duration};
use crate::resource::classify::evidence;
use crate::resource::{deliveries, events};
use crate::source::reading::{SourceQuery, submission as read_submission};
use crate::wire::classify::ClassifyRequest;
use crate::wire::reading;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use steadfast_lead::Fields;
use steadfast_retry::Reading;

/// How long a line of a batch may be here, in bytes.
pub const LINE_BYTES_MAX: usize = 2_048;

/// A source's submission: the lead, and whether it is a test; `None` where it is refused.
pub fn submission(content_type: &[u8], query: &str, body: &[u8]) -> Option<(Fields, bool)> {
    let headers = headers_of("content-type", content_type)?;
    let query = told(SourceQuery::read(Some(query)))?;
    let read = told(read_submission(&headers, &Bytes::copy_from_slice(body), query, Some("key")))?;
    Some((read.fields, read.test))
}

/// The body of `POST /v1/flows/{flow}/leads` in JSON or XML; `None` where it is refused.
pub fn lead(xml: bool, body: &[u8]) -> Option<Fields> {
    told(lead_body::fields(if xml { Media::Xml } else { Media::Json }, &Bytes::copy_from_slice(body)))
}

/// A batch that comes in two pieces: what became of each line; `None` where its header cannot be used.
pub fn batch(csv: bool, map: Vec<(String, String)>, pieces: [&[u8]; 2]) -> Option<Vec<(u64, Option<Fields>)>> {
    let mut lines = Lines::new(if csv { Media::Csv } else { Media::NdJson }, b',', map, LINE_BYTES_MAX);
    let mut found = Vec::new();
    for mut piece in pieces {
        while let Some((line, fields)) = told(lines.next(&mut piece))? {
            found.push((line, told(fields)));
        }
    }
    let last = told(lines.finish())?;
    found.extend(last.map(|(line, fields)| (line, told(fields))));
    Some(found)
}

/// The query of the list of deliveries, of the journal and of the figures; whether all of them are fine.
pub fn queries(raw: &str) -> bool {
    const KNOWN: [&str; 10] = ["state", "recipient", "flow", "kind", "since", "until", "q", "after", "limit", "wait"];
    let Some(query) = told(Query::read(Some(raw), &KNOWN)) else { return false };
    let parts = [
        told(deliveries::filter(&query)).is_some(),
        told(deliveries::wanted(&query)).is_some(),
        told(query.after()).is_some(),
        told(query.limit()).is_some(),
        told(query.read_as("after", "a cursor", events::cursor)).is_some(),
        told(query.read_as("wait", "a duration", read_duration)).is_some(),
    ];
    parts.into_iter().all(|fine| fine)
}

/// The `Idempotency-Key` header; `None` where there is none or it is refused.
pub fn key(value: &[u8]) -> Option<Box<str>> {
    told(idempotency_key::idempotency_key(&headers_of("idempotency-key", value)?)).flatten()
}

/// The body of `POST /v1/classify`: what it asks to be read, where it is an answer and a way of reading.
pub fn classification(body: &[u8]) -> Option<(Reading, steadfast_retry::Evidence)> {
    let asked: ClassifyRequest = told(read_json(body))?;
    let reading = reading::build(asked.response.unwrap_or_default(), asked.rules.unwrap_or_default()).ok()?;
    Some((reading, told(evidence(asked.answer?))?))
}

/// A config as it is shown to people; `None` where it is not TOML.
pub fn masked(text: &str) -> Option<String> {
    masking::masked(text)
}

fn headers_of(name: &'static str, value: &[u8]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_bytes(value).ok()?);
    Some(headers)
}

/// A refusal is written as the client would get it.
fn told<T>(read: Result<T, Problem>) -> Option<T> {
    read.map_err(|problem| drop(problem.into_response())).ok()
}
