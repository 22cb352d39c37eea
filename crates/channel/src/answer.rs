//! What of an answer is kept: a bounded part of its headers, and the body as it was read.

use http::HeaderMap;
use http::header::SET_COOKIE;

/// How many headers of an answer are kept.
const HEADERS_MAX: usize = 64;
/// How many bytes of names and values are kept.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// The headers kept, in the order they came, names in lower case. `Set-Cookie` never is: it is a credential.
/// A header that does not fit any more is left out whole.
pub(crate) fn kept_headers(headers: &HeaderMap) -> Vec<(Box<str>, Box<str>)> {
    let mut kept = Vec::with_capacity(headers.len().min(HEADERS_MAX));
    let mut room = HEADER_BYTES_MAX;
    for (name, value) in headers.iter().filter(|(name, _)| **name != SET_COOKIE) {
        let value = String::from_utf8_lossy(value.as_bytes());
        let bytes = name.as_str().len() + value.len();
        if kept.len() == HEADERS_MAX {
            break;
        }
        if bytes <= room {
            room -= bytes;
            kept.push((name.as_str().into(), value.into()));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn headers_are_bounded_in_number_and_size_and_hold_no_cookies() {
        let mut headers = HeaderMap::new();
        headers.insert(SET_COOKIE, HeaderValue::from_static("session=s3cret"));
        headers.insert("x-long", HeaderValue::try_from("x".repeat(HEADER_BYTES_MAX)).unwrap());
        headers.insert("x-odd", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        for number in 0..100 {
            headers.insert(HeaderName::try_from(format!("x-{number}")).unwrap(), HeaderValue::from_static("v"));
        }
        let kept = kept_headers(&headers);
        assert_eq!(kept.len(), HEADERS_MAX);
        assert!(kept.iter().all(|(name, _)| &**name != "set-cookie" && &**name != "x-long"));
        assert!(kept.contains(&("x-odd".into(), "caf\u{fffd}".into())));
    }
}
