//! What an answer means, read without holding up others: the usual answer where it came, one that may take long on a thread that
//! serves nobody.
//!
//! Reading is bounded, but its bound is more than a tenth of a second: a few such answers at once would stop everything else
//! that the threads of the runtime do.

use steadfast_retry::{Evidence, Reading, Verdict};
use tokio::sync::Semaphore;

/// Answers read apart at once; the rest wait for a turn, and nobody but their own deliveries with them.
const AT_ONCE: usize = 2;

/// Turns at reading answers that may take long.
pub(crate) struct Apart(Semaphore);

impl Default for Apart {
    fn default() -> Self {
        Apart(Semaphore::new(AT_ONCE))
    }
}

impl Apart {
    /// What an attempt meant, as [`Reading::read`] says it.
    pub(crate) async fn read(&self, reading: &Reading, evidence: &Evidence) -> Verdict {
        if !reading.may_take_long(evidence) {
            return reading.read(evidence);
        }
        // Never closed.
        let _turn = self.0.acquire().await;
        let (apart, copy) = (reading.clone(), evidence.clone());
        match tokio::task::spawn_blocking(move || apart.read(&copy)).await {
            Ok(verdict) => verdict,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and this task with it.
                Err(_) => reading.read(evidence),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, Apart};
    use futures::FutureExt as _;
    use steadfast_retry::reading::ResponseSettings;
    use steadfast_retry::{Answer, Evidence, Outcome, Reading};

    fn answer(body: String) -> Evidence {
        let body_bytes = u64::try_from(body.len()).unwrap();
        Evidence::of_answer(Answer { status: 200, headers: Vec::new(), body: body.into(), body_bytes })
    }

    fn reading(term: &str) -> Reading {
        let table = ResponseSettings { outcome_search_term: Some(term.into()), ..ResponseSettings::default() };
        Reading::build(&table, &[]).unwrap()
    }

    #[tokio::test]
    async fn the_usual_answer_is_read_at_once_and_a_long_one_holds_up_nobody() {
        let (apart, light, heavy) = (Apart::default(), reading("sold"), reading("/x[ab]{300}y|sold/"));
        let usual = answer("sold".to_owned());
        assert_eq!(apart.read(&light, &usual).now_or_never().unwrap().outcome, Outcome::Success);
        assert_eq!(apart.read(&heavy, &usual).now_or_never().unwrap().outcome, Outcome::Success);
        let json = answer(format!("{{\"n\":\"{}sold\"}}", "x".repeat(10_000)));
        assert!(apart.read(&light, &json).now_or_never().is_some());
        // A long body, one that a heavy pattern is searched in, and one of XML.
        let xml = format!("<r>{}<a>sold</a></r>", "<b/>".repeat(150));
        let bodies = [(&light, "sold ".repeat(4_000)), (&heavy, "ab".repeat(400) + "sold"), (&light, xml)];
        for (reading, body) in bodies {
            let evidence = answer(body);
            let mut read = Box::pin(apart.read(reading, &evidence));
            // Without a turn nothing is read apart, however quick the other thread is.
            let turns = apart.0.acquire_many(AT_ONCE.try_into().unwrap()).await.unwrap();
            assert!(read.as_mut().now_or_never().is_none(), "others go first");
            drop(turns);
            assert_eq!(read.await.outcome, Outcome::Success);
        }
        let by_status = Reading::default();
        let long = answer("x".repeat(5_000));
        assert!(apart.read(&by_status, &long).now_or_never().is_some(), "the status alone is read at once");
    }
}
