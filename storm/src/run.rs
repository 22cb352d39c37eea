//! One run: lives of a process one after the other, on one store, in one weather, and the verdict at the end.
//!
//! Everything happens on one thread, in an order that follows from the seed: each life has a runtime of its own, and time
//! passes only when everything that could happen without it has happened. A crash is the end of the runtime.

use crate::clock::StormClock;
use crate::dice::Dice;
use crate::disk::{Disk, Mood};
use crate::judge::{Acknowledged, Books, Judge};
use crate::log::Log;
use crate::people;
use crate::place::{Crash, Kind, Place};
use crate::recipient::Recipients;
use crate::shape::{Shape, flow_name};
use crate::trade::Trade;
use crate::verdict;
use crate::weather::{Act, Post, Weather, Word};
use crate::write::wait;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use steadfast_engine::{Acted, Clock as _, Engine, Idempotency, NoObserver, Parts, Posted};
use steadfast_lead::{DeliveryId, Fields, Value};
use steadfast_retry::Verb;
use steadfast_store::{ConfigVersion, ConfigVersions as _, Store, StoreError};
use tokio::task::JoinHandle;

const SECOND: u64 = 1_000_000;
/// How long the calm at the end lasts at most: longer than any policy of the storm's goes on.
const CALM: u64 = 4 * 86_400 * SECOND;
/// How often a client posts again.
const TRIES_MAX: u32 = 6;

/// What one run was.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it is derived from.
    pub seed: u64,
    /// On which store.
    pub kind: Kind,
    /// Leads acknowledged.
    pub acknowledged: usize,
    /// Requests to recipients.
    pub requests: usize,
    /// Deliveries that a recipient took more than once, each time after an attempt in doubt.
    pub twice: usize,
    /// How often the process was started.
    pub lives: u64,
    /// Transactions looked at.
    pub commits: u64,
    /// Of the whole log of requests: the same for the same seed.
    pub digest: [u8; 32],
    /// What was wrong; nothing, if all is well.
    pub findings: Vec<String>,
    /// Where something was: every request, and every line of the journal, in order.
    pub story: Vec<String>,
}

/// Runs a seed on a store. What cannot be set up is a finding as well.
pub fn run(seed: u64, kind: Kind, trade: Trade) -> Report {
    let clock = StormClock::new();
    let judge = Judge::new(clock.clone(), trade.people);
    if let Err(error) = Run::begin(seed, kind, trade, clock, Arc::clone(&judge)).and_then(Run::all_lives) {
        judge.find(error);
    }
    let (log, books) = (judge.log(), judge.books());
    let digest = Sha256::digest(format!("{:?}", log.requests)).into();
    Report {
        seed,
        kind,
        acknowledged: books.acknowledged.len(),
        requests: log.requests.len(),
        twice: log.taken_twice(),
        lives: books.life,
        commits: books.commits,
        digest,
        findings: books.findings.clone(),
        story: if books.findings.is_empty() { Vec::new() } else { story(&log, &books) },
    }
}

fn story(log: &Log, books: &Books) -> Vec<String> {
    let requests = log.requests.iter().map(|request| format!("{request:?}"));
    requests.chain(books.followed.iter().map(|(cursor, event)| format!("{} {event:?}", cursor.0))).collect()
}

struct Run {
    seed: u64,
    trade: Trade,
    clock: StormClock,
    judge: Arc<Judge>,
    recipients: Arc<Recipients>,
    place: Place,
    shape: Shape,
    weather: Weather,
    dice: Dice,
    /// Posts that wait for their answer.
    unanswered: Arc<Mutex<BTreeMap<u64, Post>>>,
    /// Posts that were refused, to be posted again.
    refused: Arc<Mutex<Vec<Post>>>,
    calm: bool,
}

/// How a life ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Another follows.
    Again,
    /// Everything is done.
    Over,
}

/// The process as it runs.
struct Process {
    disk: Arc<Disk>,
    starting: Option<JoinHandle<Result<Engine, StoreError>>>,
    engine: Option<Engine>,
    draining: Option<JoinHandle<Result<bool, StoreError>>>,
}

