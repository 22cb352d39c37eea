//! What an open breaker stops goes on elsewhere.

use super::breaking::five_failures;
use super::*;

/// What an open breaker stops at `a` may go on to `b` and `c`.
fn leaving_a(window: usize) -> (Dispatch, Ids) {
    let mut dispatch = Dispatch::new(DispatchLimits { slots: 4_000, window }, Seed(7));
    let names = ["a", "b", "c"];
    let used = names.iter().map(|name| (queue(name).endpoint, AGE)).collect();
    let next = [(queue("a").endpoint, ["b", "c"].map(|name| queue(name).endpoint).into())].into();
    dispatch.follow(&Protected { recipients: HashMap::new(), used, next }, at(0));
    let mut ids = Ids::new();
    five_failures(&mut dispatch, &mut ids, "a", 0);
    let refills = dispatch.refills(at(0));
    assert!(refills.len() == 1 && refills[0].leaving, "what waited before it opened: {refills:?}");
    dispatch.refilled(&refills[0], Some(Vec::new()), at(0));
    (dispatch, ids)
}

fn by_hand(dispatch: &mut Dispatch, name: &str, verb: BreakerVerb, now: i64) {
    let ann = ByHand { by: "ann".into(), reason: "said so".into() };
    assert_eq!(dispatch.act_on_breakers(&queue(name).endpoint.recipient, None, verb, &ann, at(now)).len(), 1);
}

/// It was moved: it waits at the other endpoint from then on.
fn moved(dispatch: &mut Dispatch, start: &Start, name: &str, now: i64) {
    assert_eq!((start.errand, &start.queue), (Errand::Referral, &queue("a")));
    assert_eq!(dispatch.next_verb_or_finish(start.delivery, at(now)), None);
    dispatch.offer(&queue(name), DuePosition { due: at(now), id: start.delivery }, at(now));
}

fn stays(dispatch: &mut Dispatch, start: &Start, now: i64) {
    assert_eq!(dispatch.next_verb_or_finish(start.delivery, at(now)), None);
    dispatch.put_back(&start.queue, start.position.unwrap(), at(now));
}

#[test]
fn what_an_open_breaker_stops_goes_on_as_fast_as_the_next_endpoint_starts_it() {
    let (mut dispatch, mut ids) = leaving_a(1_000);
    by_hand(&mut dispatch, "c", BreakerVerb::Open, 0);
    for _ in 0..600 {
        dispatch.offer(&queue("a"), ids.due(0), at(0));
    }
    let (mut referred, mut sent) = (0, Vec::new());
    loop {
        let starts = started(&mut dispatch, 1);
        if starts.is_empty() {
            break;
        }
        for start in starts {
            if start.errand == Errand::Referral {
                moved(&mut dispatch, &start, "b", 1);
                referred += 1;
            } else {
                assert_eq!(start.queue, queue("b"));
                sent.push(start.delivery);
            }
        }
    }
    // All that may be under way at b at once, and what waits there; the rest stays where its breaker holds it.
    assert!((128..600).contains(&referred), "{referred}");
    for id in sent {
        done(&mut dispatch, id, Outcome::Success, at(2));
    }
    assert!(!started(&mut dispatch, 2).is_empty(), "and goes on as b does");
    by_hand(&mut dispatch, "a", BreakerVerb::Close, 3);
    let starts = started(&mut dispatch, 3);
    assert!(starts.iter().all(|start| matches!(start.errand, Errand::Attempt { .. })), "nothing leaves any more");
    assert!(starts.iter().any(|start| start.queue == queue("a")), "what stayed goes as it would have");
}

