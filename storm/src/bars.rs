//! What must not be sent, held against every request: what was forgotten, what is stopped, and a person's second lead to a
//! recipient that takes each person once. And what must not be deleted, held against every commit.
//!
//! Knows whose a lead is from the moment it was stored, as the store loses that later.

use crate::judge::Judge;
use crate::log::{Did, Request};
use crate::people::Forgotten;
use crate::write::wait;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use steadfast_engine::{Order, Purpose, Whom};
use steadfast_flow::DuplicateOn;
use steadfast_lead::{DeliveryId, FlowName, Lead, LeadId, RecipientName, SourceName, Timestamp, Value};
use steadfast_retry::{Delivery, Event, EventKind, State, StateName, StopTarget};
use steadfast_store::{Cursor, Store};

/// What is kept is kept for so long after it ended, in runs where anything is deleted.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(86_400);
/// A recipient takes a person once in so long. Held to for a little less, as clocks are set.
pub(crate) const ONCE_IN: Duration = Duration::from_secs(86_400);
const SURELY_WITHIN: u64 = (86_400 - 6 * 3_600) * 1_000_000;

/// What is known of people.
#[derive(Default)]
pub(crate) struct People {
    /// Every lead as it was stored.
    pub(crate) born: BTreeMap<LeadId, Born>,
    /// Whom somebody asked to forget, done or not.
    asked: (BTreeSet<LeadId>, BTreeSet<String>),
    /// Leads of whom it was said that they are forgotten.
    pub(crate) forgotten: BTreeSet<LeadId>,
    /// People of whom that was said.
    gone: BTreeSet<String>,
    /// Orders that wait for their answer.
    pub(crate) erasing: usize,
    /// What is stopped, as it was said, with what was under way then.
    pub(crate) stops: BTreeMap<StopTarget, BTreeSet<String>>,
    /// What somebody is just then stopping, or letting go on.
    pub(crate) speaking: BTreeSet<StopTarget>,
    /// How each delivery stands by the journal, and since when.
    stands: BTreeMap<DeliveryId, (StateName, Timestamp)>,
    /// Leads that were deleted.
    pub(crate) pruned: BTreeSet<LeadId>,
    pruned_deliveries: u64,
}

/// A lead as it was stored.
#[derive(Clone, Debug)]
pub(crate) struct Born {
    pub(crate) post: Option<String>,
    person: Option<String>,
    flow: FlowName,
    source: Option<SourceName>,
    /// Each with the recipient it was planned for.
    pub(crate) deliveries: Vec<(DeliveryId, RecipientName)>,
}

impl Born {
    fn of(lead: &Lead, deliveries: &[Delivery]) -> Self {
        let text = |name: &str| lead.fields.get(name).and_then(Value::as_plain).map(ToOwned::to_owned);
        let planned = |one: &Delivery| (one.id, one.endpoint.recipient.clone());
        Born {
            post: text("post"),
            person: text("email"),
            flow: lead.flow.clone(),
            source: lead.source.clone(),
            deliveries: deliveries.iter().map(planned).collect(),
        }
    }
}

impl People {
    /// The process is gone, and with it what was under way.
    pub(crate) fn begin_life(&mut self) {
        self.erasing = 0;
        self.speaking.clear();
        self.stops.values_mut().for_each(BTreeSet::clear);
    }

    /// Notes whom somebody asks to forget.
    pub(crate) fn asked_to_forget(&mut self, whom: &Whom) -> Forgotten {
        match whom {
            Whom::Lead(lead) => {
                self.asked.0.insert(*lead);
                Forgotten::Lead(*lead)
            }
            Whom::Person { email, .. } => {
                let person = email.as_deref().unwrap_or_default().to_owned();
                self.asked.1.insert(person.clone());
                Forgotten::Person(person)
            }
        }
    }

    /// It was said that this is done.
    pub(crate) fn forgotten(&mut self, whom: Forgotten) {
        match whom {
            Forgotten::Lead(lead) => drop(self.forgotten.insert(lead)),
            Forgotten::Person(person) => {
                let of_person = |born: &Born| born.person.as_ref() == Some(&person);
                self.forgotten.extend(self.born.iter().filter(|(_, born)| of_person(born)).map(|(lead, _)| *lead));
                self.gone.insert(person);
            }
        }
    }

