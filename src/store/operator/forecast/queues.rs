//! The queues of paces that messages are in, and the place of each message.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::forecast::{Place, Room, Surroundings};
use crate::message::{Claim, LaneKey, MessageId, Moment, PaceScope, Routes, Sender};
use crate::policy::{self, Rules};
use crate::schedule::queue::{Queue, Queued, Slots, Turn};
use crate::store::path::paces::shown;
use crate::store::path::rows::{lane, lane_address};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, StoreError};

static PACES: &Sql = sql!("../sql/forecast_paces.sql");
static QUEUES: &Sql = sql!("../sql/forecast_queues.sql");

/// Of one queue so many messages are read.
const AHEAD_MAX: i64 = 1_000;

/// Of all queues together.
const ALL_MAX: i64 = 20_000;

/// The paces of one message.
#[derive(Clone, Copy)]
pub(super) struct PacesOfRow {
    /// That of its campaign.
    campaign: Option<Uuid>,
    /// The rate of its sender.
    sender: Option<Uuid>,
}

impl PacesOfRow {
    pub(super) fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            campaign: row.try_get("pace")?,
            sender: row.try_get("rate")?,
        })
    }

    /// The one whose queue the message is in.
    fn queue(self) -> Option<Uuid> {
        self.campaign.or(self.sender)
    }
}

/// A pace as it was read.
struct Pace {
    scope: String,
    what: String,
    slots: Slots,
    burst: i32,
}

impl Pace {
    fn read(row: &Row) -> Result<(Uuid, Self), tokio_postgres::Error> {
        let pace = Self {
            scope: row.try_get("scope")?,
            what: row.try_get("what")?,
            slots: Slots {
                next_at: row.try_get::<_, PgTimestamp>("next_at")?.0,
                seed: row.try_get("seed")?,
                position: row.try_get("position")?,
                gaps: (span(row, "gap_min")?, span(row, "gap_max")?),
            },
            burst: row.try_get("burst")?,
        };
        Ok((row.try_get("id")?, pace))
    }
}

/// A message in a queue, and what it is charged to the rate of its sender.
struct Waiting {
    queued: Queued,
    segments: u32,
    lane: LaneKey,
}

/// The turns of the messages of a campaign, by pace and business hours.
type Turns = HashMap<(Uuid, Option<String>), HashMap<MessageId, Turn>>;

/// The queues of some paces.
pub(super) struct Queues {
    now: Moment,
    paces: HashMap<Uuid, Pace>,
    of: HashMap<Uuid, Vec<Waiting>>,
    /// Those of campaigns.
    campaigns: HashMap<Uuid, Arc<Queue>>,
    /// Computed once for all messages that have the same hours.
    turns: Turns,
    /// Of each queue those whose lanes every instance is refused.
    refused: HashMap<Uuid, Arc<[(LaneKey, Queued)]>>,
}

impl Queues {
    pub(super) async fn read(
        client: &Client,
        rows: &[PacesOfRow],
        around: &Surroundings,
    ) -> Result<Self, StoreError> {
        const STEP: &str = "reading the queues of paces for a forecast";
        let mut queues = Self {
            now: around.now,
            paces: HashMap::new(),
            of: HashMap::new(),
            campaigns: HashMap::new(),
            turns: HashMap::new(),
            refused: HashMap::new(),
        };
        let all = rows.iter().flat_map(|of| [of.campaign, of.sender]);
        let all: BTreeSet<Uuid> = all.flatten().collect();
        if all.is_empty() {
            return Ok(queues);
        }
        let all: Vec<Uuid> = all.into_iter().collect();
        let read = client.query(PACES.text(), &[&all]).await;
        let read = read.map_err(StoreError::at(STEP))?;
        let read = read.iter().map(Pace::read).collect::<Result<_, _>>();
        queues.paces = read.map_err(StoreError::unreadable(STEP))?;
        let paces = rows.iter().filter_map(|of| of.queue());
        let paces: BTreeSet<Uuid> = paces.collect();
        let paces: Vec<Uuid> = paces.into_iter().collect();
        let n = i64::try_from(paces.len()).unwrap_or(i64::MAX);
        let most = AHEAD_MAX.min(ALL_MAX / n);
        let sender = around.rules.default_sender.as_ref().map(Sender::as_str);
        let of_routes = around.rules.routes.senders_of_routes();
        let rows = client
            .query(QUEUES.text(), &[&paces, &sender, &most, &of_routes])
            .await;
        for row in rows.map_err(StoreError::at(STEP))? {
            let read = waiting(&row, &around.rules.routes).map_err(StoreError::unreadable(STEP))?;
            let (pace, waiting) = read;
            queues.of.entry(pace).or_default().push(waiting);
        }
        queues.find_refused(around);
        Ok(queues)
    }