#[test]
fn a_backlog_that_can_go_nowhere_is_neither_read_nor_looked_at() {
    let (mut dispatch, mut ids) = leaving_a(100);
    by_hand(&mut dispatch, "b", BreakerVerb::Open, 0);
    dispatch.pause(&queue("c").endpoint, at(5_000), at(0));
    dispatch.known_in_store(&queue("a"), at(0), at(0));
    for now in [0, 1, 1_000, 4_999] {
        assert!(started(&mut dispatch, now).is_empty() && dispatch.refills(at(now)).is_empty(), "{now}");
    }
    // One of the two takes leads again: a range is read for it, and no more than a range.
    let refills = dispatch.refills(at(5_000));
    assert!(refills.len() == 1 && refills[0].leaving && refills[0].after.is_none(), "{refills:?}");
    let read: Vec<DuePosition> = (0..100).map(|_| ids.due(0)).collect();
    dispatch.refilled(&refills[0], Some(read.clone()), at(5_000));
    let starts = started(&mut dispatch, 5_000);
    assert_eq!(
        starts.iter().map(|start| start.delivery).collect::<Vec<_>>(),
        read.iter().map(|p| p.id).collect::<Vec<_>>()
    );
    assert!(starts.len() == 100 && starts.iter().zip(&read).all(|(start, read)| start.position == Some(*read)));
    // A person stops the recipient: that holds everything, whatever the breaker says.
    starts.iter().for_each(|start| stays(&mut dispatch, start, 5_000));
    dispatch.set_stop(&StopTarget::Recipient(queue("a").endpoint.recipient), true);
    dispatch.offer(&queue("a"), ids.due(5_001), at(5_001));
    assert!(started(&mut dispatch, 60_000).is_empty());
}

#[test]
fn what_has_to_stay_is_looked_at_once_until_another_endpoint_takes_leads() {
    let (mut dispatch, mut ids) = leaving_a(5_000);
    by_hand(&mut dispatch, "b", BreakerVerb::Open, 0);
    for _ in 0..3 {
        dispatch.offer(&queue("a"), ids.due(0), at(0));
    }
    let starts = started(&mut dispatch, 1);
    assert_eq!(starts.len(), 3);
    starts.iter().for_each(|start| stays(&mut dispatch, start, 1));
    assert!(started(&mut dispatch, 10_000).is_empty(), "once");
    dispatch.offer(&queue("a"), ids.due(10_000), at(10_000));
    assert_eq!(started(&mut dispatch, 10_000).len(), 1, "what comes new has its turn");
    // The other endpoint comes back: everything is looked at again, half a minute after the beginning.
    by_hand(&mut dispatch, "b", BreakerVerb::Close, 11_000);
    assert!(started(&mut dispatch, 29_900).is_empty());
    let refills = dispatch.refills(at(29_999));
    assert!(refills.is_empty(), "{refills:?}");
    let refills = dispatch.refills(at(30_000));
    assert!(refills.len() == 1 && refills[0].leaving && refills[0].after.is_none(), "{refills:?}");
    let (busy, waiting) = (ids.due(10_000), starts.iter().map(|start| start.position.unwrap()).collect());
    dispatch.refilled(&Refill { after: Some(busy), ..refills[0].clone() }, Some(vec![busy]), at(30_000));
    assert!(started(&mut dispatch, 30_000).is_empty(), "a range that nobody waits for any more");
    dispatch.refilled(&refills[0], Some(waiting), at(30_000));
    assert_eq!(started(&mut dispatch, 30_000).len(), 3);
}

#[test]
fn looking_in_vain_has_a_bound_and_an_endpoint_that_is_probed_gets_one() {
    let (mut dispatch, mut ids) = leaving_a(5_000);
    by_hand(&mut dispatch, "b", BreakerVerb::Probe, 0);
    by_hand(&mut dispatch, "c", BreakerVerb::Open, 0);
    (0..1_500).for_each(|_| dispatch.offer(&queue("a"), ids.due(0), at(0)));
    let one = started(&mut dispatch, 0);
    assert_eq!(one.len(), 1, "one is enough to find out");
    moved(&mut dispatch, &one[0], "b", 0);
    let probe = started(&mut dispatch, 0);
    assert!(probe.len() == 1 && probe[0].queue == queue("b"), "{probe:?}");
    assert!(started(&mut dispatch, 1).is_empty(), "the others wait for what it says");
    done(&mut dispatch, probe[0].delivery, Outcome::Error(ErrorKind::ServerError), at(2));
    assert!(started(&mut dispatch, 2).is_empty());
    by_hand(&mut dispatch, "c", BreakerVerb::Close, 3);
    let mut looked = 0;
    while let Some(start) = dispatch.next(at(3)) {
        stays(&mut dispatch, &start, 3);
        looked += 1;
    }
    assert_eq!(looked, 1_000);
    assert_eq!(next_look(&mut dispatch, 3), Some(at(1_000)));
    assert!(dispatch.next(at(1_000)).is_some());
}
