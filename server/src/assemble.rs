//! Puts the parts together: the only place that names concrete stores and doors.

use crate::archive::FolderArchive;
use crate::config::{self, Loaded, PrivateNetworks, ServerSettings};
use crate::http_port::HttpPort;
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::Arc;
use steadfast_api::{ApiKey, ApiKeys, ApiState, Scope};
use steadfast_channel::{AllowedNetworks, DoorSettings, HttpDoor};
use steadfast_engine::{Clock, Engine, EngineLimits, Observer, Parts, SystemClock};
use steadfast_lead::{NodeNumber, Timestamp};
use steadfast_retry::Event;
use steadfast_store::{CommitReport, ConfigVersion, Store, TermKey};
use steadfast_store_embedded::{EmbeddedStore, Options};
use steadfast_watch::Figures;

/// A running server without its listener.
pub(crate) struct Assembled {
    pub(crate) engine: Engine,
    pub(crate) api: ApiState,
    pub(crate) version: u64,
    pub(crate) archive: Arc<FolderArchive>,
}

/// Tells figures, and whoever else wants to know, what was committed.
struct Watchers {
    figures: Arc<Figures>,
    also: Option<Arc<dyn Observer>>,
}

impl Observer for Watchers {
    fn committed(&self, event: &Event) {
        self.figures.record(event);
        if let Some(also) = &self.also {
            also.committed(event);
        }
    }
}

/// Opens the store, starts the engine and makes the API.
///
/// # Errors
/// When the store cannot be opened, the configuration makes no book, or the door cannot be set up.
pub(crate) async fn assemble(loaded: &Loaded, data: &Path, also: Option<Arc<dyn Observer>>) -> Result<Assembled> {
    let clock = Arc::new(SystemClock);
    let figures = Arc::new(Figures::new());
    let store = open_store(data, &loaded.server, Arc::clone(&figures))?;
    let version = keep_config(store.as_ref(), loaded, clock.now()).await?;
    let door = HttpDoor::new(door_settings(&loaded.server)).context("setting up connections to recipients")?;
    let engine = Engine::start(Parts {
        store: Arc::clone(&store),
        door: Arc::new(HttpPort::new(door, Arc::clone(&clock) as _)),
        clock,
        observer: Arc::new(Watchers { figures: Arc::clone(&figures), also }),
        book: loaded.clone().into_book(version),
        limits: limits(&loaded.server),
    })
    .await
    .context("starting from what is stored")?;
    let api = ApiState::new(engine.clone(), figures, keys(&loaded.server));
    let archive = Arc::new(FolderArchive::default());
    archive.use_folder(loaded.server.archive.clone());
    engine.start_pruning(Some(Arc::clone(&archive) as _));
    Ok(Assembled { engine, api, version, archive })
}

fn limits(settings: &ServerSettings) -> EngineLimits {
    let slots = usize::try_from(settings.concurrency).unwrap_or(usize::MAX);
    EngineLimits { slots, open_max: settings.store.queue_capacity, ..EngineLimits::default() }
}

/// The API keys of a configuration.
pub(crate) fn keys(settings: &ServerSettings) -> ApiKeys {
    ApiKeys::new(settings.keys.iter().map(api_key).collect())
}

fn api_key(key: &config::ApiKey) -> ApiKey {
    let scopes = key.scopes.iter().map(|scope| match scope {
        config::Scope::Ingest => Scope::Ingest,
        config::Scope::Read => Scope::Read,
        config::Scope::Operate => Scope::Operate,
    });
    ApiKey { name: key.name.as_str().into(), hash: key.hash, scopes: scopes.collect(), account: key.account.clone() }
}

/// Keeps a configuration as the next version, unless it is the newest already. Answers with its number.
///
/// # Errors
/// When the store does not take it.
pub(crate) async fn keep_config(store: &dyn Store, loaded: &Loaded, at: Timestamp) -> Result<u64> {
    if let Some(newest) = store.newest_config().await?
        && *newest.text == *loaded.text
    {
        return Ok(newest.version);
    }
    let config = ConfigVersion { version: 0, at, by: "file".into(), text: Arc::from(loaded.text.as_str()) };
    Ok(store.save_config(config).await?)
}

fn open_store(data: &Path, settings: &ServerSettings, figures: Arc<Figures>) -> Result<Arc<dyn Store>> {
    let on_commit = move |report: CommitReport| figures.record_commit(&report);
    let (mut seed, mut term_key) = ([0_u8; 8], [0_u8; 32]);
    for drawn in [&mut seed[..], &mut term_key[..]] {
        getrandom::fill(drawn).map_err(|error| anyhow::anyhow!("the system gave no randomness: {error}"))?;
    }
    let options = Options {
        cache_bytes: usize::try_from(settings.store.cache_bytes).unwrap_or(usize::MAX),
        on_commit: Some(Arc::new(on_commit)),
        ..Options::new(u64::from_le_bytes(seed), TermKey::new(term_key), NodeNumber(0), Arc::new(|| SystemClock.now()))
    };
    Ok(EmbeddedStore::open(data, options)?)
}

fn door_settings(settings: &ServerSettings) -> DoorSettings {
    let allow_private_networks = match &settings.private_networks {
        PrivateNetworks::All => AllowedNetworks::All,
        PrivateNetworks::Listed(networks) => AllowedNetworks::Listed(networks.clone()),
    };
    DoorSettings { allow_private_networks, ..DoorSettings::default() }
}
