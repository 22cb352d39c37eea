//! What holds for every policy, every recipient and every course of a delivery.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod fixture;

use fixture::{ACCEPTED, answered, at, delivery, fault, secs, sent, terms};
use proptest::prelude::*;
use std::time::Duration;
use steadfast_lead::{AccountName, DeliveryId, FlowName, PolicyName, RecipientName, StepName, Timestamp};
use steadfast_retry::policy::{
    BUILT_IN_NAMES, Backoff, Condition, Jitter, JitterShare, Key, Layer, Level, Policies, RetryPolicy, resolve,
};
use steadfast_retry::reading::ResponseSettings;
use steadfast_retry::{
    Admission, Answer, Decision, Delivery, Entry, ErrorKind, Evidence, FaultKind, HoldReason, InDoubt, LOOK_UPS_MAX,
    LookUpAnswer, LookedUp, Outcome, Phase, Reading, ReviewCause, Seed, Sent, Settlement, State, Terms, admit, delay,
    nominal, not_found_rule, read_hint, settle, settle_look_up, window,
};

fn jitter() -> impl Strategy<Value = Jitter> {
    prop_oneof![
        Just(Jitter::Later(JitterShare::DEFAULT)),
        (0_u32..=1_000).prop_map(|share| Jitter::Later(JitterShare::new(share).unwrap())),
        Just(Jitter::None),
        Just(Jitter::Equal),
        Just(Jitter::Full),
        Just(Jitter::Decorrelated),
    ]
}

/// Any policy that can be configured, made the way configured ones are.
fn policy() -> impl Strategy<Value = RetryPolicy> {
    let shape = (any::<bool>(), any::<bool>(), jitter(), any::<bool>());
    let numbers = (1_u32..=1_000, 1_000_u32..=10_000, 1_u64..=86_400_000, 0_u64..=86_400_000, 1_u64..=2_592_000);
    (shape, numbers, 1_u64..=7_776_000).prop_map(|((extended, fixed, jitter, count_holds), numbers, age)| {
        let (retries, multiplier, initial, more, total) = numbers;
        let within = |value: u64, least: u64, most: u64| least + value % (most - least + 1);
        let (retries, multiplier, initial, total) = if extended {
            (retries, multiplier, initial, total)
        } else {
            (retries % 10 + 1, 1_500 + multiplier % 1_501, within(initial, 1_000, 60_000), within(total, 1, 3_600))
        };
        let most = if extended { 86_400_000 } else { 300_000 };
        let layer = Layer {
            extended: Some(extended),
            backoff: Some(if fixed { Backoff::Fixed } else { Backoff::Exponential }),
            jitter: Some(jitter),
            count_holds: Some(count_holds),
            max_retries: Some(retries),
            multiplier_thousandths: Some(multiplier),
            initial_delay: Some(Duration::from_millis(initial)),
            max_interval: Some(Duration::from_millis(initial + more % (most - initial + 1))),
            total_timeout: Some(secs(total)),
            max_lead_age: Some(secs(age)),
            ..Layer::default()
        };
        fixture::policy(&layer)
    })
}

fn delivery_id() -> impl Strategy<Value = DeliveryId> {
    (0..=i64::MAX).prop_map(|raw| DeliveryId::from_raw(raw).unwrap())
}

/// Any evidence: answers with and without a hint, faults in every phase.
fn evidence() -> impl Strategy<Value = Evidence> {
    let fault_kind = prop::sample::select(FaultKind::ALL);
    prop_oneof![
        3 => (100_u16..=599).prop_map(|status| answered(status, &[])),
        3 => prop::sample::select(vec![200_u16, 429, 500, 502, 503, 504]).prop_map(|status| answered(status, &[])),
        2 => (prop::sample::select(vec![429_u16, 503]), 1_u32..=10_000)
            .prop_map(|(status, pause)| answered(status, &[("retry-after", &pause.to_string())])),
        3 => (prop::sample::select(Phase::ALL.to_vec()), fault_kind).prop_map(|(phase, kind)| fault(phase, kind)),
    ]
}

fn in_doubt() -> impl Strategy<Value = InDoubt> {
    prop_oneof![
        Just(InDoubt::Hold),
        Just(InDoubt::AssumeDelivered),
        (0_u64..=120).prop_map(|floor| InDoubt::Retry { floor: secs(floor) }),
        (0_u64..=120).prop_map(|floor| InDoubt::Verify { floor: secs(floor) }),
    ]
}

