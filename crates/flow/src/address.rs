//! Where a request goes: an absolute http or https address, checked once.
//!
//! Never resolves a name; whether the address may be called is decided where it is dialled.

// Of `core`, which has addresses and no sockets.
use core::net::Ipv6Addr;
use http::Uri;
use http::uri::Scheme;
use std::fmt;
use std::sync::Arc;

/// How long an address may be as configured, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 2_048;
/// How long a host name may be, in bytes, as DNS has it.
const NAME_BYTES_MAX: usize = 253;
/// How long each part of it may be, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// The text cannot be called. Says why, and never repeats the text: an address may hold a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Longer than allowed.
    #[error("is longer than {ADDRESS_BYTES_MAX} bytes")]
    TooLong,
    /// Not an address at all.
    #[error("is not an absolute http or https address")]
    NotAbsolute,
    /// Another scheme than http or https.
    #[error("has another scheme than http or https")]
    Scheme,
    /// A host name with letters beyond ASCII.
    #[error("has letters beyond ASCII; write the host in its xn-- form and the path percent-encoded")]
    NotAscii,
    /// A name or password before the host.
    #[error("holds a user name or password; these belong under auth")]
    UserInfo,
    /// A host that can be neither looked up nor dialled.
    #[error("has a host that is neither a name nor an address")]
    Host,
    /// A part after `#`.
    #[error("has a fragment (#...), which is never sent")]
    Fragment,
    /// A template in what must be known beforehand.
    #[error("has a template before its path; scheme, host and port are fixed")]
    Template,
    /// Port 0, or beyond 65535.
    #[error("has a port outside 1 to 65535")]
    Port,
}

impl BadAddress {
    /// What would be right.
    pub const ALLOWED: &'static str = "https://host[:port]/path[?query], http too, without user name and without #";
}

/// An absolute http or https address.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    text: Arc<str>,
    origin: Arc<str>,
    host: Arc<str>,
    port: u16,
    secure: bool,
    /// How much of the text stands before the first template, where there is one.
    fixed_bytes: Option<usize>,
}

impl Address {
    /// Checks an address and keeps it: host in lower case, `/` where there was no path, else as written.
    ///
    /// Path and query may hold templates (`https://host/leads/{{ zip }}`); scheme, host and port may not.
    ///
    /// # Errors
    /// [`BadAddress`] with the reason.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let Some(begin) = ["{{", "{%", "{#"].iter().filter_map(|begin| text.find(begin)).min() else {
            return Address::plain(text);
        };
        let (fixed, template) = text.split_at(begin);
        let after_scheme = fixed.split_once("://").map_or("", |(_, rest)| rest);
        if !after_scheme.contains(['/', '?']) {
            return Err(BadAddress::Template);
        }
        let address = Address::plain(fixed)?;
        if address.text.len() + template.len() > ADDRESS_BYTES_MAX {
            return Err(BadAddress::TooLong);
        }
        let fixed_bytes = Some(address.text.len());
        Ok(Address { text: format!("{}{template}", address.text).into(), fixed_bytes, ..address })
    }

    fn plain(text: &str) -> Result<Self, BadAddress> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(BadAddress::TooLong);
        }
        if !text.is_ascii() {
            return Err(BadAddress::NotAscii);
        }
        if text.contains('#') {
            return Err(BadAddress::Fragment);
        }
        let uri: Uri = text.parse().map_err(|_| BadAddress::NotAbsolute)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(BadAddress::NotAbsolute);
        };
        let secure = *scheme == Scheme::HTTPS;
        if !secure && *scheme != Scheme::HTTP {
            return Err(BadAddress::Scheme);
        }
        if authority.as_str().contains('@') {
            return Err(BadAddress::UserInfo);
        }
        let written = authority.host();
        if written.is_empty() || written == "[]" {
            return Err(BadAddress::NotAbsolute);
        }
        let host = host_of(written).ok_or(BadAddress::Host)?;
        let port = port_of(authority, written, if secure { 443 } else { 80 })?;
        let scheme = if secure { "https" } else { "http" };
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let (slash, port_text) = (if path.starts_with('/') { "" } else { "/" }, &authority.as_str()[written.len()..]);
        let port_text = port_text.strip_suffix(':').unwrap_or(port_text);
        Ok(Address {
            text: format!("{scheme}://{host}{port_text}{slash}{path}").into(),
            origin: format!("{scheme}://{host}:{port}").into(),
            host: host.into(),
            port,
            secure,
            fixed_bytes: None,
        })
    }

    /// Whether path or query hold templates.
    pub(crate) const fn is_template(&self) -> bool {
        self.fixed_bytes.is_some()
    }

    /// Whether an address begins as this one does before its first template.
    pub(crate) fn is_prefix_of(&self, url: &str) -> bool {
        let fixed = self.fixed_bytes.unwrap_or(self.text.len());
        self.text.get(..fixed).is_some_and(|fixed| url.starts_with(fixed))
    }

    /// The whole address. May hold a token: not for logs.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port, such as `https://api.bigbank.example:443`: what pauses and breaks together.
    pub fn origin(&self) -> &Arc<str> {
        &self.origin
    }

    /// The host in lower case; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, that of the scheme where none was written.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is https.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }
}

