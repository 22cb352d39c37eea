//! Any value a record can hold, for the property tests.

use bytes::Bytes;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{
    CandidateName, DeliveryId, Fields, FlowName, JsonLimits, Lead, LeadId, Number, Priority, RecipientName, SourceName,
    StepName, Timestamp, Value, parse_object,
};
use steadfast_retry::breaker::{BreakerSnapshot, BreakerState, ByHand, Counted, Figures, Reason, Transition};
use steadfast_retry::{
    Answer, Attempt, AttemptSettled, BodyMark, Booking, BudgetSnapshot, Change, Choice, CloseReason, Conversion,
    Decision, DecisionName, Delivery, Endpoint, Entry, ErrorKind, Event, EventKind, Evidence, FailureKind, Fault,
    FaultKind, GuardSnapshot, HoldReason, LegProgress, LookUp, LookUpAnswer, LookUpSettled, Outcome, Phase, Rating,
    ReviewCause, State, StateName, Stop, StopTarget, Tie, Timings, Took, Verdict, Window,
};
use steadfast_retry::{PersonMark, Suppressed, Within};

fn text() -> impl Strategy<Value = Box<str>> {
    ".{0,40}".prop_map(Into::into)
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}"
}

pub(super) fn time() -> impl Strategy<Value = Timestamp> {
    let usual = 1_700_000_000_000_000..1_900_000_000_000_000_i64;
    prop_oneof![4 => usual, 1 => any::<i64>()].prop_map(Timestamp::from_micros)
}

pub(super) fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        any::<u32>().prop_map(|micros| Duration::from_micros(micros.into())),
        (0..u64::MAX / 4).prop_map(Duration::from_nanos),
        (0..u64::MAX / 4).prop_map(Duration::from_micros),
    ]
}

fn id() -> impl Strategy<Value = i64> {
    0..=i64::MAX
}

fn lead_id() -> impl Strategy<Value = LeadId> {
    id().prop_map(|raw| LeadId::from_raw(raw).unwrap())
}

pub(super) fn delivery_id() -> impl Strategy<Value = DeliveryId> {
    id().prop_map(|raw| DeliveryId::from_raw(raw).unwrap())
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (name(), ".{0,60}").prop_map(|(recipient, origin)| Endpoint {
        recipient: RecipientName::new(&recipient).unwrap(),
        origin: Arc::from(origin),
    })
}

fn number() -> impl Strategy<Value = Number> {
    let written = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,10})?([eE][+-]?[0-9]{1,3})?".prop_map(|digits| {
        let fields = parse_object(format!("{{\"n\":{digits}}}").as_bytes(), JsonLimits::LEAD).unwrap();
        let Some(Value::Number(number)) = fields.get("n") else { panic!("{digits} is a number") };
        number.clone()
    });
    prop_oneof![written, any::<i64>().prop_map(Number::from_integer)]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number().prop_map(Value::Number),
        text().prop_map(Value::Text),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List);
        prop_oneof![list, fields_of(inner).prop_map(Value::Object)]
    })
}

fn fields_of(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Fields> {
    prop::collection::btree_map(".{1,20}", value, 0..6).prop_map(|pairs| {
        let mut fields = Fields::new();
        for (name, value) in pairs {
            fields.insert(&name, value).unwrap();
        }
        fields
    })
}

pub(super) fn lead() -> impl Strategy<Value = Lead> {
    (lead_id(), name(), option::of(name()), time(), any::<bool>(), fields_of(value())).prop_map(
        |(id, flow, source, accepted_at, test, fields)| Lead {
            id,
            flow: FlowName::new(&flow).unwrap(),
            source: source.map(|source| SourceName::new(&source).unwrap()),
            accepted_at,
            test,
            fields,
        },
    )
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        time().prop_map(|due| State::Waiting { due }),
        (time(), time(), select(HoldReason::ALL)).prop_map(|(due, until, why)| State::Held { due, until, why }),
        (time(), any::<bool>(), any::<bool>()).prop_map(|(at, probable, by_hand)| State::Delivered {
            at,
            probable,
            by_hand
        }),
        (time(), select(FailureKind::ALL)).prop_map(|(at, kind)| State::Rejected { at, kind }),
        (time(), select(ReviewCause::ALL)).prop_map(|(since, cause)| State::InReview { since, cause }),
        (time(), select(CloseReason::ALL)).prop_map(|(at, why)| State::Closed { at, why }),
    ]
}

