//! What may be said about a token endpoint: how a token is asked for, where it stands in the answer, how requests carry it.
//!
//! OAuth 2.0's client credentials grant is the same exchange with the names the standard gives. Every value can be checked
//! without asking anybody. Never holds a credential in a form that prints itself.

use crate::address::Address;
use crate::place::{Fault, Place};
use crate::request::sensitive;
use crate::request_settings::{CREDENTIAL_BYTES_MAX, KeyPlace, METHODS, NOT_OURS, is_the_doors};
use crate::secret::Secret;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, Method};
use std::ops::RangeInclusive;
use std::time::Duration;
use steadfast_retry::policy::show_duration;

/// How long asking for a token may be allowed to take.
pub const TOKEN_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
/// How long it may take unless a config says otherwise.
pub const TOKEN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How long a token may be said to be valid where the answer does not say it.
pub const TOKEN_LIFETIME: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
/// How long it is taken to be valid where nobody says it.
pub const TOKEN_LIFETIME_DEFAULT: Duration = Duration::from_secs(300);
/// Fields and headers of the request for a token, at most, each.
pub const TOKEN_FIELDS_MAX: usize = 50;
/// How long a path into the answer may be, in bytes.
const PATH_BYTES_MAX: usize = 256;
/// How long what stands before the token may be, in bytes.
const PREFIX_BYTES_MAX: usize = 64;

/// How an OAuth client says who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientAuth {
    /// With HTTP basic.
    #[default]
    Basic,
    /// With `client_id` and `client_secret` in the form.
    Body,
}

impl ClientAuth {
    /// Both.
    pub const ALL: [ClientAuth; 2] = [ClientAuth::Basic, ClientAuth::Body];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            ClientAuth::Basic => "basic",
            ClientAuth::Body => "body",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        ClientAuth::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// How the fields of a request for a token are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TokenFormat {
    /// A JSON object in the body.
    #[default]
    Json,
    /// A form in the body.
    Form,
    /// The address's query; no body.
    Query,
}

impl TokenFormat {
    /// All of them.
    pub const ALL: [TokenFormat; 3] = [TokenFormat::Json, TokenFormat::Form, TokenFormat::Query];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            TokenFormat::Json => "json",
            TokenFormat::Form => "form",
            TokenFormat::Query => "query",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        TokenFormat::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// OAuth 2.0's client credentials grant (RFC 6749, section 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth2Settings {
    /// Who asks.
    pub client_id: Secret,
    /// How it proves it.
    pub client_secret: Secret,
    /// How both are sent.
    pub client_auth: ClientAuth,
    /// What the token is to be good for.
    pub scope: Option<Box<str>>,
    /// Whom it is to be shown to, as several providers name it.
    pub audience: Option<Box<str>>,
    /// The same as RFC 8707 names it.
    pub resource: Option<Box<str>>,
}

/// A token endpoint of the recipient's own kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomTokenSettings {
    /// How it is asked.
    pub method: Method,
    /// How the fields are written.
    pub format: TokenFormat,
    /// Further headers.
    pub headers: Vec<(HeaderName, Secret)>,
    /// Where the token stands in the answer.
    pub token: TokenAt,
    /// Where the seconds it is valid for stand in the answer's JSON, as a dot path.
    pub expires_in_path: Option<Box<str>>,
}

/// Where a token stands in the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TokenAt {
    /// In its JSON body, by a dot path such as `data.items[0].token`.
    Path(Box<str>),
    /// In a header.
    Header(HeaderName),
}

/// How a token is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenGrant {
    /// By the standard.
    OAuth2(OAuth2Settings),
    /// Any other way.
    Custom(CustomTokenSettings),
}

/// Where a token comes from, and how requests carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// Where it is asked for.
    pub url: Address,
    /// How.
    pub grant: TokenGrant,
    /// Fields of the request for it; beside the standard's own.
    pub fields: Vec<(Box<str>, Secret)>,
    /// How long it is valid where the answer does not say it.
    pub expires_in: Option<Duration>,
    /// How long asking may take.
    pub timeout: Option<Duration>,
    /// Where it goes in a request to the recipient.
    pub place: KeyPlace,
    /// What stands before it in a header, blank included: `Bearer `.
    pub prefix: Box<str>,
}

impl TokenSettings {
    /// The header a request carries the token in, if it is one.
    pub fn header(&self) -> Option<&HeaderName> {
        match &self.place {
            KeyPlace::Header(name) => Some(name),
            KeyPlace::Query(_) => None,
        }
    }

