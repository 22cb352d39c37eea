//! Keeps the tokens: one entry for each way of asking, so that equal settings share one. Asking runs in a task of its own,
//! because who needs the answer may be gone before it comes.

use super::ask::{Refusal, ask};
use super::carry::TokenUse;
use super::entry::{Entry, Look, Settled, Token};
use crate::door::HttpDoor;
use crate::fault::fault;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use steadfast_retry::{Fault, FaultKind};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How many tokens are kept.
const ENTRIES_MAX: usize = 1_024;
/// What nobody asked after for so long is let go when room is made.
const UNUSED_MAX: Duration = Duration::from_secs(86_400);

/// Tells the time tokens are kept by.
pub type Now = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Keeps the tokens. Clones share them.
#[derive(Clone)]
pub(super) struct TokenSource {
    door: HttpDoor,
    now: Now,
    entries: Arc<Mutex<HashMap<[u8; 32], Shared>>>,
}

type Shared = Arc<Mutex<Entry>>;

/// A token for one send.
pub(super) struct Obtained {
    pub(super) token: Token,
    /// Whether it was asked for just now: a refusal of it is not for its age.
    pub(super) is_new: bool,
}

impl TokenSource {
    pub(super) fn new(door: HttpDoor, now: Now) -> Self {
        TokenSource { door, now, entries: Arc::default() }
    }

    /// A token to send with, waiting at most `within` for one.
    pub(super) async fn obtain(&self, carried: &TokenUse, within: Duration) -> Result<Obtained, Fault> {
        let entry = self.entry(carried.key);
        let look = entry.lock().look((self.now)());
        self.follow(look, &entry, carried, within).await
    }

    /// Another token than the one the recipient answered with `status` to; nothing where that would change nothing.
    pub(super) async fn another(
        &self,
        carried: &TokenUse,
        rejected: &Token,
        status: u16,
        within: Duration,
    ) -> Option<Result<Token, Fault>> {
        let entry = self.entry(carried.key);
        let look = {
            let mut entry = entry.lock();
            let look = entry.look_past(rejected, (self.now)())?;
            // 403 may be about this lead alone: then the token is good for the others.
            if status == 401 {
                entry.drop_rejected(rejected);
            }
            look
        };
        Some(self.follow(look, &entry, carried, within).await.map(|obtained| obtained.token))
    }

    /// A new token was refused like the one before.
    pub(super) fn believe_refusals(&self, carried: &TokenUse) {
        self.entry(carried.key).lock().believe_refusals((self.now)());
    }

    async fn follow(
        &self,
        look: Look,
        entry: &Shared,
        carried: &TokenUse,
        within: Duration,
    ) -> Result<Obtained, Fault> {
        match look {
            Look::Use(token) => Ok(Obtained { token, is_new: false }),
            Look::Renew(token, sender) => {
                self.begin(entry, carried, sender);
                Ok(Obtained { token, is_new: false })
            }
            Look::Wait(receiver) => wait(receiver, within).await,
            Look::Ask(sender, receiver) => {
                self.begin(entry, carried, sender);
                wait(receiver, within).await
            }
            Look::Refused(fault) => Err(fault),
        }
    }

    fn begin(&self, entry: &Shared, carried: &TokenUse, sender: watch::Sender<Settled>) {
        let (door, now, entry, ask_for) = (self.door.clone(), self.now.clone(), entry.clone(), carried.ask.clone());
        tokio::spawn(async move {
            let asked_at = now();
            let came = match ask_for() {
                Ok(request) => ask(&door, request).await,
                Err(why) => Err(Refusal::for_good(format!("The token endpoint cannot be called: {why}."))),
            };
            let settled = entry.lock().settle(came, asked_at, now());
            match &settled {
                Ok(_) => tracing::debug!("a token for a recipient was obtained"),
                Err(fault) => tracing::warn!(kind = %fault.kind, detail = %fault.detail, "no token for a recipient"),
            }
            sender.send_replace(Some(settled));
        });
    }

    fn entry(&self, key: [u8; 32]) -> Shared {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get(&key) {
            return entry.clone();
        }
        let now = (self.now)();
        if entries.len() >= ENTRIES_MAX {
            make_room(&mut entries, now);
        }
        let entry = Arc::new(Mutex::new(Entry::new(now)));
        entries.insert(key, entry.clone());
        entry
    }
}

/// Lets go of what was not used for long, and in any case of what was used least lately.
fn make_room(entries: &mut HashMap<[u8; 32], Shared>, now: Instant) {
    entries.retain(|_, entry| now.duration_since(entry.lock().used_at()) < UNUSED_MAX);
    let oldest = entries.iter().min_by_key(|(_, entry)| entry.lock().used_at()).map(|(key, _)| *key);
    if let Some(oldest) = oldest.filter(|_| entries.len() >= ENTRIES_MAX) {
        entries.remove(&oldest);
    }
}

async fn wait(mut receiver: watch::Receiver<Settled>, within: Duration) -> Result<Obtained, Fault> {
    let unavailable = |detail: &str| fault(FaultKind::TokenUnavailable, detail);
    match timeout(within, receiver.wait_for(Option::is_some)).await {
        Err(_) => Err(unavailable("No token came within the time this attempt may take.")),
        Ok(Err(_)) => Err(unavailable("Asking for a token was broken off.")),
        Ok(Ok(settled)) => match &*settled {
            Some(settled) => settled.clone().map(|token| Obtained { token, is_new: true }),
            None => Err(unavailable("Asking for a token was broken off.")),
        },
    }
}