prop_compose! {
    fn progress()(
        (leg, revision, attempts, retries_used) in any::<(u8, u16, u32, u32)>(),
        first_attempt_at in option::of(time()),
        held in duration(),
        (interruptions, in_doubt, cleared, look_ups) in any::<(u8, bool, bool, u8)>(),
    ) -> LegProgress {
        LegProgress {
            leg, revision, attempts, retries_used, first_attempt_at, held, interruptions, in_doubt, cleared, look_ups,
        }
    }
}

fn booking() -> impl Strategy<Value = Box<Booking>> {
    let conversion =
        (time(), text(), option::of(text())).prop_map(|(at, revenue, currency)| Conversion { at, revenue, currency });
    (time(), option::of(text()), option::of(time()), option::of(conversion)).prop_map(
        |(delivered_at, price, returned_at, conversion)| {
            Box::new(Booking { delivered_at, price, returned_at, conversion })
        },
    )
}

fn choice() -> impl Strategy<Value = Arc<Choice>> {
    let candidate = || name().prop_map(|name| CandidateName::new(&name).unwrap());
    let rating = prop_oneof![any::<i64>().prop_map(Rating::Score), text().prop_map(Rating::Out)];
    let rated = prop::collection::vec((candidate(), rating), 0..4);
    (candidate(), time(), rated, text())
        .prop_map(|(candidate, at, rated, because)| Arc::new(Choice { candidate, at, rated, because }))
}

fn kind_word() -> impl Strategy<Value = &'static str> {
    prop_oneof![select(ErrorKind::ALL).prop_map(ErrorKind::name), select(FailureKind::ALL).prop_map(FailureKind::name),]
}

prop_compose! {
    pub(super) fn delivery()(
        (id, lead) in (delivery_id(), lead_id()),
        (flow, step) in (name(), name()),
        endpoint in endpoint(),
        accepted_at in time(),
        priority in select(&Priority::ALL[..]),
        (test, version, attempts) in any::<(bool, u32, u32)>(),
        progress in progress(),
        body in option::of(any::<(u64, [u8; 32])>()),
        last_kind in option::of(kind_word()),
        state in state(),
        (buyer, follows, followed) in any::<(bool, bool, bool)>(),
        booking in option::of(booking()),
        choice in option::of(choice()),
    ) -> Delivery {
        let body = body.map(|(mapping_version, digest)| BodyMark { mapping_version, digest });
        let (flow, step) = (FlowName::new(&flow).unwrap(), StepName::new(&step).unwrap());
        Delivery {
            id, lead, flow, step, endpoint, accepted_at, priority, test, version, attempts, progress, body, last_kind,
            state, tie: Tie { buyer, follows, followed }, booking, choice,
        }
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    let headers = prop::collection::vec((text(), text()), 0..5);
    (any::<u16>(), headers, prop::collection::vec(any::<u8>(), 0..600), any::<u64>())
        .prop_map(|(status, headers, body, body_bytes)| Answer { status, headers, body: Bytes::from(body), body_bytes })
}

prop_compose! {
    fn evidence()(
        phase in select(&Phase::ALL[..]),
        fault in option::of((select(FaultKind::ALL), text())),
        answer in option::of(answer()),
        (resolve, connect, secure, first_byte) in
            (option::of(duration()), option::of(duration()), option::of(duration()), option::of(duration())),
        total in duration(),
        (remote, replayed_after) in (option::of(text()), option::of(any::<u16>())),
    ) -> Evidence {
        let timings = Timings { resolve, connect, secure, first_byte, total };
        let fault = fault.map(|(kind, detail)| Fault { kind, detail });
        Evidence { phase, fault, answer, timings, remote, replayed_after }
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Success),
        select(FailureKind::ALL).prop_map(Outcome::Failure),
        select(ErrorKind::ALL).prop_map(Outcome::Error),
    ]
}

prop_compose! {
    fn verdict()(
        outcome in outcome(),
        (status, retryable) in any::<(Option<u16>, Option<bool>)>(),
        delay in option::of(duration()),
        (reason, price, reference) in (option::of(text()), option::of(text()), option::of(text())),
        decided_by in text(),
    ) -> Verdict {
        Verdict { outcome, status, retryable, delay, reason, price, reference, decided_by }
    }
}

