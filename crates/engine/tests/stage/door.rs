//! A door that remembers what was sent, and answers from a script or when the test says so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a stage that cannot be set up ends the test")]

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::Duration;
use steadfast_engine::{Door, Order, Purpose};
use steadfast_retry::{Answer, Evidence, FaultKind, Phase};
use tokio::sync::oneshot;

/// One send as the recipient saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) purpose: Purpose,
    pub(crate) delivery: String,
    pub(crate) key: String,
    pub(crate) attempt: u32,
    pub(crate) url: String,
    pub(crate) digest: [u8; 32],
    pub(crate) body: String,
    pub(crate) at_most: Duration,
}

#[derive(Default)]
pub(crate) struct ScriptedDoor(Mutex<Script>);

type ByAddress = Box<dyn Fn(&str) -> Evidence + Send>;

#[derive(Default)]
struct Script {
    seen: Vec<Seen>,
    answers: VecDeque<Evidence>,
    /// What is answered at once where nothing else is scripted, by address.
    by_address: Option<ByAddress>,
    unanswered: VecDeque<oneshot::Sender<Evidence>>,
}

impl ScriptedDoor {
    /// What waits for an answer gets these, then the next sends do, at once; sends beyond them wait.
    pub(crate) fn will(&self, answers: impl IntoIterator<Item = Evidence>) {
        for evidence in answers {
            let waiting = self.0.lock().unanswered.pop_front();
            match waiting {
                Some(waiting) => waiting.send(evidence).expect("the attempt still waits"),
                None => self.0.lock().answers.push_back(evidence),
            }
        }
    }

    /// Sends that no answer is scripted for are answered like this, at once, by their address.
    pub(crate) fn always(&self, answer: impl Fn(&str) -> Evidence + Send + 'static) {
        self.0.lock().by_address = Some(Box::new(answer));
    }

    /// Answers the send that has waited longest.
    pub(crate) fn answer(&self, evidence: Evidence) {
        let waiting = self.0.lock().unanswered.pop_front().expect("a send waits for its answer");
        waiting.send(evidence).expect("the attempt still waits");
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.lock().seen.clone()
    }

    pub(crate) fn sends(&self) -> usize {
        self.0.lock().seen.len()
    }
}

impl Door for ScriptedDoor {
    fn send(&self, order: Order) -> BoxFuture<'static, Evidence> {
        let mut script = self.0.lock();
        script.seen.push(Seen {
            purpose: order.purpose,
            delivery: order.delivery_id.clone(),
            key: order.idempotency_key.clone(),
            attempt: order.attempt,
            url: order.rendered.url.to_string(),
            digest: order.rendered.digest,
            body: String::from_utf8_lossy(&order.rendered.body).into_owned(),
            at_most: order.at_most,
        });
        if let Some(evidence) = script.answers.pop_front() {
            return Box::pin(std::future::ready(evidence));
        }
        if let Some(answer) = &script.by_address {
            return Box::pin(std::future::ready(answer(order.rendered.url.as_ref())));
        }
        let (answer, answered) = oneshot::channel();
        script.unanswered.push_back(answer);
        Box::pin(async move { answered.await.unwrap() })
    }
}

pub(crate) fn answered(status: u16) -> Evidence {
    Evidence::of_answer(Answer { status, headers: Vec::new(), body: Bytes::new(), body_bytes: 0 })
}

pub(crate) fn with_header(status: u16, name: &str, value: &str) -> Evidence {
    let headers = vec![(name.into(), value.into())];
    Evidence::of_answer(Answer { status, headers, body: Bytes::new(), body_bytes: 0 })
}

/// Sent, and the connection broke before an answer.
pub(crate) fn reset() -> Evidence {
    Evidence::of_fault(Phase::Sent, FaultKind::Reset, "scripted")
}

/// Not sent: nobody listened.
pub(crate) fn refused() -> Evidence {
    Evidence::of_fault(Phase::Connect, FaultKind::ConnectRefused, "scripted")
}
