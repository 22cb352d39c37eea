//! Figures by what a scraper reads.

use super::{Figures, RECIPIENTS_MAX};
use crate::catalogue::METRICS;
use crate::snapshot::{CapGauges, EndpointGauges, RecipientGauges, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use steadfast_lead::{DeliveryId, FlowName, LeadId, RecipientName, StepName, Timestamp};
use steadfast_retry::breaker::{BreakerState, Reason, Transition};
use steadfast_retry::{
    AttemptSettled, CapPer, DecisionName, Endpoint, ErrorKind, Event, EventKind, FailureKind, HoldReason, Outcome,
    ReviewCause, StateName,
};
use steadfast_store::{CommitReport, Count};

/// Samples by name and labels, each label as `name="value"`, sorted.
struct Scrape {
    samples: BTreeMap<String, f64>,
    families: BTreeMap<String, String>,
    label_names: BTreeMap<String, BTreeSet<String>>,
}

fn scrape(figures: &Figures, snapshot: &Snapshot) -> Scrape {
    let text = figures.encode(snapshot);
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(text.matches("# EOF").count(), 1);
    let mut read = Scrape { samples: BTreeMap::new(), families: BTreeMap::new(), label_names: BTreeMap::new() };
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(read.families.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} stands twice");
        } else if !line.starts_with('#') {
            read.sample(line);
        }
    }
    read
}

impl Scrape {
    fn sample(&mut self, line: &str) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        let (bare, labels) = name.split_once('{').unwrap_or((name, "}"));
        for label in labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
            let (label, _) = label.split_once('=').unwrap();
            self.label_names.entry(bare.to_owned()).or_default().insert(label.to_owned());
        }
        assert!(self.samples.insert(name.to_owned(), value).is_none(), "{name} stands twice");
    }

    fn value(&self, name: &str) -> f64 {
        *self.samples.get(name).unwrap_or_else(|| panic!("no {name} in {:#?}", self.samples))
    }
}

fn settled(recipient: &str, outcome: Outcome, retry: u32, decision: DecisionName, state: StateName) -> Event {
    let settled = AttemptSettled {
        delivery: DeliveryId::from_raw(2).unwrap(),
        lead: LeadId::from_raw(1).unwrap(),
        flow: FlowName::new("auto").unwrap(),
        step: StepName::new("sell").unwrap(),
        recipient: RecipientName::new(recipient).unwrap(),
        attempt: retry + 1,
        leg: 0,
        retry,
        outcome,
        decision,
        state,
        late: Duration::from_millis(30),
        took: Duration::from_millis(200),
        since_accepted: Duration::from_secs(7),
        next_in: None,
        test: false,
    };
    Event { at: Timestamp::from_micros(0), kind: EventKind::AttemptSettled(Box::new(settled)) }
}

fn accepted(flow: &str, test: bool) -> Event {
    let kind = EventKind::LeadAccepted {
        lead: LeadId::from_raw(1).unwrap(),
        flow: FlowName::new(flow).unwrap(),
        deliveries: 1,
        test,
    };
    Event { at: Timestamp::from_micros(0), kind }
}

fn changed(state: StateName, cause: Option<ReviewCause>, verb: Option<&str>) -> Event {
    let kind = EventKind::DeliveryChanged {
        delivery: DeliveryId::from_raw(2).unwrap(),
        recipient: RecipientName::new("bigbank").unwrap(),
        state,
        cause,
        held: None,
        closed: None,
        leg: None,
        verb: verb.map(|verb| (verb.into(), "ann".into())),
        test: false,
    };
    Event { at: Timestamp::from_micros(0), kind }
}

