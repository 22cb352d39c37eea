//! What may be said about a request, at a recipient or a step, and how the nearer lays over the farther.
//!
//! Every value can be checked without a lead. Never holds a credential in a form that prints itself.

use crate::address::{Address, BadAddress};
use crate::place::{Fault, Place};
use crate::request::sensitive;
use crate::secret::Secret;
use crate::token_settings::TokenSettings;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, Method};
use std::ops::RangeInclusive;
use std::time::Duration;
use steadfast_lead::Value;
use steadfast_retry::policy::show_duration;

/// How long a whole attempt may be allowed to take.
pub const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);
/// How long it may take unless a config says otherwise.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// How long opening a connection may be allowed to take.
pub const CONNECT_TIMEOUT: RangeInclusive<Duration> = TIMEOUT;
/// How long it may take unless a config says otherwise.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How much of an answer may be read, in bytes.
pub const RESPONSE_BYTES_MAX: RangeInclusive<usize> = 1_024..=16_777_216;
/// How much is read unless a config says otherwise, in bytes.
pub const RESPONSE_BYTES_MAX_DEFAULT: usize = 1_048_576;
/// Static headers, at most.
pub const HEADERS_MAX: usize = 50;
/// Fixed fields, at most.
pub const FIXED_FIELDS_MAX: usize = 50;

/// How a lead's fields are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// A JSON object in the body.
    #[default]
    Json,
    /// A form in the body.
    Form,
    /// The address's query; no body.
    Query,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 3] = [Format::Json, Format::Form, Format::Query];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Form => "form",
            Format::Query => "query",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        Format::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// The methods a request may have.
pub const METHODS: [Method; 5] = [Method::POST, Method::PUT, Method::PATCH, Method::GET, Method::DELETE];

/// Where an API key goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// Into a header.
    Header(HeaderName),
    /// Into the query under this name.
    Query(Box<str>),
}

/// How a request says who it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// HTTP basic.
    Basic {
        /// Must not hold a colon.
        username: Secret,
        /// May be empty.
        password: Secret,
    },
    /// `Authorization: Bearer`.
    Bearer {
        /// The token.
        token: Secret,
    },
    /// A key in a header or the query.
    ApiKey {
        /// Where.
        place: KeyPlace,
        /// The key.
        key: Secret,
    },
    /// A token that is asked for, kept and renewed.
    Token(Box<TokenSettings>),
}

/// One static header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// What it carries; may be a credential, so it does not print itself.
    pub value: Secret,
}

/// What one place says about its request. `None` leaves a key to the place farther out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestSettings {
    /// The method; POST where nothing is said.
    pub method: Option<Method>,
    /// Where it goes.
    pub url: Option<Address>,
    /// How fields are written; JSON where nothing is said.
    pub format: Option<Format>,
    /// Static headers; a nearer place replaces by name.
    pub headers: Vec<Header>,
    /// Fields sent with every lead; a nearer place replaces by name.
    pub fields: Vec<(Box<str>, Value)>,
    /// How long the whole attempt may take.
    pub timeout: Option<Duration>,
    /// How long lookup, connection and handshake may take, each.
    pub connect_timeout: Option<Duration>,
    /// How much of an answer is read, in bytes.
    pub response_bytes_max: Option<usize>,
}

impl RequestSettings {
    /// These settings laid over `farther`, key by key.
    #[must_use]
    pub fn over(&self, farther: &RequestSettings) -> RequestSettings {
        let mut headers = farther.headers.clone();
        headers.retain(|header| !self.headers.iter().any(|own| own.name == header.name));
        headers.extend(self.headers.iter().cloned());
        let mut fields = farther.fields.clone();
        fields.retain(|(name, _)| !self.fields.iter().any(|(own, _)| own == name));
        fields.extend(self.fields.iter().cloned());
        RequestSettings {
            method: self.method.clone().or_else(|| farther.method.clone()),
            url: self.url.clone().or_else(|| farther.url.clone()),
            format: self.format.or(farther.format),
            headers,
            fields,
            timeout: self.timeout.or(farther.timeout),
            connect_timeout: self.connect_timeout.or(farther.connect_timeout),
            response_bytes_max: self.response_bytes_max.or(farther.response_bytes_max),
        }
    }