    /// Whether somebody asked to forget this lead.
    pub(crate) fn may_be_forgotten(&self, lead: LeadId) -> bool {
        let person = self.born.get(&lead).and_then(|born| born.person.as_ref());
        self.asked.0.contains(&lead) || person.is_some_and(|person| self.asked.1.contains(person))
    }

    /// Deliveries of leads that were deleted.
    pub(crate) fn pruned_deliveries(&self) -> BTreeSet<DeliveryId> {
        let leads = self.pruned.iter().filter_map(|lead| self.born.get(lead));
        leads.flat_map(|born| born.deliveries.iter().map(|(id, _)| *id)).collect()
    }

    /// By delivery, deleted or not: the flow of its lead.
    pub(crate) fn flows(&self) -> BTreeMap<String, String> {
        let of_lead = |born: &Born| {
            let flow = born.flow.to_string();
            born.deliveries.iter().map(move |(id, _)| (id.to_string(), flow.clone())).collect::<Vec<_>>()
        };
        self.born.values().flat_map(of_lead).collect()
    }

    fn person_of(&self, lead: LeadId) -> Option<&String> {
        self.born.get(&lead)?.person.as_ref()
    }

    /// Follows one line of the journal.
    fn follow(&mut self, event: &Event) {
        let state = match &event.kind {
            EventKind::AttemptSettled(settled) => settled.state,
            EventKind::LookUpSettled(settled) => settled.state,
            EventKind::DeliveryChanged { state, .. } => *state,
            EventKind::LeadAccepted { .. }
            | EventKind::EndpointPaused { .. }
            | EventKind::BreakerChanged { .. }
            | EventKind::Stopped(_)
            | EventKind::Resumed { .. }
            | EventKind::ConfigApplied { .. } => return,
        };
        let Some(delivery) = delivery_of(event) else { return };
        let since = self.stands.get(&delivery).filter(|(before, _)| *before == state).map_or(event.at, |(_, at)| *at);
        self.stands.insert(delivery, (state, since));
    }

    /// When everything of a lead had ended; `None` while something has not.
    fn ended_at(&self, born: &Born) -> Option<Timestamp> {
        let ended = born.deliveries.iter().map(|(id, _)| match self.stands.get(id) {
            Some((StateName::Delivered | StateName::Rejected | StateName::Closed, at)) => Some(*at),
            Some((StateName::Waiting | StateName::Held | StateName::InFlight | StateName::InReview, _)) | None => None,
        });
        ended.collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}

impl Judge {
    /// Reads on in the journal: who came, and how everything stands.
    pub(crate) fn follow_people(&self, store: &dyn Store, lines: &[(Cursor, Event)]) {
        for (_, event) in lines {
            if let EventKind::LeadAccepted { lead, .. } = &event.kind {
                match wait(store.lead(*lead)) {
                    Ok(Some((lead, deliveries))) => self.is_born(&lead, &deliveries),
                    read => self.find(format!("{lead} was just accepted, and is stored as {read:?}")),
                }
            }
            self.books().people.follow(event);
        }
    }

    fn is_born(&self, lead: &Lead, deliveries: &[Delivery]) {
        let born = Born::of(lead, deliveries);
        let mut books = self.books();
        let returns = born.person.as_ref().is_some_and(|person| books.people.gone.contains(person));
        for delivery in deliveries {
            // One that is closed from the start has no line of its own.
            books.people.stands.insert(delivery.id, (delivery.state.name(), lead.accepted_at));
        }
        books.people.born.insert(lead.id, born);
        drop(books);
        if returns {
            self.find(format!("{} was taken though its person is forgotten", lead.id));
        }
    }

