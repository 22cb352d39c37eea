//! Opening a connection: look the host up, judge its addresses, connect to one after the other, TLS. Nothing of the
//! request is sent here, so trying the next address repeats nothing.

use crate::address::AddressGuard;
use crate::connection::Link;
use crate::deadline::Deadline;
use crate::fault::{fault, of_connect, of_handshake};
use crate::parcel::Timeouts;
use crate::resolve::Resolver;
use crate::secure::{connector, server_name};
use crate::settings::{BadSettings, DoorSettings};
use crate::target::{Host, Target};
use crate::wire::{Socket, Wire};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use steadfast_retry::{Fault, FaultKind, Phase, Timings};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// Everything needed to open connections; replaced whole when the settings change.
pub(crate) struct Dialer {
    guard: AddressGuard,
    resolver: Resolver,
    tls: TlsConnector,
}

/// What dialing has to report, filled in as it goes.
#[derive(Default)]
pub(crate) struct Dialed {
    pub(crate) timings: Timings,
    pub(crate) remote: Option<Box<str>>,
}

/// Where dialing ended and why.
pub(crate) struct Undialed {
    pub(crate) phase: Phase,
    pub(crate) fault: Fault,
}

impl Dialer {
    pub(crate) fn new(settings: DoorSettings) -> Result<Self, BadSettings> {
        let (resolver, tls) = (Resolver::new(&settings)?, connector(&settings)?);
        Ok(Dialer { guard: AddressGuard::new(settings.allow_private_networks), resolver, tls })
    }

    /// A connection to the target.
    pub(crate) async fn dial(
        &self,
        target: &Target,
        timeouts: &Timeouts,
        deadline: &mut Deadline<'_>,
        dialed: &mut Dialed,
    ) -> Result<Box<Link>, Undialed> {
        let addresses = self.addresses(target, timeouts.resolve, deadline, dialed).await?;
        let stream = connect(target, &addresses, timeouts.connect, deadline, dialed).await?;
        let remote = dialed.remote.clone().unwrap_or_default();
        let socket = Socket::new(stream, Arc::default());
        let (wire, phase) = if target.is_secure() {
            (self.handshake(target, socket, timeouts.secure, deadline, dialed).await?, Phase::Secure)
        } else {
            (Wire::plain(socket), Phase::Connect)
        };
        Link::open(wire, remote, phase).await.map_err(|fault| Undialed { phase, fault })
    }

    async fn addresses(
        &self,
        target: &Target,
        wait: Duration,
        deadline: &mut Deadline<'_>,
        dialed: &mut Dialed,
    ) -> Result<Vec<IpAddr>, Undialed> {
        let name = match target.host() {
            Host::Address(address) => return self.judge(vec![*address], target.host(), Phase::Prepare),
            Host::Name(name) => name,
        };
        let start = Instant::now();
        deadline.bound(start, wait);
        let found = deadline.run(self.resolver.lookup(name)).await;
        dialed.timings.resolve = Some(start.elapsed());
        match found.unwrap_or(Err(FaultKind::DnsTimeout)) {
            Ok(addresses) => self.judge(addresses, target.host(), Phase::Resolve),
            Err(kind) => Err(Undialed { phase: Phase::Resolve, fault: fault(kind, lookup_detail(kind, name)) }),
        }
    }

    /// The addresses that may be called; the reason for the first one where none may.
    fn judge(&self, addresses: Vec<IpAddr>, host: &Host, phase: Phase) -> Result<Vec<IpAddr>, Undialed> {
        let mut refused = None;
        let judged = addresses.into_iter().filter(|address| {
            let why = self.guard.check(*address);
            refused = refused.or(why.map(|why| (*address, why)));
            why.is_none()
        });
        let allowed: Vec<_> = judged.collect();
        match refused {
            Some((address, why)) if allowed.is_empty() => {
                let what = if phase == Phase::Prepare { String::new() } else { format!("{host} leads to ") };
                let detail = format!("{what}{address}, which is {} and not allowed to be called.", why.describe());
                Err(Undialed { phase, fault: fault(FaultKind::BlockedAddress, detail) })
            }
            Some(_) | None => Ok(allowed),
        }
    }

    async fn handshake(
        &self,
        target: &Target,
        socket: Socket,
        wait: Duration,
        deadline: &mut Deadline<'_>,
        dialed: &mut Dialed,
    ) -> Result<Wire, Undialed> {
        let phase = Phase::Secure;
        let Some(name) = server_name(target.host()) else {
            let detail = format!("{} cannot stand in a certificate.", target.host());
            return Err(Undialed { phase, fault: fault(FaultKind::TlsCertificate, detail) });
        };
        let start = Instant::now();
        deadline.bound(start, wait);
        let done = deadline.run(self.tls.connect(name, socket)).await;
        dialed.timings.secure = Some(start.elapsed());
        let late = || fault(FaultKind::ConnectTimeout, "The TLS handshake did not end in time.");
        let stream = done.map_err(|_| late()).and_then(|done| done.map_err(|error| of_handshake(&error)));
        stream.map(Wire::secure).map_err(|fault| Undialed { phase, fault })
    }
}

/// Tries one address after the other, each with its share of the time left.
async fn connect(
    target: &Target,
    addresses: &[IpAddr],
    wait: Duration,
    deadline: &mut Deadline<'_>,
    dialed: &mut Dialed,
) -> Result<TcpStream, Undialed> {
    let start = Instant::now();
    deadline.bound(start, wait);
    let ends = deadline.until();
    let mut last = fault(FaultKind::Unreachable, "The host has no address.");
    for (tried, address) in addresses.iter().enumerate() {
        let address = SocketAddr::new(*address, target.port());
        let now = Instant::now();
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        deadline.bound(now, ends.saturating_duration_since(now) / left);
        dialed.remote = Some(address.to_string().into());
        let opened = deadline.run(TcpStream::connect(address)).await;
        dialed.timings.connect = Some(start.elapsed());
        last = match opened.map(|opened| opened.and_then(|stream| stream.set_nodelay(true).map(|()| stream))) {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => of_connect(&error),
            Err(_) => fault(FaultKind::ConnectTimeout, "The connection did not open in time"),
        };
    }
    let count = addresses.len();
    let all = if count > 1 { format!(" (the last of {count} addresses tried)") } else { String::new() };
    let fault = fault(last.kind, format!("{}{all}.", last.detail.trim_end_matches('.')));
    Err(Undialed { phase: Phase::Connect, fault })
}

fn lookup_detail(kind: FaultKind, name: &str) -> String {
    if kind == FaultKind::DnsNotFound {
        format!("There is no address under the name {name}.")
    } else if kind == FaultKind::DnsTimeout {
        format!("The name server did not answer for {name} in time.")
    } else {
        format!("The name server failed for {name}.")
    }
}