/// One turn of a delivery's life: how late it starts, what happens, how long that takes.
fn turns() -> impl Strategy<Value = Vec<(u64, Evidence, u64)>> {
    prop::collection::vec((0_u64..=3_000_000, evidence(), 0_u64..=60_000_000), 1..40)
}

fn retried(settlement: &Settlement) -> Option<(u32, Timestamp, Option<Timestamp>)> {
    match &settlement.entry {
        Entry::Attempt(attempt) => match attempt.decision {
            Decision::Retry { retry, due, not_before, .. } => Some((retry, due, not_before)),
            Decision::Deliver { .. }
            | Decision::Reject { .. }
            | Decision::Hold { .. }
            | Decision::LookUp { .. }
            | Decision::NextLeg { .. }
            | Decision::Close { .. }
            | Decision::Review { .. } => None,
        },
        Entry::Change(_) | Entry::LookUp(_) => None,
    }
}

fn is_hinted_429(sent: &Sent) -> bool {
    let answer = sent.evidence.answer.as_ref();
    answer.is_some_and(|answer| answer.status == 429 && read_hint(answer, 0).is_some())
}

/// Everything that must hold for one settlement, whatever happened.
fn check(before: &Delivery, sent: &Sent, settlement: &Settlement, terms: &Terms<'_>) -> Result<(), TestCaseError> {
    let (after, policy) = (&settlement.delivery, terms.policy);
    prop_assert_eq!(settle(before, sent.clone(), terms), settlement.clone(), "deterministic");
    prop_assert_eq!(after.version, before.version + 1);
    prop_assert_eq!(after.attempts, before.attempts + 1);
    prop_assert!(after.progress.retries_used <= policy.retries_allowed());
    let used = after.progress.retries_used - before.progress.retries_used;
    match retried(settlement) {
        Some((retry, due, not_before)) => {
            prop_assert_eq!((used, retry), (1, after.progress.retries_used));
            prop_assert!(!is_hinted_429(sent), "a hinted 429 uses no retry");
            let held = if policy.count_holds { Duration::ZERO } else { after.progress.held };
            let first = after.progress.first_attempt_at.unwrap();
            prop_assert!(due <= first.after(policy.total_timeout.get()).after(held), "past the total timeout");
            let planned = window(policy, retry - 1);
            prop_assert!(due.since(sent.ended) >= planned.earliest, "{:?} early", due.since(sent.ended));
            prop_assert!(not_before.is_none_or(|until| until > due), "a hint never shortens the schedule");
        }
        None => prop_assert_eq!(used, 0),
    }
    if let Some(next) = after.state.next_look() {
        prop_assert!(next >= sent.ended, "never in the past");
        prop_assert!(next < before.accepted_at.after(policy.max_lead_age.get()), "past the maximum lead age");
        let admitted = admit(after, policy, terms.in_doubt, None, next);
        let asks = matches!(terms.in_doubt, InDoubt::Verify { .. }) && after.progress.is_unresolved();
        let fits = if asks {
            matches!(admitted, Admission::LookUp { .. })
        } else {
            matches!(admitted, Admission::Send { .. })
        };
        prop_assert!(fits, "planned, then not admitted: {admitted:?}");
    }
    if sent.verdict.outcome == Outcome::Success {
        prop_assert_eq!(after.progress.in_doubt, before.progress.in_doubt, "a success adds no doubt");
        let is_delivered = matches!(after.state, State::Delivered { probable: false, .. });
        prop_assert!(is_delivered);
    }
    let late = sent.started.since(before.state.due().unwrap());
    let counted = if before.progress.first_attempt_at.is_some() { late } else { Duration::ZERO };
    prop_assert_eq!(after.progress.held, before.progress.held + counted);
    Ok(())
}

fn looked_up(sent: Sent) -> LookedUp {
    let Sent { started, ended, endpoint, evidence, .. } = sent;
    let verdict = Reading::build(&ResponseSettings::default(), &[not_found_rule()]).unwrap().read(&evidence);
    LookedUp { started, ended, endpoint, evidence, verdict }
}

