//! What instances publish for the live pages of the others, and what of it is new.

use uuid::Uuid;

use super::*;
use crate::message::MessageId;
use crate::metrics::Happened;
use crate::reactor::events::Late;

const SECOND: i64 = 1_000_000;
const AT: i64 = 1_767_258_000 * SECOND;
const OWN: InstanceId = InstanceId(Uuid::from_u128(6));
const OTHER: InstanceId = InstanceId(Uuid::from_u128(7));

fn second(second: i64) -> Moment {
    Moment::from_micros(AT + second * SECOND)
}

fn id(n: u128) -> MessageId {
    MessageId(Uuid::from_u128(n))
}

fn sent(n: u128, at: i64) -> MessageEvent {
    let late = Late {
        lateness_us: 300,
        ..Late::default()
    };
    MessageEvent {
        late: Some(late),
        ..MessageEvent::new(second(at), id(n), EventKind::Sent)
    }
}

/// What that instance has published at this second, as another one reads it at once.
fn feeds(of: &Metrics, at: i64) -> Feeds {
    let at = second(at);
    let text = serde_json::to_string(&of.published(at)).unwrap();
    let one = |instance, feed| InstanceFeed {
        instance,
        is_running: true,
        at,
        feed,
    };
    let feed = serde_json::from_str(&text).unwrap();
    Feeds {
        at,
        all: vec![one(OWN, None), one(OTHER, feed)],
    }
}

/// The ids of what is new: in the present, and in the past; and the number of what is only counted.
fn heard(others: &mut Others, feeds: &Feeds) -> (Vec<MessageId>, Vec<MessageId>, u64) {
    let ids = |events: &[Elsewhere]| events.iter().map(|e| e.event.id).collect::<Vec<_>>();
    match others.hear(OWN, feeds).as_slice() {
        [] => (Vec::new(), Vec::new(), 0),
        [news] => {
            let more = news.more.iter().map(|(_, n)| n).sum();
            (ids(&news.present), ids(&news.past), more)
        }
        several => panic!("{several:?}"),
    }
}

#[test]
fn each_event_of_another_instance_is_passed_on_once_and_what_is_too_much_is_counted() {
    let (other, mut others) = (Metrics::default(), Others::default());
    // Timers are everybody's.
    let armed = MessageEvent::new(second(0), id(9), EventKind::Armed);
    other.publish(vec![armed], 0);
    other.publish(vec![sent(1, 0)], 0);
    let nothing = (vec![], vec![], 0);
    assert_eq!(
        heard(&mut others, &feeds(&other, 0)),
        (vec![id(1)], vec![], 0)
    );
    assert_eq!(heard(&mut others, &feeds(&other, 0)), nothing);
    assert_eq!(heard(&mut others, &feeds(&other, 5)), nothing);
    other.publish(vec![sent(2, 6), sent(3, 7)], 0);
    let new = (vec![id(2), id(3)], vec![], 0);
    assert_eq!(heard(&mut others, &feeds(&other, 10)), new);
    other.publish((10..210).map(|n| sent(n, 12)).collect(), 0);
    let latest: Vec<_> = (160..210).map(id).collect();
    assert_eq!(
        heard(&mut others, &feeds(&other, 15)),
        (latest, vec![], 150)
    );
}

#[test]
fn what_happened_while_nobody_looked_is_not_what_happens_now() {
    let (other, mut others) = (Metrics::default(), Others::default());
    other.publish(vec![sent(1, 0), sent(2, 3_590)], 0);
    let first = (vec![id(2)], vec![id(1)], 0);
    assert_eq!(heard(&mut others, &feeds(&other, 3_600)), first);
    // A hundred events of an hour, of which the latest fifty are known, two of the last seconds.
    other.publish((100..198).map(|n| sent(n, 3_700)).collect(), 0);
    other.publish(vec![sent(198, 7_195), sent(199, 7_200)], 0);
    let (present, past, more) = heard(&mut others, &feeds(&other, 7_200));
    assert_eq!((present, past.len(), more), (vec![id(198), id(199)], 48, 0));
    // Nor if the others were followed, and this one could not publish.
    other.publish((200..300).map(|n| sent(n, 7_210)).collect(), 0);
    let mut late = feeds(&other, 7_225);
    late.at = second(7_226);
    let (present, past, more) = heard(&mut others, &late);
    assert_eq!((present.len(), past.len(), more), (0, 50, 0));
}

