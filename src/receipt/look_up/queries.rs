//! Which requests are made for many look-ups: one for each sid, and one list for each number and account, which
//! serves all look-ups of messages to it. How many at once depends on the backlog, and on whether the provider
//! throttles. Each account is for itself: one that is refused, silent or throttled delays the look-ups of no other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;

use super::{LookUps, Response};
use crate::limits::daemon::LookUpLimits;
use crate::message::{AttemptToken, LaneKey, MessageId, ProviderSid, is_whatsapp};
use crate::proof::matching;
use crate::provider::{Fetched, Listed, Query};
use crate::store::look_ups::{LookUp, LookUpSubject, UncertainAttempt};

/// How many requests are made at once to each account. It is halved when the provider throttles one, and grows by one
/// a round.
#[derive(Clone, Debug, Default)]
pub struct Pace(Arc<Mutex<BTreeMap<String, usize>>>);

impl Pace {
    /// How many of this many requests to an account are made at once.
    fn at_once(&self, account: &str, requests: usize, limits: &LookUpLimits) -> usize {
        let by_backlog = (requests / 8).clamp(limits.at_once, limits.at_once_max);
        let most = self.accounts().get(account).copied();
        by_backlog.min(most.unwrap_or(limits.at_once_max))
    }

    fn after_round(&self, account: &str, was_throttled: bool, limits: &LookUpLimits) {
        let most = limits.at_once_max;
        let mut accounts = self.accounts();
        let now = accounts.get(account).map_or(most, |now| most.min(*now));
        let next = if was_throttled { now / 2 } else { now + 1 };
        accounts.insert(account.to_owned(), next.clamp(1, most));
    }

    fn accounts(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request, to the provider of a lane.
struct Request {
    lane: LaneKey,
    what: What,
}

enum What {
    Fetch(ProviderSid),
    Find(MessageId, i16, AttemptToken),
    List(Query),
}

/// A request, with the look-ups that it serves, by number.
type Serving = (Request, Vec<usize>);

/// Why no more requests are made to an account in this round.
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
    /// The responses in the order of `due`, and whether any account that was queried responds.
    pub(super) async fn query_all(&self, due: &[LookUp]) -> (Vec<Response>, bool) {
        let capabilities = self.providers.all_capabilities();
        let unqueried = |look_up: &LookUp| match self.providers.get(&look_up.lane) {
            Some(_) => Response::NotQueried,
            None => Response::NotConfigured,
        };
        let mut responses: Vec<Response> = due.iter().map(unqueried).collect();
        let can = |lane: &LaneKey| {
            let can = capabilities.get(lane);
            can.map_or((false, false), |of| (of.look_up, of.knows_ids))
        };
        let mut accounts: BTreeMap<String, Vec<Serving>> = BTreeMap::new();
        let may_be_whatsapp = |lane: &LaneKey| self.store.may_be_whatsapp(lane);
        for serving in requests(due, can, may_be_whatsapp) {
            let account = serving.0.lane.account().to_owned();
            accounts.entry(account).or_default().push(serving);
        }
        let queries = accounts
            .into_iter()
            .map(|(account, requests)| self.query_account(account, requests));
        let made = join_all(queries).await;
        let responds = made.is_empty() || made.iter().any(|(_, responds)| *responds);
        for (response, of) in made.into_iter().flat_map(|(made, _)| made) {
            for n in of {
                if let Some(slot) = responses.get_mut(n) {
                    slot.clone_from(&response);
                }
            }
        }
        (responses, responds)
    }

    /// The responses of one account, and whether it responds.
    async fn query_account(
        &self,
        account: String,
        requests: Vec<Serving>,
    ) -> (Vec<(Response, Vec<usize>)>, bool) {
        let at_once = self.pace.at_once(&account, requests.len(), &self.limits);
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
        let was_throttled = stopped.is_throttled.load(Ordering::Relaxed);
        self.pace.after_round(&account, was_throttled, &self.limits);
        (made, stopped.response().is_none())
    }

    async fn request(&self, request: &Request) -> Response {
        let Some(provider) = self.providers.get(&request.lane) else {
            return Response::NotConfigured;
        };
        match &request.what {
            What::Fetch(sid) => Response::Fetched(provider.fetch(sid).await),
            What::Find(message, part, token) => {
                Response::Fetched(provider.find(*message, *part, *token).await)
            }
            What::List(query) => Response::Listed(Arc::new(provider.list(query).await)),
        }
    }
}

/// The requests, in the order in which they are due. `can`: whether the provider of a lane has look-ups, and whether it
/// knows messages by our ids.
fn requests(
    due: &[LookUp],
    can: impl Fn(&LaneKey) -> (bool, bool),
    may_be_whatsapp: impl Fn(&LaneKey) -> bool,
) -> Vec<Serving> {
    let mut requests: Vec<Serving> = Vec::new();
    let mut lists: BTreeMap<(&LaneKey, &str), usize> = BTreeMap::new();
    for (n, look_up) in due.iter().enumerate() {
        let lane = &look_up.lane;
        let (has_look_up, knows_ids) = can(lane);
        if matches!(&look_up.about, LookUpSubject::Uncertain(attempt) if attempt.superseded) {
            continue;
        }
        let request = |what| Request {
            lane: lane.clone(),
            what,
        };
        if let (true, LookUpSubject::Uncertain(_)) = (knows_ids, &look_up.about) {
            let find = What::Find(look_up.message, look_up.part, look_up.token);
            requests.push((request(find), vec![n]));
            continue;
        }
        if !has_look_up {
            continue;
        }
        match &look_up.about {
            LookUpSubject::Sid(sid) => requests.push((request(What::Fetch(sid.clone())), vec![n])),
            LookUpSubject::Uncertain(UncertainAttempt {
                sought: Some(sought),
                since,
                ..
            }) => {
                let at = *lists.entry((lane, &sought.to)).or_insert(requests.len());
                let from = matching::known_sender(sought);
                let query = Query {
                    to: sought.to.clone(),
                    also_whatsapp: match &sought.from {
                        Some(from) => is_whatsapp(from),
                        None => may_be_whatsapp(lane),
                    },
                    from,
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
            LookUpSubject::Uncertain(_) | LookUpSubject::Nothing => {}
        }
    }
    requests
}

/// Makes a list serve another look-up of a message to the same number.
fn widen(list: &mut Query, other: &Query) {
    if list.from != other.from {
        list.from = None;
    }
    list.also_whatsapp |= other.also_whatsapp;
    list.since = list.since.min(other.since);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_of_an_account_follows_its_backlog_and_what_is_throttled() {
        let (pace, limits) = (Pace::default(), LookUpLimits::default());
        let at_once = |account, requests| pace.at_once(account, requests, &limits);
        assert_eq!(at_once("eu", 1), limits.at_once);
        assert_eq!(at_once("eu", 64), 8);
        assert_eq!(at_once("eu", 1_000), limits.at_once_max);
        for expected in [8, 4, 2, 1, 1] {
            pace.after_round("eu", true, &limits);
            assert_eq!(at_once("eu", 1_000), expected);
        }
        pace.after_round("eu", false, &limits);
        assert_eq!(at_once("eu", 1_000), 2);
        // What one account throttles slows no other.
        for other in ["us", LaneKey::DEFAULT_ACCOUNT] {
            assert_eq!(at_once(other, 1_000), limits.at_once_max);
        }
        for _ in 0..100 {
            pace.after_round("eu", false, &limits);
        }
        assert_eq!(at_once("eu", 1_000), limits.at_once_max);
    }
}
