//! What may be said about a request, at a recipient or a step, and how the nearer lays over the farther.
//!
//! Every value can be checked without a lead. Never holds a credential in a form that prints itself.

use crate::address::{Address, BadAddress};
use crate::body::{BODY_ENTRIES_MAX, BodySettings, SoapVersion};
use crate::place::{Fault, Place};
use crate::request::sensitive;
use crate::secret::Secret;
use crate::signature::{SIGNING_KEY_ALLOWED, SigningKey, WEBHOOK_SIGNATURE};
use crate::template::scan;
use crate::token_settings::TokenSettings;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method};
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

const SOAP_ACTION: HeaderName = HeaderName::from_static("soapaction");

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
    /// XML in the body.
    Xml,
    /// XML inside a SOAP envelope.
    Soap,
    /// Whatever the body's template says.
    Text,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 6] = [Format::Json, Format::Form, Format::Query, Format::Xml, Format::Soap, Format::Text];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Form => "form",
            Format::Query => "query",
            Format::Xml => "xml",
            Format::Soap => "soap",
            Format::Text => "text",
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
    /// A signature over id, time and body, after the Standard Webhooks scheme.
    Signature {
        /// The text of a [`crate::SigningKey`].
        secret: Secret,
    },
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
    /// What the body is made of; nothing said sends the lead's fields. A nearer place replaces path by path.
    pub body: Option<BodySettings>,
    /// The body's type, in place of that of the format.
    pub content_type: Option<Box<str>>,
    /// Whether a lead that lacks what a template prints fails.
    pub strict: Option<bool>,
    /// Which SOAP.
    pub soap_version: Option<SoapVersion>,
    /// The SOAP action.
    pub soap_action: Option<Box<str>>,
    /// What stands in the SOAP header: a template.
    pub soap_header: Option<Box<str>>,
    /// Whether XML begins with its declaration.
    pub xml_declaration: Option<bool>,
    /// Fields sent with every lead that has no body laid out; a nearer place replaces by name.
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
            body: match (&self.body, &farther.body) {
                (Some(own), Some(theirs)) => Some(own.over(theirs)),
                (own, theirs) => own.as_ref().or(theirs.as_ref()).cloned(),
            },
            content_type: self.content_type.clone().or_else(|| farther.content_type.clone()),
            strict: self.strict.or(farther.strict),
            soap_version: self.soap_version.or(farther.soap_version),
            soap_action: self.soap_action.clone().or_else(|| farther.soap_action.clone()),
            soap_header: self.soap_header.clone().or_else(|| farther.soap_header.clone()),
            xml_declaration: self.xml_declaration.or(farther.xml_declaration),
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

    /// The body's type; `None` where there is no body.
    pub fn effective_content_type(&self) -> Option<String> {
        let usual = match self.effective_format() {
            Format::Query => return None,
            Format::Json => "application/json".to_owned(),
            Format::Form => "application/x-www-form-urlencoded".to_owned(),
            Format::Xml => "application/xml; charset=utf-8".to_owned(),
            Format::Soap => self.soap_content_type(),
            Format::Text => "text/plain; charset=utf-8".to_owned(),
        };
        Some(self.content_type.as_deref().map_or(usual, str::to_owned))
    }

    fn soap_content_type(&self) -> String {
        match (self.soap_version.unwrap_or_default(), &self.soap_action) {
            (SoapVersion::V11, _) => "text/xml; charset=utf-8".to_owned(),
            (SoapVersion::V12, None) => "application/soap+xml; charset=utf-8".to_owned(),
            (SoapVersion::V12, Some(action)) => format!("application/soap+xml; charset=utf-8; action=\"{action}\""),
        }
    }

    /// SOAP 1.1 says its action in a header, and says it even when there is none.
    pub(crate) fn soap_action_header(&self) -> Option<(HeaderName, HeaderValue)> {
        let version = self.soap_version.unwrap_or_default();
        let own = self.headers.iter().any(|header| header.name == SOAP_ACTION);
        if self.effective_format() != Format::Soap || version != SoapVersion::V11 || own {
            return None;
        }
        let action = format!("\"{}\"", self.soap_action.as_deref().unwrap_or_default());
        Some((SOAP_ACTION, HeaderValue::from_str(&action).ok()?))
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
        faults.extend(self.shape_faults());
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
        faults.extend(self.body_faults());
        faults.extend(count_fault("request.headers", self.headers.len(), HEADERS_MAX));
        faults.extend(count_fault("request.fields", self.fields.len(), FIXED_FIELDS_MAX));
        faults
    }

    fn body_faults(&self) -> Vec<Fault> {
        let word = |key: &str, text: &Option<Box<str>>, quoted: bool| {
            let text = text.as_ref()?;
            let fits =
                !text.is_empty() && HeaderValue::from_str(text).is_ok() && !(quoted && text.contains(['"', '\\']));
            (!fits).then(|| {
                Fault::of(Place::of(key), &format!("{text:?}"), "cannot stand in a header", "visible ASCII and spaces")
            })
        };
        let entries = match &self.body {
            Some(BodySettings::Mapped(entries)) => entries.len(),
            Some(BodySettings::Text(_)) | None => 0,
        };
        let empty = matches!(&self.body, Some(BodySettings::Mapped(entries)) if entries.is_empty());
        let empty = empty.then(|| Fault::unseen(Place::of("request.body"), "is empty", "at least one value"));
        [
            word("request.content_type", &self.content_type, false),
            word("request.soap_action", &self.soap_action, true),
            count_fault("request.body", entries, BODY_ENTRIES_MAX),
            empty,
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What does not go together with the format in force.
    fn shape_faults(&self) -> Vec<Fault> {
        let format = self.effective_format();
        let fault = |key: &str, said: &str, allowed: &str| Fault::unseen(Place::of(key), said, allowed);
        let mut faults = Vec::new();
        match (format, &self.body) {
            (Format::Soap | Format::Text, None) => {
                faults.push(fault("request.body", "is missing", "what this format's body is made of"));
            }
            (Format::Query, Some(BodySettings::Text(_))) => {
                faults.push(fault("request.body", "is a text, and a query has none", "a table of names and values"));
            }
            (Format::Text, Some(BodySettings::Mapped(_))) => {
                faults.push(fault("request.body", "is a table, and format = \"text\" has one template", "a text"));
            }
            _ => {}
        }
        let soap = [
            ("request.soap_version", self.soap_version.is_some()),
            ("request.soap_action", self.soap_action.is_some()),
            ("request.soap_header", self.soap_header.is_some()),
        ];
        let misplaced = soap.iter().filter(|(_, there)| *there && format != Format::Soap);
        faults.extend(misplaced.map(|(key, _)| fault(key, "is only for format = \"soap\"", "")));
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
            Auth::Signature { .. } => WEBHOOK_SIGNATURE,
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
    // What a template makes is checked for each lead.
    (!scan::is_template(header.value.reveal()) && sensitive(header.value.reveal()).is_none())
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
        Auth::Signature { secret } => SigningKey::parse(secret)
            .is_none()
            .then(|| Fault::unseen(Place::of("auth.secret"), "is not a signing key", SIGNING_KEY_ALLOWED)),
    }
}
