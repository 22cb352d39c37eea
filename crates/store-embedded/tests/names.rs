//! The names a store keeps by number, and holds in memory, are those of the configuration: nothing a client sends, asks for
//! or is asked about adds to them (decision 0048).

#![allow(clippy::unwrap_used, reason = "a test's own functions may fail it")]

use std::path::Path;
use std::sync::Arc;
use steadfast_lead::{DeliveryId, Fields, FlowName, Lead, NodeNumber, RecipientName, SourceName, Timestamp, Value};
use steadfast_retry::{Endpoint, Event, EventKind, State, Stop, StopTarget};
use steadfast_store::conformance::World;
use steadfast_store::{
    Acceptance, Accepted, Deliveries, Erasures, Filter, Protection, QueueKey, Queues, TermKey, Writes,
};
use steadfast_store_embedded::{EmbeddedStore, Options};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn open(folder: &Path) -> Arc<EmbeddedStore> {
    EmbeddedStore::open(folder, Options::new(42, TermKey::new([7; 32]), NodeNumber(1), Arc::new(|| NOW))).unwrap()
}

fn names(folder: &Path) -> Vec<(i64, String)> {
    let connection = rusqlite::Connection::open(folder.join("steadfast.db")).unwrap();
    let mut statement = connection.prepare("SELECT kind, text FROM names ORDER BY kind, number").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

async fn lives(store: &EmbeddedStore, world: &mut World, number: u32) {
    let acceptance = world.acceptance("auto", &["bigbank"]);
    let mut fields = Fields::new();
    fields.insert(&format!("field-{number}"), Value::text(&format!("value-{number}"))).unwrap();
    let lead = Arc::new(Lead { fields, ..Lead::clone(&acceptance.lead) });
    let delivery = acceptance.deliveries[0].clone();
    assert_eq!(store.accept(Acceptance { lead, ..acceptance }).await, Ok(Accepted::New));
    let delivered = State::Delivered { at: NOW, probable: false, by_hand: false };
    world.settled(store, &delivery, delivered).await;
}

#[tokio::test]
async fn names_grow_with_the_configuration_and_with_nothing_else() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut world = World::of(&*store);
    lives(&store, &mut world, 0).await;
    let known = names(folder.path());
    assert!(known.contains(&(0, "auto".to_owned())) && known.contains(&(0, "bigbank".to_owned())), "{known:?}");
    for number in 1..40 {
        lives(&store, &mut world, number).await;
    }
    for number in 0..10 {
        asked_about(&store, number).await;
    }
    lives(&store, &mut world, 40).await;
    assert_eq!(names(folder.path()), known);
    // One more recipient is its own name, its route and its endpoint.
    world.accepted(&*store, "auto", &["smallbank"]).await;
    assert_eq!(names(folder.path()).len(), known.len() + 4);
}

/// Everything that takes a name from a caller, with names nothing was ever planned for.
async fn asked_about(store: &EmbeddedStore, number: u32) {
    let (flow, recipient) =
        (FlowName::new(&format!("f{number}")).unwrap(), RecipientName::new(&format!("r{number}")).unwrap());
    let filter = Filter { flow: Some(flow.clone()), recipient: Some(recipient.clone()), ..Filter::default() };
    assert!(store.list(filter, None, 10).await.unwrap().items.is_empty());
    let endpoint = Endpoint { recipient: recipient.clone(), origin: format!("https://{number}.test:443").into() };
    let queue = QueueKey { endpoint, ..QueueKey::of(&any_delivery(store).await) };
    assert!(store.due(queue, None, 10).await.unwrap().is_empty());
    let source = SourceName::new(&format!("s{number}")).unwrap();
    let targets = [StopTarget::Recipient(recipient), StopTarget::Flow(flow.clone()), StopTarget::Source(flow, source)];
    for target in targets {
        let stop = Stop { target: target.clone(), by: "ann".into(), reason: "because".into(), since: NOW };
        let event = Event { at: NOW, kind: EventKind::Stopped(Box::new(stop.clone())) };
        store.keep_stop(stop, event).await.unwrap();
        let kind = EventKind::Resumed { target: target.clone(), by: "ann".into(), reason: "enough".into() };
        store.end_stop(target, Event { at: NOW, kind }).await.unwrap();
    }
    assert!(store.marked(steadfast_store::Term::from_bytes([1; 16]), DeliveryId::first_at(NOW), 10).await.is_ok());
}

async fn any_delivery(store: &EmbeddedStore) -> steadfast_retry::Delivery {
    store.list(Filter::default(), None, 1).await.unwrap().items.remove(0)
}
