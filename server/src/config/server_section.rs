//! Reading `[server]` and `[store]`: what belongs to this process, not to the leads.

use super::keys::{API_KEY, SERVER, STORE};
use super::literals;
use super::retry_section::name;
use super::tree::{Found, Section};
use ipnet::IpNet;
use std::collections::HashSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use steadfast_lead::{AccountName, SourceName};

/// What belongs to this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerSettings {
    /// Where the API listens.
    pub(crate) listen: SocketAddr,
    /// Private networks deliveries may go to.
    pub(crate) private_networks: PrivateNetworks,
    /// Attempts under way at once, over all recipients.
    pub(crate) concurrency: u32,
    /// How long a stopping server waits for attempts under way.
    pub(crate) drain_timeout: Duration,
    /// Who may use the API; empty lets everybody who reaches it.
    pub(crate) keys: Vec<ApiKey>,
    /// Where leads are kept.
    pub(crate) store: StoreSettings,
    /// Where leads are written before they are deleted; `None` for nowhere.
    pub(crate) archive: Option<PathBuf>,
}

/// Private networks deliveries may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PrivateNetworks {
    /// These, possibly none.
    Listed(Vec<IpNet>),
    /// All of them.
    All,
}

/// Where leads are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreSettings {
    /// The folder.
    pub(crate) path: PathBuf,
    /// Deliveries waiting, at most.
    pub(crate) queue_capacity: u64,
    /// Memory for pages, in bytes.
    pub(crate) cache_bytes: u64,
}

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Sending leads.
    Ingest,
    /// Reading.
    Read,
    /// The desk.
    Operate,
}

impl Scope {
    /// All of them.
    pub(crate) const ALL: [Scope; 3] = [Scope::Ingest, Scope::Read, Scope::Operate];

    /// The word used in config.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Scope::Ingest => "ingest",
            Scope::Read => "read",
            Scope::Operate => "operate",
        }
    }

    /// From the word used in config.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Scope::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// One API key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiKey {
    /// Who uses it.
    pub(crate) name: String,
    /// SHA-256 of the key.
    pub(crate) hash: [u8; 32],
    /// What it may do.
    pub(crate) scopes: Vec<Scope>,
    /// The only account it may see.
    pub(crate) account: Option<AccountName>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("name", &self.name).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

impl ServerSettings {
    /// Why the server must not listen at an address: beyond loopback the API needs keys.
    pub(crate) fn refuses(&self, listen: SocketAddr) -> Option<&'static str> {
        (self.keys.is_empty() && !listen.ip().is_loopback())
            .then_some("listens beyond loopback without API keys; add [[server.keys]] (steadfast key new)")
    }
}

/// `[server]` and `[store]`.
pub(crate) fn server(root: &Section<'_>) -> ServerSettings {
    let section = root.section("server", &SERVER);
    let listen = section.get("listen");
    let address = listen
        .as_ref()
        .and_then(|found| found.parsed(|text| text.parse::<SocketAddr>().map_err(|_| "is not an address with a port")));
    let concurrency = section.count("concurrency");
    let drain = section.duration("drain_timeout");
    let keys_there = section.get("keys").is_some();
    let settings = ServerSettings {
        listen: address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
        private_networks: networks(&section),
        concurrency: section.within("concurrency", concurrency, 1, 10_000).unwrap_or(512),
        drain_timeout: section
            .within("drain_timeout", drain, Duration::from_secs(1), Duration::from_secs(600))
            .unwrap_or(Duration::from_secs(30)),
        keys: keys(&section),
        store: store(&root.section("store", &STORE)),
        archive: None,
    };
    if let (Some(found), Some(why), false) = (listen, settings.refuses(settings.listen), keys_there) {
        found.wrong(why);
    }
    settings
}

fn networks(section: &Section<'_>) -> PrivateNetworks {
    /// More than anybody's own networks.
    const NETWORKS_MAX: usize = 1_000;
    let Some(found) = section.get("allow_private_networks") else {
        return PrivateNetworks::Listed(Vec::new());
    };
    if found.is_boolean() {
        let all = found.boolean() == Some(true);
        return if all { PrivateNetworks::All } else { PrivateNetworks::Listed(Vec::new()) };
    }
    let values = found.list();
    if values.len() > NETWORKS_MAX {
        found.wrong_unseen("has more than 1000 networks");
    }
    let read = |found: &Found<'_>| found.parsed(|text| literals::network(text).ok_or("is not a network"));
    PrivateNetworks::Listed(values.iter().take(NETWORKS_MAX).filter_map(read).collect())
}

fn keys(section: &Section<'_>) -> Vec<ApiKey> {
    /// Keys are compared one by one.
    const KEYS_MAX: usize = 1_000;
    let Some(found) = section.get("keys") else {
        return Vec::new();
    };
    let list = found.list();
    if list.len() > KEYS_MAX {
        found.wrong_unseen("has more than 1000 keys");
    }
    let mut names = HashSet::new();
    list.iter().take(KEYS_MAX).filter_map(|found| key(&found.section(&API_KEY), &mut names)).collect()
}

fn key(section: &Section<'_>, names: &mut HashSet<String>) -> Option<ApiKey> {
    let whose = section.required("name").and_then(|found| {
        let text = found.text()?;
        name(&found, SourceName::new)?;
        if !names.insert(text.clone()) {
            found.wrong("stands twice");
        }
        Some(text)
    });
    let hash = section.required("hash").and_then(|found| {
        // A key pasted in place of its hash must not be shown.
        let text = found.secret()?;
        let hash = literals::sha256(text.reveal());
        if hash.is_none() {
            found.wrong_unseen("is not the hash of a key; steadfast key new makes a key and its hash");
        }
        hash
    });
    let words = Scope::ALL.map(Scope::name);
    let scopes: Option<Vec<Scope>> = section.required("scopes").map(|found| {
        let scopes: Vec<Scope> = found.list().iter().filter_map(|found| found.word(Scope::from_name, &words)).collect();
        if found.is_empty_list() {
            found.wrong("is empty: the key could do nothing");
        }
        scopes
    });
    let account = section.get("account").and_then(|found| name(&found, AccountName::new));
    Some(ApiKey { name: whose?, hash: hash?, scopes: scopes?, account })
}

fn store(section: &Section<'_>) -> StoreSettings {
    let path = section
        .get("path")
        .and_then(|found| found.parsed(|text| if text.is_empty() { Err("is empty") } else { Ok(PathBuf::from(text)) }));
    let capacity = section.get("queue_capacity").and_then(|found| found.whole());
    let capacity = section.within("queue_capacity", capacity, 1_000, 100_000_000);
    let cache = section.size("cache_bytes");
    let cache = section.within("cache_bytes", cache, 1 << 20, 16 << 30);
    StoreSettings {
        path: path.unwrap_or_else(|| PathBuf::from("steadfast-data")),
        queue_capacity: capacity.and_then(|capacity| u64::try_from(capacity).ok()).unwrap_or(1_000_000),
        cache_bytes: cache.unwrap_or(64 << 20),
    }
}
