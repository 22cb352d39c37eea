//! Bodies: whole, in time, within bounds, and of a media type that is understood.

use crate::body_room::{BodyPart, BodyRoom};
use crate::problem::{Problem, ProblemKind, shown};
use crate::state::{ApiState, RequestLimits};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

/// What a body is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/xml`.
    Xml,
    /// `text/xml`.
    TextXml,
    /// `application/x-ndjson`.
    NdJson,
    /// `application/jsonl`.
    JsonLines,
    /// `text/csv`.
    Csv,
}

impl Media {
    /// As written in headers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Media::Json => "application/json",
            Media::Form => "application/x-www-form-urlencoded",
            Media::Xml => "application/xml",
            Media::TextXml => "text/xml",
            Media::NdJson => "application/x-ndjson",
            Media::JsonLines => "application/jsonl",
            Media::Csv => "text/csv",
        }
    }
}

/// The media type of a body.
///
/// # Errors
/// 415 unless it is one of `understood`, in UTF-8 and not compressed.
pub(crate) fn media(headers: &HeaderMap, understood: &[Media]) -> Result<Media, Problem> {
    let names: Vec<&str> = understood.iter().map(|media| media.name()).collect();
    let refused = |detail: String| {
        Problem::new(ProblemKind::UnsupportedMediaType, detail).naming("Content-Type").allowing(&names.join(" or "))
    };
    if let Some(coding) =
        headers.get(CONTENT_ENCODING).filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        let detail = format!("Content-Encoding {} is not understood: send the body as it is", said(coding.as_bytes()));
        return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail).naming("Content-Encoding"));
    }
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Err(refused(format!("there is no Content-Type: send {}", names.join(" or "))));
    };
    let unknown =
        || refused(format!("Content-Type {} is not understood: send {}", said(value.as_bytes()), names.join(" or ")));
    let text = value.to_str().map_err(|_| unknown())?;
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or("");
    let media =
        understood.iter().copied().find(|media| essence.eq_ignore_ascii_case(media.name())).ok_or_else(unknown)?;
    let charset = parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("charset"));
    match charset {
        Some((_, charset)) if !is_utf8(charset.trim_matches('"')) => {
            Err(refused(format!("charset {} is not understood: send UTF-8", shown(charset))))
        }
        Some(_) | None => Ok(media),
    }
}

/// UTF-8, in its ways of writing, or the part of it that is ASCII.
fn is_utf8(charset: &str) -> bool {
    ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|name| charset.eq_ignore_ascii_case(name))
}

/// Whether a media type is given, and it is none of `understood`.
pub(crate) fn is_foreign(headers: &HeaderMap, understood: &[Media]) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        !understood.iter().any(|media| essence.eq_ignore_ascii_case(media.name().as_bytes()))
    })
}

fn said(value: &[u8]) -> String {
    shown(&String::from_utf8_lossy(value))
}

/// The whole body. Not copied where it came in one piece.
///
/// # Errors
/// 413 beyond the bound, 408 when it comes too slowly, 400 when it breaks off, 429 when others fill the memory for bodies.
pub(crate) async fn whole(headers: &HeaderMap, body: Body, state: &ApiState) -> Result<Bytes, Problem> {
    read(headers, body, state.limits(), state.bodies()).await
}

async fn read(headers: &HeaderMap, body: Body, limits: &RequestLimits, room: &BodyRoom) -> Result<Bytes, Problem> {
    let max = limits.body_bytes_max;
    let too_large = || Problem::new(ProblemKind::BodyTooLarge, format!("the body has more than {max} bytes"));
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > max)) {
        return Err(too_large());
    }
    let slow = |_| {
        let seconds = limits.body_timeout.as_secs();
        Problem::new(ProblemKind::BodyTooSlow, format!("the body did not come within {seconds} s"))
    };
    let mut part = room.part();
    let pieces = tokio::time::timeout(limits.body_timeout, pieces(body, max, &mut part)).await.map_err(slow)??;
    pieces.ok_or_else(too_large)
}

