//! What the live pages of instances show of each other: what this one publishes, and what is new of what the others
//! have published. Pages read that with what the forecasts are made of, so it costs no statement of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::{HistogramReport, Metrics};
use crate::forecast::{PublishedEvent, PublishedFeed, PublishedLateness, PublishedState};
use crate::message::{InstanceId, Moment};
use crate::reactor::events::{EventKind, MessageEvent};

/// What happened between two publications that are further apart is not counted: no page has asked meanwhile.
const FOLLOWED: Duration = Duration::from_secs(30);

/// An event that another instance has published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = EventElsewhere)]
pub struct Elsewhere {
    /// Which one.
    pub instance: InstanceId,
    #[serde(skip)]
    pub(super) kind: EventKind,
    /// What happened there.
    #[serde(flatten)]
    pub event: PublishedEvent,
}

/// What was last heard of each of the other instances.
#[derive(Debug, Default)]
pub(super) struct Others(HashMap<InstanceId, Heard>);

#[derive(Debug)]
struct Heard {
    at: Moment,
    counts: BTreeMap<String, u64>,
}

/// What is new of one instance.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// The latest events, the oldest first.
    pub(super) events: Vec<Elsewhere>,
    /// How many more there were.
    pub(super) more: Vec<(EventKind, u64)>,
}

impl Metrics {
    /// What this instance publishes for the pages of the others.
    pub fn published(&self, now: Moment) -> PublishedFeed {
        let (counts, latest) = self.feed.outcomes();
        let name = |(kind, n): (EventKind, u64)| (kind.as_str().to_owned(), n);
        PublishedFeed {
            counts: counts.into_iter().map(name).collect(),
            latest: latest.iter().map(published).collect(),
            hour: lateness(self.recent.hour(now)),
            day: lateness(self.recent.day(now)),
        }
    }

    /// Passes on to the feed what is new of the other instances, by what they have published.
    pub fn hear<'a>(&self, others: impl Iterator<Item = (InstanceId, &'a PublishedState)>) {
        let held = self.others.lock();
        let mut held = held.unwrap_or_else(PoisonError::into_inner);
        for news in held.news(others) {
            self.feed.pass_on(news);
        }
    }
}

impl Others {
    /// What is new, of each of these. Of those that are not among them nothing is kept.
    fn news<'a>(
        &mut self,
        others: impl Iterator<Item = (InstanceId, &'a PublishedState)>,
    ) -> Vec<News> {
        let mut known = std::mem::take(&mut self.0);
        let mut all = Vec::new();
        for (id, state) in others {
            let Some(feed) = &state.feed else {
                continue;
            };
            let heard = match known.remove(&id) {
                // It has published nothing since.
                Some(heard) if heard.at >= state.at => heard,
                before => {
                    all.push(news(id, state.at, feed, before.as_ref()));
                    Heard {
                        at: state.at,
                        counts: feed.counts.clone(),
                    }
                }
            };
            self.0.insert(id, heard);
        }
        all
    }
}

fn news(id: InstanceId, at: Moment, feed: &PublishedFeed, before: Option<&Heard>) -> News {
    let was = |kind: &str| before.and_then(|heard| heard.counts.get(kind));
    let new = |(kind, n): (&String, &u64)| n.saturating_sub(was(kind).copied().unwrap_or(0));
    let all: u64 = feed.counts.iter().map(new).sum();
    let shown = usize::try_from(all).unwrap_or(usize::MAX);
    let shown = shown.min(feed.latest.len());
    let latest = &feed.latest[feed.latest.len() - shown..];
    let elsewhere = |event: &PublishedEvent| {
        Some(Elsewhere {
            instance: id,
            kind: EventKind::parse(&event.event)?,
            event: event.clone(),
        })
    };
    let is_followed = before.is_some_and(|heard| at.since(heard.at) <= FOLLOWED);
    let more = |(kind, n): (&String, &u64)| {
        let shown = latest.iter().filter(|event| event.event == *kind).count() as u64;
        let more = new((kind, n)).saturating_sub(shown);
        Some((EventKind::parse(kind)?, more)).filter(|(_, more)| *more > 0)
    };
    News {
        events: latest.iter().filter_map(elsewhere).collect(),
        more: if is_followed {
            feed.counts.iter().filter_map(more).collect()
        } else {
            Vec::new()
        },
    }
}

fn published(event: &MessageEvent) -> PublishedEvent {
    PublishedEvent {
        at: event.at,
        id: event.id,
        event: event.what.as_str().to_owned(),
        due_at: event.due_at,
        lateness_us: event.late.map(|late| late.lateness_us),
        provider_us: event.late.map(|late| late.provider_us),
        attempt: event.attempt,
        part: event.part.map(|part| part.to_string()),
        status: event.status.map(str::to_owned),
        category: event.category.map(str::to_owned),
        code: event.code,
    }
}

fn lateness(report: HistogramReport) -> PublishedLateness {
    PublishedLateness {
        sum_us: report.sum_us,
        max_us: report.max_us,
        counts: report.counts,
    }
}

