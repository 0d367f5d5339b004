//! Reads what forecasts are made of: what the instances publish, of each message what a claim would read, and the
//! paces and queues that messages are in. Four statements at most, for however many messages.

use std::collections::HashMap;

use serde_json::Value;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::clock::ZoneData;
use crate::forecast::{self, Forecast, Instance, PublishedState, Subject, Surroundings};
use crate::limits::daemon::HeartbeatLimits;
use crate::message::facts::LimitSource;
use crate::message::{Capabilities, InstanceId, MessageId, Moment, ProviderCapabilities, Sender};
use crate::policy::Rules;
use crate::store::ledger::instances::INSTANCES_MAX;
use crate::store::path::rows::read_claim;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, millis};

mod queues;

use queues::{PacesOfRow, Queues};

static INSTANCES: &Sql = sql!("sql/forecast_instances.sql");
static ROWS: &Sql = sql!("sql/forecast_rows.sql");

/// The most messages of one call.
pub const FORECASTS_MAX: usize = 1_000;

/// What is assumed where no instance has published its rules.
#[derive(Clone, Debug)]
pub struct Assumed {
    /// The rules.
    pub rules: Rules,
    /// What the providers carry.
    pub capabilities: ProviderCapabilities,
    /// What is known of providers without their settings.
    pub provider: Capabilities,
}

/// Forecasts, and what they are by.
#[derive(Clone, Debug)]
pub struct Forecasts {
    /// What was known beside the messages.
    pub around: Surroundings,
    of: HashMap<MessageId, Forecast>,
}

impl Forecasts {
    /// The forecast of one message; `None`: it is not pending, or there is no such message.
    pub fn of(&self, id: MessageId) -> Option<&Forecast> {
        self.of.get(&id)
    }

    /// All of them.
    pub fn into_all(self) -> HashMap<MessageId, Forecast> {
        self.of
    }

    /// All of them, and what they are by.
    pub fn into_parts(self) -> (HashMap<MessageId, Forecast>, Surroundings) {
        (self.of, self.around)
    }

    /// The forecast of one message, by itself.
    pub fn take(&mut self, id: MessageId) -> Option<Forecast> {
        self.of.remove(&id)
    }
}

/// What will happen to these messages, with a client whose connection is polled elsewhere. Those after the first
/// [`FORECASTS_MAX`] are left out.
pub async fn forecasts(
    client: &Client,
    ids: &[MessageId],
    assumed: &Assumed,
) -> Result<Forecasts, StoreError> {
    let around = surroundings(client, assumed).await?;
    let subjects = subjects(client, ids, &around).await?;
    let of = |subject: &Subject| (subject.claim.id, forecast::of(subject, &around));
    Ok(Forecasts {
        of: subjects.iter().map(of).collect(),
        around,
    })
}

/// What is known beside the messages.
pub async fn surroundings(client: &Client, assumed: &Assumed) -> Result<Surroundings, StoreError> {
    const STEP: &str = "reading what the instances have published";
    let silence = millis(HeartbeatLimits::default().silence);
    let rows = client
        .query(INSTANCES.text(), &[&silence, &INSTANCES_MAX])
        .await
        .map_err(StoreError::at(STEP))?;
    let read = rows.iter().map(Heard::read).collect::<Result<Vec<_>, _>>();
    let heard = read.map_err(StoreError::unreadable(STEP))?;
    let now = match heard.first() {
        Some(first) => first.now,
        None => now(client).await?,
    };
    // The instance that was heard last knows the settings best; without one that runs, the last that ran.
    let published = heard.iter().filter_map(|one| one.state.as_ref());
    let zones = ZoneData::newest().zones;
    let mut rules = published.filter_map(|state| state.rules.read(&zones, assumed.provider));
    let known = rules.next();
    let rules_are_known = known.is_some();
    let (rules, capabilities) =
        known.unwrap_or_else(|| (assumed.rules.clone(), assumed.capabilities.clone()));
    Ok(Surroundings {
        now,
        heard_at: heard.iter().map(|one| one.at).max(),
        instances: heard.into_iter().filter_map(Heard::running).collect(),
        rules,
        capabilities,
        rules_are_known,
    })
}