fn decision() -> impl Strategy<Value = Decision> {
    prop_oneof![
        any::<bool>().prop_map(|probable| Decision::Deliver { probable }),
        select(FailureKind::ALL).prop_map(|kind| Decision::Reject { kind }),
        (any::<u32>(), time(), duration(), duration(), option::of(time())).prop_map(
            |(retry, due, earliest, latest, not_before)| {
                Decision::Retry { retry, due, window: Window { earliest, latest }, not_before }
            }
        ),
        (time(), time(), select(HoldReason::ALL)).prop_map(|(due, until, why)| Decision::Hold { due, until, why }),
        select(ReviewCause::ALL).prop_map(|cause| Decision::Review { cause }),
        time().prop_map(|due| Decision::LookUp { due }),
        (any::<u8>(), time()).prop_map(|(leg, due)| Decision::NextLeg { leg, due }),
        select(CloseReason::ALL).prop_map(|why| Decision::Close { why }),
    ]
}

prop_compose! {
    fn attempt()(
        (number, leg, revision, retry, config_version) in any::<(u32, u8, u16, u32, u64)>(),
        endpoint in endpoint(),
        (due, started, ended) in (time(), time(), time()),
        evidence in evidence(),
        verdict in verdict(),
        decision in decision(),
        because in text(),
        choice in option::of(choice()),
    ) -> Attempt {
        Attempt {
            number, leg, revision, retry, endpoint, due, started, ended, evidence, verdict, decision, because,
            config_version, choice,
        }
    }
}

prop_compose! {
    fn look_up()(
        (number, after_attempt, config_version) in any::<(u8, u32, u64)>(),
        endpoint in endpoint(),
        (due, started, ended) in (time(), time(), time()),
        evidence in evidence(),
        verdict in verdict(),
        decision in decision(),
        because in text(),
    ) -> LookUp {
        LookUp {
            number, after_attempt, endpoint, due, started, ended, evidence, verdict, decision, because, config_version,
        }
    }
}

pub(super) fn entry() -> impl Strategy<Value = Entry> {
    let change = (time(), option::of((text(), text())), state(), option::of(any::<u8>()), text())
        .prop_map(|(at, verb, state, leg, because)| Entry::Change(Change { at, verb, state, leg, because }));
    let look_up = look_up().prop_map(|look_up| Entry::LookUp(Box::new(look_up)));
    prop_oneof![attempt().prop_map(|attempt| Entry::Attempt(Box::new(attempt))), change, look_up]
}

prop_compose! {
    fn settled()(
        (delivery, lead) in (delivery_id(), lead_id()),
        (flow, step, recipient) in (name(), name(), name()),
        (attempt, leg, retry, test) in any::<(u32, u8, u32, bool)>(),
        outcome in outcome(),
        (decision, state) in (select(DecisionName::ALL), select(StateName::ALL)),
        (late, took, since_accepted) in (duration(), duration(), duration()),
        next_in in option::of(duration()),
    ) -> AttemptSettled {
        AttemptSettled {
            delivery, lead,
            flow: FlowName::new(&flow).unwrap(),
            step: StepName::new(&step).unwrap(),
            recipient: RecipientName::new(&recipient).unwrap(),
            attempt, leg, retry, outcome, decision, state, late, took, since_accepted, next_in, test,
        }
    }
}

prop_compose! {
    fn changed()(
        delivery in delivery_id(),
        recipient in name(),
        state in select(StateName::ALL),
        cause in option::of(select(ReviewCause::ALL)),
        held in option::of(select(HoldReason::ALL)),
        closed in option::of(select(CloseReason::ALL)),
        leg in option::of(any::<u8>()),
        verb in option::of((text(), text())),
        test in any::<bool>(),
    ) -> EventKind {
        let recipient = RecipientName::new(&recipient).unwrap();
        EventKind::DeliveryChanged { delivery, recipient, state, cause, held, closed, leg, verb, test }
    }
}

