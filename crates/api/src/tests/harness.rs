//! A whole server without its listener.

use super::contract::Contract;
use crate::auth::ApiKeys;
use crate::router::router;
use crate::state::{ApiState, RequestLimits};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use steadfast_engine::{Clock as _, Door, Engine, EngineLimits, ManualClock, Observer, Order, Parts};
use steadfast_flow::{
    AccountSettings, Address, CallbackSettings, CallbackWhen, CandidateSettings, FlowPlan, FlowSettings, Format,
    LegSettings, RecipientSettings, RequestSettings, RequestWindow, SaidOutcome, Secret, Settings, SourceAnswer,
    SourceSettings, StepSettings,
};
use steadfast_lead::{
    AccountName, CandidateName, FlowName, NodeNumber, RecipientName, SourceName, StepName, Timestamp,
};
use steadfast_retry::policy::Layer;
use steadfast_retry::{Answer, Event, EventKind, Evidence, Seed};
use steadfast_store::{Cursor, Journal as _, MemoryStore};
use steadfast_watch::Figures;
use tokio::sync::oneshot;

/// What the recipient does with one attempt.
pub(crate) enum Act {
    Answers(u16),
    /// Of its body only the head is kept.
    Cut(u16),
    /// 429 with Retry-After, in seconds.
    Pauses(u32),
    /// Waits for the test to say.
    Gated(oneshot::Receiver<u16>),
}

/// A recipient that does as it is told; what it was not told about it takes.
#[derive(Clone, Default)]
pub(crate) struct Recipient(Arc<Mutex<VecDeque<Act>>>);

impl Recipient {
    pub(crate) fn will(&self, act: Act) {
        self.0.lock().push_back(act);
    }

    pub(crate) fn gated(&self) -> oneshot::Sender<u16> {
        let (open, gate) = oneshot::channel();
        self.will(Act::Gated(gate));
        open
    }
}

impl Door for Recipient {
    fn send(&self, _: Order) -> BoxFuture<'static, Evidence> {
        let act = self.0.lock().pop_front().unwrap_or(Act::Answers(200));
        Box::pin(async move {
            let mut headers = vec![("content-type".into(), "text/plain".into())];
            let cut = matches!(act, Act::Cut(_));
            let status = match act {
                Act::Answers(status) | Act::Cut(status) => status,
                Act::Pauses(seconds) => {
                    headers.push(("retry-after".into(), seconds.to_string().into()));
                    429
                }
                Act::Gated(gate) => gate.await.unwrap(),
            };
            let body = Bytes::from_static("grüße".as_bytes());
            Evidence::of_answer(Answer { status, headers, body, body_bytes: if cut { 70_000 } else { 7 } })
        })
    }
}

struct Counting(Arc<Figures>);

impl Observer for Counting {
    fn committed(&self, event: &Event) {
        self.0.record(event);
    }
}

/// A whole server without its listener.
pub(crate) struct Server {
    pub(crate) engine: Engine,
    pub(crate) state: ApiState,
    pub(crate) router: Router,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: ManualClock,
    pub(crate) recipient: Recipient,
    pub(crate) contract: Arc<Contract>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn media_type(&self) -> &str {
        let value = self.headers.get("content-type").unwrap().to_str().unwrap();
        value.split(';').next().unwrap()
    }
}

pub(crate) fn start() -> Timestamp {
    Timestamp::parse("2026-11-24T10:00:00Z").unwrap()
}

