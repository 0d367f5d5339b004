//! Which requests are made for many look-ups: one for each sid, and one list for each number, which serves
//! all look-ups of messages to it. How many at once depends on the backlog, and on whether the provider throttles.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream;

use super::{LookUps, Response};
use crate::message::{Channel, ProviderSid};
use crate::proof::matching;
use crate::provider::{Fetched, Listed, Query};
use crate::reactor::limits::daemon::LookUpLimits;
use crate::store::look_ups::{About, LookUp, UncertainAttempt};

/// How many requests are made at once. It is halved when the provider throttles one, and grows by one a round.
#[derive(Clone, Debug)]
pub struct Pace(Arc<AtomicUsize>);

impl Default for Pace {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(usize::MAX)))
    }
}

impl Pace {
    /// How many of this many requests are made at once.
    fn at_once(&self, requests: usize, limits: &LookUpLimits) -> usize {
        let by_backlog = (requests / 8).clamp(limits.at_once, limits.at_once_max);
        by_backlog.min(self.0.load(Ordering::Relaxed))
    }

    fn after_round(&self, was_throttled: bool, limits: &LookUpLimits) {
        let now = self.0.load(Ordering::Relaxed).min(limits.at_once_max);
        let next = if was_throttled { now / 2 } else { now + 1 };
        self.0
            .store(next.clamp(1, limits.at_once_max), Ordering::Relaxed);
    }
}

/// One request, to the provider of a channel.
struct Request {
    channel: Channel,
    what: What,
}

enum What {
    Fetch(ProviderSid),
    List(Query),
}

/// Why no more requests are made in this round.
#[derive(Default)]
struct Stopped {
    is_silent: AtomicBool,
    is_throttled: AtomicBool,
}

impl Stopped {
    fn note(&self, response: &Response) {
        let throttled = match response {
            Response::Fetched(Fetched::NotNow { is_throttled, .. }) => *is_throttled,
            Response::Listed(listed) => match &**listed {
                Listed::NotNow { is_throttled, .. } => *is_throttled,
                Listed::Shown { .. } => return,
            },
            _ => return,
        };
        let which = if throttled {
            &self.is_throttled
        } else {
            &self.is_silent
        };
        which.store(true, Ordering::Relaxed);
    }

    fn response(&self) -> Option<Response> {
        let skipped = |reason, is_throttled| Response::Skipped {
            reason,
            is_throttled,
        };
        if self.is_silent.load(Ordering::Relaxed) {
            Some(skipped("the provider does not respond", false))
        } else if self.is_throttled.load(Ordering::Relaxed) {
            Some(skipped("the provider throttles look-ups", true))
        } else {
            None
        }
    }
}

impl LookUps {
    /// The responses in the order of `due`, and whether the provider responds.
    pub(super) async fn query_all(&self, due: &[LookUp]) -> (Vec<Response>, bool) {
        let mut responses = vec![Response::NotQueried; due.len()];
        let carriers = self.providers.carriers();
        let has_look_up = |channel| carriers.get(channel).is_some_and(|of| of.look_up);
        let requests = requests(due, has_look_up);
        if requests.is_empty() {
            return (responses, true);
        }
        let at_once = self.pace.at_once(requests.len(), &self.limits);
        let stopped = Stopped::default();
        let until_stopped = &stopped;
        let made = stream::iter(requests)
            .map(|(request, of)| async move {
                let response = match until_stopped.response() {
                    Some(skipped) => skipped,
                    None => self.request(&request).await,
                };
                until_stopped.note(&response);
                (response, of)
            })
            .buffer_unordered(at_once)
            .collect::<Vec<_>>()
            .await;
        for (response, of) in made {
            for n in of {
                if let Some(slot) = responses.get_mut(n) {
                    slot.clone_from(&response);
                }
            }
        }
        let was_throttled = stopped.is_throttled.load(Ordering::Relaxed);
        self.pace.after_round(was_throttled, &self.limits);
        (responses, stopped.response().is_none())
    }

    async fn request(&self, request: &Request) -> Response {
        let Some(provider) = self.providers.get(request.channel) else {
            return Response::NotQueried;
        };
        match &request.what {
            What::Fetch(sid) => Response::Fetched(provider.fetch(sid).await),
            What::List(query) => Response::Listed(Arc::new(provider.list(query).await)),
        }
    }
}

/// The requests, each with the look-ups that it serves, by number. In the order in which they are due.
fn requests(due: &[LookUp], has_look_up: impl Fn(Channel) -> bool) -> Vec<(Request, Vec<usize>)> {
    let mut requests: Vec<(Request, Vec<usize>)> = Vec::new();
    let mut lists: BTreeMap<(Channel, &str), usize> = BTreeMap::new();
    for (n, look_up) in due.iter().enumerate() {
        let channel = look_up.channel;
        if !has_look_up(channel) {
            continue;
        }
        let request = |what| Request { channel, what };
        match &look_up.about {
            About::Sid(sid) => requests.push((request(What::Fetch(sid.clone())), vec![n])),
            About::Uncertain(UncertainAttempt {
                sought: Some(sought),
                since,
                ..
            }) => {
                let at = *lists.entry((channel, &sought.to)).or_insert(requests.len());
                let query = Query {
                    to: sought.to.clone(),
                    from: matching::known_sender(sought),
                    since: matching::query_from(*since),
                };
                let there = requests
                    .get_mut(at)
                    .map(|(request, of)| (&mut request.what, of));
                if let Some((What::List(list), of)) = there {
                    widen(list, &query);
                    of.push(n);
                } else {
                    requests.push((request(What::List(query)), vec![n]));
                }
            }
            About::Uncertain(_) | About::Nothing => {}
        }
    }
    requests
}

/// Makes a list serve another look-up of a message to the same number.
fn widen(list: &mut Query, other: &Query) {
    if list.from != other.from {
        list.from = None;
    }
    list.since = list.since.min(other.since);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_the_backlog_and_what_is_throttled() {
        let (pace, limits) = (Pace::default(), LookUpLimits::default());
        assert_eq!(pace.at_once(1, &limits), limits.at_once);
        assert_eq!(pace.at_once(64, &limits), 8);
        assert_eq!(pace.at_once(1_000, &limits), limits.at_once_max);
        for at_once in [8, 4, 2, 1, 1] {
            pace.after_round(true, &limits);
            assert_eq!(pace.at_once(1_000, &limits), at_once);
        }
        pace.after_round(false, &limits);
        assert_eq!(pace.at_once(1_000, &limits), 2);
        for _ in 0..100 {
            pace.after_round(false, &limits);
        }
        assert_eq!(pace.at_once(1_000, &limits), limits.at_once_max);
    }
}
