//! How a request is made from a lead.
//!
//! Everything that can be checked before a lead comes is checked when the request is built, so that rendering fails only for
//! what a lead holds. No value of a lead reaches a header but through a template, and none ends its line.

use crate::address::Address;
use crate::credentials::{auth_header, key_in_query, signing, token};
use crate::lookups::Lookups;
use crate::mapping::{FieldSettings, FieldType, Mapping, describe_part};
use crate::place::Fault;
use crate::recipe::{BODY_BYTES_MAX, Cooked, Recipe};
use crate::request_settings::{Auth, Format, RequestSettings};
use crate::signature::SigningKey;
use crate::template::{MASK, scan};
use crate::token_request::TokenAuth;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::Lead;

/// How long an address with its query may be, in bytes.
pub const URL_BYTES_MAX: usize = 16_384;

/// A request as it goes out, but for the headers that differ per attempt.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The method.
    pub method: Method,
    /// The whole address, query included.
    pub url: Arc<str>,
    /// Headers, authentication included.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
    /// SHA-256 over method, address (without an API key) and body: the same on every attempt of a revision.
    pub digest: [u8; 32],
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Address and body hold lead data, and the address may hold a key; debug output may end in a log.
        f.debug_struct("Rendered")
            .field("method", &self.method)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A request to look at: nothing in it is a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Preview {
    /// The method.
    pub method: Method,
    /// The whole address; an API key in it is `***`.
    pub url: Arc<str>,
    /// Headers; credentials and fixed values an operator configured are `***`.
    pub headers: Vec<(HeaderName, String)>,
    /// The body, secrets in it being `***`.
    pub body: Bytes,
    /// The digest of what would be sent.
    pub digest: [u8; 32],
    /// Fields whose value does not fit the type they are declared with, and so went as they came.
    pub unfit: Vec<(Box<str>, FieldType)>,
}

impl fmt::Debug for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preview").field("method", &self.method).finish_non_exhaustive()
    }
}

/// How long each part of an attempt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTimeouts {
    /// Looking the host up.
    pub resolve: Duration,
    /// Opening the connection.
    pub connect: Duration,
    /// The TLS handshake.
    pub secure: Duration,
    /// From the start of the attempt to the first byte of the answer.
    pub first_byte: Duration,
    /// The whole attempt.
    pub total: Duration,
}

impl RequestTimeouts {
    /// `total` for the attempt; `connect` for each of lookup, connection and handshake, never longer than `total`.
    pub fn new(total: Duration, connect: Duration) -> Self {
        let connect = connect.min(total);
        RequestTimeouts { resolve: connect, connect, secure: connect, first_byte: total, total }
    }
}

