//! Where a request goes: an absolute http or https address, checked once.
//!
//! Never resolves a name; whether the address may be called is decided where it is dialled.

use http::Uri;
use http::uri::Scheme;
use std::fmt;
use std::sync::Arc;

/// How long an address may be as configured, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 2_048;

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
    /// A part after `#`.
    #[error("has a fragment (#...), which is never sent")]
    Fragment,
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
}

impl Address {
    /// Checks an address and keeps it: host in lower case, `/` where there was no path, else as written.
    ///
    /// # Errors
    /// [`BadAddress`] with the reason.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
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
        let host = authority.host().to_ascii_lowercase();
        if host.is_empty() || host == "[]" {
            return Err(BadAddress::NotAbsolute);
        }
        let port = port_of(authority, &host, if secure { 443 } else { 80 })?;
        let scheme = if secure { "https" } else { "http" };
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let (slash, port_text) = (if path.starts_with('/') { "" } else { "/" }, &authority.as_str()[host.len()..]);
        let port_text = port_text.strip_suffix(':').unwrap_or(port_text);
        Ok(Address {
            text: format!("{scheme}://{host}{port_text}{slash}{path}").into(),
            origin: format!("{scheme}://{host}:{port}").into(),
            host: host.into(),
            port,
            secure,
        })
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

fn port_of(authority: &http::uri::Authority, host: &str, default: u16) -> Result<u16, BadAddress> {
    let rest = authority.as_str().get(host.len()..).unwrap_or_default();
    match rest.strip_prefix(':') {
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
            (&long, BadAddress::TooLong),
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
