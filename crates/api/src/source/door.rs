//! Who may post by a source: its own keys, keys of the server, or anybody where it is open.

use crate::auth::Scope;
use crate::problem::{Problem, ProblemKind};
use crate::state::ApiState;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use steadfast_flow::{FlowPlan, SourceSettings};
use subtle::ConstantTimeEq;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Headers and fields that may hold a key in one request; more are not looked at.
const PRESENTED_MAX: usize = 8;

/// The keys in a request's headers: as bearer, as the password of basic, or in `X-API-Key`.
pub(crate) fn presented(headers: &HeaderMap) -> Vec<Vec<u8>> {
    let authorization = headers.get_all(AUTHORIZATION).iter().filter_map(|value| of_authorization(value.as_bytes()));
    let plain = headers.get_all(X_API_KEY).iter().map(|value| value.as_bytes().trim_ascii().to_vec());
    authorization.chain(plain).take(PRESENTED_MAX).collect()
}

fn of_authorization(value: &[u8]) -> Option<Vec<u8>> {
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = value.split_at_checked(space)?;
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.to_vec());
    }
    let decoded = STANDARD.decode(rest).ok().filter(|_| scheme.eq_ignore_ascii_case(b"basic"))?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    decoded.get(colon + 1..).map(<[u8]>::to_vec)
}

/// Whether a request with these keys may post by a source of this flow.
///
/// # Errors
/// 401 for no key or an unknown one, 403 for one that may not.
pub(crate) fn may_post(
    state: &ApiState,
    flow: &FlowPlan,
    source: &SourceSettings,
    presented: &[Vec<u8>],
) -> Result<(), Problem> {
    let server_keys = state.keys();
    if source.open || (source.keys.is_empty() && server_keys.is_empty()) {
        return Ok(());
    }
    let mut refused = Problem::new(
        ProblemKind::Unauthenticated,
        "send this source's key as Authorization: Bearer, as the password of Basic, or as X-API-Key",
    );
    for key in presented {
        if opens(source, key) {
            return Ok(());
        }
        match server_keys.admit(key, Scope::Ingest) {
            Ok(caller) if caller.account().is_none_or(|own| flow.account.as_ref() == Some(own)) => return Ok(()),
            Ok(_) => refused = Problem::new(ProblemKind::Forbidden, "this key is limited to another account"),
            Err(problem) => refused = problem,
        }
    }
    Err(refused)
}

/// Looks at every key, whichever it is.
fn opens(source: &SourceSettings, key: &[u8]) -> bool {
    let hash: [u8; 32] = Sha256::digest(key).into();
    source.keys.iter().fold(false, |found, known| found | bool::from(known.ct_eq(&hash)))
}

#[cfg(test)]
mod tests {
    use super::presented;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn keys_come_in_three_ways() {
        let of = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            presented(&headers).into_iter().map(|key| String::from_utf8(key).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(of("authorization", "Bearer  sf_a "), ["sf_a"]);
        assert_eq!(of("authorization", "basic QVBJOnNmX2E6Yg=="), ["sf_a:b"]);
        assert_eq!(of("x-api-key", " sf_a"), ["sf_a"]);
        for nothing in ["Bearer", "Basic !!", "Basic QVBJ", "Digest sf_a"] {
            assert_eq!(of("authorization", nothing), [""; 0], "{nothing}");
        }
    }
}
