//! A step's fallbacks become legs: what each is laid over, what follows its end, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a stage that cannot be set up ends the test")]

use std::sync::Arc;
use steadfast_flow::{
    Address, Auth, Book, FALLBACKS_MAX, FlowSettings, FollowUpSettings, InDoubtMode, LegSettings, RecipientSettings,
    RequestSettings, Secret, Settings, StepPlan, StepSettings,
};
use steadfast_lead::{FlowName, IdSequence, Lead, NodeNumber, RecipientName, StepName, Timestamp};
use steadfast_retry::policy::{Key, Layer};
use steadfast_retry::{Delivery, ErrorKind, FollowUp, InDoubt, LegProgress};

fn name(name: &str) -> RecipientName {
    RecipientName::new(name).unwrap()
}

fn url(text: &str) -> RequestSettings {
    RequestSettings { url: Some(Address::parse(text).unwrap()), ..RequestSettings::default() }
}

fn leg_to(address: &str) -> LegSettings {
    LegSettings { request: url(address), ..LegSettings::default() }
}

fn bearer(token: &str) -> Option<Auth> {
    Some(Auth::Bearer { token: Secret::new(token) })
}

/// `sell` to `bank` with these fallbacks; `mill` has an address of its own.
fn settings(fallbacks: Vec<LegSettings>) -> Settings {
    let step = StepSettings {
        id: StepName::new("sell").unwrap(),
        recipient: name("bank"),
        retry: Layer { max_retries: Some(5), ..Layer::default() },
        in_doubt: Default::default(),
        priority: None,
        request: url("https://api.bank.example/leads"),
        auth: bearer("bank's own"),
        response: Default::default(),
        rules: Vec::new(),
        duplicates: None,
        test_leads: None,
        sale: Default::default(),
        caps: Default::default(),
        terms: Default::default(),
        shadow: Default::default(),
        fallbacks,
        candidates: Vec::new(),
        balance: Default::default(),
        follow_ups: FollowUpSettings::default(),
    };
    let mut settings = Settings::default();
    settings.recipients.insert(name("bank"), RecipientSettings::default());
    let mill = RecipientSettings { request: url("https://mill.example/in"), ..RecipientSettings::default() };
    settings.recipients.insert(name("mill"), mill);
    let flow = FlowSettings { steps: vec![step], ..FlowSettings::default() };
    settings.flows.insert(FlowName::new("auto").unwrap(), flow);
    settings
}

fn step(settings: &mut Settings) -> &mut StepSettings {
    &mut settings.flows.get_mut("auto").unwrap().steps[0]
}

fn lead() -> (Lead, IdSequence) {
    let accepted_at = Timestamp::from_millis(1_800_000_000_000);
    let mut ids = IdSequence::resuming(NodeNumber(0), None);
    let lead = Lead {
        id: ids.next(accepted_at),
        flow: FlowName::new("auto").unwrap(),
        source: None,
        accepted_at,
        test: false,
        fields: steadfast_lead::Fields::new(),
    };
    (lead, ids)
}

/// The header by which a request says who it is from.
fn signed(plan: &StepPlan) -> Option<Vec<u8>> {
    let rendered = plan.render(&lead().0).unwrap();
    let found = rendered.headers.iter().find(|(name, _)| name == "authorization");
    found.map(|(_, value)| value.as_bytes().to_vec())
}

fn legs(book: &Book) -> Vec<Arc<StepPlan>> {
    book.flows["auto"].steps[0].legs().map(Arc::clone).collect()
}

