//! Where a parcel goes: scheme, host, port, path and query. Parsed once, cheap to clone. Looks nothing up.

use http::uri::{PathAndQuery, Scheme, Uri};
use http::{HeaderValue, uri};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use thiserror::Error;

const URL_BYTES_MAX: usize = 8_192;
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// The host of a target: an address needs no lookup.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A literal address.
    Address(IpAddr),
    /// A name to look up, in lower case.
    Name(Arc<str>),
}

/// Where a parcel goes. Clones share what they hold.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    secure: bool,
    host: Host,
    port: u16,
    origin: Arc<str>,
    host_header: HeaderValue,
    path_and_query: PathAndQuery,
}

/// Why a text is not a target. The sentence never repeats path or query: they may hold lead data or secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadTarget {
    /// Longer than anybody means.
    #[error("the URL is longer than 8192 bytes")]
    TooLong,
    /// Not a URL.
    #[error("this is not a URL")]
    NotUrl,
    /// Another scheme than the two the door speaks.
    #[error("the URL begins neither with http:// nor with https://")]
    Scheme,
    /// No host or not a name.
    #[error("the URL's host is neither an address nor a name (international names are written in their xn-- form)")]
    Host,
    /// Port 0, too large, or not a number.
    #[error("the URL's port is not a number from 1 to 65535")]
    Port,
    /// `user:password@` in the URL.
    #[error("the URL holds a user name or password; credentials belong under `auth`")]
    Credentials,
}

impl Target {
    /// Reads an absolute `http://` or `https://` URL. A fragment is dropped, as it is never sent.
    ///
    /// # Errors
    /// [`BadTarget`] says which part is wrong.
    pub fn parse(url: &str) -> Result<Target, BadTarget> {
        if url.len() > URL_BYTES_MAX {
            return Err(BadTarget::TooLong);
        }
        let uri: Uri = url.parse().map_err(|_| BadTarget::NotUrl)?;
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(_) | None => return Err(BadTarget::Scheme),
        };
        let authority = uri.authority().ok_or(BadTarget::Host)?;
        if authority.as_str().contains('@') {
            return Err(BadTarget::Credentials);
        }
        let host = read_host(authority.host())?;
        let port = read_port(authority)?;
        Ok(Target::from_parts(secure, host, port, uri.into_parts().path_and_query))
    }

    fn from_parts(secure: bool, host: Host, port: Option<u16>, path_and_query: Option<PathAndQuery>) -> Target {
        let default_port = if secure { 443 } else { 80 };
        let port = port.unwrap_or(default_port);
        let scheme = if secure { "https" } else { "http" };
        let origin: Arc<str> = format!("{scheme}://{host}:{port}").into();
        let with_port = origin.get(scheme.len() + "://".len()..).unwrap_or_default();
        let without_port = || with_port.rsplit_once(':').map_or(with_port, |(host, _)| host);
        let host_text = if port == default_port { without_port() } else { with_port };
        let host_header = HeaderValue::from_str(host_text).unwrap_or(HeaderValue::from_static(""));
        let path_and_query = path_and_query.map_or(PathAndQuery::from_static("/"), absolute);
        Target { secure, host, port, origin, host_header, path_and_query }
    }

    /// Whether TLS is spoken.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, also where the URL left it out.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Scheme, host and port, always with the port: `https://api.bigbank.example:443`. Holds nothing of the lead.
    pub fn origin(&self) -> &Arc<str> {
        &self.origin
    }

    /// What goes into the request line.
    pub fn path_and_query(&self) -> &PathAndQuery {
        &self.path_and_query
    }

    /// The same target with one more pair in its query; nothing where it would be too long.
    pub(crate) fn with_pair(&self, name: &str, value: &str) -> Option<Target> {
        let given = self.path_and_query.as_str();
        let joint = match given.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        let pair = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
        let path_and_query = PathAndQuery::try_from(format!("{given}{joint}{pair}")).ok()?;
        Some(Target { path_and_query, ..self.clone() })
    }

    /// What goes into the `Host` header: without the port where it is the scheme's own.
    pub fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }
}

