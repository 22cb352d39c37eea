//! From what the layers below report to a kind and a sentence. The sentences hold no lead data, no path, no query.

#![allow(clippy::wildcard_enum_match_arm, reason = "only the libraries' open enums are matched here")]

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use std::error::Error;
use std::io;
use steadfast_retry::{Fault, FaultKind};

const DETAIL_BYTES_MAX: usize = 300;

pub(crate) fn fault(kind: FaultKind, detail: impl Into<String>) -> Fault {
    let mut detail = detail.into();
    if detail.len() > DETAIL_BYTES_MAX {
        detail.truncate(detail.floor_char_boundary(DETAIL_BYTES_MAX));
        detail.push('…');
    }
    Fault { kind, detail: detail.into() }
}

/// Of a lookup. The order of the kinds is how much they say: NXDOMAIN holds for every type of record.
pub(crate) fn lookup_kind(error: &NetError) -> FaultKind {
    match error {
        NetError::Timeout => FaultKind::DnsTimeout,
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain | ResponseCode::NoError => FaultKind::DnsNotFound,
            _ => FaultKind::DnsFailure,
        },
        _ => FaultKind::DnsFailure,
    }
}

/// Of opening a connection.
pub(crate) fn of_connect(error: &io::Error) -> Fault {
    use io::ErrorKind as Io;
    let (kind, detail) = match error.kind() {
        Io::ConnectionRefused => (FaultKind::ConnectRefused, "The connection was refused"),
        Io::TimedOut => (FaultKind::ConnectTimeout, "The connection did not open in time"),
        Io::ConnectionReset | Io::ConnectionAborted => (FaultKind::Reset, "The connection was reset while it opened"),
        Io::NetworkUnreachable | Io::NetworkDown => {
            (FaultKind::Unreachable, "There is no way to the recipient's network")
        }
        Io::HostUnreachable => (FaultKind::Unreachable, "There is no way to the recipient's machine"),
        Io::AddrNotAvailable => {
            (FaultKind::Unreachable, "This machine has no free port or no address for this network")
        }
        Io::PermissionDenied => (FaultKind::Unreachable, "This machine's firewall does not allow the connection"),
        _ => return fault(FaultKind::Unreachable, format!("The connection could not be opened ({error})")),
    };
    fault(kind, detail)
}

/// Of the TLS handshake.
pub(crate) fn of_handshake(error: &io::Error) -> Fault {
    match tls_error(error) {
        Some(error) => of_tls(error),
        None if is_broken_off(error) => {
            fault(FaultKind::Reset, "The connection was reset or closed during the TLS handshake.")
        }
        None => fault(FaultKind::Tls, format!("The TLS handshake failed ({error}).")),
    }
}

fn of_tls(error: &rustls::Error) -> Fault {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            fault(FaultKind::TlsCertificate, format!("The recipient's certificate was not accepted: {error}."))
        }
        // The library's own enum, open to additions.
        _ => fault(FaultKind::Tls, format!("TLS failed: {error}.")),
    }
}

/// Of an exchange on an open connection: the request, the answer's head or its body.
pub(crate) fn of_exchange(error: &hyper::Error) -> Fault {
    if error.is_parse() {
        return fault(FaultKind::Protocol, format!("What came is not an HTTP answer: {error}."));
    }
    match source::<io::Error>(error) {
        Some(cause) => of_stream(cause),
        None if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => reset(),
        None => fault(FaultKind::Protocol, format!("What came is not an HTTP answer: {error}.")),
    }
}

fn of_stream(error: &io::Error) -> Fault {
    if let Some(tls) = tls_error(error) {
        return of_tls(tls);
    }
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            fault(FaultKind::Protocol, format!("The answer's body is not framed as HTTP allows: {error}."))
        }
        io::ErrorKind::FileTooLarge => {
            fault(FaultKind::ResponseTooLarge, "More came than any answer with a body of the allowed size needs.")
        }
        _ => reset(),
    }
}

fn reset() -> Fault {
    fault(FaultKind::Reset, "The connection was reset or closed before the answer was whole.")
}

fn is_broken_off(error: &io::Error) -> bool {
    use io::ErrorKind as Io;
    matches!(error.kind(), Io::UnexpectedEof | Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe)
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn source<E: Error + 'static>(error: &dyn Error) -> Option<&E> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_errors_are_told_apart() {
        use io::ErrorKind as Io;
        for (from, kind) in [
            (Io::ConnectionRefused, FaultKind::ConnectRefused),
            (Io::TimedOut, FaultKind::ConnectTimeout),
            (Io::ConnectionReset, FaultKind::Reset),
            (Io::NetworkUnreachable, FaultKind::Unreachable),
            (Io::HostUnreachable, FaultKind::Unreachable),
            (Io::AddrNotAvailable, FaultKind::Unreachable),
            (Io::PermissionDenied, FaultKind::Unreachable),
            (Io::Other, FaultKind::Unreachable),
        ] {
            assert_eq!(of_connect(&from.into()).kind, kind, "{from:?}");
        }
    }

    #[test]
    fn a_long_detail_is_cut_at_a_character() {
        let cut = fault(FaultKind::Tls, "ä".repeat(400));
        assert!(cut.detail.ends_with("ä…") && cut.detail.len() <= DETAIL_BYTES_MAX + 3);
    }
}