fn said(settings: &Settings) -> Vec<String> {
    settings.compile(1).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_leg_to_the_same_recipient_lies_over_the_step_and_has_a_budget_of_its_own() {
    let mut standby = leg_to("https://standby.bank.example/leads");
    standby.retry = Layer { max_retries: Some(2), ..Layer::default() };
    let book = settings(vec![standby]).compile(1).unwrap();
    let [first, second] = &legs(&book)[..] else { panic!("two legs") };
    assert_eq!((first.leg, second.leg), (0, 1));
    assert_eq!(&*second.endpoint.origin, "https://standby.bank.example:443");
    assert_eq!(second.endpoint.recipient, first.endpoint.recipient);
    assert_eq!((first.retry.policy.max_retries.get(), second.retry.policy.max_retries.get()), (5, 2));
    assert_eq!(second.retry.origins[&Key::MaxRetries].to_string(), "fallback 1");
    assert_eq!(signed(first), signed(second), "it says who it is as the step does");
    let next = first.next.as_ref().unwrap();
    assert_eq!((next.leg, &next.endpoint), (1, &second.endpoint));
    assert_eq!(second.next, None);
}

#[test]
fn nothing_that_speaks_of_one_recipient_goes_along_to_another() {
    let mut settings = settings(vec![LegSettings { recipient: Some(name("mill")), ..LegSettings::default() }]);
    step(&mut settings).in_doubt.mode = Some(InDoubtMode::Hold);
    let book = settings.compile(1).unwrap();
    let [first, second] = &legs(&book)[..] else { panic!("two legs") };
    assert_eq!(&*second.endpoint.origin, "https://mill.example:443");
    assert!(signed(first).is_some());
    assert_eq!(signed(second), None, "the bank's token stays with the bank");
    assert_eq!(second.retry.policy.max_retries.get(), 5, "how often is the step's word");
    assert_eq!(second.in_doubt, InDoubt::Hold, "what is done about doubt is the step's word too");
}

#[test]
fn what_another_endpoint_may_cure_goes_on_and_the_rest_asks_a_person() {
    let book = settings(vec![leg_to("https://standby.bank.example/")]).compile(1).unwrap();
    let [first, second] = &legs(&book)[..] else { panic!("two legs") };
    assert_eq!((first.ends.exhausted, first.ends.final_error), (FollowUp::NextLeg, FollowUp::NextLeg));
    assert_eq!((first.ends.held_too_long, first.ends.unrecognized), (FollowUp::NextLeg, FollowUp::Review));
    for (kind, status, cured) in [
        (ErrorKind::Auth, Some(401), true),
        (ErrorKind::TlsCertificate, None, true),
        (ErrorKind::ClientError, Some(404), true),
        (ErrorKind::ClientError, Some(422), false),
        (ErrorKind::RenderFailed, None, false),
    ] {
        assert_eq!(first.ends.final_errors.meets(kind, status), cured, "{kind}");
    }
    assert_eq!((second.ends.exhausted, second.ends.held_too_long), (FollowUp::Review, FollowUp::Review));
    let alone = settings(Vec::new()).compile(1).unwrap();
    assert_eq!(legs(&alone)[0].ends.exhausted, FollowUp::Review);
}

#[test]
fn a_legs_own_word_goes_before_the_steps() {
    let mut first = leg_to("https://one.example/");
    first.follow_ups.on_exhausted = Some(FollowUp::Close);
    let mut settings = settings(vec![first, leg_to("https://two.example/")]);
    step(&mut settings).follow_ups.on_exhausted = Some(FollowUp::NextLeg);
    step(&mut settings).follow_ups.on_unrecognized = Some(FollowUp::NextLeg);
    let book = settings.compile(1).unwrap();
    let words: Vec<_> = legs(&book).iter().map(|leg| (leg.ends.exhausted, leg.ends.unrecognized)).collect();
    let next = FollowUp::NextLeg;
    assert_eq!(words, [(next, next), (FollowUp::Close, next), (next, next)]);
}

#[test]
fn chains_that_cannot_be_followed_are_refused_where_they_are_written() {
    let mut alone = settings(Vec::new());
    step(&mut alone).follow_ups.on_exhausted = Some(FollowUp::NextLeg);
    step(&mut alone).follow_ups.on_unrecognized = Some(FollowUp::NextBuyer);
    assert_eq!(
        said(&alone),
        [
            "flows.auto.steps[0].on_exhausted = \"next_leg\": has no leg to go on to (allowed: review or close, or a fallback after it)",
            "flows.auto.steps[0].on_unrecognized = \"next_buyer\": needs a step that is a buyer of a sale (allowed: review, next_leg, close)",
        ]
    );
    let same = leg_to("https://api.bank.example/leads");
    let other = leg_to("https://standby.bank.example/");
    let mut last = other.clone();
    last.follow_ups.on_held_too_long = Some(FollowUp::NextLeg);
    assert_eq!(
        said(&settings(vec![same, LegSettings::default(), other, last])),
        [
            "flows.auto.steps[0].fallbacks[3].on_held_too_long = \"next_leg\": has no leg to go on to (allowed: review or close, or a fallback after it)",
            "flows.auto.steps[0].fallbacks[0].request.url: is where leg 0 goes already (allowed: another url or another recipient than the leg before it)",
            "flows.auto.steps[0].fallbacks[1].request.url: is where leg 1 goes already (allowed: another url or another recipient than the leg before it)",
            "flows.auto.steps[0].fallbacks[3].request.url: is where leg 3 goes already (allowed: another url or another recipient than the leg before it)",
        ]
    );
    let many = (0..=FALLBACKS_MAX).map(|number| leg_to(&format!("https://{number}.example/"))).collect();
    assert_eq!(said(&settings(many)), ["flows.auto.steps[0].fallbacks = 9 entries: are too many (allowed: at most 8)"]);
    let unknown = LegSettings { recipient: Some(name("nobody")), ..LegSettings::default() };
    assert_eq!(
        said(&settings(vec![unknown])),
        ["flows.auto.steps[0].fallbacks[0].recipient = \"nobody\": is not a recipient (allowed: bank, mill)"]
    );
    let mut wild = leg_to("https://standby.bank.example/");
    wild.retry.max_retries = Some(50);
    assert!(said(&settings(vec![wild]))[0].starts_with("flows.auto.steps[0].fallbacks[0].retry.max_retries = 50"));
}

#[test]
fn next_buyer_is_a_word_of_buyers() {
    let mut settings = settings(Vec::new());
    let flow = settings.flows.get_mut("auto").unwrap();
    flow.sale.mode = Some(steadfast_flow::SaleMode::FirstAccepted);
    flow.steps[0].follow_ups.on_exhausted = Some(FollowUp::NextBuyer);
    let book = settings.compile(1).unwrap();
    assert_eq!(legs(&book)[0].ends.exhausted, FollowUp::NextBuyer);
}

#[test]
fn what_the_step_has_wrong_is_told_once_and_not_again_for_each_leg() {
    let mut settings = settings(vec![leg_to("https://one.example/"), leg_to("https://two.example/")]);
    step(&mut settings).request.timeout = Some(std::time::Duration::from_millis(1));
    assert_eq!(said(&settings), ["flows.auto.steps[0].request.timeout = 1ms: is out of range (allowed: 100ms to 5m)"]);
}

#[test]
fn a_delivery_finds_the_plan_of_its_leg_or_hears_what_is_gone() {
    let book = settings(vec![leg_to("https://standby.bank.example/")]).compile(1).unwrap();
    let (lead, mut ids) = lead();
    let [first] = &book.flows["auto"].deliveries(&lead, &mut ids)[..] else { panic!("one delivery") };
    let on = |leg| Delivery { progress: LegProgress { leg, ..LegProgress::default() }, ..first.clone() };
    assert_eq!(book.leg(first).unwrap().leg, 0);
    assert_eq!(book.leg(&on(1)).unwrap().leg, 1);
    let gone = book.leg(&on(2)).unwrap_err().to_string();
    assert_eq!(gone, "the configuration no longer has leg 2 of step sell of flow auto");
    let other = Delivery { step: StepName::new("other").unwrap(), ..on(1) };
    let gone = book.leg(&other).unwrap_err().to_string();
    assert_eq!(gone, "the configuration no longer has step other of flow auto");
}
