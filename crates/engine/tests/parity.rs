//! The same scenario through the simulator and through the live engine, with a clock that the test moves, gives the same
//! timeline: that keeps "same code" true.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use steadfast_engine::{Clock, Door, Engine, EngineLimits, ManualClock, NoObserver, Order, Parts, Posted, Purpose};
use steadfast_flow::{
    Address, BalancePlan, Book, CandidatePlan, FlowPlan, LookUpPlan, ReadBy, RecipientPlan, Request, RequestSettings,
    StepConditions, StepPlan,
};
use steadfast_lead::{DeliveryId, Fields, NodeNumber, Timestamp};
use steadfast_retry::breaker::BreakerState;
use steadfast_retry::pace::ConcurrencyLimit;
use steadfast_retry::policy::Resolved;
use steadfast_retry::reading::ResponseSettings;
use steadfast_retry::{Endpoint, Entry, EventKind, Evidence, Reading, State, not_found_rule};
use steadfast_sim::{
    Asked, Candidate, Leg, Protection, Scenario, ScenarioFile, Scripted, TIMELINE_LEADS_MAX, TimelineEntry, Way, run,
    timeline,
};
use steadfast_store::{Cursor, Deliveries, Journal, MemoryStore};

/// A door that answers by the scenario's script, and takes as long as it says, by the test's clock.
struct ScriptedDoor {
    scenario: Arc<Scenario>,
    clock: ManualClock,
    /// By delivery: after which attempt it was asked last, and how often.
    look_ups: LookUpNumbers,
    /// By delivery and endpoint: how often it was sent there.
    sent: Arc<Mutex<HashMap<(String, Endpoint), u32>>>,
}

impl ScriptedDoor {
    /// Which attempt of a delivery at its endpoint this is, from 1.
    fn here(&self, order: &Order) -> u32 {
        let mut sent = self.sent.lock();
        let count = sent.entry((order.delivery_id.clone(), order.plan.endpoint.clone())).or_insert(0);
        *count += u32::from(order.purpose == Purpose::Lead);
        *count
    }
}

/// What an endpoint answers to an attempt.
fn scripted<'a>(scenario: &'a Scenario, endpoint: &Endpoint, asked: &Asked) -> &'a Scripted {
    let mut ways = scenario.legs.iter().flat_map(|leg| &leg.ways);
    ways.find(|way| way.endpoint == *endpoint).unwrap().script.answer(asked)
}

type LookUpNumbers = Arc<Mutex<HashMap<String, (u32, u32)>>>;

/// Which look-up since the doubt arose this is, from 1.
fn look_up_number(numbers: &LookUpNumbers, order: &Order) -> u32 {
    let mut numbers = numbers.lock();
    let (attempt, number) = numbers.entry(order.delivery_id.clone()).or_insert((0, 0));
    *number = if *attempt == order.attempt { *number + 1 } else { 1 };
    *attempt = order.attempt;
    *number
}

impl Door for ScriptedDoor {
    fn send(&self, order: Order) -> BoxFuture<'static, Evidence> {
        let (scenario, clock) = (Arc::clone(&self.scenario), self.clock.clone());
        let (look_ups, here) = (Arc::clone(&self.look_ups), self.here(&order));
        Box::pin(async move {
            let started = clock.now();
            let asked = Asked {
                seed: scenario.seed,
                delivery: order.delivery_id.parse().unwrap(),
                attempt: order.attempt,
                here,
                at: started.since(scenario.start),
            };
            let scripted = match (order.purpose, &scenario.look_ups) {
                (Purpose::LookUp, Some(script)) => {
                    let number = look_up_number(&look_ups, &order);
                    script.answer(&Asked { attempt: number, here: number, ..asked })
                }
                (Purpose::Lead | Purpose::LookUp, _) => scripted(&scenario, &order.plan.endpoint, &asked),
            };
            let cut = (scripted.took > order.at_most).then(|| scripted.cut_after(order.at_most));
            let scripted = cut.as_ref().unwrap_or(scripted);
            clock.sleep_until(started.after(scripted.took)).await;
            scripted.evidence.clone()
        })
    }
}