/// A lead that does not fit the mapping. Names fields, never their values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderFailed {
    /// A list of lists or of objects has no form.
    #[error("field {field:?} is a list of lists or objects, which a form or query cannot carry; send it as JSON")]
    Nested {
        /// The field, its head where it is long.
        field: String,
    },
    /// A template failed for this lead.
    #[error("{template}: {reason}")]
    Template {
        /// Which, by its place in the request's settings.
        template: String,
        /// Why, without a value of the lead.
        reason: String,
    },
    /// What the template made is no JSON.
    #[error("the body is not JSON at line {line}, column {column}; print texts inside quotes, or with the filter json")]
    NotJson {
        /// Where, from 1.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// What XML cannot carry.
    #[error("{field:?} {problem}")]
    NotXml {
        /// The field or element.
        field: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The body is too long.
    #[error("the body would have {bytes} bytes, at most {BODY_BYTES_MAX} are sent")]
    BodyTooLong {
        /// How long it would be.
        bytes: usize,
    },
    /// What the template made is no address.
    #[error("request.url: makes no address: a value may be missing or climb out of its path")]
    BadUrl,
    /// What the template made cannot be a header's value.
    #[error("request.headers.{header}: makes what a header cannot carry: only visible ASCII and spaces")]
    BadHeader {
        /// Which header.
        header: String,
    },
    /// The query is too long.
    #[error("the address would have {bytes} bytes, at most {URL_BYTES_MAX} are sent; send the fields in a body")]
    UrlTooLong {
        /// How long it would be.
        bytes: usize,
    },
}

impl RenderFailed {
    /// Of a list that holds more than plain values.
    pub(crate) fn nested(field: &str) -> Self {
        RenderFailed::Nested { field: head(field) }
    }

    /// Of a template, by its place.
    pub(crate) fn template(place: &str, reason: String) -> Self {
        RenderFailed::Template { template: place.to_owned(), reason }
    }

    /// Of what XML cannot carry.
    pub(crate) fn not_xml(field: &str, problem: &'static str) -> Self {
        RenderFailed::NotXml { field: head(field), problem }
    }
}

/// As much of a field's name as is shown.
fn head(field: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    field.chars().take(SHOWN_CHARS_MAX).collect()
}

/// How a request is made: checked, and ready for any lead.
#[derive(Clone)]
pub struct Request {
    method: Method,
    address: Address,
    format: Format,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Added to the query after the digest is taken, so that a changed key is no changed request.
    key_in_query: Option<Arc<str>>,
    token: Option<Arc<TokenAuth>>,
    signing: Option<Arc<SigningKey>>,
    mapping: Mapping,
    /// `None` where nothing but the lead's fields goes out.
    recipe: Option<Arc<Recipe>>,
    mapping_version: u64,
    timeouts: RequestTimeouts,
    response_bytes_max: usize,
}

impl Request {
    /// From settings, with the specification's defaults where nothing was said.
    ///
    /// # Errors
    /// Every [`Fault`] found, not only the first.
    pub fn build(
        settings: &RequestSettings,
        auth: Option<&Auth>,
        declared: &[FieldSettings],
    ) -> Result<Self, Vec<Fault>> {
        Request::build_with(settings, auth, declared, &Arc::default())
    }

    /// The same, with tables and secrets for its templates.
    ///
    /// # Errors
    /// Every [`Fault`] found, not only the first.
    pub fn build_with(
        settings: &RequestSettings,
        auth: Option<&Auth>,
        declared: &[FieldSettings],
        lookups: &Arc<Lookups>,
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = settings.faults(auth);
        let address = settings.url.clone();
        let headers = headers(settings, auth, &mut faults);
        let recipe = Recipe::build(settings, declared, lookups);
        faults.extend(recipe.as_ref().err().into_iter().flatten().cloned());
        let (Some(address), Ok(recipe), true) = (address, recipe, faults.is_empty()) else {
            return Err(faults);
        };
        let mapping = Mapping::new(declared, &settings.fields);
        let method = settings.effective_method();
        let format = settings.effective_format();
        Ok(Request {
            mapping_version: version_of(&method, &address, format, &mapping, recipe.as_ref()),
            method,
            address,
            format,
            headers,
            key_in_query: key_in_query(auth),
            token: token(auth),
            signing: signing(auth),
            mapping,
            recipe: recipe.map(Arc::new),
            timeouts: RequestTimeouts::new(settings.effective_timeout(), settings.effective_connect_timeout()),
            response_bytes_max: settings.effective_response_bytes_max(),
        })
    }

    /// Makes the request for a lead. The same lead and the same mapping give the same bytes.
    ///
    /// # Errors
    /// [`RenderFailed`] when this lead does not fit the mapping.
    pub fn render(&self, lead: &Lead) -> Result<Rendered, RenderFailed> {
        let Some(recipe) = &self.recipe else {
            let (url, body) = self.plain(lead)?;
            let digest = digest(&self.method, &url, &body);
            return self.rendered(url, body, self.headers.clone(), digest);
        };
        let cooked = recipe.cook(lead, &self.address, &self.mapping, false)?;
        let digest = self.cooked_digest(recipe, lead, &cooked)?;
        let headers = self.headers.iter().cloned().chain(cooked.headers).collect();
        self.rendered(cooked.url, cooked.body, headers, digest)
    }

    /// The same without a credential in it, for people to look at: secrets and configured header values are `***`.
    ///
    /// # Errors
    /// [`RenderFailed`] when this lead does not fit the mapping.
    pub fn preview(&self, lead: &Lead) -> Result<Preview, RenderFailed> {
        let rendered = self.render(lead)?;
        let (url, body, made) = match &self.recipe {
            Some(recipe) => {
                let cooked = recipe.cook(lead, &self.address, &self.mapping, true)?;
                (cooked.url, cooked.body, cooked.headers)
            }
            None => {
                let (url, body) = self.plain(lead)?;
                (url, body, Vec::new())
            }
        };
        let url = match &self.key_in_query {
            Some(pair) => with_query(&url, &masked_pair(pair)),
            None => url,
        };
        let fixed = self.headers.iter().map(|(name, value)| (name, value, value.is_sensitive()));
        let made = made.iter().map(|(name, value)| (name, value, false));
        let headers = fixed.chain(made).map(|(name, value, hidden)| shown_header(name, value, hidden)).collect();
        let unfit = self.mapping.unfit(&lead.fields);
        Ok(Preview { method: rendered.method, url, headers, body, digest: rendered.digest, unfit })
    }

    fn plain(&self, lead: &Lead) -> Result<(Arc<str>, Bytes), RenderFailed> {
        let url = || Arc::from(self.address.as_str());
        match self.format {
            Format::Form => Ok((url(), Bytes::from(self.mapping.write_pairs(&lead.fields)?))),
            Format::Query => {
                Ok((with_query(self.address.as_str(), &self.mapping.write_pairs(&lead.fields)?), Bytes::new()))
            }
            // The others always have a recipe.
            Format::Json | Format::Xml | Format::Soap | Format::Text => Ok((url(), self.json(lead)?)),
        }
    }

    /// Over what is made with secrets masked, so that a changed secret is no changed request.
    fn cooked_digest(&self, recipe: &Recipe, lead: &Lead, cooked: &Cooked) -> Result<[u8; 32], RenderFailed> {
        if !recipe.holds_secrets() {
            return Ok(digest(&self.method, &cooked.url, &cooked.body));
        }
        let masked = recipe.cook(lead, &self.address, &self.mapping, true)?;
        Ok(digest(&self.method, &masked.url, &masked.body))
    }

    fn rendered(
        &self,
        url: Arc<str>,
        body: Bytes,
        headers: Vec<(HeaderName, HeaderValue)>,
        digest: [u8; 32],
    ) -> Result<Rendered, RenderFailed> {
        let url = match &self.key_in_query {
            Some(pair) => with_query(&url, pair),
            None => url,
        };
        if url.len() > URL_BYTES_MAX {
            return Err(RenderFailed::UrlTooLong { bytes: url.len() });
        }
        Ok(Rendered { method: self.method.clone(), url, headers, body, digest })
    }

    fn json(&self, lead: &Lead) -> Result<Bytes, RenderFailed> {
        /// A usual lead fits without growing.
        const USUAL_BODY_BYTES: usize = 1_024;
        let mut body = Vec::with_capacity(USUAL_BODY_BYTES);
        self.mapping.write_json(&lead.fields, &mut body)?;
        Ok(Bytes::from(body))
    }

    /// Changes when another version would make other bytes of some lead: over method, address, format, field declarations,
    /// fixed fields, body, templates and the tables they name; not over credentials, secrets, fixed headers and timeouts.
    pub const fn mapping_version(&self) -> u64 {
        self.mapping_version
    }

    /// The method.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// Where it goes.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// How the fields are written.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// How long each part may take.
    pub const fn timeouts(&self) -> RequestTimeouts {
        self.timeouts
    }

    /// The token it carries, where it needs one. Not in what is rendered: it changes between attempts, the request does not.
    pub const fn token(&self) -> Option<&Arc<TokenAuth>> {
        self.token.as_ref()
    }

    /// What it is signed with, where it is. Not in what is rendered: a signature holds the time of its attempt.
    pub const fn signing(&self) -> Option<&Arc<SigningKey>> {
        self.signing.as_ref()
    }

    /// How much of an answer's body is read, in bytes.
    pub const fn response_bytes_max(&self) -> usize {
        self.response_bytes_max
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("address", &self.address)
            .field("format", &self.format)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

pub(crate) fn with_query(url: &str, pairs: &str) -> Arc<str> {
    if pairs.is_empty() {
        return Arc::from(url);
    }
    let joint = match url.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, query)) if query.ends_with('&') => "",
        Some(_) => "&",
    };
    Arc::from(format!("{url}{joint}{pairs}"))
}

