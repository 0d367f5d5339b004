//! Rows of claims, and the states of rows, as they are read.

use tokio_postgres::Row;

use super::facts;
use super::paces::shown;
use crate::message::{
    AttemptToken, Channel, Claim, LaneKey, MessageId, Moment, PaceDue, PaceId, Part, Priority,
    Routes, RowState, Status,
};
use crate::store::session::timestamp::PgTimestamp;

/// What a claim has won. `via`: the account that its route has chosen; `None`: the first one of it.
pub(in crate::store) fn read_claim(
    row: &Row,
    routes: &Routes,
    via: Option<&str>,
) -> Result<Claim, tokio_postgres::Error> {
    let queue = queue_of_claim(row, routes)?;
    let chosen = via.filter(|_| queue.route().is_some());
    Ok(Claim {
        id: MessageId(row.try_get("id")?),
        token: AttemptToken(row.try_get("token")?),
        number: row.try_get("number")?,
        attempts_before: row.try_get("attempts_before")?,
        max_attempts: row.try_get("max_attempts")?,
        due: row.try_get::<_, PgTimestamp>("due")?.0,
        wanted_at: row.try_get::<_, PgTimestamp>("wanted_at")?.0,
        is_retry: row.try_get("is_retry")?,
        send_before: row
            .try_get::<_, Option<PgTimestamp>>("send_before")?
            .map(|at| at.0),
        lane: chosen.map_or_else(
            || routes.first(&queue),
            |via| queue.clone().with_account(via),
        ),
        route: queue.route().is_some().then_some(queue),
        to_number: row.try_get("to_number")?,
        from_number: row.try_get("from_number")?,
        body: row.try_get("body")?,
        part: Part {
            before: row.try_get("part")?,
            of: row.try_get("parts")?,
        },
        part_text: row.try_get("part_text")?,
        campaign: row.try_get("campaign_id")?,
        facts: facts::read(row)?,
    })
}

/// Reads `status, version, attempts, due, channel, account, lane_address, written` and, for a row being sent,
/// `lease_until`.
pub(super) fn read_state(row: &Row, routes: &Routes) -> Result<RowState, tokio_postgres::Error> {
    let status: Option<&str> = row.try_get("status")?;
    let Some(status) = status.and_then(|s| s.parse::<Status>().ok()) else {
        return Ok(RowState::Gone { status: None });
    };
    Ok(match status {
        Status::Pending => {
            let mut state = pending(row, written(row)?, routes)?;
            if let RowState::Pending {
                due, lane, pace, ..
            } = &mut state
            {
                *pace = pace_of(row, *due, lane)?.map(Box::new);
            }
            state
        }
        Status::Sending => RowState::Sending {
            lease_until: row
                .try_get::<_, Option<PgTimestamp>>("lease_until")?
                .map_or(Moment::MIN, |at| at.0),
            lane: lane(row, lane_address(row)?, routes)?,
        },
        status => RowState::Gone {
            status: Some(status),
        },
    })
}

/// Reads `pace, pace_scope, pace_what, pace_next_at` of a row with this due time and lane.
fn pace_of(
    row: &Row,
    due: Moment,
    lane: &LaneKey,
) -> Result<Option<PaceDue>, tokio_postgres::Error> {
    let Some(id) = row.try_get("pace")? else {
        return Ok(None);
    };
    let scope: &str = row.try_get("pace_scope")?;
    let next = row.try_get::<_, PgTimestamp>("pace_next_at")?.0;
    Ok(Some(PaceDue {
        id: PaceId(id),
        scope: scope.to_owned(),
        what: shown(scope, row.try_get("pace_what")?),
        at: next.max(due),
        lane: lane.clone(),
    }))
}

/// Reads `lane_address`: of a webhook the recipient, of a text the sender, or the beginning of its recipient.
pub(in crate::store) fn lane_address(row: &Row) -> Result<Option<&str>, tokio_postgres::Error> {
    row.try_get("lane_address")
}

/// The same of a claim, which has sender and recipient.
fn queue_of_claim(row: &Row, routes: &Routes) -> Result<LaneKey, tokio_postgres::Error> {
    let to: &str = row.try_get("to_number")?;
    if !Channel::of(row.try_get("channel")?).is_phone() {
        return lane(row, Some(to), routes);
    }
    let from: Option<&str> = row.try_get("from_number")?;
    match from.filter(|from| !from.trim().is_empty()) {
        Some(from) => lane(row, Some(from), routes),
        None => lane(row, Some(&format!(">{}", to.trim())), routes),
    }
}

/// Reads `channel` and `account`: the lane of a row with this address; of one that names no account its route, if it
/// has one.
pub(in crate::store) fn lane(
    row: &Row,
    address: Option<&str>,
    routes: &Routes,
) -> Result<LaneKey, tokio_postgres::Error> {
    let channel = Channel::of(row.try_get("channel")?);
    Ok(routes.queue(channel, row.try_get("account")?, address))
}

/// Reads `written`: when a row was inserted or put back last.
pub(super) fn written(row: &Row) -> Result<Option<Moment>, tokio_postgres::Error> {
    let at: Option<PgTimestamp> = row.try_get("written")?;
    Ok(at.map(|at| at.0))
}

/// Reads `version, attempts, due, priority, channel, account, lane_address` of a row that is pending.
pub(in crate::store) fn pending(
    row: &Row,
    written: Option<Moment>,
    routes: &Routes,
) -> Result<RowState, tokio_postgres::Error> {
    Ok(RowState::Pending {
        due: row.try_get::<_, PgTimestamp>("due")?.0,
        version: row.try_get("version")?,
        attempts: row.try_get("attempts")?,
        priority: Priority::of(row.try_get("priority")?),
        lane: lane(row, lane_address(row)?, routes)?,
        written,
        pace: None,
    })
}