async fn now(client: &Client) -> Result<Moment, StoreError> {
    crate::store::doctor::database_time(client).await
}

/// What the pending ones of these messages depend on, by the rules in force.
pub async fn subjects(
    client: &Client,
    ids: &[MessageId],
    around: &Surroundings,
) -> Result<Vec<Subject>, StoreError> {
    const STEP: &str = "reading messages for a forecast";
    let ids: Vec<Uuid> = ids.iter().take(FORECASTS_MAX).map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rules = &around.rules;
    let sender = rules.default_sender.as_ref().map(Sender::as_str);
    let zone = rules.timezone.iana_name().unwrap_or("UTC");
    let app_counts = rules.limit_source == LimitSource::App;
    let of_routes = rules.routes.senders_of_routes();
    let rows = client
        .query(
            ROWS.text(),
            &[&ids, &sender, &zone, &app_counts, &of_routes],
        )
        .await
        .map_err(StoreError::at(STEP))?;
    let paces: Result<Vec<_>, _> = rows.iter().map(PacesOfRow::read).collect();
    let paces = paces.map_err(StoreError::unreadable(STEP))?;
    let mut queues = Queues::read(client, &paces, around).await?;
    let read = rows
        .iter()
        .map(|row| subject(row, around, &mut queues))
        .collect::<Result<_, _>>();
    read.map_err(StoreError::unreadable(STEP))
}

impl Store {
    /// See [`forecasts`].
    pub async fn forecasts(
        &self,
        ids: &[MessageId],
        assumed: &Assumed,
    ) -> Result<Forecasts, StoreError> {
        let client = self.client().await?;
        forecasts(&client, ids, assumed).await
    }
}

/// A row of `punctual.instances`.
struct Heard {
    now: Moment,
    id: InstanceId,
    at: Moment,
    state: Option<PublishedState>,
    is_running: bool,
}

impl Heard {
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let state: Option<Value> = row.try_get("state")?;
        Ok(Self {
            now: row.try_get::<_, PgTimestamp>("now")?.0,
            id: InstanceId(row.try_get("id")?),
            at: row.try_get::<_, PgTimestamp>("heartbeat_at")?.0,
            // What a later version publishes may have another form.
            state: state.and_then(|state| serde_json::from_value(state).ok()),
            is_running: row.try_get("is_running")?,
        })
    }

    fn running(self) -> Option<Instance> {
        self.is_running.then_some(Instance {
            id: self.id,
            state: self.state,
        })
    }
}

fn moment(row: &Row, column: &str) -> Result<Option<Moment>, tokio_postgres::Error> {
    let at: Option<PgTimestamp> = row.try_get(column)?;
    Ok(at.map(|at| at.0))
}

fn subject(
    row: &Row,
    around: &Surroundings,
    queues: &mut Queues,
) -> Result<Subject, tokio_postgres::Error> {
    let mut claim = read_claim(row, &around.rules.routes, None)?;
    if let Some(route) = &claim.route {
        claim.lane = around.way(route);
    }
    let paces = PacesOfRow::read(row)?;
    Ok(Subject {
        pace: queues.place(paces, &claim, &around.rules),
        rate: queues.room(paces, row.try_get("segments")?, claim.id),
        refused_beside: queues.refused(paces),
        claim,
        paused_until: moment(row, "paused_until")?,
        paused_by: row.try_get("paused_by")?,
        opted_out: row.try_get("suppressed")?,
        is_quarantined: row.try_get("is_quarantined")?,
        open_until: moment(row, "open_until")?,
        is_limited: row.try_get("is_limited")?,
    })
}
