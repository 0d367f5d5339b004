//! What the live pages of instances show of each other: what this one publishes, and what is new of what the others
//! have published.

use std::collections::{BTreeMap, HashMap};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::feed::PRESENT;
use super::{HistogramReport, Metrics};
use crate::forecast::{Feeds, InstanceFeed, PublishedEvent, PublishedFeed, PublishedLateness};
use crate::message::{InstanceId, Moment};
use crate::reactor::events::{EventKind, MessageEvent};

/// How long the figures of the others are shown after they were last heard: through a database that fails for a
/// moment, but not as if they were those of now.
const SHOWN: Duration = Duration::from_secs(30);

/// How long it is kept what was heard of an instance that is not among those that were read.
const KEPT: Duration = Duration::from_secs(3_600);

/// An event that another instance has published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = EventElsewhere))]
pub struct Elsewhere {
    /// Which one.
    pub instance: InstanceId,
    #[serde(skip)]
    pub(super) kind: EventKind,
    /// What happened there.
    #[serde(flatten)]
    pub event: PublishedEvent,
}

/// How late the requests of the instances that run started.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Punctuality {
    /// In the last hour.
    pub hour: HistogramReport,
    /// In the last 24 hours.
    pub day: HistogramReport,
    /// How many instances these requests are of: this one, and those that publish theirs.
    pub instances: u64,
    /// How many run; null: it is not known, because the database does not say it.
    pub running: Option<u64>,
    /// When the other instances were last heard; null: they are not among these, or there are none.
    pub others_as_of: Option<Moment>,
}

/// What was last heard of the other instances.
#[derive(Debug, Default)]
pub(super) struct Others {
    of: HashMap<InstanceId, Heard>,
    /// When they were read, and how many run beside this one.
    last: Option<(Moment, u64)>,
}

#[derive(Debug)]
struct Heard {
    /// When it was read.
    read_at: Moment,
    /// When it was published.
    at: Moment,
    is_running: bool,
    number: u64,
    counts: BTreeMap<String, u64>,
    hour: PublishedLateness,
    day: PublishedLateness,
}

/// What is new of one instance.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// What has just happened, the oldest first.
    pub(super) present: Vec<Elsewhere>,
    /// What has happened before that: it is not shown as what happens now.
    pub(super) past: Vec<Elsewhere>,
    /// How many more have just happened.
    pub(super) more: Vec<(EventKind, u64)>,
}

impl Metrics {
    fn others(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
    pub fn hear(&self, own: InstanceId, feeds: &Feeds) {
        for news in self.others().hear(own, feeds) {
            self.feed.pass_on(news);
        }
    }

    /// How late requests started lately: of this instance, and of the others as far as they have been heard.
    pub fn punctuality(&self, now: Moment) -> Punctuality {
        let mut all = Punctuality {
            hour: self.recent.hour(now),
            day: self.recent.day(now),
            instances: 1,
            running: None,
            others_as_of: None,
        };
        self.others().add_to(&mut all, now);
        all
    }
}

impl Others {
    /// What is new, of each of these.
    fn hear(&mut self, own: InstanceId, feeds: &Feeds) -> Vec<News> {
        let others = || feeds.all.iter().filter(|one| one.instance != own);
        let running = others().filter(|one| one.is_running).count() as u64;
        self.last = Some((feeds.at, running));
        for heard in self.of.values_mut() {
            heard.is_running = false;
        }
        let mut all = Vec::new();
        for one in others() {
            let Some(feed) = &one.feed else {
                continue;
            };
            let before = self.of.remove(&one.instance);
            if before.as_ref().is_none_or(|b| b.number < feed.number()) {
                all.push(news(one, feed, before.as_ref(), feeds.at));
            }
            self.of.insert(
                one.instance,
                Heard {
                    read_at: feeds.at,
                    at: one.at,
                    is_running: one.is_running,
                    number: feed.number(),
                    counts: feed.counts.clone(),
                    hour: feed.hour.clone(),
                    day: feed.day.clone(),
                },
            );
        }
        // One that is missing for a moment comes back with events that have been passed on.
        self.of
            .retain(|_, heard| feeds.at.since(heard.read_at) < KEPT);
        all
    }

    fn add_to(&self, all: &mut Punctuality, now: Moment) {
        let Some((at, running)) = self.last.filter(|(at, _)| now.since(*at) <= SHOWN) else {
            return;
        };
        all.running = Some(1 + running);
        for heard in self.of.values().filter(|heard| heard.is_running) {
            // Both or neither: the buckets are those of a version.
            if all.hour.add(&heard.hour) && all.day.add(&heard.day) {
                all.instances += 1;
            }
        }
        all.others_as_of = (all.instances > 1).then_some(at);
    }
}

fn news(one: &InstanceFeed, feed: &PublishedFeed, before: Option<&Heard>, now: Moment) -> News {
    let new = feed.number() - before.map_or(0, |heard| heard.number);
    let shown = usize::try_from(new).unwrap_or(usize::MAX);
    let shown = shown.min(feed.latest.len());
    let latest = &feed.latest[feed.latest.len() - shown..];
    let elsewhere = |event: &PublishedEvent| {
        Some(Elsewhere {
            instance: one.instance,
            kind: EventKind::parse(&event.event)?,
            event: event.clone(),
        })
    };
    let is_present = |elsewhere: &Elsewhere| now.since(elsewhere.event.at) <= PRESENT;
    let (present, past) = latest.iter().filter_map(elsewhere).partition(is_present);
    // When the others of a long time have happened is unknown.
    let followed = before.filter(|heard| now.since(heard.at) <= PRESENT);
    let more = |heard: &Heard| {
        let more = |(kind, n): (&String, &u64)| {
            let was = heard.counts.get(kind).copied().unwrap_or(0);
            let shown = latest.iter().filter(|event| event.event == *kind).count() as u64;
            let more = n.saturating_sub(was).saturating_sub(shown);
            Some((EventKind::parse(kind)?, more)).filter(|(_, more)| *more > 0)
        };
        feed.counts.iter().filter_map(more).collect()
    };
    News {
        present,
        past,
        more: followed.map(more).unwrap_or_default(),
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
    fn add(&mut self, other: &PublishedLateness) -> bool {
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
mod tests;
