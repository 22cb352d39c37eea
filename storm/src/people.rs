//! People in a run: whose lead a post is and by which source it came; who asks to be forgotten; who stops something and lets it go
//! on. Draws from streams of its own, so that runs without people are what they were.

use crate::dice::Dice;
use crate::judge::Judge;
use std::sync::Arc;
use std::time::Duration;
use steadfast_engine::{Engine, Whom};
use steadfast_lead::{LeadId, RecipientName, SourceName};
use steadfast_retry::{Stop, StopTarget};

/// How many people there are: so few that they come again.
const PEOPLE: u64 = 10;
/// Sources of each flow.
const SOURCES: usize = 2;
/// Whoever asks to be forgotten waits for as long as it takes.
const PATIENCE: Duration = Duration::from_secs(30 * 86_400);

/// Whose lead a post is.
pub(crate) fn person_of(seed: u64, post: u64) -> String {
    address(Dice::of(seed, "person", post).below(PEOPLE))
}

fn address(number: u64) -> String {
    format!("person{number}@example.com")
}

/// By which source a post comes; some come by none.
pub(crate) fn source_of(seed: u64, post: u64) -> Result<Option<SourceName>, String> {
    let number = Dice::of(seed, "source", post).place(SOURCES + 1);
    (number < SOURCES).then(|| source(number)).transpose()
}

fn source(number: usize) -> Result<SourceName, String> {
    SourceName::new(&format!("by{number}")).map_err(|error| error.to_string())
}

/// Somebody asks to be forgotten, or has one lead forgotten. Runs until that is done, whatever the engine says meanwhile.
pub(crate) fn forget(judge: &Arc<Judge>, engine: Engine, dice: &mut Dice) {
    let leads = judge.books().known_leads();
    let whom = match leads.get(dice.place(leads.len())) {
        Some(lead) if dice.chance(30) => Whom::Lead(*lead),
        Some(_) | None => Whom::Person { email: Some(address(dice.below(PEOPLE)).into()), phone: None },
    };
    let judge = Arc::clone(judge);
    judge.books().people.erasing += 1;
    tokio::spawn(async move {
        let forgotten = judge.books().people.asked_to_forget(&whom);
        let done = engine.erase(whom, None, "ann", PATIENCE).await;
        let mut books = judge.books();
        books.people.erasing = books.people.erasing.saturating_sub(1);
        if done.is_ok_and(|erasing| erasing.finished) {
            books.people.forgotten(forgotten);
        }
    });
}

/// Whom somebody asked to forget.
#[derive(Clone, Debug)]
pub(crate) enum Forgotten {
    Lead(LeadId),
    Person(String),
}

/// What somebody stops, of so many recipients and the flow of that name.
pub(crate) fn target(dice: &mut Dice, recipients: usize, flows: usize) -> Result<StopTarget, String> {
    let flow = crate::shape::flow_name(dice.place(flows))?;
    let recipient = RecipientName::new(&format!("r{}", dice.place(recipients))).map_err(|error| error.to_string())?;
    Ok(match dice.below(3) {
        0 => StopTarget::Recipient(recipient),
        1 => StopTarget::Flow(flow),
        _ => StopTarget::Source(flow, source(dice.place(SOURCES))?),
    })
}

/// Somebody stops something. One word at a time about one thing: of two at once nobody knows which holds.
pub(crate) fn stop(judge: &Arc<Judge>, engine: Engine, target: StopTarget) {
    if !judge.books().people.speaking.insert(target.clone()) {
        return;
    }
    let judge = Arc::clone(judge);
    tokio::spawn(async move {
        let stopped = engine.stop(target.clone(), "ann", "a storm").await;
        // What was begun before may end: once.
        let under_way = engine.in_flight_ids().iter().map(ToString::to_string).collect();
        let mut books = judge.books();
        books.people.speaking.remove(&target);
        if stopped.is_ok() {
            books.people.stops.insert(target, under_way);
        }
    });
}

/// Somebody lets something go on that is stopped.
pub(crate) fn resume_any(judge: &Arc<Judge>, engine: &Engine, dice: &mut Dice) {
    let stops = engine.stops();
    if let Some(stop) = stops.get(dice.place(stops.len())) {
        resume(judge, engine, stop);
    }
}

/// Everything goes on. Whether anything was stopped.
pub(crate) fn resume_all(judge: &Arc<Judge>, engine: &Engine) -> bool {
    let stops = engine.stops();
    stops.iter().for_each(|stop| resume(judge, engine, stop));
    !stops.is_empty()
}

fn resume(judge: &Arc<Judge>, engine: &Engine, stop: &Stop) {
    let mut books = judge.books();
    if !books.people.speaking.insert(stop.target.clone()) {
        return;
    }
    // From the word on it may go, whether the word was kept or not.
    books.people.stops.remove(&stop.target);
    drop(books);
    let (judge, engine, target) = (Arc::clone(judge), engine.clone(), stop.target.clone());
    tokio::spawn(async move {
        // What was not taken is said again later.
        drop(engine.resume(&target, "ann", "the storm is over").await);
        judge.books().people.speaking.remove(&target);
    });
}
