//! From deliveries to the one outcome a source is told.
//!
//! One success is a success; all said no is a failure; what a person has to look at is an error, unless the recipient may
//! have it; everything else is not known yet, and the source's own setting is told. Of a lead that is sold to one of several
//! buyers only these count; steps that follow another never do. A test lead that no recipient takes came in well: a success
//! without a price.

use crate::plan::FlowPlan;
use crate::source::{SaidOutcome, SourceSettings, is_price};
use std::collections::BTreeSet;
use steadfast_lead::DeliveryId;
use steadfast_retry::{CloseReason, Delivery, State, Verdict};

/// What a source is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The word.
    pub outcome: SaidOutcome,
    /// Why.
    pub reason: Option<String>,
    /// A decimal number.
    pub price: Box<str>,
    /// The recipient's own id for the lead.
    pub reference: Option<Box<str>>,
    /// Concluded after doubt: not to be billed until confirmed.
    pub probable: bool,
}

impl Told {
    fn plain(outcome: SaidOutcome, reason: Option<String>, price: Box<str>) -> Self {
        Told { outcome, reason, price, reference: None, probable: false }
    }

    /// That the lead is kept.
    pub fn accepted(source: &SourceSettings) -> Self {
        Told::plain(SaidOutcome::Success, None, own_price(source))
    }

    /// What a source is offered for a lead it only asks about.
    pub fn bid(source: &SourceSettings) -> Self {
        let offered = source.bid.clone().filter(|bid| bid.bytes().any(|byte| matches!(byte, b'1'..=b'9')));
        offered.map_or_else(Told::no_bid, |bid| Told::plain(SaidOutcome::Success, None, bid))
    }

    /// That nothing is offered.
    pub fn no_bid() -> Self {
        Told::plain(SaidOutcome::Failure, Some("no bid".to_owned()), nothing())
    }

    /// What the source's setting says while nothing is known.
    pub fn unknown(source: &SourceSettings) -> Self {
        let price = if source.when_unknown == SaidOutcome::Success { own_price(source) } else { nothing() };
        Told::plain(source.when_unknown, source.unknown_reason.as_deref().map(str::to_owned), price)
    }

    /// What became of a lead, from its deliveries with what the last attempt of each meant; `None` while that is not known.
    /// The flow says what a recipient is expected to pay that named no price.
    pub fn known(
        source: &SourceSettings,
        flow: Option<&FlowPlan>,
        deliveries: &[(Delivery, Option<Verdict>)],
    ) -> Option<Self> {
        let is_sale = is_sale(deliveries.iter().map(|(delivery, _)| delivery));
        let is_shadow =
            |delivery: &Delivery| flow.and_then(|flow| flow.step(&delivery.step)).is_some_and(|step| step.shadow);
        let deliveries = deliveries.iter().filter(|(delivery, _)| counts(delivery, is_sale) && !is_shadow(delivery));
        let deliveries: Vec<_> = deliveries.collect();
        let sold: Vec<_> = deliveries.iter().filter(|(delivery, _)| is_delivered(delivery)).collect();
        if let Some((first, _)) = sold.first() {
            let said = sold.iter().find_map(|(_, last)| price_said(last.as_ref()?));
            let expected = || sold.iter().find_map(|(delivery, _)| flow?.step(&delivery.step)?.price.clone());
            let price = said.or_else(expected);
            let reference = sold.iter().find_map(|(_, last)| last.as_ref()?.reference.clone());
            let probable = matches!(first.state, State::Delivered { probable: true, .. });
            let told = Told::plain(SaidOutcome::Success, None, price.unwrap_or_else(|| own_price(source)));
            return Some(Told { reference, probable, ..told });
        }
        if deliveries.is_empty() || deliveries.iter().any(|(delivery, _)| is_unknown(delivery)) {
            return None;
        }
        if deliveries.iter().all(|(delivery, _)| is_skipped_test(delivery)) {
            return Some(Told::plain(SaidOutcome::Success, None, nothing()));
        }
        let in_review = deliveries.iter().any(|(delivery, _)| matches!(delivery.state, State::InReview { .. }));
        let outcome = if in_review { SaidOutcome::Error } else { SaidOutcome::Failure };
        let reasons: BTreeSet<String> =
            deliveries.iter().filter_map(|(delivery, last)| reason(delivery, last.as_ref())).collect();
        let reason = reasons.into_iter().collect::<Vec<_>>().join(", ");
        Some(Told::plain(outcome, Some(reason).filter(|reason| !reason.is_empty()), nothing()))
    }
}

