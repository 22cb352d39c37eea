//! Refusals, all in one shape (RFC 9457), each with a type that never changes.
//!
//! A refusal says what was wrong, where, and what is allowed. It never repeats what a lead holds: at most a field's name.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of every refusal.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
/// How long a detail may be; a field's name can be long.
const DETAIL_CHARS_MAX: usize = 400;

macro_rules! problems {
    ($($(#[$doc:meta])* $variant:ident = $status:literal, $slug:literal, $title:literal;)+) => {
        /// What a refusal is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum ProblemKind {
            $($(#[$doc])* $variant,)+
        }

        impl ProblemKind {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &'static [ProblemKind] = &[$(ProblemKind::$variant),+];

            /// The last part of its type.
            pub(crate) const fn slug(self) -> &'static str {
                match self { $(ProblemKind::$variant => $slug,)+ }
            }

            /// The status code of its answers.
            pub(crate) const fn status(self) -> u16 {
                match self { $(ProblemKind::$variant => $status,)+ }
            }

            const fn title(self) -> &'static str {
                match self { $(ProblemKind::$variant => $title,)+ }
            }
        }
    };
}

problems! {
    BadParameter = 400, "bad-parameter", "A parameter has a value that is not allowed";
    UnknownParameter = 400, "unknown-parameter", "There is no such parameter";
    BadIdempotencyKey = 400, "bad-idempotency-key", "The Idempotency-Key cannot be read";
    MalformedJson = 400, "malformed-json", "The body is not JSON";
    MalformedForm = 400, "malformed-form", "The body is not a form";
    MalformedXml = 400, "malformed-xml", "The body is not XML";
    MalformedCsv = 400, "malformed-csv", "The record is not CSV";
    NotUtf8 = 400, "not-utf8", "The body is not UTF-8";
    EmptyBody = 400, "empty-body", "The body is empty";
    BodyBroken = 400, "body-broken", "The body did not come whole";
    Unauthenticated = 401, "unauthenticated", "An API key is needed";
    Forbidden = 403, "forbidden", "The API key does not allow this";
    UnknownPath = 404, "unknown-path", "There is nothing at this path";
    UnknownFlow = 404, "unknown-flow", "There is no such flow";
    UnknownSource = 404, "unknown-source", "There is no such source";
    UnknownRecipient = 404, "unknown-recipient", "There is no such recipient";
    UnknownMaintenance = 404, "unknown-maintenance", "There is no such maintenance";
    UnknownStep = 404, "unknown-step", "There is no such step";
    UnknownLead = 404, "unknown-lead", "There is no such lead";
    UnknownDelivery = 404, "unknown-delivery", "There is no such delivery";
    UnknownAttempt = 404, "unknown-attempt", "There is no such attempt";
    NoConfig = 404, "no-config", "No configuration is stored";
    MethodNotAllowed = 405, "method-not-allowed", "The method is not allowed here";
    ForeignMediaType = 406, "foreign-media-type", "A source's body has a media type that is not read";
    NotAcceptable = 406, "not-acceptable", "None of the accepted media types can be given";
    BodyTooSlow = 408, "body-too-slow", "The body did not come in time";
    Erased = 409, "erased", "The person asked for deletion";
    FlowHasNoSteps = 409, "flow-has-no-steps", "The flow would do nothing with the lead";
    VerbRefused = 409, "verb-refused", "This is not possible where the delivery stands";
    Contended = 409, "contended", "Somebody else is changing this";
    EventsPruned = 410, "events-pruned", "Lines of the journal after this cursor were deleted";
    EvidenceErased = 410, "evidence-erased", "What was answered was erased with the lead";
    LeadErased = 410, "lead-erased", "The lead was erased";
    BodyTooLarge = 413, "body-too-large", "The body is too large";
    UnsupportedMediaType = 415, "unsupported-media-type", "The body's media type is not understood";
    NotAnObject = 422, "not-an-object", "A lead is an object of fields";
    TooDeep = 422, "too-deep", "The lead is nested too deep";
    TooManyValues = 422, "too-many-values", "The lead has too many values";
    DuplicateField = 422, "duplicate-field", "A field stands twice";
    BadFieldName = 422, "bad-field-name", "A field's name is not allowed";
    BadHeader = 422, "bad-header", "The header of the CSV file cannot be used";
    ColumnsDiffer = 422, "columns-differ", "The record has not the columns of the header";
    KeyReused = 422, "idempotency-key-reused", "The Idempotency-Key was used for another body";
    RenderFailed = 422, "render-failed", "The lead does not fit the step's request";
    BadRequest = 422, "bad-request", "The request's content is not allowed";
    Busy = 429, "busy", "More comes in than can be kept";
    QueueFull = 429, "queue-full", "As many deliveries wait as may";
    HeadersTooLarge = 431, "headers-too-large", "The request's headers are too large";
    Internal = 500, "internal", "The server failed";
    StoreUnreadable = 500, "store-unreadable", "The store could not be read";
    Draining = 503, "draining", "The server is stopping";
    StoreFull = 503, "store-full", "The disk that holds the store is full";
    StoreStopped = 503, "store-stopped", "The store takes nothing more";
    TooManyReaders = 503, "too-many-readers", "Too many are doing this at once";
}

impl ProblemKind {
    /// Its type.
    pub(crate) fn urn(self) -> String {
        format!("urn:steadfast:problem:{}", self.slug())
    }
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    kind: ProblemKind,
    detail: String,
    more: Option<Box<More>>,
}

/// What only some refusals have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct More {
    parameter: Option<String>,
    allowed: Option<String>,
    errors: Vec<String>,
    retry_after_seconds: Option<u32>,
}

