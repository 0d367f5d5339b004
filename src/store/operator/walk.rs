//! The parameters of walk.sql, which applies a filter.

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::message::filter::{Order, PageStart, Search};
use crate::message::{Filter, Moment, Status};
use crate::store::session::timestamp::PgTimestamp;

/// The parameters of walk.sql.
pub(super) struct Walk {
    statuses: Vec<&'static str>,
    is_forwards: bool,
    ids: Option<Vec<Uuid>>,
    low: (PgTimestamp, Uuid),
    high: (PgTimestamp, Uuid),
    user: Option<Uuid>,
    campaign: Option<Uuid>,
    template: Option<Uuid>,
    reason: Option<String>,
    recipient: Option<String>,
    limit: i64,
    reads: i64,
}

impl Walk {
    /// A walk through what matches from `after` on: at most `limit` rows, of at most `reads` that are read.
    pub(super) fn new(
        filter: &Filter,
        ids: Option<Vec<Uuid>>,
        after: Option<PageStart>,
        limit: usize,
        reads: usize,
    ) -> Self {
        let statuses = if filter.statuses.is_empty() {
            &Status::ALL
        } else {
            filter.statuses.as_slice()
        };
        let is_forwards = filter.order() == Order::SoonestFirst;
        // Both ends are excluded, so the first microsecond begins after the one before it.
        let from = filter.from.map_or(Moment::MIN, |from| {
            Moment::from_micros(from.as_micros().saturating_sub(1))
        });
        let first = (PgTimestamp(from), Uuid::max());
        let to = filter
            .to
            .map_or((PgTimestamp(Moment::MAX), Uuid::max()), |to| {
                (PgTimestamp(to), Uuid::nil())
            });
        let place = after.map(|place| (PgTimestamp(place.due), place.id));
        let (low, high) = match (place, is_forwards) {
            (None, _) => (first, to),
            (Some(place), true) => (place, to),
            (Some(place), false) => (first, place),
        };
        let recipient = match &filter.search {
            Some(Search::Recipient(recipient)) => Some(recipient.clone()),
            Some(Search::Id { .. } | Search::Sid(_) | Search::Held(_)) | None => None,
        };
        let reads = match &ids {
            Some(ids) => reads.max(ids.len() + 1),
            None => reads,
        };
        Self {
            statuses: statuses.iter().map(|status| status.as_str()).collect(),
            is_forwards,
            ids,
            low,
            high,
            user: filter.user,
            campaign: filter.campaign,
            template: filter.template,
            reason: filter.reason.clone(),
            recipient,
            limit: signed(limit),
            reads: signed(reads),
        }
    }

    pub(super) fn parameters(&self) -> [&(dyn ToSql + Sync); 14] {
        [
            &self.statuses,
            &self.is_forwards,
            &self.ids,
            &self.low.0,
            &self.low.1,
            &self.high.0,
            &self.high.1,
            &self.user,
            &self.campaign,
            &self.template,
            &self.reason,
            &self.recipient,
            &self.limit,
            &self.reads,
        ]
    }
}

pub(super) fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