impl Run {
    fn begin(seed: u64, kind: Kind, trade: Trade, clock: StormClock, judge: Arc<Judge>) -> Result<Self, String> {
        let mut dice = Dice::of(seed, "run", 0);
        let mut shape = Shape::draw(&mut dice);
        if trade.sales {
            shape.sell();
        }
        if trade.caps {
            shape.cap(&mut Dice::of(seed, "caps", 0));
        }
        if trade.people {
            shape.mind_people(&mut Dice::of(seed, "guards", 0));
        }
        let mut weather = Weather::draw(&mut dice, shape.flows.len(), trade.people);
        if trade.people {
            weather.add_people(&mut Dice::of(seed, "people", 0));
        }
        let recipients = Recipients::new(clock.clone(), Arc::clone(&judge), seed, trade);
        let place = Place::new(kind, seed)?;
        let (unanswered, refused) = (Arc::default(), Arc::default());
        Ok(Run { seed, trade, clock, judge, recipients, place, shape, weather, dice, unanswered, refused, calm: false })
    }

    fn all_lives(mut self) -> Result<(), String> {
        const LIVES_MAX: usize = 200;
        for _ in 0..LIVES_MAX {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            let end = runtime.block_on(self.life());
            drop(runtime);
            if end? == End::Over {
                return Ok(());
            }
            self.between_lives();
        }
        Err(format!("not over after {LIVES_MAX} lives"))
    }

    fn between_lives(&mut self) {
        let lost: Vec<Post> = std::mem::take(&mut *self.unanswered.lock()).into_values().collect();
        lost.into_iter().for_each(|post| self.post_again(post));
        let down = if self.calm { 0 } else { self.dice.below(90 * SECOND) };
        self.clock.advance_to(self.clock.elapsed() + down);
        if !self.calm && self.dice.chance(30) {
            self.shape.change(&mut self.dice);
        }
        if !self.calm && self.dice.chance(30) {
            self.shape.change_limits(&mut self.dice);
        }
    }

    fn post_again(&mut self, post: Post) {
        if post.keyed && post.tries < TRIES_MAX {
            let at = self.clock.elapsed() + self.dice.between(SECOND, 60 * SECOND);
            self.weather.add(at, Act::Post(Post { tries: post.tries + 1, ..post }));
        }
    }

    async fn life(&mut self) -> Result<End, String> {
        const ROUNDS_MAX: usize = 500_000;
        let mut process = self.start()?;
        for _ in 0..ROUNDS_MAX {
            idle().await;
            let refused = std::mem::take(&mut *self.refused.lock());
            refused.into_iter().for_each(|post| self.post_again(post));
            if let Some(end) = self.look(&mut process).await? {
                self.judge.end_life();
                return Ok(end);
            }
            let ended = match self.weather.pop(self.clock.elapsed()) {
                Some(act) => self.happen(act, &mut process)?,
                None => self.let_time_pass(&process).await,
            };
            if let Some(end) = ended {
                self.judge.end_life();
                return Ok(end);
            }
        }
        Err("NEVER RESTS: the process goes round and round".to_owned())
    }

    /// Until something happens next.
    async fn let_time_pass(&self, process: &Process) -> Option<End> {
        let next = [self.clock.next_wake(), self.weather.next_at()].into_iter().flatten().min();
        if let Some(next) = next.filter(|next| *next < CALM) {
            self.clock.advance_to(next);
            return None;
        }
        // Nothing more happens by itself; what stands open now is found by the verdict.
        self.finish(process).await;
        Some(End::Over)
    }

    fn start(&mut self) -> Result<Process, String> {
        let store = self.place.open(self.seed, &self.clock)?;
        self.judge.begin_life(&store);
        self.judge.after_commit(&*store);
        self.keep_config(&*store).map_err(|error| error.to_string())?;
        let judge = Arc::clone(&self.judge);
        let dice = Dice::of(self.seed, "disk", self.judge.life());
        let after_commit = Arc::new(move |store: &dyn Store| judge.after_commit(store));
        let disk = Disk::over(store, self.clock.clone(), dice, after_commit);
        tokio::spawn(Arc::clone(&disk).run());
        let parts = Parts {
            store: Arc::clone(&disk) as _,
            door: Arc::clone(&self.recipients) as _,
            clock: Arc::new(self.clock.clone()),
            observer: Arc::new(NoObserver),
            book: self.book()?,
            limits: self.shape.limits,
        };
        let starting = Some(tokio::spawn(Engine::start(parts)));
        Ok(Process { disk, starting, engine: None, draining: None })
    }

