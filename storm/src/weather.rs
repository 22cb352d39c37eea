//! What happens to a run, and when: drawn from the seed before it begins.

use crate::dice::Dice;
use crate::disk::Mood;
use crate::place::Crash;
use std::collections::BTreeMap;

const SECOND: u64 = 1_000_000;
const HOUR: i64 = 3_600 * 1_000_000;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A client posts a lead, perhaps again.
    Post(Post),
    /// The process ends without a word.
    Crash(Crash),
    /// It is stopped in order, and started again.
    Restart,
    /// The wall clock is set, by so many microseconds.
    SetClock(i64),
    /// The disk changes.
    Disk(Mood),
    /// The configuration is changed while it runs.
    Reload,
    /// A person acts on some delivery.
    Verb,
    /// Somebody says something.
    Say(Word),
    /// Reads begin to fail, or work again.
    ReadsFail(bool),
}

/// What somebody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// They want to be forgotten.
    Forget,
    /// Something is to stop.
    Stop,
    /// It is to go on.
    Resume,
}

/// A client's post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Post {
    /// The client's own number of it.
    pub(crate) number: u64,
    /// Into which flow.
    pub(crate) flow: usize,
    /// Whether it goes under an `Idempotency-Key`; only then is it posted again when no answer came.
    pub(crate) keyed: bool,
    /// Which try this is.
    pub(crate) tries: u32,
}

/// What happens when, in microseconds; the second number keeps apart what happens at once.
#[derive(Debug)]
pub(crate) struct Weather {
    acts: BTreeMap<(u64, u64), Act>,
    made: u64,
    span: u64,
}

/// How long the weather of a run lasts at most, in microseconds, one of three.
const SPANS: [u64; 3] = [60 * SECOND, 300 * SECOND, 3_600 * SECOND];
/// The same for runs with people: so long that what has ended is deleted while others still come.
const SPANS_WITH_PEOPLE: [u64; 3] = [600 * SECOND, 3_600 * SECOND, 60 * 3_600 * SECOND];

impl Weather {
    /// Draws everything that will happen.
    pub(crate) fn draw(dice: &mut Dice, flows: usize, people: bool) -> Self {
        let spans = if people { SPANS_WITH_PEOPLE } else { SPANS };
        let span = spans[dice.place(spans.len())];
        let mut weather = Weather { acts: BTreeMap::new(), made: 0, span };
        for number in 0..dice.between(5, 50) {
            let post = Post { number, flow: dice.place(flows), keyed: dice.chance(80), tries: 1 };
            // Some come together, so that they share slots and commits.
            let at = if dice.chance(30) { span / 3 } else { dice.below(span) };
            weather.add(at, Act::Post(post));
        }
        for _ in 0..dice.between(1, 12) {
            weather.strike(dice, span);
        }
        weather
    }

    fn strike(&mut self, dice: &mut Dice, span: u64) {
        let at = dice.below(span);
        let act = dice.weighed(
            &[
                (25, Act::Crash(Crash::Killed)),
                (15, Act::Crash(Crash::PowerCut)),
                (10, Act::Restart),
                (8, Act::SetClock(HOUR)),
                (8, Act::SetClock(-HOUR)),
                (8, Act::Disk(Mood::Full)),
                (4, Act::Disk(Mood::Busy)),
                (6, Act::Disk(Mood::Failing)),
                (10, Act::Reload),
                (25, Act::Verb),
            ],
            Act::Verb,
        );
        self.add(at, act);
        match act {
            Act::Disk(Mood::Full | Mood::Busy) => self.add(at + dice.below(60 * SECOND), Act::Disk(Mood::Ready)),
            // An operator restarts it after a while.
            Act::Disk(Mood::Failing) => self.add(at + dice.below(60 * SECOND), Act::Crash(Crash::Killed)),
            Act::Disk(Mood::Ready | Mood::Stopped) | Act::Post(_) | Act::Crash(_) | Act::Restart => {}
            Act::SetClock(_) | Act::Reload | Act::Verb => {}
            // Of [`Weather::add_people`].
            Act::Say(_) | Act::ReadsFail(_) => {}
        }
    }

    /// Draws what people do besides, and reads that fail.
    pub(crate) fn add_people(&mut self, dice: &mut Dice) {
        for _ in 0..dice.between(3, 16) {
            let at = dice.below(self.span);
            let words =
                [(15, Word::Forget), (30, Word::Stop), (35, Word::Resume)].map(|(often, word)| (often, Act::Say(word)));
            let [forget, stop, resume] = words;
            let act = dice.weighed(&[forget, stop, resume, (15, Act::ReadsFail(true))], Act::Say(Word::Resume));
            self.add(at, act);
            if act == Act::ReadsFail(true) {
                self.add(at + dice.below(120 * SECOND), Act::ReadsFail(false));
            }
        }
    }

    /// Adds something that will happen.
    pub(crate) fn add(&mut self, at: u64, act: Act) {
        self.made += 1;
        self.acts.insert((at, self.made), act);
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.acts.keys().next().map(|(at, _)| *at)
    }

    /// What happens at that time or before, if anything.
    pub(crate) fn pop(&mut self, at: u64) -> Option<Act> {
        let key = *self.acts.keys().next().filter(|(due, _)| *due <= at)?;
        self.acts.remove(&key)
    }
}