fn book(scenario: &Scenario, candidate: &Candidate) -> Book {
    let url = Address::parse("http://127.0.0.1:9/").unwrap();
    let settings = RequestSettings { url: Some(url), ..RequestSettings::default() };
    let own = &scenario.legs[0].ways[0];
    let mut conditions = StepConditions::default();
    conditions.retry_hours = scenario.retry_hours.clone().map(Arc::new);
    let step = StepPlan {
        flow: scenario.flow.clone(),
        step: scenario.step.clone(),
        endpoint: own.endpoint.clone(),
        retry: Resolved { policy: candidate.policy.clone(), origins: [].into(), policy_name: None },
        in_doubt: scenario.in_doubt,
        look_up: scenario.look_ups.as_ref().map(|_| LookUpPlan {
            endpoint: own.endpoint.clone(),
            request: Request::build(&settings, None, &[]).unwrap(),
            reading: Reading::build(&ResponseSettings::default(), &[not_found_rule()]).unwrap(),
            read_by: vec![ReadBy::Status],
        }),
        request: Request::build(&settings, None, &[]).unwrap(),
        reading: Reading::default(),
        priority: Default::default(),
        duplicates: None,
        test_leads: steadfast_flow::TestLeads::default(),
        shadow: false,
        tie: Default::default(),
        price: None,
        returns: Default::default(),
        place: None,
        after: None,
        conditions,
        balance: None,
        leg: 0,
        ends: Default::default(),
        next: None,
        on_open: Default::default(),
        fallbacks: Vec::new(),
    };
    let mut legs = (0..).zip(&scenario.legs).map(|(number, leg)| leg_plan(&step, number, leg, candidate));
    let primary = legs.next().unwrap();
    let step = StepPlan { fallbacks: legs.map(Arc::new).collect(), ..primary };
    let flow = FlowPlan {
        name: scenario.flow.clone(),
        account: None,
        steps: vec![Arc::new(step)],
        contacts: Default::default(),
        ties: Default::default(),
    };
    let recipients = scenario.legs.iter().flat_map(|leg| leg.ways.iter().map(move |way| (leg, way)));
    let recipients = recipients.map(|(leg, way)| {
        (way.endpoint.recipient.clone(), recipient_plan(scenario, candidate, (way, leg.balance.is_some())))
    });
    let recipients = recipients.collect();
    Book { version: 1, flows: [(scenario.flow.clone(), Arc::new(flow))].into(), recipients, ..Book::default() }
}

/// A leg of the scenario as the plan of a leg.
fn leg_plan(step: &StepPlan, number: u8, leg: &Leg, candidate: &Candidate) -> StepPlan {
    let policy = candidate.of_leg(usize::from(number)).clone();
    let of = |way: &Way| StepPlan {
        endpoint: way.endpoint.clone(),
        retry: Resolved { policy: policy.clone(), ..step.retry.clone() },
        leg: number,
        ends: leg.ends.clone(),
        next: leg.next.clone(),
        ..step.clone()
    };
    let candidate = |way: &Way| CandidatePlan {
        name: way.name.clone().unwrap(),
        plan: Arc::new(of(way)),
        weight: way.weight,
        cost_millionths: way.cost_millionths,
        regions: Vec::new(),
        regulations: Vec::new(),
        scope: format!("share {number} {}", way.endpoint).into(),
    };
    let balance = leg.balance.as_ref().map(|balance| BalancePlan {
        rules: balance.rules.clone(),
        zone: balance.zone.clone(),
        region_field: None,
        regulation_field: None,
        candidates: leg.ways.iter().map(candidate).collect(),
    });
    StepPlan { balance: balance.map(Arc::new), ..of(&leg.ways[0]) }
}

/// Guarded as the scenario says; otherwise nothing is held back, and where a leg chooses its endpoints have the room they say.
fn recipient_plan(scenario: &Scenario, candidate: &Candidate, (way, chosen): (&Way, bool)) -> RecipientPlan {
    let Some(protected) = &scenario.protected else {
        let mut plan = RecipientPlan {
            calendar: way.calendar.clone(),
            when_closed: way.when_closed,
            ..RecipientPlan::unprotected()
        };
        if chosen {
            plan.pace.concurrency = ConcurrencyLimit::Fixed(way.concurrency);
        }
        return plan;
    };
    let Protection { guard, pace } = candidate.protection.unwrap_or(protected.recipients[0].protection);
    RecipientPlan { guard, pace, calendar: protected.recipients[0].calendar.clone(), ..RecipientPlan::default() }
}

/// Everything that can happen without time passing has happened: the runtime's own paused clock moves only then.
async fn idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

async fn live(scenario: &Arc<Scenario>, candidate: &Candidate) -> String {
    let (store, ids) = played(scenario, candidate).await;
    let mut histories: Vec<(u32, Entry)> = Vec::new();
    for (lead, id) in (1..).zip(&ids) {
        let history = store.history(*id, 0, 10_000).await.unwrap();
        histories.extend(history.into_iter().map(|entry| (lead, entry)));
    }
    let entries: Vec<TimelineEntry<'_>> =
        histories.iter().map(|(lead, entry)| TimelineEntry { lead: *lead, entry }).collect();
    timeline(scenario.start, &entries)
}