    /// Before a request goes out: may anything be sent of this lead, now, to this recipient?
    pub(crate) fn is_free_to_go(&self, order: &Order, delivery: &Delivery) {
        if self.books().people.forgotten.contains(&delivery.lead) {
            self.find(format!("SENT THOUGH FORGOTTEN: {}", delivery.id));
        }
        if let Some(target) = self.is_stopped(order, delivery) {
            self.find(format!("SENT THOUGH STOPPED: {} while {target} is stopped", delivery.id));
        }
        if order.purpose == Purpose::Lead {
            self.is_no_duplicate(order, delivery);
        }
    }

    fn is_stopped(&self, order: &Order, delivery: &Delivery) -> Option<StopTarget> {
        let mut books = self.books();
        let people = &mut books.people;
        let born = people.born.get(&delivery.lead)?;
        let source = born.source.clone().map(|source| StopTarget::Source(born.flow.clone(), source));
        let recipient = StopTarget::Recipient(order.plan.endpoint.recipient.clone());
        let targets = [Some(recipient), Some(StopTarget::Flow(born.flow.clone())), source];
        let mut held = targets.into_iter().flatten().filter(|target| {
            // What was under way when it was stopped may end as it would: once.
            people.stops.get_mut(target).is_some_and(|under_way| !under_way.remove(&order.delivery_id))
        });
        held.next()
    }

    /// The first send of a lead to a recipient that takes each person once, by the recipients' log.
    fn is_no_duplicate(&self, order: &Order, delivery: &Delivery) {
        let Some(guard) = order.plan.duplicates.as_ref() else { return };
        let reached = |request: &Request| request.purpose == Purpose::Lead && request.did != Did::NotReached;
        // Whether one in doubt went before nobody knows; what was begun goes again.
        let first = !delivery.progress.in_doubt && delivery.progress.attempts == 0;
        if !first || self.log().of(&order.delivery_id).any(reached) {
            return;
        }
        let others = self.others_of_the_person(delivery, &order.plan.endpoint.recipient);
        let (now, life, store) = (self.elapsed(), self.life(), self.store());
        for other in others {
            let log = self.log();
            let went: Vec<&Request> = log.of(&other.to_string()).filter(|one| reached(one)).collect();
            let recent = went.iter().any(|one| now - one.at < SURELY_WITHIN);
            let took = went.iter().any(|one| one.did == Did::Took && now - one.at < SURELY_WITHIN);
            let under_way = went.iter().any(|one| one.life == life && one.seen.is_none());
            drop(log);
            let Some(Ok(Some(stored))) = store.as_ref().map(|store| wait(store.delivery(other))) else { continue };
            if stored.endpoint.recipient != order.plan.endpoint.recipient {
                continue;
            }
            let open = stored.state.next_look().is_some();
            let delivered = matches!(stored.state, State::Delivered { by_hand: false, .. });
            let sent = guard.on() == DuplicateOn::Sent && recent && stored.body.is_some();
            if under_way || sent || (took && (open || delivered)) {
                self.find(format!(
                    "SENT TWICE TO ONE PERSON: {} is sent after {other}, {:?}",
                    delivery.id, stored.state
                ));
            }
        }
    }

    /// Other deliveries of the same person that were planned for the same recipient as this one was, where it still is.
    fn others_of_the_person(&self, delivery: &Delivery, recipient: &RecipientName) -> Vec<DeliveryId> {
        let books = self.books();
        let people = &books.people;
        let Some(person) = people.person_of(delivery.lead) else { return Vec::new() };
        let planned = |born: &Born, id: Option<DeliveryId>| {
            let there = born.deliveries.iter().filter(|(_, planned)| planned == recipient);
            there.map(|(known, _)| *known).filter(|known| id.is_none_or(|id| id == *known)).collect::<Vec<_>>()
        };
        let own = people.born.get(&delivery.lead).map(|born| planned(born, Some(delivery.id))).unwrap_or_default();
        if own.is_empty() {
            return Vec::new();
        }
        // With a lead the mark is forgotten that it went.
        let known = |lead: &LeadId| !people.pruned.contains(lead) && !people.may_be_forgotten(*lead);
        let alive = people.born.iter().filter(|(lead, _)| known(lead));
        let of_person = alive.filter(|(_, born)| born.person.as_ref() == Some(person));
        of_person.flat_map(|(_, born)| planned(born, None)).filter(|id| *id != delivery.id).collect()
    }

