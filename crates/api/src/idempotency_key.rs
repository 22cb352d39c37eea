//! The `Idempotency-Key` header: a quoted string as its draft wants it, or bare as most clients send it.

use crate::problem::{Problem, ProblemKind};
use http::{HeaderMap, HeaderName};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const KEY_BYTES_MAX: usize = 255;

/// The key of a request, if it has one.
///
/// # Errors
/// 400 unless it is 1 to 255 printable ASCII characters, once.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<Box<str>>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(bad("it stands more than once"));
    }
    let text = value.as_bytes().trim_ascii();
    if !text.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return Err(bad("it holds a character that is not printable ASCII"));
    }
    let text = std::str::from_utf8(text).map_err(|_| bad("it is not ASCII"))?;
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquoted(quoted).ok_or_else(|| bad("its quotes do not match"))?,
        None => text.to_owned(),
    };
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(bad(&format!("it has {} characters", key.len())));
    }
    Ok(Some(key.into()))
}

/// What stands before the closing quote, which must be the end; `\"` and `\\` are the only escapes.
fn unquoted(text: &str) -> Option<String> {
    let mut key = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => return chars.next().is_none().then_some(key),
            '\\' => key.push(chars.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            other => key.push(other),
        }
    }
    None
}

fn bad(what: &str) -> Problem {
    let detail = format!("{what}: allowed are 1 to {KEY_BYTES_MAX} printable ASCII characters, bare or in quotes");
    Problem::new(ProblemKind::BadIdempotencyKey, detail).naming("Idempotency-Key")
}

#[cfg(test)]
mod tests {
    use super::idempotency_key;
    use http::{HeaderMap, HeaderValue};

    fn read(value: &str) -> Result<Option<Box<str>>, &'static str> {
        let headers = HeaderMap::from_iter([(
            "idempotency-key".parse().unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )]);
        idempotency_key(&headers).map_err(|problem| problem.kind().slug())
    }

    #[test]
    fn bare_and_quoted() {
        assert_eq!(idempotency_key(&HeaderMap::new()), Ok(None));
        assert_eq!(read("abc-1"), Ok(Some("abc-1".into())));
        assert_eq!(read("\"abc-1\""), Ok(Some("abc-1".into())));
        assert_eq!(read(r#""a\"b\\c""#), Ok(Some(r#"a"b\c"#.into())));
        assert_eq!(read(&"k".repeat(255)), Ok(Some("k".repeat(255).into())));
        let bad = ["", "\"\"", "\"abc", "\"a\"b", r#""a\n""#, "ä", &"k".repeat(256), "a\tb"];
        for bad in bad {
            assert_eq!(read(bad), Err("bad-idempotency-key"), "{bad}");
        }
    }

    #[test]
    fn once() {
        let mut headers = HeaderMap::new();
        headers.append("idempotency-key", HeaderValue::from_static("a"));
        headers.append("idempotency-key", HeaderValue::from_static("a"));
        assert!(idempotency_key(&headers).is_err());
    }
}
