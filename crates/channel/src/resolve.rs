//! Names to addresses: the hosts file, `localhost`, then the name servers. Answers are cached as long as they say, within
//! bounds. Asks each name server once: repeating is the retry engine's business.

use crate::fault::lookup_kind;
use crate::settings::{BadSettings, DoorSettings};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use steadfast_retry::FaultKind;
use tokio::time::sleep;

/// How many addresses of one name are tried.
const ADDRESSES_MAX: usize = 8;
/// How long the other family's answer is waited for once one family has addresses.
const OTHER_FAMILY_WAIT: Duration = Duration::from_millis(50);
/// "No such name" is believed this long at most, so that a repaired record is seen soon.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(5);
/// Addresses are believed this long at most.
const POSITIVE_TTL_MAX: Duration = Duration::from_secs(300);
/// The resolver's own patience; the attempt's bound is the one that counts.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Resolver {
    hosts: Hosts,
    servers: TokioResolver,
}

impl Resolver {
    pub(crate) fn new(settings: &DoorSettings) -> Result<Self, BadSettings> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = if settings.name_servers.is_empty() {
            TokioResolver::builder(provider).map_err(bad)?
        } else {
            let servers = settings.name_servers.iter().map(name_server).collect();
            TokioResolver::builder_with_config(ResolverConfig::from_name_servers(servers), provider)
        };
        own_options(builder.options_mut());
        let hosts = Hosts::from_system().unwrap_or_default();
        Ok(Resolver { hosts, servers: builder.build().map_err(bad)? })
    }

    /// The addresses of a name, IPv4 first, at most eight; never an empty list.
    pub(crate) async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, FaultKind> {
        if is_localhost(name) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        if let Some(known) = self.in_hosts_file(name) {
            return Ok(known);
        }
        let (v4, v6) = both(self.ask(name, RecordType::A), self.ask(name, RecordType::AAAA)).await;
        let v6 = v6.unwrap_or(Ok(Vec::new()));
        let mut addresses = v4.clone().unwrap_or_default();
        addresses.extend(v6.clone().unwrap_or_default());
        addresses.truncate(ADDRESSES_MAX);
        if addresses.is_empty() { Err(combine(v4.err(), v6.err())) } else { Ok(addresses) }
    }

    fn in_hosts_file(&self, name: &str) -> Option<Vec<IpAddr>> {
        let name = Name::from_utf8(name).ok()?;
        let of_type = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let found = [of_type(RecordType::A), of_type(RecordType::AAAA)];
        let records = found.iter().flatten().flat_map(|lookup| lookup.answers());
        let addresses: Vec<_> = records.filter_map(|record| record.data.ip_addr()).take(ADDRESSES_MAX).collect();
        (!addresses.is_empty()).then_some(addresses)
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Found {
        let lookup = self
            .servers
            .lookup(name, kind)
            .await
            .map_err(|error| Miss { kind: lookup_kind(&error), is_final: error.is_nx_domain() })?;
        let addresses: Vec<_> = lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect();
        if addresses.is_empty() { Err(Miss { kind: FaultKind::DnsNotFound, is_final: false }) } else { Ok(addresses) }
    }
}

type Found = Result<Vec<IpAddr>, Miss>;

#[derive(Clone, Copy, Debug)]
struct Miss {
    kind: FaultKind,
    /// NXDOMAIN speaks for every type of record.
    is_final: bool,
}

/// Both families' answers; the second is `None` where the first had addresses and the second took too long.
async fn both(first: impl Future<Output = Found>, second: impl Future<Output = Found>) -> (Found, Option<Found>) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut first_found, mut second_found) = (None, None);
    let mut patience = pin!(None);
    poll_fn(|cx| {
        if first_found.is_none()
            && let Poll::Ready(found) = first.as_mut().poll(cx)
        {
            first_found = Some(found);
        }
        if second_found.is_none()
            && let Poll::Ready(found) = second.as_mut().poll(cx)
        {
            second_found = Some(found);
        }
        if first_found.is_some() && second_found.is_some() {
            return Poll::Ready(());
        }
        let usable = [&first_found, &second_found].into_iter().any(|found| matches!(found, Some(Ok(_))));
        if usable && patience.is_none() {
            patience.set(Some(sleep(OTHER_FAMILY_WAIT)));
        }
        match patience.as_mut().as_pin_mut() {
            Some(patience) => patience.poll(cx),
            None => Poll::Pending,
        }
    })
    .await;
    (first_found.unwrap_or(Ok(Vec::new())), second_found)
}

/// What both failing says: NXDOMAIN is certain; else a name server in trouble says more than the other family's "none".
fn combine(v4: Option<Miss>, v6: Option<Miss>) -> FaultKind {
    let misses = [v4, v6];
    let any = |kind| misses.iter().flatten().any(|miss| miss.kind == kind);
    if misses.iter().flatten().any(|miss| miss.is_final) {
        FaultKind::DnsNotFound
    } else if any(FaultKind::DnsTimeout) {
        FaultKind::DnsTimeout
    } else if any(FaultKind::DnsFailure) {
        FaultKind::DnsFailure
    } else {
        FaultKind::DnsNotFound
    }
}

fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let with_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![with_port(ConnectionConfig::udp()), with_port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

fn own_options(options: &mut ResolverOpts) {
    options.attempts = 0;
    options.timeout = LOOKUP_TIMEOUT;
    options.use_hosts_file = ResolveHosts::Never;
    options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
    options.positive_max_ttl = Some(POSITIVE_TTL_MAX);
}

fn bad(error: NetError) -> BadSettings {
    BadSettings::Resolver(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_both_families_fail_the_more_telling_one_speaks() {
        let miss = |kind, is_final| Some(Miss { kind, is_final });
        let none = miss(FaultKind::DnsNotFound, false);
        let nx = miss(FaultKind::DnsNotFound, true);
        let failure = miss(FaultKind::DnsFailure, false);
        let timeout = miss(FaultKind::DnsTimeout, false);
        for (v4, v6, kind) in [
            (nx, timeout, FaultKind::DnsNotFound),
            (failure, nx, FaultKind::DnsNotFound),
            (none, none, FaultKind::DnsNotFound),
            (none, failure, FaultKind::DnsFailure),
            (timeout, none, FaultKind::DnsTimeout),
            (failure, timeout, FaultKind::DnsTimeout),
        ] {
            assert_eq!(combine(v4, v6), kind, "{v4:?} {v6:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_family_that_stays_silent_costs_the_other_a_moment_only() {
        let start = tokio::time::Instant::now();
        let found = || std::future::ready(Ok(vec![IpAddr::from([192, 0, 2, 1])]));
        let (first, second) = both(found(), std::future::pending()).await;
        assert!(first.is_ok_and(|addresses| addresses.len() == 1) && second.is_none());
        assert!((OTHER_FAMILY_WAIT..OTHER_FAMILY_WAIT * 2).contains(&start.elapsed()));
        let (first, second) = both(std::future::pending(), found()).await;
        assert!(first.is_ok_and(|addresses| addresses.is_empty()) && second.is_some());
    }
}