#[test]
fn a_lead_retried_twice_and_delivered() {
    let figures = Figures::new();
    let error = Outcome::Error(ErrorKind::ServerError);
    figures.record(&accepted("auto", false));
    figures.record(&accepted("auto", true));
    figures.record(&settled("bigbank", error, 0, DecisionName::Retry, StateName::Waiting));
    figures.record(&settled("bigbank", error, 1, DecisionName::Retry, StateName::Waiting));
    figures.record(&settled("bigbank", Outcome::Success, 2, DecisionName::Deliver, StateName::Delivered));
    let read = scrape(&figures, &Snapshot::default());
    let attempts = |outcome, kind, retry| {
        let labels = format!("recipient=\"bigbank\",outcome=\"{outcome}\",kind=\"{kind}\",retry=\"{retry}\"");
        read.value(&format!("steadfast_attempts_total{{{labels}}}"))
    };
    assert_eq!(read.value("steadfast_leads_accepted_total{flow=\"auto\",test=\"false\"}"), 1.0);
    assert_eq!(read.value("steadfast_leads_accepted_total{flow=\"auto\",test=\"true\"}"), 1.0);
    assert_eq!(attempts("error", "server_error", 0), 1.0);
    assert_eq!(attempts("error", "server_error", 1), 1.0);
    assert_eq!(attempts("success", "", 2), 1.0);
    assert_eq!(read.value("steadfast_retries_total{retry=\"1\"}"), 1.0);
    assert_eq!(read.value("steadfast_retries_total{retry=\"2\"}"), 1.0);
    assert_eq!(read.value("steadfast_retries_total{retry=\"3\"}"), 0.0);
    assert!(!read.samples.contains_key("steadfast_retries_total{retry=\"0\"}"), "a first attempt is no retry");
    assert_eq!(read.value("steadfast_decisions_total{decision=\"retry\"}"), 2.0);
    assert_eq!(read.value("steadfast_decisions_total{decision=\"deliver\"}"), 1.0);
    let ended = "steadfast_deliveries_ended_total{recipient=\"bigbank\",state=\"delivered\",cause=\"\"}";
    assert_eq!(read.value(ended), 1.0);
    assert_eq!(read.value("steadfast_delivery_seconds_count{recipient=\"bigbank\"}"), 1.0);
    assert_eq!(read.value("steadfast_delivery_seconds_sum{recipient=\"bigbank\"}"), 7.0);
    assert_eq!(read.value("steadfast_attempt_seconds_count{recipient=\"bigbank\"}"), 3.0);
    assert_eq!(read.value("steadfast_retry_lateness_seconds_count"), 2.0, "lateness is of retries only");
}

#[test]
fn ends_and_verbs() {
    let figures = Figures::new();
    let no = Outcome::Failure(FailureKind::Duplicate);
    figures.record(&settled("bigbank", no, 0, DecisionName::Reject, StateName::Rejected));
    let final_error = Outcome::Error(ErrorKind::ClientError);
    figures.record(&settled("bigbank", final_error, 0, DecisionName::Review, StateName::InReview));
    figures.record(&changed(StateName::InReview, Some(ReviewCause::Expired), None));
    figures.record(&changed(StateName::Delivered, None, Some("mark-delivered")));
    figures.record(&changed(StateName::Waiting, None, Some("retry")));
    figures.record(&changed(StateName::Waiting, None, Some("something new")));
    let read = scrape(&figures, &Snapshot::default());
    let ended = |state, cause| {
        read.value(&format!(
            "steadfast_deliveries_ended_total{{recipient=\"bigbank\",state=\"{state}\",cause=\"{cause}\"}}"
        ))
    };
    assert_eq!(ended("rejected", "duplicate"), 1.0);
    assert_eq!(ended("in_review", "client_error"), 1.0);
    assert_eq!(ended("in_review", "expired"), 1.0);
    assert_eq!(ended("delivered", "by_hand"), 1.0);
    for verb in ["mark-delivered", "retry", "other"] {
        assert_eq!(read.value(&format!("steadfast_verbs_total{{verb=\"{verb}\"}}")), 1.0);
    }
}

#[test]
fn recipients_beyond_the_bound_are_counted_together() {
    let figures = Figures::new();
    for number in 0..RECIPIENTS_MAX + 50 {
        let recipient = format!("r{number}");
        figures.record(&settled(&recipient, Outcome::Success, 0, DecisionName::Deliver, StateName::Delivered));
        figures.record(&accepted(&format!("f{number}"), false));
    }
    figures.record(&settled("r7", Outcome::Success, 0, DecisionName::Deliver, StateName::Delivered));
    let counts = (0..RECIPIENTS_MAX + 50).map(|number| Count {
        flow: FlowName::new("auto").unwrap(),
        recipient: RecipientName::new(&format!("r{number}")).unwrap(),
        test: false,
        state: StateName::Waiting,
        deliveries: 1,
    });
    let read = scrape(&figures, &Snapshot { counts: counts.collect(), in_flight: 3, ..Snapshot::default() });
    let of = |recipient: &str| {
        read.value(&format!(
            "steadfast_attempts_total{{recipient=\"{recipient}\",outcome=\"success\",kind=\"\",retry=\"0\"}}"
        ))
    };
    assert_eq!((of("r7"), of("r999"), of("other")), (2.0, 1.0, 50.0));
    let series = read.samples.keys().filter(|name| name.starts_with("steadfast_attempts_total")).count();
    assert_eq!(series, RECIPIENTS_MAX + 1);
    assert_eq!(read.value("steadfast_leads_accepted_total{flow=\"other\",test=\"false\"}"), 50.0);
    assert_eq!(read.value("steadfast_deliveries{recipient=\"other\",state=\"waiting\"}"), 50.0);
    assert_eq!(read.value("steadfast_queue_depth"), 1_047.0, "what waits, without what is in flight");
}