prop_compose! {
    fn looked_up()(
        delivery in delivery_id(),
        recipient in name(),
        number in any::<u8>(),
        answer in select(LookUpAnswer::ALL),
        (decision, state) in (select(DecisionName::ALL), select(StateName::ALL)),
        cause in option::of(select(ReviewCause::ALL)),
        (took, next_in) in (duration(), option::of(duration())),
        test in any::<bool>(),
    ) -> LookUpSettled {
        let recipient = RecipientName::new(&recipient).unwrap();
        LookUpSettled { delivery, recipient, number, answer, decision, state, cause, took, next_in, test }
    }
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let accepted = (lead_id(), name(), any::<(u32, bool)>()).prop_map(|(lead, flow, (deliveries, test))| {
        EventKind::LeadAccepted { lead, flow: FlowName::new(&flow).unwrap(), deliveries, test }
    });
    let kind = prop_oneof![
        accepted,
        settled().prop_map(|settled| EventKind::AttemptSettled(Box::new(settled))),
        changed(),
        looked_up().prop_map(|settled| EventKind::LookUpSettled(Box::new(settled))),
        (endpoint(), time()).prop_map(|(endpoint, until)| EventKind::EndpointPaused { endpoint, until }),
        (any::<u64>(), text()).prop_map(|(version, by)| EventKind::ConfigApplied { version, by }),
        (endpoint(), transition()).prop_map(|(endpoint, transition)| EventKind::BreakerChanged {
            endpoint,
            transition: Box::new(transition)
        }),
        stop().prop_map(|stop| EventKind::Stopped(Box::new(stop))),
        (stop_target(), text(), text()).prop_map(|(target, by, reason)| EventKind::Resumed { target, by, reason }),
    ];
    (time(), kind).prop_map(|(at, kind)| Event { at, kind })
}

fn within() -> impl Strategy<Value = Within> {
    prop_oneof![
        Just(Within::Everything),
        name().prop_map(|flow| Within::Flow(FlowName::new(&flow).unwrap())),
        name().prop_map(|recipient| Within::Recipient(RecipientName::new(&recipient).unwrap())),
    ]
}

fn stop_target() -> impl Strategy<Value = StopTarget> {
    prop_oneof![
        name().prop_map(|recipient| StopTarget::Recipient(RecipientName::new(&recipient).unwrap())),
        name().prop_map(|flow| StopTarget::Flow(FlowName::new(&flow).unwrap())),
        (name(), name()).prop_map(|(flow, source)| {
            StopTarget::Source(FlowName::new(&flow).unwrap(), SourceName::new(&source).unwrap())
        }),
        (any::<[u8; 16]>(), within())
            .prop_map(|(person, within)| StopTarget::Person(Suppressed { person: PersonMark(person), within })),
        (name(), any::<i64>(), any::<i64>()).prop_map(|(recipient, from, until)| {
            let (from, until) = (Timestamp::from_micros(from), Timestamp::from_micros(until));
            StopTarget::Maintenance(RecipientName::new(&recipient).unwrap(), from, until)
        }),
    ]
}

pub(super) fn stop() -> impl Strategy<Value = Stop> {
    (stop_target(), text(), text(), time()).prop_map(|(target, by, reason, since)| Stop { target, by, reason, since })
}

fn transition() -> impl Strategy<Value = Transition> {
    let figures = (any::<(u32, u32, u32, u32, u8, u8)>(), option::of(duration())).prop_map(
        |((in_a_row, failures, calls, refusals, successes, strikes), open_for)| Figures {
            counted: Counted { in_a_row, failures, calls },
            refusals,
            successes,
            open_for,
            strikes,
        },
    );
    let by = option::of((text(), text()).prop_map(|(by, reason)| ByHand { by, reason }));
    let states = (select(BreakerState::ALL.to_vec()), select(BreakerState::ALL.to_vec()));
    (time(), states, select(Reason::ALL.to_vec()), figures, any::<u64>(), by).prop_map(
        |(at, (from, to), reason, figures, generation, by)| Transition {
            at,
            from,
            to,
            reason,
            figures,
            generation,
            by,
        },
    )
}

pub(super) fn guard() -> impl Strategy<Value = GuardSnapshot> {
    let breaker = (select(BreakerState::ALL.to_vec()), time(), any::<(u64, u8, u8)>(), duration()).prop_map(
        |(state, since, (generation, strikes, successes), open_for)| BreakerSnapshot {
            state,
            since,
            generation,
            strikes,
            open_for,
            successes,
        },
    );
    let budget = (any::<u32>(), time())
        .prop_map(|(tokens_thousandths, filled_at)| BudgetSnapshot { tokens_thousandths, filled_at });
    (breaker, budget, any::<(u32, u32)>()).prop_map(|(breaker, budget, (answers, at_once))| GuardSnapshot {
        breaker,
        budget,
        took: Took { answers, at_once },
    })
}
