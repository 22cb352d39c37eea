//! What is known of one token: held, being asked for, refused a moment ago. Pure: time is an argument, nothing is waited for.
//!
//! Its invariant: at most one caller at a time is told to ask.

use super::ask::Refusal;
use super::read::Grant;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use steadfast_retry::Fault;
use tokio::sync::watch;
use tokio::time::Instant;

/// A token is renewed this long before it expires, or at a tenth of its life where that is shorter.
const MARGIN_MAX: Duration = Duration::from_secs(60);
/// After a new token was refused like the old one, refusals are believed for this long.
const BELIEVED: Duration = Duration::from_secs(10);

/// A token. Does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token {
    text: Arc<str>,
    /// Which one of its entry, from 1.
    serial: u64,
}

impl Token {
    /// The token itself. Never for logs, answers or messages.
    pub(super) fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token {} ***", self.serial)
    }
}

/// What asking came to, once it has.
pub(super) type Settled = Option<Result<Token, Fault>>;

/// What a caller is to do.
pub(super) enum Look {
    /// Take this.
    Use(Token),
    /// Take this, and ask for the next; nobody else does.
    Renew(Token, watch::Sender<Settled>),
    /// Wait for who is asking.
    Wait(watch::Receiver<Settled>),
    /// Ask, and wait; nobody else asks.
    Ask(watch::Sender<Settled>, watch::Receiver<Settled>),
    /// There is none, as was said a moment ago.
    Refused(Fault),
}

struct Held {
    token: Token,
    renew_at: Instant,
    expires_at: Instant,
}

/// What is known of one token.
pub(super) struct Entry {
    held: Option<Held>,
    asking: Option<watch::Receiver<Settled>>,
    refused: Option<(Instant, Fault)>,
    believed_until: Option<Instant>,
    serial: u64,
    used_at: Instant,
}

impl Entry {
    pub(super) fn new(now: Instant) -> Self {
        Entry { held: None, asking: None, refused: None, believed_until: None, serial: 0, used_at: now }
    }

    /// What a caller is to do at `now`.
    pub(super) fn look(&mut self, now: Instant) -> Look {
        self.used_at = now;
        self.held.take_if(|held| held.expires_at <= now);
        let Some(held) = &self.held else { return self.look_for_new(now) };
        let token = held.token.clone();
        if now < held.renew_at || self.is_asked_for() || self.refusal(now).is_some() {
            return Look::Use(token);
        }
        Look::Renew(token, self.begin().0)
    }

    /// What a caller is to do whose recipient refused `rejected`; nothing where a new token was no better a moment ago.
    pub(super) fn look_past(&mut self, rejected: &Token, now: Instant) -> Option<Look> {
        self.used_at = now;
        self.held.take_if(|held| held.expires_at <= now);
        if let Some(held) = self.held.as_ref().filter(|held| held.token != *rejected) {
            return Some(Look::Use(held.token.clone()));
        }
        if self.believed_until.is_some_and(|until| now < until) {
            return None;
        }
        Some(self.look_for_new(now))
    }

    /// The recipient does not know this token any more: others are spared trying it.
    pub(super) fn drop_rejected(&mut self, rejected: &Token) {
        self.held.take_if(|held| held.token == *rejected);
    }

    /// A new token was refused like the one before: it is not for the token.
    pub(super) fn believe_refusals(&mut self, now: Instant) {
        self.believed_until = Some(now + BELIEVED);
    }

    /// What came of asking, at `asked_at`.
    pub(super) fn settle(
        &mut self,
        came: Result<Grant, Refusal>,
        asked_at: Instant,
        now: Instant,
    ) -> Result<Token, Fault> {
        self.asking = None;
        match came {
            Ok(Grant { token, lifetime }) => {
                self.serial += 1;
                let token = Token { text: token.into(), serial: self.serial };
                let margin = MARGIN_MAX.min(lifetime / 10);
                let expires_at = asked_at + lifetime;
                self.held = Some(Held { token: token.clone(), renew_at: expires_at - margin, expires_at });
                self.refused = None;
                Ok(token)
            }
            Err(Refusal { fault, pause }) => {
                self.refused = Some((now + pause, fault.clone()));
                Err(fault)
            }
        }
    }

    /// When it was last asked after.
    pub(super) fn used_at(&self) -> Instant {
        self.used_at
    }

    /// Whether somebody is asking.
    pub(super) fn is_asked_for(&self) -> bool {
        // Whoever was asking and is gone without an answer (a stopping runtime) leaves a closed channel.
        self.asking.as_ref().is_some_and(|asking| asking.has_changed().is_ok())
    }

    fn look_for_new(&mut self, now: Instant) -> Look {
        if let Some(asking) = self.asking.as_ref().filter(|_| self.is_asked_for()) {
            return Look::Wait(asking.clone());
        }
        if let Some(fault) = self.refusal(now) {
            return Look::Refused(fault.clone());
        }
        let (sender, receiver) = self.begin();
        Look::Ask(sender, receiver)
    }

    fn refusal(&self, now: Instant) -> Option<&Fault> {
        self.refused.as_ref().filter(|(until, _)| now < *until).map(|(_, fault)| fault)
    }

    fn begin(&mut self) -> (watch::Sender<Settled>, watch::Receiver<Settled>) {
        let (sender, receiver) = watch::channel(None);
        self.asking = Some(receiver.clone());
        (sender, receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_life_is_renewed_at_its_last_tenth_and_a_token_does_not_print_itself() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut entry = Entry::new(start);
        let Look::Ask(_sender, _receiver) = entry.look(start) else { panic!("nothing is known yet") };
        let grant = Grant { token: "s3cret".into(), lifetime: Duration::from_secs(10) };
        let token = entry.settle(Ok(grant), start, at(2_000)).unwrap();
        assert!(!format!("{token:?}").contains("s3cret"));
        assert!(matches!(entry.look(at(8_999)), Look::Use(_)));
        let Look::Renew(_, sender) = entry.look(at(9_000)) else { panic!("the last tenth has begun") };
        assert!(matches!(entry.look(at(9_999)), Look::Use(_)), "somebody is asking");
        assert!(matches!(entry.look(at(10_000)), Look::Wait(_)), "counted from when it was asked for");
        // Who was asking is gone without a word.
        drop(sender);
        assert!(matches!(entry.look(at(10_000)), Look::Ask(..)));
    }
}
