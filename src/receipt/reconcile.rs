//! Compares the messages in quarantine after a restore with the provider's list. What the list proves
//! is recorded like any other proof; the caller clears what was not sent.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;

use crate::clock::Clock;
use crate::limits::daemon::RecoveryLimits;
use crate::message::{AttemptToken, LaneKey, MessageId, Moment, Part, is_whatsapp};
use crate::policy::Cleared;
use crate::proof::ProviderMessage;
use crate::proof::matching::{SentText, query_from};
use crate::proof::quarantine::{
    self, CLEARED_MAX, EACH_MAX, Fate, Listing, QuarantinedRow, Reconciliation, StayReason,
};
use crate::provider::{Listed, Providers, Query};
use crate::settle::{Record, Settlement};
use crate::store::quarantine::ClearedAt;
use crate::store::{Halving, Store, StoreError};

/// Compares them.
#[derive(Clone)]
pub struct Reconciler {
    /// Says how long ago the quarantine began: the database's own clock may have jumped.
    pub clock: Arc<Clock>,
    /// The rows and the ledger.
    pub store: Store,
    /// Whose list it is.
    pub providers: Providers,
    /// Rows, queries and pauses.
    pub limits: RecoveryLimits,
}

/// One comparison.
struct Run {
    now: Moment,
    /// The accounts whose provider did not respond: they are not queried again.
    silent: BTreeSet<String>,
    result: Reconciliation,
}

impl Run {
    /// The messages on a list of this lane's account, and whether these are all.
    fn shown(
        &mut self,
        lane: &LaneKey,
        listed: Listed,
    ) -> Result<(Vec<ProviderMessage>, bool), StayReason> {
        match listed {
            Listed::Shown { messages, whole } => Ok((messages, whole)),
            Listed::NotNow { reason, .. } => {
                if self.silent.insert(lane.account().to_owned()) {
                    tracing::warn!(
                        account = lane.account(),
                        reason,
                        "the provider did not respond; messages in quarantine wait"
                    );
                }
                Err(StayReason::NoResponse)
            }
        }
    }
}

/// The rows of one number by their lanes: the list of one account shows nothing of another.
fn by_lane(rows: Vec<QuarantinedRow>) -> Vec<(LaneKey, Vec<QuarantinedRow>)> {
    let mut lanes: BTreeMap<LaneKey, Vec<QuarantinedRow>> = BTreeMap::new();
    for row in rows {
        lanes.entry(row.lane.clone()).or_default().push(row);
    }
    lanes.into_iter().collect()
}

impl Reconciler {
    /// Compares everything that is due before `before`, number by number. `cleared`: the messages that were
    /// cleared before.
    pub async fn reconcile(
        &self,
        before: Moment,
        cleared: &BTreeSet<MessageId>,
    ) -> Result<Reconciliation, StoreError> {
        let now = self.clock.now().db;
        let mut run = Run {
            now,
            silent: BTreeSet::new(),
            result: Reconciliation::begin(before, now),
        };
        let mut after: Option<String> = None;
        let page = self.limits.page;
        let parts = self.store.quarantined_parts(page);
        for id in self.store.bounded(parts).await? {
            run.result.stays(id, StayReason::PartOpen);
        }
        loop {
            let rows = self.store.quarantined(before, after.as_deref(), page);
            let rows = self.store.bounded(rows).await?;
            let mut together: Vec<&[QuarantinedRow]> = rows.chunk_by(|a, b| a.to == b.to).collect();
            if rows.len() == page && together.len() > 1 {
                // There may be more of the last number: it is read with the next page.
                together.pop();
            }
            let Some(last) = together.last().and_then(|rows| rows.last()) else {
                return Ok(run.result);
            };
            after = Some(last.to.clone());
            if rows.len() == page && together.len() == 1 {
                // The other rows of this number are not read, and stay in quarantine.
                *run.result.remaining.entry(StayReason::Partial).or_default() += 1;
            }
            let numbers: Vec<_> = together
                .iter()
                .map(|rows| run.result.sort_out(rows, cleared))
                .collect();
            let lists: Vec<_> = numbers.into_iter().flat_map(by_lane).collect();
            for few in lists.chunks(self.limits.queries) {
                let mut queries = Vec::with_capacity(few.len());
                for (lane, rows) in few {
                    queries.push(self.query(lane, rows, &run.silent));
                }
                let responses = join_all(queries).await;
                for ((lane, rows), response) in few.iter().zip(responses) {
                    let response = response.and_then(|listed| run.shown(lane, listed));
                    self.settle(&mut run, rows, response).await?;
                }
            }
        }
    }

    /// Clears these, which were not sent: every instance may send them.
    pub async fn clear(&self, unsent: &[MessageId]) -> Result<(), StoreError> {
        let clear = self.store.quarantine_clear(unsent);
        self.store.bounded(clear).await
    }

    /// Messages that any instance has cleared, from the one after `after` on.
    pub async fn cleared(&self, after: Option<ClearedAt>) -> Result<Vec<ClearedAt>, StoreError> {
        let cleared = self.store.quarantine_cleared(after, CLEARED_MAX);
        self.store.bounded(cleared).await
    }

