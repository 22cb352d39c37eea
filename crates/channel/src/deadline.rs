//! One timer for a whole attempt. Moving it later costs nothing until it fires, so that the usual attempt touches the
//! runtime's timer wheel once.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep};

/// The bound ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expired;

pub(crate) struct Deadline<'a> {
    sleep: Pin<&'a mut Sleep>,
    until: Instant,
    total_at: Instant,
}

/// `start + wait`, or so late that nobody sees it.
pub(crate) fn later(start: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);
    start.checked_add(wait.min(FAR)).unwrap_or(start)
}

impl<'a> Deadline<'a> {
    /// Around a timer that was made for the attempt's first bound.
    pub(crate) fn new(sleep: Pin<&'a mut Sleep>, total_at: Instant) -> Self {
        let until = sleep.deadline();
        Deadline { sleep, until, total_at }
    }

    /// From `now` on the bound is `wait`, and never later than the whole attempt's.
    pub(crate) fn bound(&mut self, now: Instant, wait: Duration) {
        self.until = later(now, wait).min(self.total_at);
        if self.until < self.sleep.deadline() {
            self.sleep.as_mut().reset(self.until);
        }
    }

    /// From now on only the whole attempt's bound holds.
    pub(crate) fn only_total(&mut self) {
        self.until = self.total_at;
    }

    /// When the present bound runs out.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            // Unconstrained: a recipient that floods uses up the task's budget at each poll, and a timer that honours
            // the budget would then never be looked at.
            if pin!(unconstrained(self.sleep.as_mut())).poll(cx).is_pending() {
                return false;
            }
            if self.sleep.deadline() >= self.until {
                return true;
            }
            self.sleep.as_mut().reset(self.until);
        }
    }

    /// Runs `work` within the present bound.
    pub(crate) async fn run<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Expired> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending if self.poll_expired(cx) => Poll::Ready(Err(Expired)),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::coop;
    use tokio::time::sleep_until;

    const TICK: Duration = Duration::from_millis(100);

    #[tokio::test(start_paused = true)]
    async fn a_bound_moved_later_holds_as_late_and_one_moved_earlier_as_early() {
        let start = Instant::now();
        let mut sleep = pin!(sleep_until(later(start, TICK)));
        let mut deadline = Deadline::new(sleep.as_mut(), later(start, TICK * 10));
        deadline.bound(start, TICK * 3);
        assert_eq!(deadline.run(std::future::pending::<()>()).await, Err(Expired));
        assert_eq!(start.elapsed().as_millis(), 300);
        deadline.only_total();
        deadline.bound(Instant::now(), TICK);
        assert_eq!(deadline.run(std::future::pending::<()>()).await, Err(Expired));
        assert_eq!(start.elapsed().as_millis(), 400);
        deadline.bound(Instant::now(), Duration::MAX);
        assert_eq!(deadline.run(std::future::pending::<()>()).await, Err(Expired));
        assert_eq!(start.elapsed().as_millis(), 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_uses_up_the_tasks_budget_is_still_bounded() {
        let start = Instant::now();
        let mut sleep = pin!(sleep_until(later(start, TICK)));
        let mut deadline = Deadline::new(sleep.as_mut(), later(start, TICK));
        tokio::time::advance(TICK * 2).await;
        let flood = poll_fn(|cx| {
            let spend = |_: &u32| coop::poll_proceed(cx).map(|spent| spent.made_progress()).is_ready();
            assert!((0..100_000).take_while(spend).count() < 100_000, "the budget has an end");
            Poll::<()>::Pending
        });
        assert_eq!(deadline.run(flood).await, Err(Expired));
    }
}
