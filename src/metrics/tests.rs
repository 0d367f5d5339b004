//! The counters: each event is counted where it belongs.

use uuid::Uuid;

use super::*;
use crate::reactor::events::Late;

#[test]
fn what_is_reported_is_counted_where_it_belongs() {
    let metrics = Metrics::default();
    let id = MessageId(Uuid::from_u128(1));
    let at = Moment::from_micros(5);
    let sent = MessageEvent {
        late: Some(Late {
            lateness_us: 900,
            provider_us: 40_000,
            ..Late::default()
        }),
        ..MessageEvent::new(at, id, EventKind::Sent)
    };
    let failed = MessageEvent {
        category: Some(Category::InvalidNumber.as_str()),
        ..MessageEvent::new(at, id, EventKind::Failed)
    };
    metrics.publish(
        vec![sent, failed, MessageEvent::new(at, id, EventKind::Armed)],
        7,
    );
    metrics.receipt(at, id, "delivered", None);
    assert_eq!(metrics.happened(EventKind::Sent), 1);
    assert_eq!(metrics.happened(EventKind::Receipt), 1);
    assert_eq!(metrics.lateness().report().count, 1);
    assert_eq!(metrics.last_sent_at(), Some(at));
    let failed = ANSWERS
        .iter()
        .position(|w| *w == EventKind::Failed)
        .unwrap();
    let category = Category::ALL
        .iter()
        .position(|c| *c == Category::InvalidNumber)
        .unwrap();
    assert_eq!(metrics.sends[failed][category].load(Relaxed), 1);
}