/// `None` beyond `max`.
async fn pieces(mut body: Body, max: usize, part: &mut BodyPart) -> Result<Option<Bytes>, Problem> {
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| Problem::new(ProblemKind::BodyBroken, "the connection broke off within the body"))?;
        let Ok(data) = frame.into_data() else { continue };
        let bytes = first.len() + all.len() + data.len();
        if bytes > max {
            return Ok(None);
        }
        part.grow_to(bytes)?;
        if bytes == data.len() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(Some(if all.is_empty() { first } else { all.freeze() }))
}

/// Reads the JSON a request of ours carries; none reads as `{}`.
///
/// # Errors
/// As [`whole`], [`media`] and [`read_json`].
pub(crate) async fn asked<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    state: &ApiState,
) -> Result<T, Problem> {
    let body = whole(headers, body, state).await?;
    if !body.is_empty() || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0") {
        media(headers, &[Media::Json])?;
    }
    read_json(&body)
}

/// Reads a JSON body of ours (not a lead) into its type. An empty body reads as `{}`.
///
/// # Errors
/// 400 for what is not JSON, 422 for JSON of another shape; both say where.
pub(crate) fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::new(ProblemKind::BadRequest, error.to_string()),
        serde_json::error::Category::Syntax | serde_json::error::Category::Eof | serde_json::error::Category::Io => {
            Problem::new(ProblemKind::MalformedJson, error.to_string())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Media, media, read};
    use crate::body_room::BodyRoom;
    use crate::state::RequestLimits;
    use axum::body::Body;
    use bytes::Bytes;
    use http::HeaderMap;
    use std::time::Duration;

    fn of(content_type: &str) -> Result<Media, String> {
        let headers = HeaderMap::from_iter([("content-type".parse().unwrap(), content_type.parse().unwrap())]);
        media(&headers, &[Media::Json, Media::Form]).map_err(|problem| problem.kind().slug().to_owned())
    }

    #[test]
    fn media_types() {
        assert_eq!(of("application/json"), Ok(Media::Json));
        assert_eq!(of("Application/JSON; charset=UTF-8"), Ok(Media::Json));
        assert_eq!(of("application/json;charset=us-ascii"), Ok(Media::Json));
        assert_eq!(of("application/x-www-form-urlencoded; charset=\"utf-8\""), Ok(Media::Form));
        for bad in ["text/plain", "application/json; charset=latin1", "application/jsonp", "", "multipart/form-data"] {
            assert_eq!(of(bad), Err("unsupported-media-type".to_owned()), "{bad}");
        }
    }

    #[tokio::test]
    async fn bodies_are_bounded_in_size_and_time() {
        let limits =
            RequestLimits { body_bytes_max: 4, body_timeout: Duration::from_millis(20), ..RequestLimits::default() };
        let (none, room) = (HeaderMap::new(), BodyRoom::of(1_024));
        assert_eq!(read(&none, Body::from("1234"), &limits, &room).await.unwrap(), "1234");
        let slug = |refused: Result<Bytes, crate::problem::Problem>| refused.unwrap_err().kind().slug();
        assert_eq!(slug(read(&none, Body::from("12345"), &limits, &room).await), "body-too-large");
        let long = HeaderMap::from_iter([("content-length".parse().unwrap(), "5".parse().unwrap())]);
        assert_eq!(slug(read(&long, Body::empty(), &limits, &room).await), "body-too-large");
        let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(slug(read(&none, never, &limits, &room).await), "body-too-slow");
        let broken = Body::from_stream(futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]));
        let held = {
            let mut held = room.part();
            held.grow_to(1).unwrap();
            held
        };
        assert_eq!(slug(read(&none, Body::from("1"), &limits, &room).await), "busy");
        drop(held);
        assert_eq!(slug(read(&none, broken, &limits, &room).await), "body-broken");
    }
}
