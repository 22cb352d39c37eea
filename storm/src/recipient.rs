//! The recipients: each answers as its temper and the dice will have it, and keeps the log that judges the engine.

use crate::clock::StormClock;
use crate::dice::Dice;
use crate::judge::{Judge, first_delay_of};
use crate::log::{Did, Request};
use crate::trade::Trade;
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use steadfast_engine::{Door, Order, Purpose};
use steadfast_retry::{Answer, Evidence, FaultKind, Phase};

const MILLISECOND: u64 = 1_000;
const SECOND: u64 = 1_000_000;
/// What a recipient takes at most before it answers; what is slower is a timeout.
const PATIENCE: u64 = 30 * SECOND;

/// How a recipient is.
#[derive(Clone, Copy, Debug)]
struct Temper {
    /// So many of a hundred requests are taken at once.
    well: u64,
    /// It takes each key once, as the header asks.
    minds_keys: bool,
    /// It answers a key it has with 409; otherwise as if it were new.
    says_duplicate: bool,
}

/// What a request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Take,
    SayNo,
    Fail(u16),
    /// Asks for a pause of so many seconds.
    Pause(u16, u64),
    Refuse,
    /// Breaks off: taken or not, and how far the process saw it come.
    Break {
        taken: bool,
        phase: Phase,
    },
    /// Answers too late: taken or not.
    Late {
        taken: bool,
    },
    /// A gateway gave up: taken or not behind it.
    Gateway {
        taken: bool,
        status: u16,
    },
}

/// All recipients of a run.
pub(crate) struct Recipients {
    clock: StormClock,
    judge: Arc<Judge>,
    seed: u64,
    dice: Mutex<Dice>,
    tempers: Mutex<BTreeMap<String, Temper>>,
    calm: AtomicBool,
    trade: Trade,
}

impl Recipients {
    pub(crate) fn new(clock: StormClock, judge: Arc<Judge>, seed: u64, trade: Trade) -> Arc<Self> {
        let (dice, tempers) = (Mutex::new(Dice::of(seed, "recipients", 0)), Mutex::default());
        Arc::new(Recipients { clock, judge, seed, dice, tempers, calm: AtomicBool::new(false), trade })
    }

    /// From now on everybody is well.
    pub(crate) fn calm_down(&self) {
        self.calm.store(true, Ordering::SeqCst);
    }