    fn find_refused(&mut self, around: &Surroundings) {
        let mut known: HashMap<&LaneKey, bool> = HashMap::new();
        for (pace, rows) in &self.of {
            let mut refused = Vec::new();
            for Waiting { lane, queued, .. } in rows {
                let is_refused = || around.refused(&around.way(lane)).is_some();
                if *known.entry(lane).or_insert_with(is_refused) {
                    refused.push((lane.clone(), *queued));
                }
            }
            if !refused.is_empty() {
                self.refused.insert(*pace, refused.into());
            }
        }
    }

    /// The messages of the queue of this one whose lanes every instance is refused, in its order.
    pub(super) fn refused(&self, paces: PacesOfRow) -> Arc<[(LaneKey, Queued)]> {
        let refused = paces.queue().and_then(|queue| self.refused.get(&queue));
        refused.cloned().unwrap_or_default()
    }

    /// The place of a message at its campaign.
    pub(super) fn place(
        &mut self,
        paces: PacesOfRow,
        claim: &Claim,
        rules: &Rules,
    ) -> Option<Place> {
        let id = paces.campaign?;
        let Pace {
            scope, what, slots, ..
        } = self.paces.get(&id)?;
        let (now, of) = (self.now, &self.of);
        let queue = self.campaigns.entry(id).or_insert_with(|| {
            let rows = of.get(&id).into_iter().flatten();
            let rows = rows.map(|waiting| waiting.queued).collect();
            Arc::new(Queue::new(rows, *slots, now, rules.max_lateness))
        });
        let hours = policy::business_hours(claim, rules).ok().flatten();
        let hours = hours.map(|hours| hours.to_string());
        let turns = self.turns.entry((id, hours)).or_insert_with(|| {
            let turns = queue.turns(|at| policy::opens(claim, rules, at));
            turns.into_iter().collect()
        });
        Some(Place {
            scope: scope.clone(),
            what: what.clone(),
            turn: turns.get(&claim.id).copied(),
            open_from: slots.next_at,
            queue: Arc::clone(queue),
        })
    }

    /// The place of a message at its sender, to whose rate it is charged so many segments.
    pub(super) fn room(
        &self,
        paces: PacesOfRow,
        segments: Option<i32>,
        id: MessageId,
    ) -> Option<Room> {
        let rate = paces.sender?;
        let Pace {
            what, slots, burst, ..
        } = self.paces.get(&rate)?;
        let mut room = Room {
            sender: shown(PaceScope::Sender.as_str(), what),
            ahead: None,
            before: 0,
            own: segments?,
            busy_since: None,
            next_at: slots.next_at,
            each: slots.gaps.0,
            burst: *burst,
        };
        if paces.campaign.is_some() {
            // It is in the queue of its campaign.
            room.ahead = Some(0);
            return Some(room);
        }
        let mut ahead = 0;
        for waiting in self.of.get(&rate).into_iter().flatten() {
            let is_own = waiting.queued.id == id;
            let free_at = waiting.queued.free_at;
            if free_at == Moment::MAX && !is_own {
                continue;
            }
            // Since when the sender would have sent without a pause, less the segments of those before that.
            let free_at = if is_own { waiting.queued.due } else { free_at };
            let since = free_at - room.each * room.before;
            room.busy_since = room.busy_since.max(Some(since));
            if is_own {
                room.ahead = Some(ahead);
                break;
            }
            ahead += 1;
            room.before = room.before.saturating_add(waiting.segments);
        }
        Some(room)
    }
}

fn waiting(row: &Row, routes: &Routes) -> Result<(Uuid, Waiting), tokio_postgres::Error> {
    let segments: Option<i32> = row.try_get("segments")?;
    let waiting = Waiting {
        queued: Queued {
            id: MessageId(row.try_get("id")?),
            due: row.try_get::<_, PgTimestamp>("due")?.0,
            free_at: row.try_get::<_, PgTimestamp>("free_at")?.0,
            late_from: row.try_get::<_, PgTimestamp>("late_from")?.0,
        },
        segments: segments.unwrap_or(0).unsigned_abs(),
        lane: lane(row, lane_address(row)?, routes)?,
    };
    Ok((row.try_get("pace")?, waiting))
}

fn span(row: &Row, column: &str) -> Result<Duration, tokio_postgres::Error> {
    let us: i64 = row.try_get(column)?;
    Ok(Duration::from_micros(us.unsigned_abs()))
}