    /// The method in force.
    pub fn effective_method(&self) -> Method {
        self.method.clone().unwrap_or(Method::POST)
    }

    /// The format in force: GET and DELETE carry no body, so their fields go into the query.
    pub fn effective_format(&self) -> Format {
        match self.effective_method() {
            Method::GET | Method::DELETE => Format::Query,
            _ => self.format.unwrap_or_default(),
        }
    }

    /// The timeout in force.
    pub fn effective_timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT_DEFAULT)
    }

    /// The connect timeout in force.
    pub fn effective_connect_timeout(&self) -> Duration {
        self.connect_timeout.unwrap_or(CONNECT_TIMEOUT_DEFAULT)
    }

    /// How much of an answer is read, in bytes.
    pub fn effective_response_bytes_max(&self) -> usize {
        self.response_bytes_max.unwrap_or(RESPONSE_BYTES_MAX_DEFAULT)
    }

    /// Everything that keeps these settings from making a request.
    pub fn faults(&self, auth: Option<&Auth>) -> Vec<Fault> {
        let mut faults = self.own_faults();
        if self.url.is_none() {
            faults.push(Fault::unseen(Place::of("request.url"), "is missing", BadAddress::ALLOWED));
        }
        faults.extend(auth.and_then(auth_fault));
        faults.extend(auth.and_then(|auth| self.clash(auth)));
        faults
    }

    /// What is wrong with these settings by themselves, whatever they are laid over.
    pub fn own_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        faults.extend(self.method.as_ref().and_then(method_fault));
        faults.extend(duration_fault("request.timeout", self.timeout, TIMEOUT));
        faults.extend(duration_fault("request.connect_timeout", self.connect_timeout, CONNECT_TIMEOUT));
        faults.extend(self.response_bytes_max.and_then(response_fault));
        faults.extend(self.headers.iter().filter_map(header_fault));
        faults.extend(self.repeated_headers());
        faults.extend(self.fields.iter().filter_map(field_fault));
        faults.extend(count_fault("request.headers", self.headers.len(), HEADERS_MAX));
        faults.extend(count_fault("request.fields", self.fields.len(), FIXED_FIELDS_MAX));
        faults
    }

    fn repeated_headers(&self) -> impl Iterator<Item = Fault> {
        let before = |index: usize| self.headers.get(..index).unwrap_or_default();
        let repeated =
            move |(index, header): &(usize, &Header)| before(*index).iter().any(|known| known.name == header.name);
        let repeated = self.headers.iter().enumerate().filter(repeated);
        repeated.map(|(_, header)| {
            Fault::unseen(header_place(&header.name), "stands twice", "one of each; upper and lower case are the same")
        })
    }

    fn clash(&self, auth: &Auth) -> Option<Fault> {
        let taken = match auth {
            Auth::Basic { .. } | Auth::Bearer { .. } => AUTHORIZATION,
            Auth::ApiKey { place: KeyPlace::Header(name), .. } => name.clone(),
            Auth::ApiKey { place: KeyPlace::Query(_), .. } => return None,
            Auth::Token(token) => token.header()?.clone(),
        };
        let header = self.headers.iter().find(|header| header.name == taken)?;
        let key = header_place(&header.name);
        Some(Fault::unseen(key, "is set by auth as well", "one of the two"))
    }
}

fn method_fault(method: &Method) -> Option<Fault> {
    let allowed = || METHODS.each_ref().map(Method::as_str).join(", ");
    (!METHODS.contains(method)).then(|| {
        Fault::of(Place::of("request.method"), method.as_str(), "is not a method leads are sent with", &allowed())
    })
}

