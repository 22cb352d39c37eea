//! From a token endpoint's answer to a token and how long it is good. Says what is wrong, never what stood there.

use http::HeaderName;
use serde_json::Value;
use std::time::Duration;
use steadfast_retry::Answer;

/// How long a token may be, in bytes: what a header can carry.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// How long a token may be said to be good, in seconds: ten years, as some services say for "for ever".
const LIFETIME_SECONDS_MAX: u64 = 10 * 366 * 86_400;
/// How long one is kept whatever was said.
const KEPT_MAX: Duration = Duration::from_secs(86_400);

/// Where a token stands in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenAt {
    /// In its JSON body, by a dot path such as `data.items[0].token`.
    Path(Box<str>),
    /// In a header.
    Header(HeaderName),
}

/// How an answer is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenShape {
    /// Where the token stands.
    pub token: TokenAt,
    /// Where the seconds it is good for stand in its JSON body.
    pub expires_in_path: Option<Box<str>>,
    /// How long it is good where the answer does not say it.
    pub expires_in: Duration,
    /// Whether the answer may name another `token_type` than bearer.
    pub any_type: bool,
}

/// A token as it was given.
#[derive(PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) token: Box<str>,
    pub(super) lifetime: Duration,
}

/// Reads a 2xx answer; what is wrong with it otherwise, continuing "its answer ...".
pub(super) fn read(answer: &Answer, shape: &TokenShape) -> Result<Grant, &'static str> {
    let needs_body = matches!(shape.token, TokenAt::Path(_)) || shape.expires_in_path.is_some();
    let body = if needs_body { serde_json::from_slice(&answer.body).map_err(|_| "is not JSON")? } else { Value::Null };
    let token = match &shape.token {
        TokenAt::Path(path) => match at(&body, path) {
            Some(Value::String(text)) => text.as_str(),
            Some(_) => return Err("has something else than a text where the token should be"),
            None => return Err("holds no token"),
        },
        TokenAt::Header(name) => answer.header(name.as_str()).ok_or("holds no token")?,
    };
    if token.is_empty() {
        return Err("holds an empty token");
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err("holds a token longer than 16384 bytes");
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("holds a token with characters no token has");
    }
    if !shape.any_type && !is_bearer(&body) {
        return Err("holds a token of another type than bearer");
    }
    Ok(Grant { token: token.into(), lifetime: lifetime(&body, shape)?.min(KEPT_MAX) })
}

/// Absent counts as bearer, and so does what begins with it in any case.
fn is_bearer(body: &Value) -> bool {
    match body.get("token_type") {
        None | Some(Value::Null) => true,
        Some(Value::String(kind)) => kind.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("bearer")),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => false,
    }
}

fn lifetime(body: &Value, shape: &TokenShape) -> Result<Duration, &'static str> {
    const ABSURD: &str = "says an absurd time for which the token is good";
    let said = shape.expires_in_path.as_deref().and_then(|path| at(body, path));
    let seconds = match said {
        None | Some(Value::Null) => return Ok(shape.expires_in),
        // Whole seconds; some services write them as a text, or with decimals.
        Some(Value::Number(number)) => number.as_u64().or_else(|| number.as_f64().and_then(whole)),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
    };
    let seconds = seconds.filter(|seconds| (1..=LIFETIME_SECONDS_MAX).contains(seconds)).ok_or(ABSURD)?;
    Ok(Duration::from_secs(seconds))
}

fn whole(seconds: f64) -> Option<u64> {
    Duration::try_from_secs_f64(seconds).ok().map(|duration| duration.as_secs())
}

