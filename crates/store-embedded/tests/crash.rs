//! Killed at any moment: everything acknowledged is there, and the books balance.
//!
//! This program runs itself as the victim, which accepts and settles in several tasks at once and prints what was
//! acknowledged.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use steadfast_lead::{DeliveryId, LeadId, NodeNumber, Timestamp};
use steadfast_retry::{CapChange, CapPer, CapPeriod, EventKind, State};
use steadfast_store::conformance::{World, recounted, settlement};
use steadfast_store::{Accepted, Caps, Cursor, Deliveries, Filter, Journal, Queues, Settled, Store, TermKey, Writes};
use steadfast_store_embedded::{EmbeddedStore, Options};
use tokio::sync::Mutex;

const FOLDER: &str = "STEADFAST_CRASH_FOLDER";
const ROUNDS: usize = 20;
const TASKS: usize = 16;
/// The victim is killed after at most this many acknowledgements.
const LINES_MAX: usize = 400;
const SEED: u64 = 0x5eed_0001;

fn open(folder: &Path) -> Arc<EmbeddedStore> {
    let now = Arc::new(|| Timestamp::from_millis(1_795_000_000_000));
    EmbeddedStore::open(folder, Options::new(SEED, TermKey::new([7; 32]), NodeNumber(1), now)).unwrap()
}

/// Does nothing unless started by the test below.
#[test]
fn victim() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async move {
        let store = open(Path::new(&folder));
        let world = Arc::new(Mutex::new(World::of(&*store)));
        let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(work(Arc::clone(&store), Arc::clone(&world)))).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn work(store: Arc<EmbeddedStore>, world: Arc<Mutex<World>>) {
    for round in 0_u64.. {
        let mut held = world.lock().await;
        held.advance(1);
        let (acceptance, now) = (held.acceptance("auto", &["bigbank", "smallbank"]), held.now);
        drop(held);
        let (lead, deliveries) = (acceptance.lead.id, acceptance.deliveries.clone());
        assert_eq!(store.accept(acceptance).await, Ok(Accepted::New));
        println!("accepted {}", lead.raw());
        for delivery in deliveries {
            store.take(delivery.id);
            let state = match round % 3 {
                0 => State::Waiting { due: now },
                _ => State::Delivered { at: now, probable: false, by_hand: false },
            };
            let mut settled = settlement(&*store, &delivery, state, now);
            let (add, keep) = if round % 3 == 0 { (vec![], vec![day()]) } else { (vec![day()], vec![]) };
            settled.caps = Some(Box::new(CapChange { add, keep }));
            let settled = store.settle(settled).await;
            assert_eq!(settled, Ok(Settled::Applied));
            println!("settled {} {}", delivery.id.raw(), delivery.version + 1);
        }
    }
}

/// The period that everything counts in.
fn day() -> CapPeriod {
    CapPeriod { scope: "flow auto".into(), per: CapPer::Day, from: Timestamp::MIN, until: Timestamp::MAX }
}

/// What was acknowledged over all rounds.
#[derive(Default)]
struct Acknowledged {
    leads: Vec<LeadId>,
    versions: BTreeMap<DeliveryId, u32>,
}

impl Acknowledged {
    fn note(&mut self, line: &str) -> bool {
        let mut words = line.split(' ');
        let kind = words.next();
        let number = words.next().and_then(|word| word.parse().ok());
        match (kind, number) {
            (Some("accepted"), Some(id)) => self.leads.push(LeadId::from_raw(id).unwrap()),
            (Some("settled"), Some(id)) => {
                let Some(version) = words.next().and_then(|word| word.parse().ok()) else { return false };
                self.versions.insert(DeliveryId::from_raw(id).unwrap(), version);
            }
            _ => return false,
        }
        true
    }