fn duration_fault(key: &str, value: Option<Duration>, range: RangeInclusive<Duration>) -> Option<Fault> {
    let value = value.filter(|value| !range.contains(value))?;
    let allowed = format!("{} to {}", show_duration(*range.start()), show_duration(*range.end()));
    Some(Fault::of(Place::of(key), &show_duration(value), "is out of range", &allowed))
}

fn response_fault(bytes: usize) -> Option<Fault> {
    let range = RESPONSE_BYTES_MAX;
    let allowed = format!("{} to {} bytes", range.start(), range.end());
    (!range.contains(&bytes))
        .then(|| Fault::of(Place::of("request.response_bytes_max"), &bytes.to_string(), "is out of range", &allowed))
}

fn count_fault(key: &str, count: usize, most: usize) -> Option<Fault> {
    (count > most)
        .then(|| Fault::of(Place::of(key), &format!("{count} entries"), "are too many", &format!("at most {most}")))
}

/// Where a header stands below a recipient or step; by its name in lower case, as headers are compared.
pub fn header_place(name: &HeaderName) -> Place {
    Place::of("request.headers").key(name.as_str())
}

/// Whether a header is written by the door itself.
pub(crate) fn is_the_doors(name: &HeaderName) -> bool {
    const OWN: [HeaderName; 4] = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION];
    const OWN_NAMES: [&str; 7] =
        ["idempotency-key", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"];
    OWN.contains(name) || OWN_NAMES.contains(&name.as_str()) || name.as_str().starts_with("steadfast-")
}

pub(crate) const NOT_OURS: &str = "any header but Host, Connection and what belongs to it, Content-Length, Transfer-Encoding, \
                        Expect, Idempotency-Key and Steadfast-*";

fn header_fault(header: &Header) -> Option<Fault> {
    let key = header_place(&header.name);
    if is_the_doors(&header.name) {
        return Some(Fault::unseen(key, "is written by the server itself", NOT_OURS));
    }
    sensitive(header.value.reveal())
        .is_none()
        .then(|| Fault::unseen(key, "has characters a header cannot carry", "visible ASCII and spaces"))
}

fn field_fault((name, _): &(Box<str>, Value)) -> Option<Fault> {
    let fault = || Fault::of(Place::of("request.fields"), name, "is not a field name", "1 to 256 bytes");
    (name.is_empty() || name.len() > FIELD_NAME_BYTES_MAX).then(fault)
}

/// How long a field's name may be, in bytes.
pub(crate) const FIELD_NAME_BYTES_MAX: usize = 256;

/// How long a credential may be, in bytes.
pub(crate) const CREDENTIAL_BYTES_MAX: usize = 16_384;

/// What is wrong with a credential by itself.
pub(crate) fn auth_fault(auth: &Auth) -> Option<Fault> {
    let said = |key: &str, secret: &Secret| {
        let fits = !secret.reveal().is_empty() && secret.reveal().len() <= CREDENTIAL_BYTES_MAX;
        (!fits).then(|| Fault::unseen(Place::of(key), "is empty or too long", "1 to 16384 bytes"))
    };
    match auth {
        Auth::Basic { username, .. } if username.reveal().contains(':') => {
            Some(Fault::unseen(Place::of("auth.username"), "holds a colon", "a name without a colon"))
        }
        Auth::Basic { username, .. } => said("auth.username", username),
        Auth::Bearer { token } => said("auth.token", token),
        Auth::ApiKey { place: KeyPlace::Header(name), .. } if is_the_doors(name) => {
            Some(Fault::of(Place::of("auth.header"), name.as_str(), "is written by the server itself", NOT_OURS))
        }
        Auth::ApiKey { place: KeyPlace::Query(name), .. } if name.is_empty() => {
            Some(Fault::of(Place::of("auth.query"), name, "is empty", "a parameter's name"))
        }
        Auth::ApiKey { key, .. } => said("auth.key", key),
        Auth::Token(token) => token.fault(),
    }
}