/// A refusal (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemView<'a> {
    /// What kind of refusal; never changes. Begins with `urn:steadfast:problem:`.
    #[schema(value_type = String, example = "urn:steadfast:problem:unknown-flow")]
    r#type: String,
    /// The kind in words.
    title: &'a str,
    /// The status code of the answer.
    status: u16,
    /// What was wrong with this request.
    pub(crate) detail: &'a str,
    /// The parameter, header or field that was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    /// What is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<&'a str>,
    /// Everything that was wrong, where there can be several things.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [String],
}

impl Problem {
    /// A refusal with a sentence about this request.
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(DETAIL_CHARS_MAX) {
            detail.truncate(end);
            detail.push('…');
        }
        Problem { kind, detail, more: None }
    }

    /// A parameter whose value is not allowed. The value is shown, shortened.
    pub(crate) fn bad_parameter(parameter: &str, value: &str, allowed: &str) -> Self {
        let shown = shown(value);
        let detail = format!("{parameter} = {shown} is not allowed: allowed is {allowed}");
        Problem::new(ProblemKind::BadParameter, detail).naming(parameter).allowing(allowed)
    }

    /// The same as another kind of refusal.
    pub(crate) fn of_kind(mut self, kind: ProblemKind) -> Self {
        self.kind = kind;
        self
    }

    /// Names what was wrong.
    pub(crate) fn naming(mut self, parameter: &str) -> Self {
        self.more().parameter = Some(parameter.chars().take(DETAIL_CHARS_MAX).collect());
        self
    }

    /// Says what is allowed.
    pub(crate) fn allowing(mut self, allowed: &str) -> Self {
        self.more().allowed = Some(allowed.to_owned());
        self
    }

    /// Lists everything that was wrong.
    pub(crate) fn listing(mut self, errors: Vec<String>) -> Self {
        self.more().errors = errors;
        self
    }

    /// Says when to come back.
    pub(crate) fn after_seconds(mut self, seconds: u32) -> Self {
        self.more().retry_after_seconds = Some(seconds);
        self
    }

    /// What was wrong with this request.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// What kind it is.
    pub(crate) const fn kind(&self) -> ProblemKind {
        self.kind
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }
}

/// The documentation page of all refusals.
#[cfg(test)]
pub(crate) fn problems_page() -> String {
    let mut page = String::from(
        "# Refusals\n\n\
         Every refusal of the API is `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, and where they\n\
         help `parameter`, `allowed` and `errors`. The `type` is `urn:steadfast:problem:` and one of these names; names never\n\
         change. 429 and 503 say when to come back in `Retry-After`, where waiting helps. Nothing of a refused request is kept,\n\
         and no refusal repeats what a lead holds beyond a field's name. This page is generated from the code.\n\n\
         | status | name | meaning |\n|---|---|---|\n",
    );
    for kind in ProblemKind::ALL {
        page.push_str(&format!("| {} | `{}` | {} |\n", kind.status(), kind.slug(), kind.title()));
    }
    page
}

/// A value as a refusal may show it: quoted, on one line, short.
pub(crate) fn shown(value: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    let head: String = value.chars().take(SHOWN_CHARS_MAX).collect();
    let cut = if head.len() < value.len() { "…" } else { "" };
    format!("{head:?}{cut}")
}

impl Problem {
    /// The refusal as `write` writes it, under a media type.
    pub(crate) fn written(self, media_type: &'static str, write: impl FnOnce(&ProblemView<'_>) -> Vec<u8>) -> Response {
        let more = self.more.unwrap_or_default();
        let view = ProblemView {
            r#type: self.kind.urn(),
            title: self.kind.title(),
            status: self.kind.status(),
            detail: &self.detail,
            parameter: more.parameter.as_deref(),
            allowed: more.allowed.as_deref(),
            errors: &more.errors,
        };
        let mut response = Response::new(Body::from(write(&view)));
        *response.status_mut() = StatusCode::from_u16(self.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Some(seconds) = more.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind == ProblemKind::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"steadfast\""));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Plain text in plain structs: writing it cannot fail.
        self.written(MEDIA_TYPE, |view| serde_json::to_vec(view).unwrap_or_default())
    }
}

impl From<steadfast_store::StoreError> for Problem {
    fn from(error: steadfast_store::StoreError) -> Self {
        use steadfast_store::StoreError;
        match &error {
            StoreError::Full { .. } => Problem::new(ProblemKind::StoreFull, error.to_string()).after_seconds(30),
            StoreError::Stopped { .. } => Problem::new(ProblemKind::StoreStopped, error.to_string()),
            StoreError::Busy => Problem::new(ProblemKind::Busy, error.to_string()).after_seconds(1),
            StoreError::Unreadable { .. } => Problem::new(ProblemKind::StoreUnreadable, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DETAIL_CHARS_MAX, Problem, ProblemKind, shown};
    use std::collections::BTreeSet;

    #[test]
    fn types_are_unique_and_stable_in_shape() {
        let slugs: BTreeSet<&str> = ProblemKind::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(slugs.len(), ProblemKind::ALL.len());
        for kind in ProblemKind::ALL {
            assert!(kind.slug().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            assert!((400..600).contains(&kind.status()), "{kind:?}");
        }
    }

    #[test]
    fn what_is_shown_is_bounded() {
        assert_eq!(shown("a\nb"), "\"a\\nb\"");
        assert_eq!(shown(&"x".repeat(100)).chars().count(), 63);
        let problem = Problem::new(ProblemKind::DuplicateField, "ä".repeat(10_000));
        assert_eq!(problem.detail.chars().count(), DETAIL_CHARS_MAX + 1);
    }
}