/// `http://host?query` asks for `/?query`.
fn absolute(path_and_query: PathAndQuery) -> PathAndQuery {
    if path_and_query.as_str().starts_with('/') {
        return path_and_query;
    }
    // Its printed form adds the slash.
    PathAndQuery::try_from(path_and_query.to_string()).unwrap_or(path_and_query)
}

fn read_host(text: &str) -> Result<Host, BadTarget> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().map(|ip| Host::Address(ip.into())).map_err(|_| BadTarget::Host);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Host::Address(address));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let well_formed = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label);
    if well_formed { Ok(Host::Name(name.to_ascii_lowercase().into())) } else { Err(BadTarget::Host) }
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty() && label.len() <= LABEL_BYTES_MAX && label.bytes().all(allowed)
}

fn read_port(authority: &uri::Authority) -> Result<Option<u16>, BadTarget> {
    let Some(text) = authority.as_str().strip_prefix(authority.host()) else {
        return Err(BadTarget::Port);
    };
    match text.strip_prefix(':') {
        None if text.is_empty() => Ok(None),
        None => Err(BadTarget::Port),
        Some(digits) => digits.parse().ok().filter(|port| *port != 0).map(Some).ok_or(BadTarget::Port),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Path and query may hold lead data or keys; debug output may end in a log.
        f.debug_tuple("Target").field(&self.origin).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_always_names_the_port_and_the_host_header_only_an_unusual_one() {
        for (url, origin, host_header, path) in [
            ("https://Api.BigBank.example", "https://api.bigbank.example:443", "api.bigbank.example", "/"),
            ("https://a.example.:443/x?k=v#top", "https://a.example:443", "a.example", "/x?k=v"),
            ("http://a.example:8080/x", "http://a.example:8080", "a.example:8080", "/x"),
            ("http://127.0.0.1:80/", "http://127.0.0.1:80", "127.0.0.1", "/"),
            ("http://[2001:DB8::1]:81/", "http://[2001:db8::1]:81", "[2001:db8::1]:81", "/"),
            ("http://a_b.example?q", "http://a_b.example:80", "a_b.example", "/?q"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(&**target.origin(), origin, "{url}");
            assert_eq!(target.host_header(), host_header, "{url}");
            assert_eq!(target.path_and_query().as_str(), path, "{url}");
        }
    }

    #[test]
    fn what_is_not_a_target_is_refused_by_name() {
        let long = format!("http://a.example/{}", "x".repeat(URL_BYTES_MAX));
        let label = format!("http://{}.example/", "x".repeat(64));
        for (url, why) in [
            (long.as_str(), BadTarget::TooLong),
            (label.as_str(), BadTarget::Host),
            ("", BadTarget::NotUrl),
            ("http://a b/", BadTarget::NotUrl),
            ("ftp://a.example/", BadTarget::Scheme),
            ("a.example", BadTarget::Scheme),
            ("/path", BadTarget::Scheme),
            ("http://user:secret@a.example/", BadTarget::Credentials),
            ("http://a.example:0/", BadTarget::Port),
            ("http://a..example/", BadTarget::Host),
        ] {
            assert_eq!(Target::parse(url).unwrap_err(), why, "{url}");
        }
        for url in
            ["http://a.example:70000/", "http://a.example:x/", "http://münchen.example/", "http://[::1/", "http://"]
        {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_pair_joins_the_query_there_is() {
        for (path, joined) in
            [("", "/?k=a%26b"), ("x?", "/x?k=a%26b"), ("x?y", "/x?y&k=a%26b"), ("x?y&", "/x?y&k=a%26b")]
        {
            let target = Target::parse(&format!("http://a.example/{path}")).unwrap();
            assert_eq!(target.with_pair("k", "a&b").unwrap().path_and_query().as_str(), joined);
        }
        let target = Target::parse("http://a.example/").unwrap();
        assert_eq!(target.with_pair("k", &"x".repeat(70_000)), None);
    }

    #[test]
    fn debug_output_holds_neither_path_nor_query() {
        let target = Target::parse("https://a.example/leads/5551234?key=s3cret").unwrap();
        assert_eq!(format!("{target:?}"), "Target(\"https://a.example:443\")");
    }
}
