//! What a door is set up with. Plain values; the config's reader fills them in.

use crate::address::AllowedNetworks;
use crate::secure::{BadRoots, read_roots};
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;

/// What a door is set up with.
#[derive(Clone, Debug)]
pub struct DoorSettings {
    /// Which of the networks that are not public may be called (`[server] allow_private_networks`); none by default.
    pub allow_private_networks: AllowedNetworks,
    /// How many unused connections are kept open to one origin.
    pub idle_per_endpoint_max: usize,
    /// How many unused connections are kept open in all.
    pub idle_total_max: usize,
    /// How long an unused connection is kept open.
    pub idle_timeout: Duration,
    /// Whether certificates are accepted that the operating system trusts, beside Mozilla's list.
    pub trust_system_roots: bool,
    /// Further certificate authorities that are trusted.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Name servers to ask; the system's where empty.
    pub name_servers: Vec<SocketAddr>,
}

/// Why a door could not be set up.
#[derive(Debug, Error)]
pub enum BadSettings {
    /// A certificate authority among `extra_roots` cannot be used.
    #[error("an extra root certificate cannot be used: {0}")]
    Root(rustls::Error),
    /// TLS could not be set up.
    #[error("TLS could not be set up: {0}")]
    Tls(rustls::Error),
    /// Looking up names could not be set up.
    #[error("looking up names could not be set up: {0}")]
    Resolver(String),
}

impl Default for DoorSettings {
    fn default() -> Self {
        DoorSettings {
            allow_private_networks: AllowedNetworks::default(),
            // As many as a server has attempts under way by default: they come in waves, one for each commit.
            idle_per_endpoint_max: 512,
            idle_total_max: 2_048,
            // Below what usual servers keep open (nginx 75 s, Node 5 s): closing first avoids sending into a closed door.
            idle_timeout: Duration::from_secs(4),
            trust_system_roots: true,
            extra_roots: Vec::new(),
            name_servers: Vec::new(),
        }
    }
}

impl DoorSettings {
    /// Trusts the certificate authorities in this PEM text as well; answers how many there are.
    ///
    /// # Errors
    /// [`BadRoots`] if it is not PEM or holds no certificate.
    pub fn trust_pem(&mut self, pem: &[u8]) -> Result<usize, BadRoots> {
        let roots = read_roots(pem)?;
        let count = roots.len();
        self.extra_roots.extend(roots);
        Ok(count)
    }
}