impl HistogramReport {
    /// Adds what another instance has published. One of a version with other buckets is left out: false.
    pub fn add(&mut self, other: &PublishedLateness) -> bool {
        if other.counts.len() != self.counts.len() {
            return false;
        }
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum = sum.saturating_add(*count);
            self.count = self.count.saturating_add(*count);
        }
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.max_us = self.max_us.max(other.max_us);
        true
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::message::MessageId;
    use crate::metrics::Happened;
    use crate::reactor::events::Late;

    const SECOND: i64 = 1_000_000;
    const AT: i64 = 1_767_258_000 * SECOND;

    fn sent(n: u128) -> MessageEvent {
        let late = Late {
            lateness_us: 300,
            ..Late::default()
        };
        MessageEvent {
            late: Some(late),
            ..MessageEvent::new(Moment::from_micros(AT), id(n), EventKind::Sent)
        }
    }

    fn id(n: u128) -> MessageId {
        MessageId(Uuid::from_u128(n))
    }

    /// What that instance has published at this second, as another one reads it.
    fn state(of: &Metrics, second: i64) -> PublishedState {
        let at = Moment::from_micros(AT + second * SECOND);
        let state = PublishedState {
            at,
            feed: Some(of.published(at)),
            ..PublishedState::default()
        };
        serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap()
    }

    #[test]
    fn each_event_of_another_instance_is_passed_on_once_and_what_is_too_much_is_counted() {
        let (other, name) = (Metrics::default(), InstanceId(Uuid::from_u128(7)));
        let mut others = Others::default();
        let mut news = |second: i64| {
            let state = state(&other, second);
            let news = others.news([(name, &state)].into_iter());
            let ids = |news: &News| news.events.iter().map(|e| e.event.id).collect::<Vec<_>>();
            let [news] = news.as_slice() else {
                return (Vec::new(), Vec::new());
            };
            (ids(news), news.more.clone())
        };
        // Timers are everybody's.
        other.publish(
            vec![MessageEvent::new(
                Moment::from_micros(AT),
                id(9),
                EventKind::Armed,
            )],
            0,
        );
        other.publish(vec![sent(1)], 0);
        assert_eq!(news(0), (vec![id(1)], vec![]));
        assert_eq!(news(0), (vec![], vec![]), "published once");
        assert_eq!(news(5), (vec![], vec![]), "nothing new");
        other.publish(vec![sent(2), sent(3)], 0);
        assert_eq!(news(10), (vec![id(2), id(3)], vec![]));
        other.publish((10..210).map(sent).collect(), 0);
        let (ids, more) = news(15);
        assert_eq!(ids, (160..210).map(id).collect::<Vec<_>>());
        assert_eq!(more, [(EventKind::Sent, 150)]);
        // Nobody has looked for long: what happened then is not what happens now.
        other.publish((300..500).map(sent).collect(), 0);
        let (ids, more) = news(3_600);
        assert_eq!((ids.len(), more.len()), (50, 0));
    }

    #[test]
    fn what_another_version_publishes_is_read_as_far_as_it_is_known() {
        let text = r#"{"at": "2026-01-01T09:00:00Z", "feed": {"counts": {"sent": 1, "beamed": 4}, "latest": [
            {"at": "2026-01-01T09:00:00Z", "id": "00000000-0000-0000-0000-000000000001", "event": "beamed"},
            {"at": "2026-01-01T09:00:00Z", "id": "00000000-0000-0000-0000-000000000002", "event": "sent", "by": "x"}],
            "hour": {"counts": [1, 2]}}}"#;
        let state: PublishedState = serde_json::from_str(text).unwrap();
        let name = InstanceId(Uuid::from_u128(7));
        let news = Others::default().news([(name, &state)].into_iter());
        assert_eq!(news[0].events.len(), 1);
        assert_eq!(news[0].events[0].event.id, id(2));
        let mut hour = Metrics::default().recent().hour(state.at);
        assert!(!hour.add(&state.feed.as_ref().unwrap().hour));
        assert_eq!(hour.count, 0);
    }

    #[tokio::test]
    async fn a_page_has_the_events_and_the_lateness_of_both() {
        let (own, other) = (Metrics::default(), Metrics::default());
        let mut following = own.feed().follow();
        own.publish(vec![sent(1)], 0);
        other.publish(vec![sent(2), sent(3)], 0);
        let state = state(&other, 1);
        let name = InstanceId(Uuid::from_u128(7));
        own.hear([(name, &state)].into_iter());
        let recent = own.feed().recent();
        assert_eq!(recent.len(), 3);
        let elsewhere = |event: &&Happened| matches!(event, Happened::Elsewhere(_));
        assert_eq!(recent.iter().filter(elsewhere).count(), 2);
        let json = serde_json::to_value(&recent[2]).unwrap();
        assert_eq!(json["instance"], name.to_string());
        assert_eq!(
            (&json["event"], &json["lateness_us"]),
            (&"sent".into(), &300.into())
        );
        // What was heard is neither published again nor counted as this one's.
        assert_eq!(own.happened(EventKind::Sent), 1);
        assert_eq!(own.published(state.at).latest.len(), 1);
        let mut hour = own.recent().hour(state.at);
        assert!(hour.add(&state.feed.as_ref().unwrap().hour));
        assert_eq!((hour.count, hour.sum_us, hour.max_us), (3, 900, 300));
        let mut frame = following.something().await.unwrap();
        following.fill(&mut frame);
        assert_eq!(Vec::from(frame.events), recent);
    }
}