    /// Queries all recent messages of a lane's account to one number.
    async fn query(
        &self,
        lane: &LaneKey,
        rows: &[QuarantinedRow],
        silent: &BTreeSet<String>,
    ) -> Result<Listed, StayReason> {
        let Some(first) = rows.first() else {
            return Err(StayReason::Unasked);
        };
        if rows.len() > EACH_MAX {
            return Err(StayReason::Partial);
        }
        let since = rows
            .iter()
            .map(|row| row.since)
            .min()
            .unwrap_or(first.since);
        let (mut all, mut all_whole) = (Vec::new(), true);
        // By a route it may have gone by any of its accounts.
        for lane in self.store.ways(lane) {
            let provider = self.providers.get(&lane);
            let Some(provider) = provider.filter(|provider| provider.capabilities().look_up) else {
                return Err(StayReason::Unasked);
            };
            if silent.contains(lane.account()) {
                return Err(StayReason::NoResponse);
            }
            let query = Query {
                to: first.to.clone(),
                from: None,
                also_whatsapp: self.store.may_be_whatsapp(&lane)
                    || rows
                        .iter()
                        .any(|row| row.from.as_deref().is_some_and(is_whatsapp)),
                since: query_from(since),
            };
            match provider.list(&query).await {
                Listed::Shown { messages, whole } => {
                    all.extend(messages);
                    all_whole &= whole;
                }
                not_now @ Listed::NotNow { .. } => return Ok(not_now),
            }
        }
        let (messages, whole) = (all, all_whole);
        Ok(Listed::Shown { messages, whole })
    }

    async fn settle(
        &self,
        run: &mut Run,
        rows: &[QuarantinedRow],
        response: Result<(Vec<ProviderMessage>, bool), StayReason>,
    ) -> Result<(), StoreError> {
        let (shown, whole) = match response {
            Ok(response) => response,
            Err(why) => {
                for row in rows {
                    run.result.stays(row.id, why);
                }
                return Ok(());
            }
        };
        let list = self.list(rows, &shown, whole).await?;
        let mut records = Vec::new();
        for (row, fate) in rows
            .iter()
            .zip(quarantine::fates(rows, &list, run.result.age))
        {
            match fate {
                Fate::Stays(why) => run.result.stays(row.id, why),
                Fate::NotSent => run.result.clears(row.id),
                Fate::Sent { sid, at } => records.push(Record {
                    id: row.id,
                    token: AttemptToken::fresh(),
                    part: Part::ONLY,
                    settlement: Settlement::Accepted { sid },
                    started: at,
                    finished: Some(at.unwrap_or(run.now)),
                    payload: None,
                    tries: 0,
                }),
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        // Rows that were edited while the provider was queried are left as they are.
        let versions = rows.iter().map(|row| (row.id, row.version)).collect();
        self.record(run, &records, &versions).await
    }

    /// The list, with what the ledger has about its messages.
    async fn list<'a>(
        &self,
        rows: &[QuarantinedRow],
        shown: &'a [ProviderMessage],
        whole: bool,
    ) -> Result<Listing<'a>, StoreError> {
        let store = &self.store;
        let mut rivals = BTreeMap::new();
        // The rivals are read before the known sids: an attempt that is settled between the two reads
        // is then seen as a rival, and its message is not taken for an unclaimed one.
        for text in quarantine::shared_texts(rows, shown) {
            let sought = SentText {
                to: rows.first().map(|row| row.to.clone()).unwrap_or_default(),
                from: None,
                text,
            };
            let pairs = [(AttemptToken::fresh(), &sought)];
            let others = store.bounded(store.rivals(&pairs)).await?;
            rivals.insert(text, others.concat());
        }
        let sids: Vec<&str> = shown.iter().map(|shown| shown.sid.0.as_str()).collect();
        let known = store.bounded(store.known_sids(&sids)).await?;
        Ok(Listing {
            shown,
            whole,
            known,
            rivals,
        })
    }

    async fn record(
        &self,
        run: &mut Run,
        records: &[Record<Arc<Cleared>>],
        versions: &HashMap<MessageId, i64>,
    ) -> Result<(), StoreError> {
        let all: Vec<_> = records.iter().collect();
        let mut done = HashSet::new();
        let mut groups = Halving::new(&all, all.len());
        while let Some(group) = groups.next_group() {
            let recorded = self.store.record_unchanged(group, versions);
            match self.store.bounded(recorded).await {
                Ok(recorded) => done.extend(recorded.into_keys()),
                Err(refused) if groups.halve(group, &refused) => {}
                // Rows that cannot be changed do not delay others.
                Err(refused) if refused.is_refusal() => {
                    let ids: Vec<String> = group.iter().map(|r| r.id.to_string()).collect();
                    tracing::warn!(messages = ids.join(" "), error = %refused,
                        "what the provider's list shows of messages in quarantine could not be recorded; retrying");
                }
                Err(broken) => return Err(broken),
            }
        }
        for record in records {
            if let (true, Settlement::Accepted { sid }) =
                (done.contains(&record.token), &record.settlement)
            {
                tracing::info!(message.id = %record.id, sid = sid.0,
                    "cleared from quarantine: the provider's list shows that it was sent");
                run.result.sent += 1;
            } else {
                run.result.stays(record.id, StayReason::Locked);
            }
        }
        Ok(())
    }
}