fn step(id: &str, recipient: &str) -> StepSettings {
    StepSettings {
        id: StepName::new(id).unwrap(),
        recipient: RecipientName::new(recipient).unwrap(),
        retry: Layer::default(),
        in_doubt: Default::default(),
        priority: None,
        request: RequestSettings {
            url: Some(Address::parse(&format!("https://{recipient}.example/leads")).unwrap()),
            ..RequestSettings::default()
        },
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

/// One of each kind.
fn sources() -> BTreeMap<SourceName, SourceSettings> {
    let outcome = SourceSettings {
        answer: SourceAnswer::Outcome,
        wait: Duration::from_secs(10),
        when_unknown: SaidOutcome::Error,
        unknown_reason: Some("still trying".into()),
        price: Some("2.50".into()),
        ..SourceSettings::default()
    };
    let window = RequestWindow { fields: vec!["email".into()], window: Duration::from_secs(60) };
    let keys = vec![Sha256::digest("sf_partner").into()];
    let named = [
        ("web", SourceSettings::default()),
        ("outcome", outcome.clone()),
        ("once", SourceSettings { dedupe: Some(window), ..outcome }),
        ("keyed", SourceSettings { keys, key_field: Some("partner_key".into()), ..SourceSettings::default() }),
        ("open", SourceSettings { open: true, ..SourceSettings::default() }),
        ("bidding", SourceSettings { bid: Some("3.25".into()), ..SourceSettings::default() }),
        ("tests", SourceSettings { test: true, ..SourceSettings::default() }),
    ];
    named.map(|(name, source)| (SourceName::new(name).unwrap(), source)).into()
}

fn settings() -> Settings {
    let flow = |account: &str, steps| FlowSettings {
        account: Some(AccountName::new(account).unwrap()),
        steps,
        ..FlowSettings::default()
    };
    let auto = FlowSettings { sources: sources(), ..flow("acme", vec![step("sell", "bigbank")]) };
    let flows = [("auto", auto), ("pair", flow("other", vec![step("one", "bigbank"), step("two", "smallbank")]))];
    let recipients =
        ["bigbank", "smallbank"].map(|name| (RecipientName::new(name).unwrap(), RecipientSettings::default()));
    let accounts = ["acme", "other"].map(|name| (AccountName::new(name).unwrap(), AccountSettings::default()));
    let mut flows = flows;
    flows[1].1.steps[1].request.format = Some(Format::Form);
    Settings {
        flows: flows.into_iter().map(|(name, flow)| (FlowName::new(name).unwrap(), flow)).collect(),
        recipients: recipients.into(),
        accounts: accounts.into(),
        ..Settings::default()
    }
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::with(ApiKeys::default(), RequestLimits::default(), EngineLimits::default()).await
    }

    pub(crate) async fn with(keys: ApiKeys, limits: RequestLimits, engine_limits: EngineLimits) -> Server {
        let mut book = settings().compile(3).unwrap();
        let empty = FlowName::new("empty").unwrap();
        book.flows.insert(
            empty.clone(),
            Arc::new(FlowPlan {
                name: empty,
                account: None,
                steps: Vec::new(),
                contacts: Default::default(),
                ties: Default::default(),
            }),
        );
        let (clock, recipient) = (ManualClock::at(start()), Recipient::default());
        let store = MemoryStore::new(Seed(7), NodeNumber(0));
        let figures = Arc::new(Figures::new());
        let engine = Engine::start(Parts {
            store: Arc::clone(&store) as _,
            door: Arc::new(recipient.clone()),
            clock: Arc::new(clock.clone()),
            observer: Arc::new(Counting(Arc::clone(&figures))),
            book,
            limits: engine_limits,
        })
        .await
        .unwrap();
        let state = ApiState::with_limits(engine.clone(), figures, keys, limits);
        let router = router(state.clone());
        Server { engine, state, router, store, clock, recipient, contract: Contract::of_the_document() }
    }

    /// Sends a request and holds the answer against the document.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        let (method, path) = (request.method().as_str().to_lowercase(), request.uri().path().to_owned());
        let service = TowerToHyperService::new(self.router.clone());
        let response = hyper::service::Service::call(&service, request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let answered = Answered { status: parts.status, headers: parts.headers, bytes };
        assert!(answered.headers.contains_key("steadfast-request-id"), "{method} {path}");
        self.contract.check(&method, &path, &answered);
        answered
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answered {
        self.send(post(path, body)).await
    }

    pub(crate) async fn delete(&self, path: &str, body: &str) -> Answered {
        let request = Request::delete(path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Posts a lead and answers with the ids of the lead and of its first delivery.
    pub(crate) async fn lead(&self, flow: &str) -> (String, String) {
        let answered =
            self.post(&format!("/v1/flows/{flow}/leads"), r#"{"email":"ann@example.com","amount":1.10}"#).await;
        assert_eq!(answered.status, 202, "{answered:?}");
        let json = answered.json();
        let text = |pointer: &str| json.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        (text("/lead_id"), text("/deliveries/0/id"))
    }

    /// Waits until so many attempts were settled in all, and the engine has put them away.
    pub(crate) async fn settled(&self, attempts: usize) {
        let mut tip = self.store.tip();
        loop {
            tip.borrow_and_update();
            let events = self.store.events(Cursor::default(), 10_000).await.unwrap();
            let is_attempt = |event: &Event| matches!(event.kind, EventKind::AttemptSettled(_));
            if events.iter().filter(|(_, event)| is_attempt(event)).count() >= attempts {
                break;
            }
            tip.changed().await.unwrap();
        }
        while self.engine.in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// From now on what auto sells chooses between two endpoints of bigbank.
    pub(crate) fn balance(&self) {
        let candidate = |name: &str| {
            let url = Some(Address::parse(&format!("https://{name}.bigbank.example/leads")).unwrap());
            let request = RequestSettings { url, ..RequestSettings::default() };
            CandidateSettings {
                name: CandidateName::new(name).unwrap(),
                way: LegSettings { request, ..LegSettings::default() },
                weight: None,
                cost: None,
                regions: Vec::new(),
                regulations: Vec::new(),
            }
        };
        let mut settings = settings();
        settings.flows.get_mut("auto").unwrap().steps[0].candidates = ["east", "west"].map(candidate).into();
        self.engine.replace_book(settings.compile(4).unwrap());
    }

    /// From now on the source web of auto is called back.
    pub(crate) fn call_back(&self) {
        let callback = CallbackSettings {
            url: Address::parse("https://web.example/outcomes").unwrap(),
            secret: Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            when: CallbackWhen::Late,
            timeout: None,
            retry: Layer::default(),
        };
        let mut settings = settings();
        settings.flows.get_mut("auto").unwrap().sources.get_mut("web").unwrap().callback = Some(callback);
        self.engine.replace_book(settings.compile(4).unwrap());
    }

    /// Moves the clock.
    pub(crate) async fn pass(&self, by: Duration) {
        let until = self.clock.now().after(by);
        self.clock.set(until);
    }
}

pub(crate) fn post(path: &str, body: &str) -> Request<Body> {
    Request::post(path).header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap()
}