#[test]
fn test_leads_are_counted_as_accepted_and_nowhere_else() {
    let figures = Figures::new();
    let untouched = |read: &Scrape| {
        let counted =
            |name: &&String| !name.starts_with("steadfast_leads_accepted") && !name.starts_with("steadfast_queue");
        read.samples
            .iter()
            .filter(|(name, _)| counted(name))
            .map(|(name, value)| format!("{name} {value}"))
            .collect::<Vec<_>>()
    };
    let before = untouched(&scrape(&figures, &Snapshot::default()));
    figures.record(&accepted("auto", true));
    for event in [
        settled("bigbank", Outcome::Success, 2, DecisionName::Deliver, StateName::Delivered),
        changed(StateName::Delivered, None, Some("mark-delivered")),
    ] {
        let mut event = event;
        if let EventKind::AttemptSettled(settled) = &mut event.kind {
            settled.test = true;
        }
        if let EventKind::DeliveryChanged { test, .. } = &mut event.kind {
            *test = true;
        }
        figures.record(&event);
    }
    let of = |state, deliveries| Count {
        flow: FlowName::new("auto").unwrap(),
        recipient: RecipientName::new("bigbank").unwrap(),
        test: true,
        state,
        deliveries,
    };
    let counts = vec![of(StateName::Waiting, 2), of(StateName::Delivered, 3)];
    let read = scrape(&figures, &Snapshot { counts, ..Snapshot::default() });
    assert_eq!(untouched(&read), before);
    assert_eq!(read.value("steadfast_leads_accepted_total{flow=\"auto\",test=\"true\"}"), 1.0);
    assert_eq!(read.value("steadfast_queue_depth"), 2.0, "what waits takes room, whoever's it is");
}

#[test]
fn what_is_so_at_the_moment() {
    let figures = Figures::new();
    figures.record_intake(202);
    figures.record_intake(202);
    figures.record_intake(413);
    figures.record_commit(&CommitReport { changes: 40, took: Duration::from_millis(3) });
    let snapshot = Snapshot {
        in_flight: 7,
        oldest_due_age: Duration::from_millis(1_500),
        unsaved: 2,
        endpoints_paused: 1,
        store_ready: true,
        config_version: 12,
        process_start: Timestamp::from_millis(1_700_000_000_250),
        version: "1.2.3",
        ..Snapshot::default()
    };
    let read = scrape(&figures, &snapshot);
    assert_eq!(read.value("steadfast_intake_requests_total{status=\"202\"}"), 2.0);
    assert_eq!(read.value("steadfast_intake_requests_total{status=\"413\"}"), 1.0);
    assert_eq!(read.value("steadfast_commit_changes_sum"), 40.0);
    assert_eq!(read.value("steadfast_commit_seconds_bucket{le=\"0.004\"}"), 1.0);
    assert_eq!(read.value("steadfast_commit_seconds_bucket{le=\"0.002\"}"), 0.0);
    assert_eq!(read.value("steadfast_in_flight_attempts"), 7.0);
    assert_eq!(read.value("steadfast_oldest_due_age_seconds"), 1.5);
    assert_eq!(read.value("steadfast_unsaved_settlements"), 2.0);
    assert_eq!(read.value("steadfast_endpoints_paused"), 1.0);
    assert_eq!(read.value("steadfast_store_ready"), 1.0);
    assert_eq!(read.value("steadfast_config_version"), 12.0);
    assert_eq!(read.value("steadfast_process_start_time_seconds"), 1_700_000_000.25);
    assert_eq!(read.value("steadfast_build_info{version=\"1.2.3\"}"), 1.0);
}

