//! The request for a token, written out once: the same bytes each time, and a key that changes when any of them does.

use crate::mapping::describe_part;
use crate::request::sensitive;
use crate::request_settings::KeyPlace;
use crate::secret::Secret;
use crate::token_settings::{
    ClientAuth, OAuth2Settings, TOKEN_LIFETIME_DEFAULT, TOKEN_TIMEOUT_DEFAULT, TokenAt, TokenFormat, TokenGrant,
    TokenSettings,
};
use base64::Engine as _;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How a token is asked for, read and carried. Equal keys ask alike and may share a token.
#[derive(Clone)]
pub struct TokenAuth {
    /// SHA-256 over everything that is sent and how the answer is read; not over how the token is carried.
    pub key: [u8; 32],
    /// The method.
    pub method: Method,
    /// The whole address, query included.
    pub url: Arc<str>,
    /// Headers, credentials included.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; holds credentials.
    pub body: Bytes,
    /// Where the token stands in the answer.
    pub token: TokenAt,
    /// Where the seconds it is valid for stand.
    pub expires_in_path: Option<Box<str>>,
    /// How long it is valid where the answer does not say it.
    pub expires_in: Duration,
    /// Whether the answer may name another type than bearer.
    pub any_type: bool,
    /// How long asking may take.
    pub timeout: Duration,
    /// Where the token goes in a request to the recipient.
    pub place: KeyPlace,
    /// What stands before it in a header.
    pub prefix: Box<str>,
}

impl fmt::Debug for TokenAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Address, headers and body hold credentials; debug output may end in a log.
        f.debug_struct("TokenAuth")
            .field("method", &self.method)
            .field("token", &self.token)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// What goes out, before it is hashed.
struct Written {
    method: Method,
    url: Arc<str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl TokenAuth {
    /// From settings without a fault.
    pub(crate) fn new(settings: &TokenSettings) -> Self {
        let (written, token, expires_in_path, any_type) = match &settings.grant {
            TokenGrant::OAuth2(oauth2) => {
                let token = TokenAt::Path("access_token".into());
                (write_oauth2(settings, oauth2), token, Some("expires_in".into()), false)
            }
            TokenGrant::Custom(custom) => {
                let headers = custom.headers.iter().map(|(name, value)| (name.clone(), value)).collect::<Vec<_>>();
                let format = match custom.method {
                    Method::GET | Method::DELETE => TokenFormat::Query,
                    _ => custom.format,
                };
                let fields: Vec<_> = settings.fields.iter().map(|(name, value)| (&**name, value.reveal())).collect();
                let written = write(settings, custom.method.clone(), format, &headers, &fields);
                (written, custom.token.clone(), custom.expires_in_path.clone(), true)
            }
        };
        let expires_in = settings.expires_in.unwrap_or(TOKEN_LIFETIME_DEFAULT);
        TokenAuth {
            key: key_of(&written, &token, expires_in_path.as_deref(), expires_in),
            method: written.method,
            url: written.url,
            headers: written.headers,
            body: written.body,
            token,
            expires_in_path,
            expires_in,
            any_type,
            timeout: settings.timeout.unwrap_or(TOKEN_TIMEOUT_DEFAULT),
            place: settings.place.clone(),
            prefix: settings.prefix.clone(),
        }
    }
}

fn write_oauth2(settings: &TokenSettings, oauth2: &OAuth2Settings) -> Written {
    let (id, secret) = (oauth2.client_id.reveal(), oauth2.client_secret.reveal());
    let mut fields = vec![("grant_type", "client_credentials")];
    let mut headers = Vec::new();
    let basic = Secret::new(&basic(id, secret));
    match oauth2.client_auth {
        ClientAuth::Basic => headers.push((AUTHORIZATION, &basic)),
        ClientAuth::Body => fields.extend([("client_id", id), ("client_secret", secret)]),
    }
    for (name, value) in [("scope", &oauth2.scope), ("audience", &oauth2.audience), ("resource", &oauth2.resource)] {
        fields.extend(value.as_deref().map(|value| (name, value)));
    }
    fields.extend(settings.fields.iter().map(|(name, value)| (&**name, value.reveal())));
    write(settings, Method::POST, TokenFormat::Form, &headers, &fields)
}

/// Both are form-encoded first, as RFC 6749 section 2.3.1 asks: an id may hold a colon.
fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

fn write(
    settings: &TokenSettings,
    method: Method,
    format: TokenFormat,
    headers: &[(HeaderName, &Secret)],
    fields: &[(&str, &str)],
) -> Written {
    let form = || form_urlencoded::Serializer::new(String::new()).extend_pairs(fields.iter().copied()).finish();
    let mut url = Arc::from(settings.url.as_str());
    let (content_type, body) = match format {
        TokenFormat::Form => (Some("application/x-www-form-urlencoded"), form()),
        TokenFormat::Json => (Some("application/json"), json(fields)),
        TokenFormat::Query => {
            url = crate::request::with_query(&url, &form());
            (None, String::new())
        }
    };
    let mut written: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(headers.len() + 2);
    written.extend(content_type.map(|content_type| (CONTENT_TYPE, HeaderValue::from_static(content_type))));
    if !headers.iter().any(|(name, _)| *name == ACCEPT) {
        written.push((ACCEPT, HeaderValue::from_static("application/json")));
    }
    written.extend(headers.iter().filter_map(|(name, value)| Some((name.clone(), sensitive(value.reveal())?))));
    Written { method, url, headers: written, body: Bytes::from(body) }
}

fn json(fields: &[(&str, &str)]) -> String {
    let object: serde_json::Map<String, serde_json::Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), serde_json::Value::from(*value))).collect();
    serde_json::Value::Object(object).to_string()
}

fn key_of(written: &Written, token: &TokenAt, expires_in_path: Option<&str>, expires_in: Duration) -> [u8; 32] {
    let mut hash = Sha256::new();
    // Raised when this code would read the same answer otherwise.
    hash.update(b"steadfast token 1");
    describe_part(written.method.as_str().as_bytes(), &mut hash);
    describe_part(written.url.as_bytes(), &mut hash);
    for (name, value) in &written.headers {
        describe_part(name.as_str().as_bytes(), &mut hash);
        describe_part(value.as_bytes(), &mut hash);
    }
    // Two parts end the headers: names and values come in pairs, and no header has an empty name.
    describe_part(b"", &mut hash);
    describe_part(&written.body, &mut hash);
    match token {
        TokenAt::Path(path) => describe_part(path.as_bytes(), &mut hash),
        TokenAt::Header(name) => describe_part(format!("header {name}").as_bytes(), &mut hash),
    }
    describe_part(expires_in_path.unwrap_or("").as_bytes(), &mut hash);
    describe_part(&expires_in.as_millis().to_be_bytes(), &mut hash);
    hash.finalize().into()
}