/// Plays a scenario through the engine, to its end.
async fn played(scenario: &Arc<Scenario>, candidate: &Candidate) -> (Arc<MemoryStore>, Vec<DeliveryId>) {
    let clock = ManualClock::at(scenario.start);
    let store = MemoryStore::new(scenario.seed, NodeNumber(0));
    let parts = Parts {
        store: Arc::clone(&store) as _,
        door: Arc::new(ScriptedDoor {
            scenario: Arc::clone(scenario),
            clock: clock.clone(),
            look_ups: Arc::default(),
            sent: Arc::default(),
        }),
        clock: Arc::new(clock.clone()),
        observer: Arc::new(NoObserver),
        book: book(scenario, candidate),
        limits: EngineLimits::default(),
    };
    let engine = Engine::start(parts).await.unwrap();
    let last = scenario.until.map_or(Timestamp::MAX, |until| scenario.start.after(until));
    let mut ids: Vec<DeliveryId> = Vec::new();
    let mut next_lead = 0;
    loop {
        idle().await;
        let arrival =
            (next_lead < scenario.traffic.leads).then(|| scenario.start.after(scenario.traffic.arrival(next_lead)));
        let wake = clock.next_wake().filter(|at| *at < Timestamp::MAX);
        let Some(next) = arrival.into_iter().chain(wake).min().filter(|at| *at <= last) else { break };
        clock.set(next);
        idle().await;
        if arrival == Some(next) {
            next_lead += 1;
            let posted = Posted {
                flow: scenario.flow.clone(),
                source: None,
                test: false,
                fields: Fields::new(),
                idempotency: None,
            };
            ids.push(engine.accept(posted).await.unwrap().deliveries[0].id);
        }
    }
    (store, ids)
}

fn scenarios() -> Vec<(String, Arc<Scenario>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sim/scenarios");
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let file: ScenarioFile = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let scenario = file.compile().unwrap_or_else(|faults| panic!("{}: {faults:?}", path.display()));
        found.push((path.file_name().unwrap().to_string_lossy().into_owned(), Arc::new(scenario)));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// What grows too old during a pause is looked at within 2 ms of it: the engine knows ages by ids, to the millisecond.
fn expiries_to_10_ms(timeline: &str) -> String {
    let line = |line: &str| match line.split_once("  lead") {
        Some((time, rest)) if rest.contains("older than max_lead_age") => {
            format!("{:.2}  lead{rest}\n", time.trim().parse::<f64>().unwrap())
        }
        Some(_) | None => format!("{line}\n"),
    };
    timeline.lines().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn every_scenario_gives_the_same_timeline_in_the_simulator_and_in_the_engine() {
    let mut compared = 0;
    for (name, scenario) in scenarios() {
        if scenario.traffic.leads > TIMELINE_LEADS_MAX {
            continue;
        }
        let report = run(&scenario).unwrap();
        let simulated = report.policies.iter().map(|policy| policy.timeline.as_deref().unwrap_or_default());
        // An outcome that the scenario states takes the place of reading the answer, which the engine always does.
        let comparable =
            scenario.candidates.iter().zip(simulated).filter(|(_, text)| !text.contains("by the scenario"));
        for (candidate, simulated) in comparable {
            let live = live(&scenario, candidate).await;
            let (simulated, live) = (expiries_to_10_ms(simulated), expiries_to_10_ms(&live));
            assert_eq!(simulated, live, "{name}, policy {}: simulated left, live right", candidate.name);
            compared += 1;
        }
    }
    assert!(compared >= 100, "only {compared} runs were compared");
}

/// What becomes of a guarded scenario's leads, by count.
#[derive(Debug, PartialEq, Eq)]
struct Became {
    attempts: u64,
    delivered: u64,
    by_a_retry: u64,
    opened: u64,
}

async fn became_live(scenario: &Arc<Scenario>, candidate: &Candidate) -> Became {
    let (store, ids) = played(scenario, candidate).await;
    let mut became = Became { attempts: 0, delivered: 0, by_a_retry: 0, opened: 0 };
    for id in ids {
        let delivery = store.delivery(id).await.unwrap().unwrap();
        let delivered = matches!(delivery.state, State::Delivered { .. });
        became.attempts += u64::from(delivery.attempts);
        became.delivered += u64::from(delivered);
        became.by_a_retry += u64::from(delivered && delivery.attempts > 1);
        let failed = delivery.attempts - u32::from(delivered);
        assert_eq!(delivery.progress.retries_used, failed, "{id}: waiting uses no retry");
    }
    let events = store.events(Cursor(0), 100_000).await.unwrap();
    let opened = events.iter().filter(|(_, event)| {
        matches!(&event.kind, EventKind::BreakerChanged { transition, .. } if transition.to == BreakerState::Open)
    });
    became.opened = opened.count() as u64;
    became
}

/// Ten minutes of 503 with guards, the same scenario file in both: the breaker opens after five failures, only probes go while
/// it is open, no lead uses a retry for having waited, and everybody arrives.
#[tokio::test(start_paused = true)]
async fn a_guarded_outage_goes_the_same_way_in_the_simulator_and_in_the_engine() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/scenarios/breaker-outage.toml");
    let file: ScenarioFile = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let scenario = Arc::new(file.compile().unwrap());
    let report = &run(&scenario).unwrap().policies[0];
    let live = became_live(&scenario, &scenario.candidates[0]).await;
    let told = &report.protection.as_ref().unwrap().recipients[0].told;
    let opened = told.iter().filter(|told| told.to == BreakerState::Open).count() as u64;
    let by_a_retry = report.delivered_by_attempt.iter().skip(1).sum();
    let simulated = Became { attempts: report.attempts, delivered: report.delivered, by_a_retry, opened };
    assert_eq!(live, simulated);
    assert_eq!(live.delivered, 1_800);
}