/// Whether the end of one delivery may have changed what is told of its lead: the first success does, and while there is
/// none every end does.
pub fn is_news(deliveries: &[Delivery], ended: DeliveryId) -> bool {
    let mut counting = counting(deliveries);
    // What was returned was told as sold; a return is between the operator and the buyer.
    if !counting.clone().any(|delivery| delivery.id == ended) || counting.clone().any(is_returned) {
        return false;
    }
    let sold = counting.by_ref().filter_map(|delivery| match delivery.state {
        State::Delivered { at, .. } => Some((at, delivery.id)),
        State::Waiting { .. }
        | State::Held { .. }
        | State::Rejected { .. }
        | State::InReview { .. }
        | State::Closed { .. } => None,
    });
    sold.min().is_none_or(|(_, first)| first == ended)
}

/// Whether waiting longer would change nothing: one success is enough.
pub fn is_decided(deliveries: &[Delivery]) -> bool {
    let mut counting = counting(deliveries);
    counting.clone().any(is_delivered) || counting.all(|delivery| delivery.state.next_look().is_none())
}

/// Those that say what became of the lead.
fn counting(deliveries: &[Delivery]) -> impl Iterator<Item = &Delivery> + Clone {
    let is_sale = is_sale(deliveries.iter());
    deliveries.iter().filter(move |delivery| counts(delivery, is_sale))
}

fn is_sale<'a>(mut deliveries: impl Iterator<Item = &'a Delivery>) -> bool {
    deliveries.any(|delivery| delivery.tie.buyer)
}

const fn counts(delivery: &Delivery, is_sale: bool) -> bool {
    // A shadow was sent to nobody.
    let shadow = matches!(delivery.state, State::Closed { why: CloseReason::Shadow, .. });
    !shadow && if is_sale { delivery.tie.buyer } else { !delivery.tie.follows }
}

fn nothing() -> Box<str> {
    "0".into()
}

fn own_price(source: &SourceSettings) -> Box<str> {
    source.price.clone().unwrap_or_else(nothing)
}

fn is_delivered(delivery: &Delivery) -> bool {
    matches!(delivery.state, State::Delivered { .. })
}

fn is_returned(delivery: &Delivery) -> bool {
    matches!(delivery.state, State::Closed { why: CloseReason::Returned, .. })
}

/// Still under way, or with a person while the recipient may have it.
fn is_unknown(delivery: &Delivery) -> bool {
    let with_a_person = matches!(delivery.state, State::InReview { .. });
    delivery.state.is_open() || (with_a_person && delivery.progress.in_doubt)
}

/// A test lead that came in well; there is no more to tell of it.
fn is_skipped_test(delivery: &Delivery) -> bool {
    matches!(delivery.state, State::Closed { why: CloseReason::Test, .. })
}

/// The price an answer named, where it is one.
pub fn price_said(last: &Verdict) -> Option<Box<str>> {
    let text = last.price.as_deref()?.trim().trim_start_matches('$').trim();
    is_price(text).then(|| text.into())
}

