//! How a request says who it is from, made of its settings.
//!
//! Never prints a credential.

use crate::place::{Fault, Place};
use crate::request::sensitive;
use crate::request_settings::{Auth, KeyPlace};
use crate::signature::SigningKey;
use crate::token_request::TokenAuth;
use base64::Engine as _;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

/// The pair that goes into the query.
pub(crate) fn key_in_query(auth: Option<&Auth>) -> Option<Arc<str>> {
    match auth {
        Some(Auth::ApiKey { place: KeyPlace::Query(name), key }) => {
            let mut pair = form_urlencoded::Serializer::new(String::new());
            Some(pair.append_pair(name, key.reveal()).finish().into())
        }
        Some(
            Auth::ApiKey { place: KeyPlace::Header(_), .. }
            | Auth::Basic { .. }
            | Auth::Bearer { .. }
            | Auth::Token(_)
            | Auth::Signature { .. },
        )
        | None => None,
    }
}

/// The token it carries.
pub(crate) fn token(auth: Option<&Auth>) -> Option<Arc<TokenAuth>> {
    match auth {
        Some(Auth::Token(settings)) => Some(Arc::new(TokenAuth::new(settings))),
        Some(Auth::ApiKey { .. } | Auth::Basic { .. } | Auth::Bearer { .. } | Auth::Signature { .. }) | None => None,
    }
}

/// What it is signed with.
pub(crate) fn signing(auth: Option<&Auth>) -> Option<Arc<SigningKey>> {
    match auth {
        Some(Auth::Signature { secret }) => SigningKey::parse(secret).map(Arc::new),
        Some(Auth::ApiKey { .. } | Auth::Basic { .. } | Auth::Bearer { .. } | Auth::Token(_)) | None => None,
    }
}

/// The header that carries the credentials, where a fixed one does.
pub(crate) fn auth_header(auth: &Auth) -> Result<Option<(HeaderName, HeaderValue)>, Fault> {
    let (key, name, text) = match auth {
        Auth::Basic { username, password } => {
            let pair = format!("{}:{}", username.reveal(), password.reveal());
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            ("auth.password", AUTHORIZATION, format!("Basic {encoded}"))
        }
        Auth::Bearer { token } => ("auth.token", AUTHORIZATION, format!("Bearer {}", token.reveal())),
        Auth::ApiKey { place: KeyPlace::Header(name), key } => ("auth.key", name.clone(), key.reveal().to_owned()),
        Auth::ApiKey { place: KeyPlace::Query(_), .. } | Auth::Token(_) | Auth::Signature { .. } => return Ok(None),
    };
    match sensitive(&text) {
        Some(value) => Ok(Some((name, value))),
        None => Err(Fault::unseen(Place::of(key), "has characters a header cannot carry", "visible ASCII and spaces")),
    }
}