    /// Whether a delivery may have ended as a duplicate: another of the person went to the recipient, or stands as delivered
    /// there by a person's word, or by what its step concludes from a doubt.
    pub(crate) fn may_be_duplicate(&self, delivery: &Delivery) -> bool {
        let recipient = &delivery.endpoint.recipient;
        let others: Vec<(String, bool)> = {
            let people = &self.books().people;
            let Some(person) = people.person_of(delivery.lead) else { return false };
            let of_person = people.born.values().filter(|born| born.person.as_ref() == Some(person));
            let others = of_person.flat_map(|born| &born.deliveries).filter(|(id, _)| *id != delivery.id);
            let stands = |id: &DeliveryId| people.stands.get(id).map(|(state, _)| *state);
            let delivered = |id: &DeliveryId| stands(id) == Some(StateName::Delivered);
            others.map(|(id, planned)| (id.to_string(), planned == recipient && delivered(id))).collect()
        };
        let log = self.log();
        let went = |id: &str| log.of(id).any(|one| one.did != Did::NotReached && one.recipient == recipient.as_str());
        others.iter().any(|(id, delivered)| *delivered || went(id))
    }

    /// What is deleted had ended long enough ago. How many deliveries were deleted so far.
    pub(crate) fn look_at_pruned(&self, store: &dyn Store) -> u64 {
        let pruned = match wait(store.pruned()) {
            Ok(pruned) => pruned.iter().map(|count| count.deliveries).sum::<u64>(),
            Err(error) => {
                self.find(format!("what was deleted cannot be read: {error}"));
                return 0;
            }
        };
        let before = self.books().people.pruned_deliveries;
        if pruned != before {
            self.books().people.pruned_deliveries = pruned;
            self.look_for_missing(store);
        }
        pruned
    }

    fn look_for_missing(&self, store: &dyn Store) {
        let latest = self.latest_wall_ever();
        let alive: Vec<(LeadId, Born)> = {
            let books = self.books();
            let alive = books.people.born.iter().filter(|(lead, _)| !books.people.pruned.contains(lead));
            alive.map(|(lead, born)| (*lead, born.clone())).collect()
        };
        for (lead, born) in alive {
            if !matches!(wait(store.lead(lead)), Ok(None)) {
                continue;
            }
            let ended = self.books().people.ended_at(&born);
            self.books().people.pruned.insert(lead);
            if ended.is_none_or(|at| at.after(KEPT_FOR) > latest) {
                self.find(format!("DELETED TOO EARLY: {lead}, which ended {ended:?}"));
            }
        }
    }

    /// After the calm: nothing of who was forgotten is kept, and what was asked is done.
    pub(crate) fn look_at_forgotten(&self, store: &dyn Store) {
        match wait(store.unfinished_erasures()) {
            Ok(left) if left.is_empty() => {}
            left => self.find(format!("erasures that are not done after the calm: {left:?}")),
        }
        let forgotten = self.books().people.forgotten.clone();
        for lead in forgotten {
            let open = |one: &Delivery| one.state.is_open() || matches!(one.state, State::InReview { .. });
            match wait(store.lead(lead)) {
                Ok(None) => {}
                Ok(Some((kept, all))) if kept.fields.is_empty() && !all.iter().any(open) => {}
                kept => self.find(format!("{lead} is forgotten, and is kept as {kept:?}")),
            }
        }
    }
}

/// The delivery that a line of the journal adds a line of history to.
pub(crate) fn delivery_of(event: &Event) -> Option<DeliveryId> {
    match &event.kind {
        EventKind::AttemptSettled(settled) => Some(settled.delivery),
        EventKind::LookUpSettled(settled) => Some(settled.delivery),
        EventKind::DeliveryChanged { delivery, .. } => Some(*delivery),
        EventKind::LeadAccepted { .. }
        | EventKind::EndpointPaused { .. }
        | EventKind::BreakerChanged { .. }
        | EventKind::Stopped(_)
        | EventKind::Resumed { .. }
        | EventKind::ConfigApplied { .. } => None,
    }
}
