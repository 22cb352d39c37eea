//! The storm's clock: one time that only goes forward, and a wall clock over it that somebody sets.
//!
//! The engine sees the wall clock, and sleeps as it does under the system's: until a wall-clock time, noticing within a
//! second that the clock was set. Disks and recipients take their time from the one below.

use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use steadfast_engine::Clock;
use steadfast_lead::Timestamp;
use tokio::sync::oneshot;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// How soon a sleeper notices that the wall clock was set, in microseconds.
const NOTICED_WITHIN: u64 = 1_000_000;

/// Shared by everything in one run.
#[derive(Clone)]
pub(crate) struct StormClock(Arc<Mutex<Hands>>);

struct Hands {
    /// Microseconds since the start.
    elapsed: u64,
    /// What the wall clock is off by.
    offset: i64,
    sleepers: BTreeMap<(u64, u64), Sleeper>,
    made: u64,
}

struct Sleeper {
    by_wall: bool,
    wake: oneshot::Sender<()>,
}

impl StormClock {
    pub(crate) fn new() -> Self {
        StormClock(Arc::new(Mutex::new(Hands { elapsed: 0, offset: 0, sleepers: BTreeMap::new(), made: 0 })))
    }

    /// Microseconds since the start, whatever the wall clock was set to.
    pub(crate) fn elapsed(&self) -> u64 {
        self.0.lock().elapsed
    }

    /// Sets the wall clock forward or back.
    pub(crate) fn jump(&self, micros: i64) {
        let mut hands = self.0.lock();
        hands.offset = hands.offset.saturating_add(micros);
        let noticed = hands.elapsed.saturating_add(NOTICED_WITHIN);
        for ((at, number), sleeper) in std::mem::take(&mut hands.sleepers) {
            let at = if sleeper.by_wall { at.min(noticed) } else { at };
            hands.sleepers.insert((at, number), sleeper);
        }
    }

    /// When the next sleeper wakes.
    pub(crate) fn next_wake(&self) -> Option<u64> {
        let mut hands = self.0.lock();
        hands.sleepers.retain(|_, sleeper| !sleeper.wake.is_closed());
        hands.sleepers.keys().next().map(|(at, _)| *at)
    }

    /// Lets time pass, and wakes whoever slept until then. Never goes back.
    pub(crate) fn advance_to(&self, elapsed: u64) {
        let mut hands = self.0.lock();
        hands.elapsed = hands.elapsed.max(elapsed);
        let later = hands.sleepers.split_off(&(elapsed, u64::MAX));
        for (_, sleeper) in std::mem::replace(&mut hands.sleepers, later) {
            // A sleeper that was dropped needs no waking.
            let _dropped = sleeper.wake.send(());
        }
    }

    /// Takes that long, whatever the wall clock says.
    pub(crate) fn nap(&self, micros: u64) -> BoxFuture<'static, ()> {
        if micros == 0 {
            return Box::pin(std::future::ready(()));
        }
        let at = self.elapsed().saturating_add(micros);
        self.sleep(at, false)
    }

    fn sleep(&self, at: u64, by_wall: bool) -> BoxFuture<'static, ()> {
        let mut hands = self.0.lock();
        let (wake, woken) = oneshot::channel();
        hands.made += 1;
        let number = hands.made;
        hands.sleepers.insert((at, number), Sleeper { by_wall, wake });
        Box::pin(async move {
            let _clock_dropped = woken.await;
        })
    }
}

impl Clock for StormClock {
    fn now(&self) -> Timestamp {
        let hands = self.0.lock();
        let micros = i64::try_from(hands.elapsed).unwrap_or(i64::MAX).saturating_add(hands.offset);
        Timestamp::from_micros(START.as_micros().saturating_add(micros))
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let left = at.since(self.now());
        if left == Duration::ZERO {
            return Box::pin(std::future::ready(()));
        }
        let micros = u64::try_from(left.as_micros()).unwrap_or(u64::MAX);
        let at = self.elapsed().saturating_add(micros);
        self.sleep(at, true)
    }
}