fn digest(method: &Method, url: &str, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    describe_part(method.as_str().as_bytes(), &mut hash);
    describe_part(url.as_bytes(), &mut hash);
    describe_part(body, &mut hash);
    hash.finalize().into()
}

fn version_of(method: &Method, address: &Address, format: Format, mapping: &Mapping, recipe: Option<&Recipe>) -> u64 {
    let mut hash = Sha256::new();
    // Raised when this code would make other bytes of the same settings.
    hash.update(b"steadfast mapping 1");
    describe_part(method.as_str().as_bytes(), &mut hash);
    describe_part(address.as_str().as_bytes(), &mut hash);
    describe_part(format.name().as_bytes(), &mut hash);
    mapping.describe(&mut hash);
    if let Some(recipe) = recipe {
        recipe.describe(&mut hash);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let number = digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte));
    // Stores keep signed integers.
    number >> 1
}

/// `name=***` of `name=value`.
fn masked_pair(pair: &str) -> String {
    format!("{}={MASK}", pair.split_once('=').map_or(pair, |(name, _)| name))
}

fn shown_header(name: &HeaderName, value: &HeaderValue, hidden: bool) -> (HeaderName, String) {
    let text = if hidden { MASK.to_owned() } else { String::from_utf8_lossy(value.as_bytes()).into_owned() };
    (name.clone(), text)
}

/// Everything that does not differ per attempt, in a fixed order.
fn headers(settings: &RequestSettings, auth: Option<&Auth>, faults: &mut Vec<Fault>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::with_capacity(settings.headers.len() + 3);
    let given = |name: &HeaderName| settings.headers.iter().any(|header| header.name == *name);
    if let Some(content_type) = settings.effective_content_type().filter(|_| !given(&CONTENT_TYPE)) {
        headers.extend(HeaderValue::from_str(&content_type).ok().map(|value| (CONTENT_TYPE, value)));
    }
    headers.extend(settings.soap_action_header());
    if !given(&ACCEPT) {
        headers.push((ACCEPT, HeaderValue::from_static("*/*")));
    }
    for header in settings.headers.iter().filter(|header| !scan::is_template(header.value.reveal())) {
        headers.extend(sensitive(header.value.reveal()).map(|value| (header.name.clone(), value)));
    }
    match auth.map(auth_header) {
        Some(Ok(Some(header))) => headers.push(header),
        Some(Err(fault)) => faults.push(fault),
        Some(Ok(None)) | None => {}
    }
    headers
}

/// A header value that does not print itself; `None` where the text cannot be one.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