/// The value at a dot path. The path was checked with the configuration; one that leads nowhere finds nothing.
pub(super) fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, part| {
        let (name, indexes) = part.find('[').map_or((part, ""), |bracket| part.split_at(bracket));
        let value = if name.is_empty() { value } else { value.get(name)? };
        let indexes = indexes.split(['[', ']']).filter(|index| !index.is_empty());
        indexes.into_iter().try_fold(value, |value, index| value.get(index.parse::<usize>().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn answer(body: &str, headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Answer { status: 200, headers, body: Bytes::from(body.to_owned()), body_bytes: body.len() as u64 }
    }

    fn oauth2() -> TokenShape {
        let token = TokenAt::Path("access_token".into());
        TokenShape { token, expires_in_path: Some("expires_in".into()), expires_in: SAID_BY_NOBODY, any_type: false }
    }

    const SAID_BY_NOBODY: Duration = Duration::from_secs(300);

    #[test]
    fn lifetimes_are_read_as_services_write_them() {
        for (said, seconds) in
            [("3600", 3_600), ("\"3600\"", 3_600), ("59.9", 59), ("1", 1), ("null", 300), ("315360000", 86_400)]
        {
            let read = read(&answer(&format!(r#"{{"access_token":"t","expires_in":{said}}}"#), &[]), &oauth2());
            assert_eq!(read.map(|grant| grant.lifetime.as_secs()), Ok(seconds), "{said}");
        }
        for said in ["0", "-5", "0.5", "1e300", "99999999999999999999", "\"soon\"", "[]", "true", "\"\""] {
            let read = read(&answer(&format!(r#"{{"access_token":"t","expires_in":{said}}}"#), &[]), &oauth2());
            let said_wrong = read.map(|_| ()).unwrap_err();
            assert_eq!(said_wrong, "says an absurd time for which the token is good", "{said}");
        }
    }

    #[test]
    fn tokens_are_found_by_path_and_by_header() {
        let deep = r#"{"data":{"items":[{"x":1},{"tok en":"abc"}]}}"#;
        let by = |token| TokenShape { token, expires_in_path: None, expires_in: SAID_BY_NOBODY, any_type: true };
        let path = |path: &str| by(TokenAt::Path(path.into()));
        let token = |read: Result<Grant, &'static str>| read.map(|grant| grant.token.to_string());
        assert_eq!(token(read(&answer(deep, &[]), &path("data.items[1].tok en"))), Ok("abc".to_owned()));
        for nowhere in ["data.items[2].x", "data[0]", "data.items.x", "none"] {
            assert_eq!(token(read(&answer(deep, &[]), &path(nowhere))), Err("holds no token"), "{nowhere}");
        }
        assert_eq!(at(&serde_json::json!([[1, 2], [3]]), "[0][1]"), Some(&serde_json::json!(2)));
        let header = by(TokenAt::Header(HeaderName::from_static("x-token")));
        assert_eq!(token(read(&answer("not JSON", &[("x-token", "abc")]), &header)), Ok("abc".to_owned()));
        assert_eq!(token(read(&answer("", &[]), &header)), Err("holds no token"));
    }

    #[test]
    fn nonsense_is_named_without_being_repeated() {
        let long = format!(r#"{{"access_token":"{}"}}"#, "s3cret".repeat(3_000));
        for (body, wrong) in [
            ("<html>s3cret</html>", "is not JSON"),
            ("", "is not JSON"),
            ("[\"s3cret\"]", "holds no token"),
            (r#"{"access_token":null,"x":"s3cret"}"#, "has something else than a text where the token should be"),
            (r#"{"access_token":17}"#, "has something else than a text where the token should be"),
            (r#"{"access_token":""}"#, "holds an empty token"),
            (r#"{"access_token":"s3cret\r\nX-Evil: 1"}"#, "holds a token with characters no token has"),
            (r#"{"access_token":"s3cret ü"}"#, "holds a token with characters no token has"),
            (r#"{"access_token":"s3cret","token_type":"mac"}"#, "holds a token of another type than bearer"),
            (r#"{"access_token":"s3cret","token_type":7}"#, "holds a token of another type than bearer"),
            (&long, "holds a token longer than 16384 bytes"),
        ] {
            assert_eq!(read(&answer(body, &[]), &oauth2()).map(|_| ()), Err(wrong), "{body}");
        }
        for kind in ["\"Bearer\"", "\"bearer\"", "\"BearerToken\"", "null"] {
            let body = format!(r#"{{"access_token":"t","token_type":{kind}}}"#);
            assert!(read(&answer(&body, &[]), &oauth2()).is_ok(), "{kind}");
        }
    }
}