    /// What is wrong with these settings by themselves.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let grant = match &self.grant {
            TokenGrant::OAuth2(oauth2) => self.oauth2_fault(oauth2),
            TokenGrant::Custom(custom) => self.custom_fault(custom),
        };
        let fields = self.fields.iter().find_map(|(name, value)| field_fault(name, value));
        grant
            .or(fields)
            .or_else(|| too_many("auth.fields", self.fields.len()))
            .or_else(|| range_fault("auth.timeout", self.timeout, TOKEN_TIMEOUT))
            .or_else(|| range_fault("auth.expires_in", self.expires_in, TOKEN_LIFETIME))
            .or_else(|| self.place_fault())
    }

    fn oauth2_fault(&self, oauth2: &OAuth2Settings) -> Option<Fault> {
        const OWN: [&str; 6] = ["grant_type", "client_id", "client_secret", "scope", "audience", "resource"];
        let taken = self.fields.iter().find(|(name, _)| OWN.contains(&&**name));
        let taken = taken.map(|(name, _)| {
            let place = Place::of("auth.fields").key(name);
            Fault::unseen(place, "has a key of its own, or is always written", "any other name")
        });
        let credential = |key: &str, secret: &Secret| {
            let fits = !secret.reveal().is_empty() && secret.reveal().len() <= CREDENTIAL_BYTES_MAX;
            (!fits).then(|| Fault::unseen(Place::of(key), "is empty or too long", "1 to 16384 bytes"))
        };
        credential("auth.client_id", &oauth2.client_id)
            .or_else(|| credential("auth.client_secret", &oauth2.client_secret))
            .or(taken)
    }

    fn custom_fault(&self, custom: &CustomTokenSettings) -> Option<Fault> {
        let allowed = || METHODS.each_ref().map(Method::as_str).join(", ");
        let method = (!METHODS.contains(&custom.method)).then(|| {
            Fault::of(Place::of("auth.method"), custom.method.as_str(), "is not a method sent here", &allowed())
        });
        let token = match &custom.token {
            TokenAt::Path(path) => path_fault("auth.token_path", path),
            TokenAt::Header(_) => None,
        };
        let expiry = custom.expires_in_path.as_ref().and_then(|path| path_fault("auth.expires_in_path", path));
        let headers = custom.headers.iter().find_map(|(name, value)| header_fault(name, value));
        method.or(token).or(expiry).or(headers).or_else(|| too_many("auth.headers", custom.headers.len()))
    }

    fn place_fault(&self) -> Option<Fault> {
        match &self.place {
            KeyPlace::Header(name) if is_the_doors(name) => {
                let place = Place::of("auth.header");
                Some(Fault::of(place, name.as_str(), "is written by the server itself", NOT_OURS))
            }
            KeyPlace::Query(name) if name.is_empty() => {
                Some(Fault::of(Place::of("auth.query"), name, "is empty", "a parameter's name"))
            }
            KeyPlace::Header(_) if self.prefix.len() > PREFIX_BYTES_MAX || sensitive(&self.prefix).is_none() => {
                let problem = "is too long or has characters a header cannot carry";
                Some(Fault::unseen(Place::of("auth.prefix"), problem, "visible ASCII and spaces, at most 64 bytes"))
            }
            KeyPlace::Header(_) | KeyPlace::Query(_) => None,
        }
    }
}

/// The header a token goes into where nothing is said.
pub const TOKEN_HEADER_DEFAULT: HeaderName = AUTHORIZATION;
/// What stands before it there.
pub const TOKEN_PREFIX_DEFAULT: &str = "Bearer ";

fn field_fault(name: &str, value: &Secret) -> Option<Fault> {
    let fits = !name.is_empty() && name.len() <= PATH_BYTES_MAX && value.reveal().len() <= CREDENTIAL_BYTES_MAX;
    let place = || Place::of("auth.fields").key(name);
    (!fits).then(|| Fault::unseen(place(), "is too long or has no name", "at most 16384 bytes under 1 to 256"))
}

fn header_fault(name: &HeaderName, value: &Secret) -> Option<Fault> {
    let place = Place::of("auth.headers").key(name.as_str());
    if is_the_doors(name) || *name == CONTENT_TYPE {
        return Some(Fault::unseen(place, "is written by the server itself", NOT_OURS));
    }
    let fits = value.reveal().len() <= CREDENTIAL_BYTES_MAX && sensitive(value.reveal()).is_some();
    (!fits).then(|| Fault::unseen(place, "has characters a header cannot carry", "visible ASCII and spaces"))
}

/// Names joined by dots, each with any number of `[0]`; a name may be left out before the first bracket only.
fn path_fault(key: &str, path: &str) -> Option<Fault> {
    let is_index = |text: &str| !text.is_empty() && text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit());
    let part_fits = |(at, part): (usize, &str)| {
        let (name, rest) = part.find('[').map_or((part, ""), |bracket| part.split_at(bracket));
        let brackets = rest.is_empty()
            || rest
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                .is_some_and(|inner| inner.split("][").all(is_index));
        brackets && !name.contains(']') && (!name.is_empty() || (at == 0 && !rest.is_empty()))
    };
    let fits = path.len() <= PATH_BYTES_MAX && path.split('.').enumerate().all(part_fits);
    (!fits)
        .then(|| Fault::of(Place::of(key), path, "is not a path", "names joined by dots, such as data.items[0].token"))
}

pub(crate) fn range_fault(key: &str, value: Option<Duration>, range: RangeInclusive<Duration>) -> Option<Fault> {
    let value = value.filter(|value| !range.contains(value))?;
    let allowed = format!("{} to {}", show_duration(*range.start()), show_duration(*range.end()));
    Some(Fault::of(Place::of(key), &show_duration(value), "is out of range", &allowed))
}

fn too_many(key: &str, count: usize) -> Option<Fault> {
    let most = format!("at most {TOKEN_FIELDS_MAX}");
    (count > TOKEN_FIELDS_MAX).then(|| Fault::of(Place::of(key), &format!("{count} entries"), "are too many", &most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_names_and_indexes() {
        for good in ["token", "data.token", "data.items[0].token", "[0].token", "a[0][12]", "with space.ü"] {
            assert_eq!(path_fault("auth.token_path", good), None, "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a[", "a[]", "a[x]", "a]0[", "a[0]b", "a.[0]", "a[-1]", "a[1234567]"] {
            assert!(path_fault("auth.token_path", bad).is_some(), "{bad}");
        }
        assert!(path_fault("auth.token_path", &"a".repeat(257)).is_some());
    }
}