    /// Keeps the configuration as its next version, unless it is the newest already: as the server does at its start.
    fn keep_config(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let (config, newest) = (self.config(), wait(store.newest_config())?);
        self.shape.version = match newest.filter(|newest| newest.text == config.text) {
            Some(newest) => newest.version,
            None => wait(store.save_config(config))?,
        };
        Ok(())
    }

    fn config(&self) -> ConfigVersion {
        let text = Shape { version: 0, ..self.shape.clone() };
        ConfigVersion { version: 0, at: self.clock.now(), by: "storm".into(), text: format!("{text:?}").into() }
    }

    /// The book in force from now on.
    fn book(&self) -> Result<steadfast_flow::Book, String> {
        let book = self.shape.book()?;
        let steps = book.flows.values().flat_map(|flow| &flow.steps);
        let most = steps.map(|step| step.retry.policy.retries_allowed()).max().unwrap_or(0);
        let mut books = self.judge.books();
        books.retries_max = books.retries_max.max(most);
        books.unsteady_at = self.clock.elapsed();
        Ok(book)
    }

    /// Whether the process has come up, has ended by itself, or everything is done.
    async fn look(&mut self, process: &mut Process) -> Result<Option<End>, String> {
        if let Some(starting) = process.starting.take_if(|starting| starting.is_finished()) {
            match starting.await.map_err(|error| error.to_string())? {
                Ok(engine) => process.engine = Some(engine),
                Err(_) => return self.crash(Crash::Killed, process).map(Some),
            }
            let prunes = process.engine.iter().filter(|_| self.trade.people);
            prunes.for_each(|engine| engine.start_pruning(None));
        }
        if let Some(draining) = process.draining.take_if(|draining| draining.is_finished()) {
            let drained = draining.await.map_err(|error| error.to_string())?;
            return match drained {
                Ok(true) => Ok(Some(End::Again)),
                Ok(false) | Err(_) => self.crash(Crash::Killed, process).map(Some),
            };
        }
        if self.weather.next_at().is_some() {
            return Ok(None);
        }
        self.calm_down(process);
        if process.disk.has_stopped() {
            return self.crash(Crash::Killed, process).map(Some);
        }
        let Some(engine) = &process.engine else { return Ok(None) };
        if people::resume_all(&self.judge, engine) {
            idle().await;
        }
        let idle = process.draining.is_none() && engine.in_flight() == 0 && engine.unsaved() == 0;
        let idle = idle && self.judge.books().people.erasing == 0 && engine.stops().is_empty();
        if idle && (engine.open() == 0 || verdict::only_turns_are_waited_for(&**process.disk.store())) {
            self.finish(process).await;
            return Ok(Some(End::Over));
        }
        Ok(None)
    }

    fn calm_down(&mut self, process: &Process) {
        if !self.calm {
            self.calm = true;
            self.recipients.calm_down();
        }
        process.disk.be(Mood::Ready);
        process.disk.reads_fail(false);
    }

    async fn finish(&self, process: &Process) {
        idle().await;
        verdict::look(&self.judge, &**process.disk.store());
        verdict::caps(&self.judge, &**process.disk.store(), &self.shape);
        self.judge.end_life();
    }

    fn crash(&mut self, crash: Crash, process: &Process) -> Result<End, String> {
        let left = process.disk.die();
        let mut dice = Dice::of(self.seed, "crash", self.judge.life());
        self.place.crash(crash, &**process.disk.store(), left, &mut dice)?;
        Ok(End::Again)
    }

    fn happen(&mut self, act: Act, process: &mut Process) -> Result<Option<End>, String> {
        match act {
            Act::Crash(crash) => return self.crash(crash, process).map(Some),
            Act::Post(post) => self.post(post, process)?,
            Act::Restart => restart(process),
            Act::SetClock(by) => {
                self.judge.clock_is_set(by < 0);
                self.clock.jump(by);
            }
            Act::Disk(mood) => process.disk.be(mood),
            Act::Reload => self.reload(process)?,
            Act::Verb => self.verb(process),
            Act::ReadsFail(fail) => process.disk.reads_fail(fail),
            Act::Say(word) => self.speak(word, process)?,
        }
        Ok(None)
    }