fn opened() -> Event {
    let endpoint = Endpoint { recipient: RecipientName::new("bigbank").unwrap(), origin: "https://b:443".into() };
    let transition = Transition {
        at: Timestamp::default(),
        from: BreakerState::Closed,
        to: BreakerState::Open,
        reason: Reason::InARow,
        figures: Default::default(),
        generation: 1,
        by: None,
    };
    Event { at: Timestamp::default(), kind: EventKind::BreakerChanged { endpoint, transition: Box::new(transition) } }
}

fn held() -> RecipientGauges {
    let endpoint = EndpointGauges {
        origin: "https://b:443".into(),
        breaker: BreakerState::Open,
        held: Some(HoldReason::Breaker),
        budget_thousandths: 12_500,
        share_thousandths: 100,
    };
    let recipient = RecipientName::new("bigbank").unwrap();
    RecipientGauges { recipient, concurrency: 7, in_flight: 3, endpoints: vec![endpoint] }
}

#[test]
fn how_recipients_are_protected() {
    let figures = Figures::new();
    figures.record(&opened());
    let waiting = |state, deliveries| Count {
        flow: FlowName::new("auto").unwrap(),
        recipient: RecipientName::new("bigbank").unwrap(),
        test: false,
        state,
        deliveries,
    };
    let counts = vec![waiting(StateName::Waiting, 40), waiting(StateName::Held, 2), waiting(StateName::Delivered, 9)];
    let read = scrape(&figures, &Snapshot { counts, recipients: vec![held()], stops: 2, ..Snapshot::default() });
    let at = "recipient=\"bigbank\",endpoint=\"https://b:443\"";
    for (name, value) in [
        (format!("steadfast_breaker_state{{{at},state=\"open\"}}"), 1.0),
        (format!("steadfast_endpoint_held{{{at},reason=\"breaker\"}}"), 1.0),
        ("steadfast_held_deliveries{recipient=\"bigbank\",reason=\"breaker\"}".to_owned(), 42.0),
        (format!("steadfast_retry_budget_tokens{{{at}}}"), 12.5),
        (format!("steadfast_recovery_share_ratio{{{at}}}"), 0.1),
        ("steadfast_concurrency_limit{recipient=\"bigbank\"}".to_owned(), 7.0),
        ("steadfast_recipient_in_flight_attempts{recipient=\"bigbank\"}".to_owned(), 3.0),
        ("steadfast_stops".to_owned(), 2.0),
        (
            "steadfast_breaker_transitions_total{recipient=\"bigbank\",to=\"open\",reason=\"failures_in_a_row\"}"
                .to_owned(),
            1.0,
        ),
    ] {
        assert_eq!(read.value(&name), value, "{name}");
    }
}

/// What is exposed and what the table says are the same: names, types and labels.
#[test]
fn what_is_exposed_is_what_is_documented() {
    let figures = Figures::new();
    figures.record(&accepted("auto", false));
    figures.record(&settled("bigbank", Outcome::Success, 1, DecisionName::Deliver, StateName::Delivered));
    figures.record(&changed(StateName::Delivered, None, Some("mark-delivered")));
    figures.record_intake(202);
    let count = Count {
        flow: FlowName::new("auto").unwrap(),
        recipient: RecipientName::new("bigbank").unwrap(),
        test: false,
        state: StateName::Delivered,
        deliveries: 1,
    };
    figures.record(&opened());
    let cap = CapGauges { scope: "flow auto".into(), per: CapPer::Day, max: 9, used: 3, reserved: 1 };
    let (counts, recipients, caps) = (vec![count], vec![held()], vec![cap]);
    let snapshot = Snapshot { counts, recipients, caps, version: "1", ..Snapshot::default() };
    let read = scrape(&figures, &snapshot);
    let documented: BTreeMap<String, String> =
        METRICS.iter().map(|metric| (metric.family.to_owned(), metric.kind.name().to_owned())).collect();
    assert_eq!(read.families, documented);
    for metric in METRICS {
        let suffix = if metric.kind.name() == "histogram" { "_count" } else { "" };
        let found = read.label_names.get(&format!("{}{suffix}", metric.name())).cloned().unwrap_or_default();
        let expected: BTreeSet<String> = metric.labels.iter().map(|label| (*label).to_owned()).collect();
        assert_eq!(found, expected, "{}", metric.family);
    }
}
