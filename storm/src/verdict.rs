//! The last look, after a long calm: everything acknowledged is there, everything that can end has ended, and the histories,
//! the counts, the journal and the recipients' log tell one story.

use crate::bars::delivery_of;
use crate::judge::{Acknowledged, Books, Judge};
use crate::log::Did;
use crate::shape::Shape;
use crate::write::wait;
use std::collections::{BTreeMap, BTreeSet};
use steadfast_engine::Purpose;
use steadfast_lead::{DeliveryId, Lead, LeadId, Timestamp, Value};
use steadfast_retry::{
    Attempt, CloseReason, Delivery, Entry, EventKind, FailureKind, FaultKind, HoldReason, Phase, Standing, State,
    standing,
};
use steadfast_store::{Count, Cursor, Filter, Store, StoreError};

/// Looks at everything.
pub(crate) fn look(judge: &Judge, store: &dyn Store) {
    judge.after_commit(store);
    let deliveries = match all(store) {
        Ok(deliveries) => deliveries,
        Err(error) => return judge.find(format!("the deliveries cannot be listed: {error}")),
    };
    counts(judge, store, &deliveries);
    let mut entries = 0;
    for delivery in &deliveries {
        entries += one(judge, store, delivery);
    }
    sales(judge, &deliveries);
    judge.look_at_forgotten(store);
    clients(judge, store, &deliveries);
    journal(judge, store, &deliveries, entries);
}

fn all(store: &dyn Store) -> Result<Vec<Delivery>, StoreError> {
    const PAGE: usize = 50;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = wait(store.list(Filter::default(), after, PAGE))?;
        found.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(found),
        }
    }
}

/// The kept counts are those of a scan.
fn counts(judge: &Judge, store: &dyn Store, deliveries: &[Delivery]) {
    let mut counted = BTreeMap::new();
    for delivery in deliveries {
        let key = (delivery.flow.clone(), delivery.endpoint.recipient.clone(), delivery.test, delivery.state.name());
        *counted.entry(key).or_insert(0_u64) += 1;
    }
    let counted: Vec<Count> = counted
        .into_iter()
        .map(|((flow, recipient, test, state), deliveries)| Count { flow, recipient, test, state, deliveries })
        .collect();
    match wait(store.counts()) {
        Ok(kept) if kept == counted => {}
        kept => judge.find(format!("kept counts {kept:?}, a scan finds {counted:?}")),
    }
}

/// One delivery: how it ended, and whether its history is what the recipient saw. How long its history is.
fn one(judge: &Judge, store: &dyn Store, delivery: &Delivery) -> usize {
    const MORE_THAN_ANY: usize = 100_000;
    let history = match wait(store.history(delivery.id, 0, MORE_THAN_ANY)) {
        Ok(history) => history,
        Err(error) => {
            judge.find(format!("the history of {} cannot be read: {error}", delivery.id));
            return 0;
        }
    };
    if history.len() != usize::try_from(delivery.version).unwrap_or(usize::MAX) {
        judge.find(format!("{}: version {}, {} lines of history", delivery.id, delivery.version, history.len()));
    }
    let others = wait(store.lead(delivery.lead)).ok().flatten().map(|(_, all)| all).unwrap_or_default();
    if let Some(wrong) = end(judge, delivery, &others, &history) {
        judge.find(format!("{}: {wrong}", delivery.id));
    }
    let attempts: Vec<&Attempt> = history
        .iter()
        .filter_map(|entry| match entry {
            Entry::Attempt(attempt) => Some(&**attempt),
            Entry::LookUp(_) | Entry::Change(_) => None,
        })
        .collect();
    if let Some(wrong) = attempts_fit(judge, delivery, &attempts) {
        judge.find(format!("{}: {wrong}", delivery.id));
    }
    history.len()
}

