//! What every request can reach.

use crate::auth::{ApiKeys, Caller, Scope};
use crate::body_room::BodyRoom;
use crate::problem::Problem;
use http::HeaderMap;
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use steadfast_engine::Engine;
use steadfast_lead::Timestamp;
use steadfast_watch::Figures;
use tokio::sync::Semaphore;

/// Bounds on single requests.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// All bodies that are coming in, at most, in bytes. A batch counts as one lead's.
    pub bodies_bytes_max: usize,
    /// A lead's body, at most, in bytes.
    pub body_bytes_max: usize,
    /// The body of a batch, at most, in bytes.
    pub batch_bytes_max: usize,
    /// Lines of a batch, at most.
    pub batch_lines_max: usize,
    /// How long a body may take to come; of a batch, each piece of it.
    pub body_timeout: Duration,
    /// How long `?wait=` may wait.
    pub wait_max: Duration,
    /// The names and values of all headers, at most, in bytes.
    pub header_bytes_max: usize,
    /// Readers of the journal's stream at once.
    pub streams_max: usize,
    /// Simulations at once.
    pub simulations_max: usize,
    /// Ranges read once more at once.
    pub classifications_max: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        RequestLimits {
            bodies_bytes_max: 256 << 20,
            body_bytes_max: 1 << 20,
            batch_bytes_max: 64 << 20,
            batch_lines_max: 20_000,
            body_timeout: Duration::from_secs(30),
            wait_max: Duration::from_secs(60),
            header_bytes_max: 16 << 10,
            streams_max: 64,
            simulations_max: 1,
            classifications_max: 1,
        }
    }
}

/// What every request can reach. Cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Inner>);

struct Inner {
    engine: Engine,
    figures: Arc<Figures>,
    keys: RwLock<Arc<ApiKeys>>,
    limits: RequestLimits,
    started_at: Timestamp,
    requests: AtomicU64,
    bodies: BodyRoom,
    streams: Arc<Semaphore>,
    simulations: Arc<Semaphore>,
    classifications: Arc<Semaphore>,
}

impl ApiState {
    /// Over an engine, with the figures it tells and the keys that open it.
    pub fn new(engine: Engine, figures: Arc<Figures>, keys: ApiKeys) -> Self {
        ApiState::with_limits(engine, figures, keys, RequestLimits::default())
    }

    /// As [`ApiState::new`], with other bounds.
    pub fn with_limits(engine: Engine, figures: Arc<Figures>, keys: ApiKeys, limits: RequestLimits) -> Self {
        let started_at = engine.now();
        ApiState(Arc::new(Inner {
            engine,
            figures,
            keys: RwLock::new(Arc::new(keys)),
            limits,
            started_at,
            requests: AtomicU64::new(0),
            bodies: BodyRoom::of(limits.bodies_bytes_max),
            streams: Arc::new(Semaphore::new(limits.streams_max)),
            simulations: Arc::new(Semaphore::new(limits.simulations_max)),
            classifications: Arc::new(Semaphore::new(limits.classifications_max)),
        }))
    }

    /// Puts other keys in force, for the next request on.
    pub fn replace_keys(&self, keys: ApiKeys) {
        *self.0.keys.write() = Arc::new(keys);
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// What is counted.
    pub(crate) fn figures(&self) -> &Figures {
        &self.0.figures
    }

    /// Bounds.
    pub(crate) fn limits(&self) -> &RequestLimits {
        &self.0.limits
    }

    /// When this was made.
    pub(crate) fn started_at(&self) -> Timestamp {
        self.0.started_at
    }

    /// Room for bodies that are coming in.
    pub(crate) fn bodies(&self) -> &BodyRoom {
        &self.0.bodies
    }

    /// Room for readers of the journal's stream.
    pub(crate) fn streams(&self) -> &Arc<Semaphore> {
        &self.0.streams
    }

    /// Room for simulations.
    pub(crate) fn simulations(&self) -> &Arc<Semaphore> {
        &self.0.simulations
    }

    /// Room for ranges read once more.
    pub(crate) fn classifications(&self) -> &Arc<Semaphore> {
        &self.0.classifications
    }

    /// Who calls, if they may.
    pub(crate) fn authorize(&self, headers: &HeaderMap, scope: Scope) -> Result<Caller, Problem> {
        let keys = Arc::clone(&self.0.keys.read());
        keys.authorize(headers, scope)
    }

    /// The keys in force.
    pub(crate) fn keys(&self) -> Arc<ApiKeys> {
        Arc::clone(&self.0.keys.read())
    }

    /// Names a request: unique as long as the clock is never set back to an earlier start's microsecond.
    pub(crate) fn next_request_id(&self) -> String {
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed);
        format!("{:x}-{number:x}", self.0.started_at.as_micros())
    }
}
