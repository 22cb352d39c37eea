//! The stage engine tests play on: an engine with a scripted door, a store in memory that can be made slow or full, and a
//! clock that only the test moves. Nothing here waits for time to pass.

#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a stage that cannot be set up ends the test")]

mod door;
mod store;

pub(crate) use door::{ScriptedDoor, Seen, answered, refused, reset, with_header};
pub(crate) use store::{Mood, MoodyStore};

use std::sync::Arc;
use std::time::Duration;
use steadfast_engine::{
    Acted, Clock, Engine, EngineLimits, ManualClock, NoObserver, Parts, Posted, Receipt, Refusal, RefusedAction,
};
use steadfast_flow::{
    Address, BreakerKeys, FlowSettings, InDoubtMode, InDoubtSettings, ProtectionSettings, RecipientSettings,
    RequestSettings, Settings, StepSettings,
};
use steadfast_lead::{DeliveryId, Fields, FlowName, NodeNumber, RecipientName, StepName, Timestamp, Value};
use steadfast_retry::breaker::BreakerMode;
use steadfast_retry::pace::ConcurrencyLimit;
use steadfast_retry::policy::{Jitter, Layer};
use steadfast_retry::{Attempt, Change, Delivery, Entry, LookUp, ReviewCause, Seed, State, StateName, Verb};
use steadfast_store::{Deliveries, MemoryStore};

pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// `seconds` after the start.
pub(crate) fn at(seconds: u64) -> Timestamp {
    START.after(secs(seconds))
}

/// Everything that can happen without time passing has happened: the runtime's own paused clock moves only then.
pub(crate) async fn idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// One flow `auto` with the step `sell` to `bigbank`: retries after 2, 4 and 8 s, without jitter.
pub(crate) fn settings() -> Settings {
    let url = Some(Address::parse("http://bigbank.test/leads").unwrap());
    let request = RequestSettings { url, ..RequestSettings::default() };
    let recipient = RecipientSettings { request, protection: unprotected(), ..RecipientSettings::default() };
    let system = Layer { jitter: Some(Jitter::None), ..Layer::default() };
    let flow = FlowSettings { steps: vec![step("sell")], ..FlowSettings::default() };
    let mut settings = Settings { system, ..Settings::default() };
    settings.recipients.insert(bigbank(), recipient);
    settings.flows.insert(auto(), flow);
    settings
}

/// No breaker, no budget, and as many at once as a test may want.
pub(crate) fn unprotected() -> ProtectionSettings {
    ProtectionSettings {
        concurrency: Some(ConcurrencyLimit::Fixed(256)),
        retry_budget: Some(false),
        breaker: BreakerKeys { mode: Some(BreakerMode::Off), ..BreakerKeys::default() },
        ..ProtectionSettings::default()
    }
}

pub(crate) fn auto() -> FlowName {
    FlowName::new("auto").unwrap()
}

pub(crate) fn bigbank() -> RecipientName {
    RecipientName::new("bigbank").unwrap()
}

pub(crate) fn step(id: &str) -> StepSettings {
    StepSettings {
        id: StepName::new(id).unwrap(),
        recipient: bigbank(),
        retry: Layer::default(),
        in_doubt: InDoubtSettings::default(),
        priority: None,
        request: RequestSettings::default(),
        auth: None,
        response: Default::default(),
        rules: Vec::new(),
        duplicates: None,
        test_leads: None,
        shadow: false,
        sale: Default::default(),
        terms: Default::default(),
        fallbacks: Vec::new(),
        candidates: Vec::new(),
        balance: Default::default(),
        follow_ups: Default::default(),
        caps: Default::default(),
    }
}

pub(crate) fn flow(settings: &mut Settings) -> &mut FlowSettings {
    settings.flows.get_mut("auto").unwrap()
}

pub(crate) fn recipient(settings: &mut Settings) -> &mut RecipientSettings {
    settings.recipients.get_mut("bigbank").unwrap()
}

/// The settings with another way of dealing with doubt.
pub(crate) fn in_doubt(mode: InDoubtMode) -> Settings {
    let mut settings = settings();
    flow(&mut settings).in_doubt.mode = Some(mode);
    settings
}

pub(crate) struct Stage {
    pub(crate) clock: ManualClock,
    pub(crate) store: Arc<MoodyStore>,
    pub(crate) door: Arc<ScriptedDoor>,
    pub(crate) engine: Engine,
    limits: EngineLimits,
}

impl Stage {
    pub(crate) async fn new() -> Stage {
        Stage::of(settings(), EngineLimits::default()).await
    }

    pub(crate) async fn of(settings: Settings, limits: EngineLimits) -> Stage {
        let store = MemoryStore::new(Seed(7), NodeNumber(0));
        Stage::on(ManualClock::at(START), store, (settings, 1), limits).await
    }