/// What is wrong with where it stands; nothing, mostly.
fn end(judge: &Judge, delivery: &Delivery, all: &[Delivery], history: &[Entry]) -> Option<String> {
    let id = delivery.id.to_string();
    let log = judge.log();
    let did = |wanted: Did| log.of(&id).any(|request| request.did == wanted);
    let verb = |wanted: &str| {
        history.iter().any(|entry| match entry {
            Entry::Change(change) => change.verb.as_ref().is_some_and(|(verb, _)| &**verb == wanted),
            Entry::Attempt(_) | Entry::LookUp(_) => false,
        })
    };
    let any_is = |wanted: Standing| all.iter().any(|one| one.id != delivery.id && standing(one) == wanted);
    let fits = match &delivery.state {
        // Whose turn it is may have the lead: nobody is offered it until a person has spoken.
        State::Held { why: HoldReason::Turn, .. } => any_is(Standing::HasTurn),
        State::Closed { why: CloseReason::Sold, .. } => any_is(Standing::Has),
        State::Waiting { .. } | State::Held { .. } => {
            return Some(format!("stands open after the calm: {:?}", delivery.state));
        }
        State::Delivered { by_hand: true, .. } => verb("mark-delivered") || verb("confirm"),
        State::Delivered { probable: false, .. } => did(Did::Took) || did(Did::HadIt),
        State::Delivered { probable: true, .. } => delivery.progress.in_doubt,
        // A recipient that has it already took it from us: what we sent before was in doubt, or it is lost to the books.
        // Unless it was not sent because the person went there before.
        State::Rejected { kind: FailureKind::Duplicate, .. } | State::Closed { why: CloseReason::Superseded, .. } => {
            log.takings(&id) == 0 && {
                drop(log);
                judge.may_be_duplicate(delivery)
            }
        }
        // A full cap ends only what nobody has.
        State::Rejected { kind: FailureKind::Capped, .. } | State::Closed { why: CloseReason::Capped, .. } => {
            log.takings(&id) == 0
        }
        State::Rejected { .. } => did(Did::SaidNo),
        State::InReview { .. } => true,
        State::Closed { why: CloseReason::Dismissed, .. } => verb("dismiss"),
        State::Closed { why: CloseReason::Erased, .. } => judge.books().people.may_be_forgotten(delivery.lead),
        State::Closed { .. } => false,
    };
    (!fits).then(|| format!("stands in {:?}, which its recipient's log does not bear out", delivery.state))
}

/// By the buyers' own logs: of each lead that is sold one buyer has it at most.
fn sales(judge: &Judge, deliveries: &[Delivery]) {
    let mut takers: BTreeMap<LeadId, Vec<DeliveryId>> = BTreeMap::new();
    let log = judge.log();
    for delivery in deliveries.iter().filter(|one| one.tie.buyer && log.takings(&one.id.to_string()) > 0) {
        takers.entry(delivery.lead).or_default().push(delivery.id);
    }
    drop(log);
    for (lead, takers) in takers.into_iter().filter(|(_, takers)| takers.len() > 1) {
        judge.find(format!("SOLD TWICE: {lead} was taken as {takers:?}"));
    }
}

/// By the recipients' own logs: no more deliveries were taken than a cap allows. And a place is kept only for what may have been
/// taken and has not been told.
pub(crate) fn caps(judge: &Judge, store: &dyn Store, shape: &Shape) {
    let (recipients, flows) = shape.caps();
    let (Ok(deliveries), Ok(kept)) = (all(store), wait(store.cap_places(Timestamp::MIN))) else {
        return judge.find("deliveries or places cannot be read".to_owned());
    };
    let flow_of = judge.books().people.flows();
    let mut took: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for request in judge.log().requests.iter().filter(|request| request.did == Did::Took) {
        took.entry(request.recipient.clone()).or_default().insert(request.delivery.clone());
        let flow = flow_of.get(&request.delivery).cloned().unwrap_or_default();
        took.entry(flow).or_default().insert(request.delivery.clone());
    }
    for (name, max) in recipients.into_iter().chain(flows) {
        let taken = took.get(&name).map_or(0, BTreeSet::len);
        if u64::try_from(taken).unwrap_or(u64::MAX) > max {
            judge.find(format!("OVER ITS CAP: {name} may take {max}, and took {taken}"));
        }
    }
    for (id, period) in kept {
        let found = deliveries.iter().find(|one| one.id == id);
        let told = |one: &Delivery| matches!(one.state, State::Delivered { .. }) || !one.progress.may_be_taken();
        if found.is_none_or(told) {
            judge.find(format!(
                "{id} keeps a place of {}, and stands in {:?}",
                period.scope,
                found.map(|one| &one.state)
            ));
        }
    }
}

/// Whether everything that is open waits for another delivery of its lead: then nothing more happens by itself.
pub(crate) fn only_turns_are_waited_for(store: &dyn Store) -> bool {
    all(store).is_ok_and(|all| all.iter().all(|one| one.state.next_look().is_none()))
}