#[test]
fn one_that_is_missing_for_a_moment_is_not_passed_on_again() {
    let (other, mut others) = (Metrics::default(), Others::default());
    other.publish((1..=3).map(|n| sent(n, 0)).collect(), 0);
    assert_eq!(heard(&mut others, &feeds(&other, 1)).0.len(), 3);
    let without = Feeds {
        at: second(3),
        all: Vec::new(),
    };
    assert_eq!(heard(&mut others, &without).0, vec![]);
    other.publish(vec![sent(4, 4)], 0);
    let again = (vec![id(4)], vec![], 0);
    assert_eq!(heard(&mut others, &feeds(&other, 5)), again);
    // For good it is forgotten: nothing grows with instances that have ended.
    let later = Feeds {
        at: second(5 + 3_600),
        all: Vec::new(),
    };
    assert_eq!(heard(&mut others, &later).0, vec![]);
    assert!(others.of.is_empty());
}

#[test]
fn punctuality_names_whose_it_is() {
    let (own, other) = (Metrics::default(), Metrics::default());
    own.publish(vec![sent(1, 0)], 0);
    other.publish(vec![sent(2, 0), sent(3, 0)], 0);
    let of = |at| {
        let all = own.punctuality(second(at));
        let counts = (all.hour.count, all.day.count);
        (counts, all.instances, all.running, all.others_as_of)
    };
    assert_eq!(of(1), ((1, 1), 1, None, None), "nothing was heard");
    own.hear(OWN, &feeds(&other, 1));
    let both = ((3, 3), 2, Some(2), Some(second(1)));
    assert_eq!(of(1), both);
    let all = own.punctuality(second(1));
    assert_eq!((all.hour.sum_us, all.hour.max_us), (900, 300));
    // Through reads that fail, as of then; but not for long.
    assert_eq!(of(31), both);
    assert_eq!(of(32), ((1, 1), 1, None, None));
    // One that runs, and does not publish its figures.
    let mut silent = feeds(&other, 40);
    silent.all[1].feed = None;
    own.hear(OWN, &silent);
    assert_eq!(of(40), ((1, 1), 1, Some(2), None));
    // One that has stopped has last outcomes, but its figures go.
    own.hear(OWN, &feeds(&other, 41));
    let mut stopped = feeds(&other, 42);
    stopped.all[1].is_running = false;
    own.hear(OWN, &stopped);
    assert_eq!(of(42), ((1, 1), 1, Some(1), None));
}

#[test]
fn what_another_version_publishes_is_read_as_far_as_it_is_known() {
    let text = r#"{"counts": {"sent": 1, "beamed": 4}, "latest": [
            {"at": "2026-01-01T09:00:00Z", "id": "00000000-0000-0000-0000-000000000001", "event": "beamed"},
            {"at": "2026-01-01T09:00:00Z", "id": "00000000-0000-0000-0000-000000000002", "event": "sent", "by": "x"}],
            "hour": {"counts": [1, 2]}}"#;
    let mut known = feeds(&Metrics::default(), 0);
    known.all[1].feed = serde_json::from_str(text).unwrap();
    let news = Others::default().hear(OWN, &known);
    assert_eq!(news[0].present.len(), 1);
    assert_eq!(news[0].present[0].event.id, id(2));
    let own = Metrics::default();
    own.hear(OWN, &known);
    let all = own.punctuality(known.at);
    assert_eq!(
        (all.hour.count, all.instances, all.running),
        (0, 1, Some(2))
    );
}

#[tokio::test]
async fn a_page_has_the_events_of_both_in_order() {
    let (own, other) = (Metrics::default(), Metrics::default());
    let mut following = own.feed().follow();
    // Of this instance more than are kept for viewers who come later.
    own.publish((100..170).map(|n| sent(n, 20)).collect(), 0);
    other.publish(vec![sent(1, 0), sent(2, 19), sent(3, 21)], 0);
    own.hear(OWN, &feeds(&other, 22));
    let recent = own.feed().recent();
    let ids: Vec<_> = recent.iter().map(Happened::id).collect();
    let mut expected: Vec<_> = (111..170).map(id).collect();
    expected.push(id(3));
    assert_eq!(ids, expected, "the latest of all, whenever they were heard");
    let json = serde_json::to_value(recent.last().unwrap()).unwrap();
    assert_eq!(json["instance"], OTHER.to_string());
    assert_eq!(
        (&json["event"], &json["lateness_us"]),
        (&"sent".into(), &300.into())
    );
    // What was heard is neither published again nor counted as this one's.
    assert_eq!(own.happened(EventKind::Sent), 70);
    assert_eq!(own.published(second(22)).number(), 70);
    // A page that is open has what has just happened.
    let mut frame = following.something().await.unwrap();
    following.fill(&mut frame);
    let elsewhere: Vec<_> = frame
        .events
        .iter()
        .filter(|one| matches!(one, Happened::Elsewhere(_)))
        .map(Happened::id)
        .collect();
    assert_eq!(elsewhere, [id(2), id(3)]);
    assert_eq!(frame.more[&EventKind::Sent], 12);
}