    async fn on(
        clock: ManualClock,
        store: Arc<MemoryStore>,
        (settings, version): (Settings, u64),
        limits: EngineLimits,
    ) -> Stage {
        let (store, door) = (MoodyStore::over(store), Arc::new(ScriptedDoor::default()));
        let parts = Parts {
            store: Arc::clone(&store) as _,
            door: Arc::clone(&door) as _,
            clock: Arc::new(clock.clone()),
            observer: Arc::new(NoObserver),
            book: settings.compile(version).unwrap(),
            limits,
        };
        let engine = Engine::start(parts).await.unwrap();
        idle().await;
        Stage { clock, store, door, engine, limits }
    }

    /// The process ends without a word and starts again after a while, with an empty script.
    pub(crate) async fn crash(self, settings: Settings, down: Duration) -> Stage {
        self.crash_to(settings, 1, down).await
    }

    /// As [`Stage::crash`], under another version of the configuration.
    pub(crate) async fn crash_to(self, settings: Settings, version: u64, down: Duration) -> Stage {
        let memory = self.store.memory().reopen();
        self.clock.advance(down);
        Stage::on(self.clock.clone(), memory, (settings, version), self.limits).await
    }

    /// Posts a lead and lets happen what happens at once.
    pub(crate) async fn post(&self) -> Result<Receipt, Refusal> {
        let mut fields = Fields::new();
        fields.insert("email", Value::text("ann@example.com")).unwrap();
        let posted = Posted { flow: auto(), source: None, test: false, fields, idempotency: None };
        let receipt = self.engine.accept(posted).await;
        idle().await;
        receipt
    }

    pub(crate) async fn lead(&self) -> DeliveryId {
        self.post().await.unwrap().deliveries[0].id
    }

    /// Moves the clock, stopping wherever somebody wakes.
    pub(crate) async fn pass(&self, by: Duration) {
        let target = self.clock.now().after(by);
        loop {
            idle().await;
            let wake = self.clock.next_wake().filter(|wake| *wake <= target);
            let Some(wake) = wake else { break };
            self.clock.set(wake);
        }
        self.clock.set(target);
        idle().await;
    }

    pub(crate) fn follow(&self, settings: &Settings, version: u64) {
        self.engine.replace_book(settings.compile(version).unwrap());
    }

    pub(crate) async fn act(&self, id: DeliveryId, verb: Verb) -> Result<Acted, RefusedAction> {
        let acted = self.engine.act(id, verb, "ann").await;
        idle().await;
        acted
    }

    pub(crate) async fn delivery(&self, id: DeliveryId) -> Delivery {
        self.store.memory().delivery(id).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, id: DeliveryId) -> State {
        self.delivery(id).await.state
    }

    /// The cause of a delivery that must be in review.
    pub(crate) async fn review_cause(&self, id: DeliveryId) -> ReviewCause {
        let state = self.state(id).await;
        let State::InReview { cause, .. } = state else { panic!("not in review: {state:?}") };
        cause
    }

    pub(crate) async fn history(&self, id: DeliveryId) -> Vec<Entry> {
        self.store.memory().history(id, 0, 1_000).await.unwrap()
    }

    pub(crate) async fn attempts(&self, id: DeliveryId) -> Vec<Attempt> {
        let attempts = self.history(id).await.into_iter();
        attempts.filter_map(|entry| if let Entry::Attempt(attempt) = entry { Some(*attempt) } else { None }).collect()
    }

    pub(crate) async fn changes(&self, id: DeliveryId) -> Vec<Change> {
        let changes = self.history(id).await.into_iter();
        changes.filter_map(|entry| if let Entry::Change(change) = entry { Some(change) } else { None }).collect()
    }

    pub(crate) async fn look_ups(&self, id: DeliveryId) -> Vec<LookUp> {
        let look_ups = self.history(id).await.into_iter();
        look_ups.filter_map(|entry| if let Entry::LookUp(look_up) = entry { Some(*look_up) } else { None }).collect()
    }

    /// Because of what the last line of a history happened.
    pub(crate) async fn last_because(&self, id: DeliveryId) -> String {
        match self.history(id).await.pop().unwrap() {
            Entry::Attempt(attempt) => attempt.because.into(),
            Entry::Change(change) => change.because.into(),
            Entry::LookUp(look_up) => look_up.because.into(),
        }
    }
}

pub(crate) fn delivered(state: &State) -> bool {
    matches!(state, State::Delivered { .. })
}

pub(crate) fn dismiss() -> Verb {
    Verb::Dismiss { reason: "no longer wanted".into() }
}

pub(crate) fn mark_delivered() -> Verb {
    Verb::MarkDelivered { reason: "they called".into() }
}
