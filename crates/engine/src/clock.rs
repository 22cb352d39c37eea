//! The clock: the system's, or one that a test moves.

use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use steadfast_lead::Timestamp;
use tokio::sync::oneshot;

/// Tells the time and wakes at a time.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock's time.
    fn now(&self) -> Timestamp;

    /// Ends at `at` or a little later, never before. May also end early by much when the wall clock is set; whoever waits
    /// looks at the clock again.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;

    /// As [`Clock::sleep_until`], for what nobody waits for: woken more seldom, it notices a clock that was set later.
    fn doze_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        self.sleep_until(at)
    }
}

/// The system's clock. Due times are wall-clock times, sleeping is monotonic and at most a second long, so that a clock set
/// forward or back is noticed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(_) => 0,
        };
        Timestamp::from_micros(micros)
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        const LONGEST: Duration = Duration::from_secs(1);
        // Nothing is waited for, so a clock that is set makes nothing due.
        if at == Timestamp::MAX {
            return self.doze_until(at);
        }
        let sleep = at.since(self.now()).min(LONGEST);
        Box::pin(tokio::time::sleep(sleep))
    }

    fn doze_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        const LONGEST: Duration = Duration::from_secs(60);
        let sleep = at.since(self.now()).min(LONGEST);
        Box::pin(tokio::time::sleep(sleep))
    }
}

/// A clock that stands still until a test moves it. Exact to the microsecond.
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Manual>>);

struct Manual {
    now: Timestamp,
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
    made: u64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        ManualClock(Arc::new(Mutex::new(Manual { now, sleepers: BTreeMap::new(), made: 0 })))
    }

    /// When the next sleeper wakes; `None` when nobody sleeps.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let mut manual = self.0.lock();
        manual.sleepers.retain(|_, sleeper| !sleeper.is_closed());
        manual.sleepers.keys().next().map(|(at, _)| *at)
    }

    /// Moves the clock and wakes whoever slept until then. Moving back wakes nobody.
    pub fn set(&self, now: Timestamp) {
        let mut manual = self.0.lock();
        manual.now = now;
        let later = manual.sleepers.split_off(&(now, u64::MAX));
        for (_, sleeper) in std::mem::replace(&mut manual.sleepers, later) {
            // A sleeper that was dropped needs no waking.
            let _dropped = sleeper.send(());
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let now = self.0.lock().now.after(by);
        self.set(now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().now
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let mut manual = self.0.lock();
        if at <= manual.now {
            return Box::pin(std::future::ready(()));
        }
        let (wake, woken) = oneshot::channel();
        manual.made += 1;
        let number = manual.made;
        manual.sleepers.insert((at, number), wake);
        Box::pin(async move {
            let _clock_dropped = woken.await;
        })
    }
}