/// The recipient's own words, else ours.
fn reason(delivery: &Delivery, last: Option<&Verdict>) -> Option<String> {
    let said = last.and_then(|verdict| verdict.reason.as_deref()).map(str::trim).filter(|said| !said.is_empty());
    match &delivery.state {
        State::Rejected { kind, .. } => Some(said.unwrap_or(kind.name()).to_owned()),
        State::InReview { cause, .. } => {
            let kind = last.and_then(|verdict| verdict.outcome.kind_name());
            Some(said.or(kind).unwrap_or(cause.name()).to_owned())
        }
        State::Closed { why, .. } => Some(why.name().to_owned()),
        State::Waiting { .. } | State::Held { .. } | State::Delivered { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Told, is_decided};
    use crate::source::{SaidOutcome, SourceSettings};
    use std::time::Duration;
    use steadfast_lead::{FlowName, RecipientName, StepName, Timestamp};
    use steadfast_retry::{
        CloseReason, Delivery, Endpoint, ErrorKind, FailureKind, HoldReason, LegProgress, Outcome, ReviewCause, State,
        Tie, Verdict,
    };

    const AT: Timestamp = Timestamp::MIN;

    fn delivery(state: State, in_doubt: bool) -> Delivery {
        Delivery {
            id: "dl_0000000000001".parse().unwrap(),
            lead: "ld_0000000000001".parse().unwrap(),
            flow: FlowName::new("auto").unwrap(),
            step: StepName::new("sell").unwrap(),
            endpoint: Endpoint {
                recipient: RecipientName::new("bank").unwrap(),
                origin: "https://bank.example:443".into(),
            },
            accepted_at: AT,
            priority: Default::default(),
            test: false,
            tie: Tie::default(),
            choice: None,
            booking: None,
            version: 1,
            attempts: 1,
            progress: LegProgress { in_doubt, ..LegProgress::default() },
            body: None,
            last_kind: None,
            state,
        }
    }

    fn verdict(outcome: Outcome, reason: Option<&str>, price: Option<&str>) -> Option<Verdict> {
        Some(Verdict {
            outcome,
            status: Some(200),
            retryable: None,
            delay: None,
            reason: reason.map(Into::into),
            price: price.map(Into::into),
            reference: None,
            decided_by: "test".into(),
        })
    }

    fn sold(price: Option<&str>) -> (Delivery, Option<Verdict>) {
        let state = State::Delivered { at: AT, probable: false, by_hand: false };
        (delivery(state, false), verdict(Outcome::Success, Some("thanks"), price))
    }

    fn refused(kind: FailureKind, reason: Option<&str>) -> (Delivery, Option<Verdict>) {
        (delivery(State::Rejected { at: AT, kind }, false), verdict(Outcome::Failure(kind), reason, Some("9")))
    }

    fn review(cause: ReviewCause, in_doubt: bool) -> (Delivery, Option<Verdict>) {
        let state = State::InReview { since: AT, cause };
        (delivery(state, in_doubt), verdict(Outcome::Error(ErrorKind::ServerError), None, None))
    }

    fn waiting() -> (Delivery, Option<Verdict>) {
        (delivery(State::Waiting { due: AT }, false), None)
    }

    fn source() -> SourceSettings {
        SourceSettings {
            wait: Duration::from_secs(1),
            when_unknown: SaidOutcome::Error,
            unknown_reason: Some("pending".into()),
            price: Some("1.50".into()),
            ..SourceSettings::default()
        }
    }

    fn told(deliveries: &[(Delivery, Option<Verdict>)]) -> (&'static str, Option<String>, String) {
        let told = Told::known(&source(), None, deliveries).unwrap_or_else(|| Told::unknown(&source()));
        (told.outcome.name(), told.reason, told.price.into())
    }

    fn said(outcome: &'static str, reason: &str, price: &str) -> (&'static str, Option<String>, String) {
        (outcome, (!reason.is_empty()).then(|| reason.to_owned()), price.to_owned())
    }

    #[test]
    fn one_success_is_a_success() {
        assert_eq!(told(&[sold(Some(" $12.50 "))]), said("success", "", "12.50"));
        assert_eq!(told(&[sold(None)]), said("success", "", "1.50"));
        assert_eq!(told(&[sold(Some("a lot"))]), said("success", "", "1.50"));
        let mixed = [refused(FailureKind::Rejected, None), sold(Some("3")), sold(Some("4")), waiting()];
        assert_eq!(told(&mixed), said("success", "", "3"), "the first price in the order of the steps");
    }

    #[test]
    fn a_test_lead_that_nobody_takes_came_in_well() {
        let closed = (delivery(State::Closed { at: AT, why: CloseReason::Test }, false), None);
        assert_eq!(told(std::slice::from_ref(&closed)), said("success", "", "0"));
        assert_eq!(told(&[closed, refused(FailureKind::Rejected, Some("no"))]), said("failure", "no, test", "0"));
    }

    #[test]
    fn all_no_is_a_failure_with_their_reasons() {
        let all = [
            refused(FailureKind::Rejected, Some(" bad phone ")),
            refused(FailureKind::Duplicate, None),
            refused(FailureKind::Rejected, Some("bad phone")),
        ];
        assert_eq!(told(&all), said("failure", "bad phone, duplicate", "0"));
        let closed = (delivery(State::Closed { at: AT, why: CloseReason::Dismissed }, false), None);
        assert_eq!(told(&[closed]), said("failure", "dismissed", "0"));
    }

    #[test]
    fn what_a_person_has_to_look_at_is_an_error_unless_the_recipient_may_have_it() {
        let failed = review(ReviewCause::Exhausted, false);
        assert_eq!(told(std::slice::from_ref(&failed)), said("error", "server_error", "0"));
        assert_eq!(told(&[refused(FailureKind::Capped, None), failed]), said("error", "capped, server_error", "0"));
        assert_eq!(told(&[review(ReviewCause::InDoubt, true)]), said("error", "pending", "0"));
    }

    #[test]
    fn what_is_not_known_is_the_sources_setting() {
        assert_eq!(told(&[waiting(), refused(FailureKind::Rejected, None)]), said("error", "pending", "0"));
        assert_eq!(told(&[]), said("error", "pending", "0"));
        let hopeful = SourceSettings { when_unknown: SaidOutcome::Success, ..source() };
        assert_eq!(Told::known(&hopeful, None, &[waiting()]), None);
        assert_eq!(&*Told::unknown(&hopeful).price, "1.50");
    }

    fn tied((mut delivery, last): (Delivery, Option<Verdict>), tie: Tie) -> (Delivery, Option<Verdict>) {
        delivery.tie = tie;
        (delivery, last)
    }

    #[test]
    fn of_a_sale_only_the_buyers_count_and_never_what_follows_another() {
        let (buyer, copy) = (Tie { buyer: true, ..Tie::default() }, Tie { follows: true, ..Tie::default() });
        let in_line = || {
            let held = State::Held { due: AT, until: AT, why: HoldReason::Turn };
            tied((delivery(held, false), None), buyer)
        };
        let no = || tied(refused(FailureKind::Rejected, Some("no")), buyer);
        assert_eq!(told(&[no(), sold(None), tied(sold(None), copy)]), said("failure", "no", "0"));
        assert_eq!(told(&[no(), tied(sold(Some("7")), buyer), in_line()]), said("success", "", "7"));
        let doubtful = || tied(review(ReviewCause::InDoubt, true), buyer);
        assert_eq!(told(&[doubtful(), in_line()]), said("error", "pending", "0"));
        assert_eq!(
            told(&[refused(FailureKind::Rejected, Some("no")), tied(sold(None), copy)]),
            said("failure", "no", "0")
        );
        let known = [doubtful().0, in_line().0];
        assert!(is_decided(&known), "waiting longer changes nothing while nobody has spoken");
        assert!(!is_decided(&[no().0, tied(waiting(), buyer).0, in_line().0]));
    }

    #[test]
    fn waiting_ends_with_the_first_success() {
        let of = |all: &[(Delivery, Option<Verdict>)]| {
            is_decided(&all.iter().map(|(one, _)| one.clone()).collect::<Vec<_>>())
        };
        assert!(of(&[waiting(), sold(None)]));
        assert!(!of(&[waiting(), refused(FailureKind::Rejected, None)]));
        assert!(of(&[review(ReviewCause::Exhausted, false), refused(FailureKind::Rejected, None)]));
    }
}