/// Attempts are numbered without a gap, keep to the retries allowed, and each is a request the recipient's log has.
fn attempts_fit(judge: &Judge, delivery: &Delivery, attempts: &[&Attempt]) -> Option<String> {
    let most = judge.books().retries_max;
    for (place, attempt) in attempts.iter().enumerate() {
        if usize::try_from(attempt.number) != Ok(place + 1) {
            return Some(format!("attempt {} stands at place {}", attempt.number, place + 1));
        }
        if attempt.retry > most {
            return Some(format!(
                "attempt {} is retry {}, at most {most} were ever allowed",
                attempt.number, attempt.retry
            ));
        }
    }
    let interrupted =
        |attempt: &Attempt| attempt.evidence.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Interrupted);
    let settled = attempts.iter().filter(|attempt| !interrupted(attempt) && attempt.evidence.phase != Phase::Prepare);
    let log = judge.log();
    let sends = log.of(&delivery.id.to_string()).filter(|request| request.purpose == Purpose::Lead);
    let seen = sends.clone().filter(|request| request.seen.is_some()).count();
    if settled.clone().count() > seen {
        return Some(format!("{} attempts are told, {seen} were made", settled.count()));
    }
    let numbers: BTreeSet<u32> = sends.map(|request| request.attempt).collect();
    let untold = settled.clone().find(|attempt| !numbers.contains(&attempt.number));
    untold.map(|attempt| format!("attempt {} was never made", attempt.number))
}

/// Everything acknowledged is there, and no post made two leads.
fn clients(judge: &Judge, store: &dyn Store, deliveries: &[Delivery]) {
    let known: BTreeSet<DeliveryId> = deliveries.iter().map(|delivery| delivery.id).collect();
    let (acknowledged, verbs) = {
        let Books { acknowledged, verbs, .. } = &mut *judge.books();
        (acknowledged.clone(), verbs.clone())
    };
    let mut leads = BTreeMap::new();
    let pruned = judge.books().people.pruned.clone();
    for Acknowledged { post, lead, deliveries } in &acknowledged {
        if let Some(other) = leads.insert(*post, *lead).filter(|other| other != lead) {
            judge.find(format!("post {post} was acknowledged as {other} and as {lead}"));
        }
        if pruned.contains(lead) {
            continue;
        }
        let stored = wait(store.lead(*lead));
        let may_be_empty = judge.books().people.may_be_forgotten(*lead);
        let says = |lead: &Lead| lead.fields.get("post").and_then(Value::as_plain) == Some(post.to_string().as_str());
        let there = matches!(&stored, Ok(Some((stored, _))) if stored.id == *lead && (may_be_empty || says(stored)));
        if !there || deliveries.iter().any(|id| !known.contains(id)) {
            judge.find(format!("LOST: post {post} was acknowledged as {lead}, which is stored as {stored:?}"));
        }
    }
    let gone = judge.books().people.pruned_deliveries();
    for (id, version) in verbs.into_iter().filter(|(id, _)| !gone.contains(id)) {
        if deliveries.iter().find(|delivery| delivery.id == id).is_none_or(|delivery| delivery.version < version) {
            judge.find(format!("LOST: a verb on {id} was acknowledged at version {version}"));
        }
    }
    let born = judge.books().people.born.clone();
    let mut posts = BTreeMap::new();
    for (id, post) in born.into_iter().filter_map(|(id, born)| Some((id, born.post?))) {
        if let Some(other) = posts.insert(post.clone(), id) {
            judge.find(format!("post {post} made two leads, {other} and {id}"));
        }
    }
}

/// The journal: the same to one who followed it over every restart as to one who reads it now, one line for each lead and
/// for each line of a history.
fn journal(judge: &Judge, store: &dyn Store, deliveries: &[Delivery], entries: usize) {
    const PAGE: usize = 1_000;
    let (mut read, mut after) = (Vec::new(), Cursor(0));
    loop {
        let page = match wait(store.events(after, PAGE)) {
            Ok(page) => page,
            Err(error) => return judge.find(format!("the journal cannot be read: {error}")),
        };
        let Some((last, _)) = page.last() else { break };
        after = *last;
        read.extend(page);
    }
    let deleted_to = wait(store.journal_pruned_to()).unwrap_or(Cursor(0));
    let (followed, gone, pruned) = {
        let books = judge.books();
        (books.followed.clone(), books.people.pruned_deliveries(), books.people.pruned.len())
    };
    let left = followed.iter().filter(|(cursor, _)| *cursor > deleted_to);
    if !left.eq(&read) {
        judge.find("the journal reads otherwise than it was followed".to_owned());
    }
    if !read.is_sorted_by(|(earlier, _), (later, _)| earlier < later) {
        judge.find("the journal's cursors do not rise".to_owned());
    }
    let accepted = followed.iter().filter(|(_, event)| matches!(event.kind, EventKind::LeadAccepted { .. })).count();
    let lines = followed.iter().filter_map(|(_, event)| delivery_of(event));
    let settled = lines.filter(|delivery| !gone.contains(delivery)).count();
    let leads = deliveries.iter().map(|delivery| delivery.lead).collect::<BTreeSet<_>>().len() + pruned;
    if accepted != leads || settled != entries {
        judge.find(format!(
            "the journal has {accepted} lines of leads and {settled} of histories; there are {leads} leads and {entries} lines \
             of histories"
        ));
    }
}