    fn temper(&self, recipient: &str) -> Temper {
        let mut tempers = self.tempers.lock();
        *tempers.entry(recipient.to_owned()).or_insert_with(|| {
            let number = recipient.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte));
            let mut dice = Dice::of(self.seed, "temper", number);
            let well = [20, 50, 80][dice.place(3)];
            Temper { well, minds_keys: dice.chance(60), says_duplicate: dice.chance(50) }
        })
    }

    fn fate(&self, temper: Temper) -> Fate {
        let dice = &mut *self.dice.lock();
        if self.calm.load(Ordering::SeqCst) || dice.chance(temper.well) {
            return Fate::Take;
        }
        let taken = dice.chance(50);
        let pause = dice.between(1, 120);
        let phase = if taken {
            [Phase::Sent, Phase::Receiving][dice.place(2)]
        } else {
            [Phase::Sending, Phase::Sent][dice.place(2)]
        };
        let status = [502, 504][dice.place(2)];
        let fates = [
            (20, Fate::Fail(503)),
            (5, Fate::Fail(500)),
            (2, Fate::Fail(400)),
            (2, Fate::Fail(302)),
            (8, Fate::Pause(429, pause)),
            (3, Fate::Pause(503, pause)),
            (8, Fate::SayNo),
            (8, Fate::Refuse),
            (25, Fate::Break { taken, phase }),
            (8, Fate::Late { taken }),
            (8, Fate::Gateway { taken, status }),
        ];
        dice.weighed(&fates, Fate::Take)
    }

    fn takes(&self, order: &Order) -> (Did, Evidence, u64) {
        let temper = self.temper(order.plan.endpoint.recipient.as_str());
        let drawn = self.fate(temper);
        // Who has the lead does not say that it is not wanted.
        let has_it = self.trade.is_truthful() && self.judge.log().takings(&order.delivery_id) > 0;
        let fate = if has_it && drawn == Fate::SayNo { Fate::Take } else { drawn };
        let took = |taken: bool| match taken {
            false => Did::Failed,
            true if temper.minds_keys && self.judge.log().has_key(&order.idempotency_key) => Did::HadIt,
            true => Did::Took,
        };
        let quick = self.dice.lock().between(MILLISECOND, 2 * SECOND);
        match fate {
            Fate::Take => {
                let did = took(true);
                let status = if did == Did::HadIt && temper.says_duplicate { 409 } else { 200 };
                (did, answered(status, None), quick)
            }
            Fate::SayNo => (Did::SaidNo, answered(422, None), quick),
            Fate::Fail(status) => (Did::Failed, answered(status, None), quick),
            Fate::Pause(status, seconds) => (Did::Failed, answered(status, Some(seconds)), quick),
            Fate::Refuse => {
                let refused = Evidence::of_fault(Phase::Connect, FaultKind::ConnectRefused, "storm");
                (Did::NotReached, refused, quick)
            }
            Fate::Break { taken, phase } => (took(taken), Evidence::of_fault(phase, FaultKind::Reset, "storm"), quick),
            Fate::Late { taken } => {
                let late = Evidence::of_fault(Phase::Sent, FaultKind::TimeoutRead, "storm");
                (took(taken), late, PATIENCE)
            }
            Fate::Gateway { taken, status } => (took(taken), answered(status, None), quick),
        }
    }

    /// Answers a question after a lead.
    fn says(&self, order: &Order) -> (Did, Evidence, u64) {
        let temper = self.temper(order.plan.endpoint.recipient.as_str());
        let dice = &mut *self.dice.lock();
        let quick = dice.between(MILLISECOND, 2 * SECOND);
        if !self.calm.load(Ordering::SeqCst) && !dice.chance(temper.well.max(40)) {
            let silent = Evidence::of_fault(Phase::Sent, FaultKind::Reset, "storm");
            let evidence = if dice.chance(50) { answered(503, None) } else { silent };
            return (Did::Failed, evidence, quick);
        }
        match self.judge.log().takings(&order.delivery_id) {
            0 => (Did::NotFound, answered(404, None), quick),
            _ => (Did::Found, answered(200, None), quick),
        }
    }
}

impl Door for Recipients {
    fn send(&self, order: Order) -> BoxFuture<'static, Evidence> {
        self.judge.before(&order);
        let (did, evidence, takes) = match order.purpose {
            Purpose::Lead => self.takes(&order),
            Purpose::LookUp => self.says(&order),
        };
        if order.purpose == Purpose::Lead && did != Did::NotReached {
            self.judge.reached(&order);
        }
        let at = self.clock.elapsed();
        let most = u64::try_from(order.at_most.as_micros()).unwrap_or(u64::MAX);
        let ambiguous = evidence.is_ambiguous();
        let first_delay = first_delay_of(&order);
        let request = Request {
            purpose: order.purpose,
            recipient: order.plan.endpoint.recipient.to_string(),
            delivery: order.delivery_id,
            key: order.idempotency_key,
            attempt: order.attempt,
            life: self.judge.life(),
            at,
            first_delay,
            did,
            ambiguous,
            seen: None,
        };
        let number = self.judge.log().note(request);
        let (judge, clock) = (Arc::clone(&self.judge), self.clock.clone());
        Box::pin(async move {
            clock.nap(takes.min(most)).await;
            judge.log().saw(number, clock.elapsed());
            evidence
        })
    }
}

fn answered(status: u16, retry_after: Option<u64>) -> Evidence {
    let headers = retry_after.map(|seconds| ("retry-after".into(), seconds.to_string().into()));
    Evidence::of_answer(Answer { status, headers: headers.into_iter().collect(), body: Bytes::new(), body_bytes: 0 })
}
