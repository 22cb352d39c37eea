//! TLS: whose certificates are trusted. Checking them cannot be switched off.

use crate::settings::{BadSettings, DoorSettings};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, crypto};
use std::sync::Arc;
use thiserror::Error;
use tokio_rustls::TlsConnector;

use crate::target::Host;

/// Why a text holds no certificate authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadRoots {
    /// Not PEM.
    #[error("this is not a PEM file")]
    NotPem,
    /// PEM, but no certificate in it.
    #[error("this PEM file holds no certificate")]
    Empty,
}

pub(crate) fn read_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadRoots> {
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let roots = roots.map_err(|_| BadRoots::NotPem)?;
    if roots.is_empty() { Err(BadRoots::Empty) } else { Ok(roots) }
}

/// A connector that trusts Mozilla's list, the system's where asked for, and the extra roots.
pub(crate) fn connector(settings: &DoorSettings) -> Result<TlsConnector, BadSettings> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if settings.trust_system_roots {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "a system root certificate could not be read");
        }
        roots.add_parsable_certificates(found.certs);
    }
    for root in &settings.extra_roots {
        roots.add(root.clone()).map_err(BadSettings::Root)?;
    }
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = versions.map_err(BadSettings::Tls)?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The name the certificate must be for. `None` for a name that TLS cannot carry (an underscore at its end, say).
pub(crate) fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Address(address) => Some(ServerName::IpAddress((*address).into())),
        Host::Name(name) => ServerName::try_from(name.to_string()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_certificate_is_refused() {
        assert_eq!(read_roots(b""), Err(BadRoots::Empty));
        assert_eq!(read_roots(b"no certificate here"), Err(BadRoots::Empty));
        let cut = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
        assert_eq!(read_roots(cut), Err(BadRoots::NotPem));
    }
}
