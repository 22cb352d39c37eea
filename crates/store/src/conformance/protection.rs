//! Guards and stops outlast a restart, the newest of each.

use super::{Rig, World, reopen_uncleanly};
use crate::{Cursor, KeptGuard};
use std::time::Duration;
use steadfast_lead::{FlowName, RecipientName, SourceName, Timestamp};
use steadfast_retry::breaker::{BreakerState, Figures, Reason, Transition};
use steadfast_retry::{
    Endpoint, Event, EventKind, Guard, GuardSettings, GuardSnapshot, PersonMark, Seed, Stop, StopTarget, Suppressed,
    Within,
};

fn endpoint(name: &str) -> Endpoint {
    Endpoint { recipient: RecipientName::new(name).unwrap(), origin: "https://x:443".into() }
}

fn snapshot(endpoint: &Endpoint, state: BreakerState, now: Timestamp) -> GuardSnapshot {
    let mut snapshot = Guard::new(GuardSettings::default(), Seed(7), endpoint, now).snapshot();
    snapshot.breaker.state = state;
    snapshot.breaker.open_for = Duration::from_secs(33);
    snapshot
}

fn changed(endpoint: &Endpoint, now: Timestamp) -> Event {
    let transition = Transition {
        at: now,
        from: BreakerState::Closed,
        to: BreakerState::Open,
        reason: Reason::InARow,
        figures: Figures::default(),
        generation: 1,
        by: None,
    };
    Event { at: now, kind: EventKind::BreakerChanged { endpoint: endpoint.clone(), transition: Box::new(transition) } }
}

pub async fn the_newest_guard_of_each_endpoint_is_kept(rig: &mut dyn Rig) {
    let store = rig.open();
    let world = World::of(&*store);
    assert_eq!(store.guards().await, Ok(vec![]));
    let (bank, mill) = (endpoint("bank"), endpoint("mill"));
    let guard = |endpoint: &Endpoint, state| KeptGuard {
        endpoint: endpoint.clone(),
        snapshot: snapshot(endpoint, state, world.now),
    };
    let lines = vec![changed(&bank, world.now), changed(&bank, world.now.after(Duration::from_secs(1)))];
    store.keep_guard(guard(&bank, BreakerState::Open), lines.clone()).await.unwrap();
    store.keep_guard(guard(&mill, BreakerState::Closed), vec![]).await.unwrap();
    store.keep_guard(guard(&bank, BreakerState::HalfOpen), vec![]).await.unwrap();
    let store = reopen_uncleanly(store, rig);
    let mut kept = store.guards().await.unwrap();
    kept.sort_by(|one, two| one.endpoint.cmp(&two.endpoint));
    assert_eq!(kept, vec![guard(&bank, BreakerState::HalfOpen), guard(&mill, BreakerState::Closed)]);
    let told: Vec<Event> = store.events(Cursor(0), 10).await.unwrap().into_iter().map(|(_, event)| event).collect();
    assert_eq!(told, lines);
}

pub async fn stops_last_until_they_are_ended(rig: &mut dyn Rig) {
    let store = rig.open();
    let world = World::of(&*store);
    let flow = FlowName::new("auto").unwrap();
    let targets = [
        StopTarget::Recipient(RecipientName::new("auto").unwrap()),
        StopTarget::Flow(flow.clone()),
        StopTarget::Source(flow.clone(), SourceName::new("site").unwrap()),
        StopTarget::Person(Suppressed { person: PersonMark([7; 16]), within: Within::Flow(flow) }),
        StopTarget::Maintenance(
            RecipientName::new("auto").unwrap(),
            Timestamp::from_millis(1),
            Timestamp::from_millis(2),
        ),
        StopTarget::Maintenance(
            RecipientName::new("auto").unwrap(),
            Timestamp::from_millis(2),
            Timestamp::from_millis(3),
        ),
    ];
    let stop = |target: &StopTarget, reason: &str| Stop {
        target: target.clone(),
        by: "ann".into(),
        reason: reason.into(),
        since: world.now,
    };
    let line = |stop: &Stop| Event { at: world.now, kind: EventKind::Stopped(Box::new(stop.clone())) };
    for (target, reason) in targets.iter().flat_map(|target| [(target, "first"), (target, "second")]) {
        let stop = stop(target, reason);
        store.keep_stop(stop.clone(), line(&stop)).await.unwrap();
    }
    let store = reopen_uncleanly(store, rig);
    let mut kept = store.stops().await.unwrap();
    kept.sort_by(|one, two| one.target.cmp(&two.target));
    assert_eq!(kept, targets.each_ref().map(|target| stop(target, "second")).to_vec());
    for target in &targets[1..] {
        let kind = EventKind::Resumed { target: target.clone(), by: "ann".into(), reason: "done".into() };
        store.end_stop(target.clone(), Event { at: world.now, kind }).await.unwrap();
    }
    let store = reopen_uncleanly(store, rig);
    assert_eq!(store.stops().await, Ok(vec![stop(&targets[0], "second")]));
    assert_eq!(store.events(Cursor(0), 100).await.unwrap().len(), 17);
}