    /// As the server does it: kept first, in force then; nothing changes where it is not kept.
    fn reload(&mut self, process: &Process) -> Result<(), String> {
        let Some(engine) = process.engine.clone() else { return Ok(()) };
        let limits = self.shape.limits;
        self.shape.change(&mut self.dice);
        self.shape.limits = limits;
        let (config, shape) = (self.config(), self.shape.clone());
        // What the judge allows must be what may be in force from here on.
        self.book()?;
        let judge = Arc::clone(&self.judge);
        let kept = process.disk.save_config(config);
        tokio::spawn(async move {
            let Ok(version) = kept.await else { return };
            match (Shape { version, ..shape }).book() {
                Ok(book) => engine.replace_book(book),
                Err(error) => judge.find(error),
            }
        });
        Ok(())
    }

    fn post(&mut self, post: Post, process: &Process) -> Result<(), String> {
        let Some(engine) = process.engine.clone() else {
            self.post_again(post);
            return Ok(());
        };
        let posted = self.posted(post)?;
        self.unanswered.lock().insert(post.number, post);
        let (judge, unanswered, refused) =
            (Arc::clone(&self.judge), Arc::clone(&self.unanswered), Arc::clone(&self.refused));
        tokio::spawn(async move {
            let answer = engine.accept(posted).await;
            unanswered.lock().remove(&post.number);
            match answer {
                Ok(receipt) => {
                    let deliveries = receipt.deliveries.iter().map(|delivery| delivery.id).collect();
                    let told = Acknowledged { post: post.number, lead: receipt.lead, deliveries };
                    judge.books().acknowledged.push(told);
                }
                Err(_) => refused.lock().push(post),
            }
        });
        Ok(())
    }

    fn posted(&self, post: Post) -> Result<Posted, String> {
        let (email, source) = if self.trade.people {
            (people::person_of(self.seed, post.number), people::source_of(self.seed, post.number)?)
        } else {
            (format!("{}@example.com", post.number), None)
        };
        let mut fields = Fields::new();
        for (name, value) in [("post", post.number.to_string()), ("email", email)] {
            fields.insert(name, Value::text(&value)).map_err(|error| format!("{error:?}"))?;
        }
        let key = format!("post-{}", post.number);
        let idempotency = post.keyed.then(|| Idempotency {
            key: key.clone().into(),
            digest: Sha256::digest(&key).into(),
            keep_for: None,
        });
        Ok(Posted { flow: flow_name(post.flow)?, source, test: false, fields, idempotency })
    }

    /// People say something about themselves, or about what is to stop.
    fn speak(&mut self, word: Word, process: &Process) -> Result<(), String> {
        let Some(engine) = process.engine.clone() else { return Ok(()) };
        let (recipients, flows) = (self.shape.recipients.len(), self.shape.flows.len());
        match word {
            Word::Forget => people::forget(&self.judge, engine, &mut self.dice),
            Word::Stop => people::stop(&self.judge, engine, people::target(&mut self.dice, recipients, flows)?),
            Word::Resume => people::resume_any(&self.judge, &engine, &mut self.dice),
        }
        Ok(())
    }

    fn verb(&mut self, process: &Process) {
        let known: Vec<DeliveryId> =
            self.judge.books().acknowledged.iter().flat_map(|told| told.deliveries.clone()).collect();
        let place = self.dice.place(known.len());
        let (Some(id), Some(engine)) = (known.get(place).copied(), process.engine.clone()) else { return };
        let verb = match self.dice.below(10) {
            0..=5 => Verb::Retry,
            6..=7 => Verb::MarkDelivered { reason: "they called".into() },
            // Of what is in doubt, to dismiss it is to say that the recipient does not have the lead.
            _ if self.trade.is_truthful() && self.judge.log().takings(&id.to_string()) > 0 => Verb::Retry,
            _ => Verb::Dismiss { reason: "no longer wanted".into() },
        };
        if verb == Verb::Retry {
            self.judge.books().nudged.insert(id.to_string());
        }
        let judge = Arc::clone(&self.judge);
        tokio::spawn(async move {
            if let Ok(Acted::Done(delivery)) = engine.act(id, verb, "ann").await {
                judge.books().verbs.push((id, delivery.version));
            }
        });
    }
}

fn restart(process: &mut Process) {
    if let (Some(engine), None) = (process.engine.clone(), &process.draining) {
        let patience = Duration::from_secs(86_400);
        process.draining = Some(tokio::spawn(async move { engine.drain(patience).await }));
    }
}

/// Everything that can happen without time passing has happened: the runtime's own paused clock moves only then.
async fn idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