    /// Reads the victim's lines, kills it after `lines` of them, and reads what it had printed by then.
    fn follow(&mut self, mut victim: Child, lines: usize) {
        let output = BufReader::new(victim.stdout.take().unwrap());
        let mut seen = 0;
        for line in output.split(b'\n') {
            seen += usize::from(self.note(&String::from_utf8_lossy(&line.unwrap())));
            if seen == lines {
                victim.kill().unwrap();
            }
        }
        victim.wait().unwrap();
        assert!(seen >= lines, "the victim ended by itself after {seen} lines");
    }

    async fn check(&self, store: &EmbeddedStore) {
        for id in &self.leads {
            let (_, deliveries) = store.lead(*id).await.unwrap().expect("an acknowledged lead is there");
            assert_eq!(deliveries.len(), 2);
        }
        for (id, version) in &self.versions {
            let delivery = store.delivery(*id).await.unwrap().expect("an acknowledged delivery is there");
            assert!(delivery.version >= *version);
            assert_eq!(store.history(*id, 0, 10).await.unwrap().len(), usize::try_from(delivery.version).unwrap());
        }
        let counts = store.counts().await.unwrap();
        assert_eq!(counts, recounted(store).await);
        capped(store).await;
        let (accepted, attempts) = journalled(store).await;
        assert_eq!(counts.iter().map(|count| count.deliveries).sum::<u64>(), accepted);
        assert!(accepted >= 2 * self.leads.len() as u64 && attempts >= self.versions.len() as u64);
        for id in store.taken().await.unwrap() {
            assert_eq!(store.delivery(id).await.unwrap().unwrap().version, 0, "a settled delivery has no mark");
        }
    }
}

/// What is counted for the cap is what is delivered, and a place is kept for each that was settled as in doubt: whenever it was
/// killed.
async fn capped(store: &EmbeddedStore) {
    const PAGE: usize = 1_000;
    let (mut delivered, mut in_doubt, mut after) = (0, BTreeSet::new(), None);
    loop {
        let page = store.list(Filter::default(), after, PAGE).await.unwrap();
        for delivery in page.items {
            if let State::Delivered { .. } = delivery.state {
                delivered += 1;
            } else if delivery.version > 0 {
                in_doubt.insert(delivery.id);
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let counts = store.cap_counts(Timestamp::MIN).await.unwrap();
    assert_eq!(counts.iter().map(|(_, used)| used).sum::<u64>(), delivered);
    let places: BTreeSet<DeliveryId> =
        store.cap_places(Timestamp::MIN).await.unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(places, in_doubt);
}

/// Deliveries accepted and attempts settled, as the journal tells it.
async fn journalled(store: &EmbeddedStore) -> (u64, u64) {
    let (mut accepted, mut attempts, mut after) = (0, 0, Cursor(0));
    loop {
        let lines = store.events(after, 1_000).await.unwrap();
        let Some((last, _)) = lines.last() else { return (accepted, attempts) };
        after = *last;
        for (_, event) in lines {
            match event.kind {
                EventKind::LeadAccepted { deliveries, .. } => accepted += u64::from(deliveries),
                EventKind::AttemptSettled(_) => attempts += 1,
                EventKind::LookUpSettled(_) | EventKind::DeliveryChanged { .. } | EventKind::EndpointPaused { .. } => {}
                EventKind::BreakerChanged { .. } | EventKind::Stopped(_) | EventKind::Resumed { .. } => {}
                EventKind::ConfigApplied { .. } => {}
            }
        }
    }
}

#[tokio::test]
async fn everything_acknowledged_survives_being_killed() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut acknowledged = Acknowledged::default();
    let mut dice = SEED;
    for round in 0..ROUNDS {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let lines = 1 + usize::try_from(dice % LINES_MAX as u64).unwrap();
        let victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        acknowledged.follow(victim, lines);
        let store = open(folder.path());
        assert!(!store.identity().clean, "round {round}");
        acknowledged.check(&store).await;
        drop(store);
    }
    assert!(acknowledged.leads.len() > ROUNDS);
}