/// A host in the one form the door knows it by: an endpoint is paused under it, however it was written.
fn host_of(written: &str) -> Option<String> {
    if let Some(inner) = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"));
    }
    let name = written.strip_suffix('.').unwrap_or(written);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(allowed);
    (name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label)).then(|| name.to_ascii_lowercase())
}

fn port_of(authority: &http::uri::Authority, host: &str, default: u16) -> Result<u16, BadAddress> {
    let rest = authority.as_str().get(host.len()..).unwrap_or_default();
    match rest.strip_prefix(':') {
        // Something else stands between the host and its port: `[::1]x:80`.
        None if !rest.is_empty() => Err(BadAddress::Host),
        None | Some("") => Ok(default),
        Some(digits) => digits.parse().ok().filter(|port| *port > 0).ok_or(BadAddress::Port),
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/...", self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_as_written_with_a_path() {
        let cases = [
            ("https://API.Example", "https://api.example/", "https://api.example:443"),
            ("http://h:8080", "http://h:8080/", "http://h:8080"),
            ("HTTPS://h:443/a?b=c", "https://h:443/a?b=c", "https://h:443"),
            ("http://h?x=1", "http://h/?x=1", "http://h:80"),
            ("http://[::1]:9/p", "http://[::1]:9/p", "http://[::1]:9"),
            ("http://h:/p", "http://h/p", "http://h:80"),
            ("https://a.example.:443/p", "https://a.example:443/p", "https://a.example:443"),
            ("http://[0:0::1]/p", "http://[::1]/p", "http://[::1]:80"),
            ("https://H/a/{{ zip }}?x={{ y }}", "https://h/a/{{ zip }}?x={{ y }}", "https://h:443"),
            ("https://h?{{ x }}", "https://h/?{{ x }}", "https://h:443"),
        ];
        for (text, whole, origin) in cases {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.as_str(), &**address.origin()), (whole, origin), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_called_is_refused_with_the_reason() {
        let long = format!("http://h/{}", "a".repeat(ADDRESS_BYTES_MAX));
        let cases = [
            ("", BadAddress::NotAbsolute),
            ("/path", BadAddress::NotAbsolute),
            ("example.com/x", BadAddress::NotAbsolute),
            ("ftp://h/", BadAddress::Scheme),
            ("https://user:pw@h/", BadAddress::UserInfo),
            ("https://h/#top", BadAddress::Fragment),
            ("https://bücher.example/", BadAddress::NotAscii),
            ("http://h:0/", BadAddress::Port),
            ("http://h:65536/", BadAddress::Port),
            ("http://h/a b", BadAddress::NotAbsolute),
            ("http://h/a\r\nX: y", BadAddress::NotAbsolute),
            ("http:///x", BadAddress::NotAbsolute),
            ("http://a..b/x", BadAddress::Host),
            ("http://a!/x", BadAddress::Host),
            ("http://[::g]/x", BadAddress::Host),
            ("http://[::1]x:80/", BadAddress::Host),
            (&long, BadAddress::TooLong),
            ("https://{{ host }}/", BadAddress::Template),
            ("https://h{{ x }}/", BadAddress::Template),
            ("{{ url }}", BadAddress::Template),
        ];
        for (text, why) in cases {
            assert_eq!(Address::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn debug_output_never_holds_path_or_query() {
        let address = Address::parse("https://h/hooks/T0KEN?key=s3cret").unwrap();
        assert_eq!(format!("{address:?}"), "https://h:443/...");
    }
}