/// A look-up is no attempt, uses a retry only where it clears the way for one, and is bounded.
fn check_look_up(before: &Delivery, settlement: &Settlement, policy: &RetryPolicy) -> Result<(), TestCaseError> {
    let after = &settlement.delivery;
    let Entry::LookUp(look_up) = &settlement.entry else { panic!("not a look-up") };
    prop_assert_eq!((after.version, after.attempts), (before.version + 1, before.attempts));
    let used = after.progress.retries_used - before.progress.retries_used;
    let retries = matches!(look_up.decision, Decision::Retry { .. });
    prop_assert_eq!(used, u32::from(retries));
    prop_assert!(after.progress.retries_used <= policy.retries_allowed());
    prop_assert!(!retries || look_up.answer() == LookUpAnswer::NotFound, "sent again only where it is not found");
    prop_assert!(after.progress.look_ups <= LOOK_UPS_MAX);
    if let Some(next) = after.state.next_look() {
        prop_assert!(next >= look_up.ended && next < before.accepted_at.after(policy.max_lead_age.get()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_step_of_every_life_keeps_the_rules(
        policy in policy(), seed in any::<u64>(), id in delivery_id(), in_doubt in in_doubt(), turns in turns(),
    ) {
        let terms = Terms { seed: Seed(seed), in_doubt, ..terms(&policy) };
        let mut now = Delivery { id, ..delivery() };
        for (late, evidence, took) in turns {
            let Some(next) = now.state.next_look() else { break };
            let start = next.after(Duration::from_micros(late));
            let attempt = sent(evidence, start, start.after(Duration::from_micros(took)));
            let settlement = match admit(&now, &policy, in_doubt, None, start) {
                Admission::Send { .. } => {
                    let settlement = settle(&now, attempt.clone(), &terms);
                    check(&now, &attempt, &settlement, &terms)?;
                    settlement
                }
                Admission::LookUp { .. } => {
                    let settlement = settle_look_up(&now, looked_up(attempt), &terms);
                    check_look_up(&now, &settlement, &policy)?;
                    settlement
                }
                Admission::AssumeDelivered | Admission::Hold { .. } | Admission::Review { .. } => break,
            };
            now = settlement.delivery;
        }
    }

    #[test]
    fn the_default_jitter_is_never_early_and_at_most_a_fifth_late(
        policy in policy(), seed in any::<u64>(), id in delivery_id(), retry in 0_u32..1_000,
    ) {
        let policy = RetryPolicy { jitter: Jitter::Later(JitterShare::DEFAULT), ..policy };
        let (nominal, delay) = (nominal(&policy, retry), delay(&policy, Seed(seed), id, 0, retry));
        let most = nominal + Duration::from_micros(u64::try_from(nominal.as_micros()).unwrap() / 5);
        let window = window(&policy, retry);
        prop_assert_eq!((window.earliest, window.latest), (nominal, most), "the cap comes before the jitter");
        prop_assert!(delay >= nominal && delay.as_nanos() * 5 <= nominal.as_nanos() * 6, "{nominal:?} {delay:?}");
    }

    #[test]
    fn nominal_delays_grow_up_to_the_cap_and_stay_there(policy in policy(), retry in 0_u32..2_000) {
        let (this, next) = (nominal(&policy, retry), nominal(&policy, retry + 1));
        prop_assert!(this <= next && next <= policy.max_interval.get());
        prop_assert!(nominal(&policy, 0) == policy.initial_delay.get().min(policy.max_interval.get()));
        let last = nominal(&policy, u32::MAX);
        let grows = policy.backoff == Backoff::Exponential && policy.multiplier.thousandths() > 1_000;
        prop_assert_eq!(last, if grows { policy.max_interval.get() } else { policy.initial_delay.get() });
    }

    #[test]
    fn the_window_shown_contains_every_delay_of_every_shape(
        policy in policy(), seed in any::<u64>(), id in delivery_id(), leg in any::<u8>(), retry in 0_u32..1_100,
    ) {
        let (window, delay) = (window(&policy, retry), delay(&policy, Seed(seed), id, leg, retry));
        prop_assert!(window.earliest <= delay && delay <= window.latest, "{delay:?} not in {window:?}");
        prop_assert!(delay.as_nanos() % 1_000 == 0, "finer than the clock: {delay:?}");
        let most = policy.max_interval.get() * 2;
        prop_assert!(window.latest <= most);
    }

    /// What a rule calls a rate limit, with a delay, holds the endpoint and uses no retry: as a 429 that says when. The total
    /// timeout stands still meanwhile; one that has run out by the end of the attempt stays so.
    #[test]
    fn a_rules_rate_limit_holds_while_the_clock_stands_still(
        policy in policy(), seed in any::<u64>(), id in delivery_id(), status in 100_u16..=599, delay in 1_u64..=86_400,
        elapsed in 0_u64..8_000, used in 0_u32..20, late in 0_u64..200_000,
    ) {
        let terms = Terms { seed: Seed(seed), ..terms(&policy) };
        let mut before = Delivery { id, ..delivery() };
        before.progress.first_attempt_at = Some(ACCEPTED);
        before.progress.retries_used = used.min(policy.retries_allowed());
        before.state = State::Waiting { due: at(elapsed) };
        let ended = at(elapsed);
        let mut attempt = sent(answered(status, &[]), ended, ended);
        attempt.verdict.outcome = Outcome::Error(ErrorKind::RateLimited);
        attempt.verdict.retryable = Some(true);
        attempt.verdict.delay = Some(secs(delay));
        let settlement = settle(&before, attempt, &terms);
        let after = &settlement.delivery;
        prop_assert_eq!(settlement.pause.clone().map(|pause| pause.until), Some(ended.after(secs(delay))));
        prop_assert_eq!(after.progress.retries_used, before.progress.retries_used);
        let over = secs(elapsed) > policy.total_timeout.get();
        let oldest = ACCEPTED.after(policy.max_lead_age.get());
        match after.state.clone() {
            State::Held { due, until, why } => {
                prop_assert_eq!((due, why, over), (ended, HoldReason::RetryAfter, false));
                prop_assert!(until >= ended.after(secs(delay)) && until < oldest);
                let start = until.after(secs(if policy.count_holds { 0 } else { late }));
                if start < oldest {
                    let admitted = admit(after, &policy, terms.in_doubt, None, start);
                    prop_assert!(matches!(admitted, Admission::Send { .. }), "held, then not sent: {admitted:?}");
                    let next = settle(after, sent(answered(503, &[]), start, start), &terms).delivery;
                    prop_assert_eq!(next.progress.held, start.since(ended), "nothing but the hold has passed");
                }
            }
            State::InReview { cause: ReviewCause::Exhausted, .. } => prop_assert!(over || policy.count_holds),
            State::InReview { cause: ReviewCause::Expired, .. } => prop_assert!(!over),
            State::InReview { cause: ReviewCause::FinalError, .. } => {
                prop_assert!(policy.never_retry_on.meets(ErrorKind::RateLimited, Some(status)));
            }
            other @ (State::InReview { .. }
            | State::Waiting { .. }
            | State::Delivered { .. }
            | State::Rejected { .. }
            | State::Closed { .. }) => prop_assert!(false, "{other:?}"),
        }
    }

    /// The same course, shifted by time held: held time counts only where `count_holds` says so.
    #[test]
    fn time_held_counts_only_if_asked(policy in policy(), elapsed in 0_u64..4_000, held in 1_u64..100_000) {
        let settled = |count_holds, held: u64| {
            let policy = RetryPolicy { count_holds, ..policy.clone() };
            let policy = RetryPolicy { max_lead_age: fixture::policy(&Layer {
                max_lead_age: Some(secs(7_776_000)), ..Layer::default()
            }).max_lead_age, ..policy };
            let mut before = delivery();
            before.progress.first_attempt_at = Some(ACCEPTED);
            before.progress.attempts = 1;
            before.state = State::Waiting { due: at(elapsed) };
            let ended = at(elapsed + held);
            let settlement = settle(&before, sent(answered(503, &[]), ended, ended), &terms(&policy));
            retried(&settlement).map(|(_, due, _)| due.since(ended))
        };
        prop_assert_eq!(settled(false, held), settled(false, 0));
        let allowed = policy.total_timeout.get();
        let next = delay(&policy, Seed(1), delivery().id, 0, 0);
        prop_assert_eq!(settled(true, held).is_some(), secs(elapsed + held) + next <= allowed);
    }

    #[test]
    fn a_hint_is_never_zero_never_endless_never_a_panic(
        status in prop_oneof![4 => prop::sample::select(vec![408_u16, 425, 429, 502, 503, 504]), 1 => 100_u16..=599],
        value in prop_oneof![any::<String>(), "[0-9]{3,15}", "[ 0-9]{0,40}", "[-+0-9.,eE ]{0,12}",
            "(Mon|Sun|Sunday|Fri),? [0-9]{2}[- ](Nov|Dec)[- ][0-9]{2,4} [0-9]{2}:[0-9]{2}:[0-9]{2}( GMT)?"],
        date in prop_oneof![Just(None), any::<String>().prop_map(Some), Just(Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()))],
        now in any::<u64>(),
    ) {
        let mut headers = vec![("retry-after".into(), value.into())];
        headers.extend(date.map(|date| ("date".into(), date.into())));
        let answer = Answer { status, headers, body: bytes::Bytes::new(), body_bytes: 0 };
        if let Some(hint) = read_hint(&answer, now) {
            prop_assert!(hint.pause > Duration::ZERO && hint.pause <= secs(3_600), "{hint:?}");
        }
    }

    #[test]
    fn a_condition_reads_back_as_it_was_written(
        text in prop_oneof![any::<String>(), "[-+0-9]{1,4}", "[-+0-9]{1,3}xx", "[a-z_]{3,12}"],
    ) {
        if let Ok(condition) = Condition::parse(&text) {
            prop_assert_eq!(condition.to_string(), text);
        }
    }
}

/// What a level may say about two keys: a policy's name, and its own words.
type Said = (Option<usize>, Option<u32>, Option<u64>);

fn level(place: usize) -> Level {
    match place {
        0 => Level::System,
        1 => Level::Account(AccountName::new("acme").unwrap()),
        2 => Level::Flow(FlowName::new("auto").unwrap()),
        3 => Level::Recipient(RecipientName::new("bigbank").unwrap()),
        _ => Level::Step(StepName::new("sell").unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_nearest_level_wins_key_by_key(
        levels in prop::collection::vec(
            (prop::option::of(0_usize..4), prop::option::of(1_u32..=10), prop::option::of(1_u64..=10)), 1..=5),
    ) {
        let levels: Vec<Said> = levels;
        let layers: Vec<(Level, Layer)> = levels.iter().enumerate().map(|(place, (policy, retries, initial))| {
            let policy = policy.map(|number| PolicyName::new(BUILT_IN_NAMES[number]).unwrap());
            let initial_delay = initial.map(secs);
            (level(place), Layer { policy, max_retries: *retries, initial_delay, ..Layer::default() })
        }).collect();
        let laid: Vec<(Level, &Layer)> = layers.iter().map(|(level, layer)| (level.clone(), layer)).collect();
        // The specification's table: retries and first delay of each named policy.
        let table = [(2, 5), (3, 2), (5, 1), (100, 10)];
        let (mut retries, mut initial, mut origins) = (3, 2, (Level::Default, Level::Default));
        for (place, said) in levels.iter().enumerate() {
            if let Some(number) = said.0 {
                (retries, initial) = table[number];
                origins = (level(place), level(place));
            }
            if let Some(own) = said.1 { (retries, origins.0) = (own, level(place)); }
            if let Some(own) = said.2 { (initial, origins.1) = (own, level(place)); }
        }
        let resolved = resolve(&laid, None, &Policies::default()).unwrap();
        prop_assert_eq!(resolved.policy.max_retries.get(), retries);
        prop_assert_eq!(resolved.policy.initial_delay.get(), secs(initial));
        prop_assert_eq!(&resolved.origins[&Key::MaxRetries].level, &origins.0);
        prop_assert_eq!(&resolved.origins[&Key::InitialDelay].level, &origins.1);
    }
}

#[test]
fn a_retry_that_would_start_when_the_lead_is_too_old_is_not_planned() {
    let layer = Layer { jitter: Some(Jitter::None), max_lead_age: Some(secs(10)), ..Layer::default() };
    for (ended, planned) in [(7_999, true), (8_000, false), (8_001, false)] {
        let policy = fixture::policy(&layer);
        let ended = ACCEPTED.after(Duration::from_millis(ended));
        let settlement = settle(&delivery(), sent(answered(503, &[]), ACCEPTED, ended), &terms(&policy));
        assert_eq!(retried(&settlement).is_some(), planned, "{ended}");
        let expired = matches!(settlement.delivery.state, State::InReview { cause: ReviewCause::Expired, .. });
        assert_eq!(expired, !planned, "{ended}");
    }
}
