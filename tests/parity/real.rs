//! The database's half of a step: a daemon's store, and sessions as the app has them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use punctual::message::{
    AttemptToken, Channel, ClaimResponse, InstanceId, MessageId, Moment, PaceId, PaceKey,
    PaceScope, PacedResponse, PauseKey, PauseScope, Priority,
};
use punctual::policy::{Cleared, Rules};
use punctual::schedule::RATE_SLACK;
use punctual::settle::Record;
use punctual::store::{Store, StoreError, paces, pauses};
use tokio::sync::mpsc;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::deed::{
    Deed, MAX_LATENESS, PART_GAP, RATE, at, attempt, campaign, instance, message, name, pace,
    texts, token_name,
};
use crate::facts::{self, Facts, of_state, word};
use crate::harness::TestDb;
use crate::model::{Attempt, Pace, Row, SENDER, SENDER_NUMBER};
use crate::session::Session;

/// How long an instance that is dead has been silent. Short, because the server itself must
/// have been up for longer.
pub(crate) const SILENCE: Duration = Duration::from_millis(100);

/// The seed of all paces.
pub(crate) const SEED: i64 = 7;

/// The burst of all rates.
pub(crate) const BURST: i32 = 2;

/// When the next slot of a pace that is set begins, and how far a claim from paces looks ahead: seconds from the start.
pub(crate) const OVERDUE: i64 = -600;
pub(crate) const WINDOW: i64 = 9_000;

/// How far heartbeats are moved out of the way of the time that a step takes.
pub(crate) const AGE: Duration = Duration::from_secs(3600);

/// The words of the ledger, which the model has as constants.
const OUTCOMES: [&str; 9] = [
    "accepted",
    "refused",
    "throttled",
    "unsent",
    "unknown",
    "rejected",
    "cancelled",
    "returned",
    "deferred",
];

/// How a row says why it is as it is. What a person did has no words, only a time.
const ROWS: &str = "select id, status, channel, to_number, body, priority, scheduled_at, deferred_until, next_attempt_at, requeued_at,
    attempts, parts_done, parts_total, version, twilio_sid, sent_at, created_at,
    case when status <> 'cancelled' then error_message
         when cancel_reason like 'too late%' then 'too late'
         when cancel_reason is null and cancelled_at is not null then 'the user cancelled it'
         else cancel_reason end as reason
  from scheduled_messages order by id";

const PAUSES: &str = "select scope, what, nullif(until, 'infinity') as until, until = 'infinity' as is_open from punctual.pauses";

const PACES: &str = "select id, case scope when 'campaign' then what::uuid end as campaign, burst, seed, position, next_at, token, slot,
    (extract(epoch from gap_min) * 1000000)::bigint as gap_min, (extract(epoch from gap_max) * 1000000)::bigint as gap_max
  from punctual.paces";

const ATTEMPTS: &str =
    "select token, message_id, number, part, texts, instance, claimed_at, lease_until, started_at, outcome
  from punctual.attempts order by token";

/// What stands, and the database's clock after it was read.
pub(crate) struct Snapshot {
    pub(crate) rows: Vec<Row>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) pauses: BTreeMap<PauseKey, Moment>,
    pub(crate) paces: BTreeMap<Uuid, Pace>,
    pub(crate) clock: Moment,
}

impl Snapshot {
    pub(crate) fn facts(&self) -> Facts {
        let mut all = Facts::new();
        self.rows
            .iter()
            .for_each(|row| facts::of_row(&mut all, row));
        self.attempts
            .iter()
            .for_each(|a| facts::of_attempt(&mut all, a));
        facts::of_pauses(&mut all, &self.pauses);
        facts::of_paces(&mut all, &self.paces);
        all
    }
}

/// A database of its own, used for one seed after the other.
pub(crate) struct Real {
    stores: [Store; 2],
    user: Session,
    second: Session,
    open: bool,
    /// What a daemon has read of the quarantine.
    quarantined: Option<Moment>,
    /// Sees and says nothing.
    admin: Client,
    /// What a snapshot asks: rows, attempts, pauses, paces, the clock.
    asks: [Statement; 5],
    _db: TestDb,
}

impl Real {
    pub(crate) async fn new() -> Self {
        let db = TestDb::new().await;
        let rules = Rules {
            part_gap: PART_GAP,
            default_sender: SENDER_NUMBER.parse().ok(),
            ..Rules::default()
        };
        let store = |by| Store::new(db.dsn().pool(2), instance(by)).with_rules(&rules);
        let admin = db.client().await;
        let ask = async |sql| admin.prepare(sql).await.unwrap();
        let asks = [
            ask(ROWS).await,
            ask(ATTEMPTS).await,
            ask(PAUSES).await,
            ask(PACES).await,
            ask("select clock_timestamp()").await,
        ];
        Self {
            stores: [store(1), store(2)],
            user: Session::new(&db).await,
            second: Session::new(&db).await,
            open: false,
            quarantined: None,
            admin,
            asks,
            _db: db,
        }
    }

    /// Empties it for the next seed.
    pub(crate) async fn begin(&mut self) -> Snapshot {
        self.open = false;
        self.quarantined = None;
        let empty = "set session_replication_role = replica;
            delete from scheduled_messages; delete from messages; delete from conversations;
            delete from punctual.attempts; delete from punctual.instances; delete from punctual.outbox;
            delete from punctual.quarantine; delete from punctual.quarantine_cleared;
            delete from punctual.missed_event_changes;
            delete from punctual.pauses; delete from punctual.paces";
        self.admin.batch_execute(empty).await.unwrap();
        self.snapshot().await
    }

    /// Leaves nothing open.
    pub(crate) async fn end(&mut self) {
        self.second.batch("rollback", &mut Facts::new()).await;
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        let moment = |at: chrono::DateTime<chrono::Utc>| Moment::from(at);
        let [rows, attempts, pauses, paces, clock] = &self.asks;
        // Sent at once, answered in this order.
        let (rows, attempts, pauses, paces, clock) = tokio::try_join!(
            self.admin.query(rows, &[]),
            self.admin.query(attempts, &[]),
            self.admin.query(pauses, &[]),
            self.admin.query(paces, &[]),
            self.admin.query_one(clock, &[]),
        )
        .unwrap();
        let rows = rows.iter().map(|row| Row {
            id: MessageId(row.get("id")),
            status: row.get::<_, &str>("status").parse().unwrap(),
            channel: Channel::of(row.get("channel")),
            to: row.get("to_number"),
            body: row.get("body"),
            priority: Priority::of(row.get("priority")),
            scheduled_at: moment(row.get("scheduled_at")),
            deferred_until: row.get::<_, Option<_>>("deferred_until").map(moment),
            next_attempt_at: row.get::<_, Option<_>>("next_attempt_at").map(moment),
            requeued_at: row.get::<_, Option<_>>("requeued_at").map(moment),
            created_at: moment(row.get("created_at")),
            attempts: row.get("attempts"),
            parts_done: i16::try_from(row.get::<_, i32>("parts_done")).unwrap(),
            parts_total: row
                .get::<_, Option<i32>>("parts_total")
                .map(|n| i16::try_from(n).unwrap()),
            version: row.get("version"),
            reason: row.get("reason"),
            sid: row.get("twilio_sid"),
            sent_at: row.get::<_, Option<_>>("sent_at").map(moment),
        });
        let attempts = attempts.iter().map(|row| Attempt {
            account: String::new(),
            token: AttemptToken(row.get("token")),
            message: MessageId(row.get("message_id")),
            number: row.get("number"),
            part: row.get("part"),
            texts: row.get::<_, Option<_>>("texts").unwrap_or_default(),
            instance: InstanceId(row.get("instance")),
            claimed_at: moment(row.get("claimed_at")),
            lease_until: moment(row.get("lease_until")),
            started: row.get::<_, Option<_>>("started_at").map(moment),
            outcome: row
                .get::<_, Option<&str>>("outcome")
                .map(|word| OUTCOMES.into_iter().find(|own| *own == word).unwrap()),
        });
        Snapshot {
            rows: rows.collect(),
            attempts: attempts.collect(),
            pauses: pauses.iter().map(pause).collect(),
            paces: paces.iter().map(pace_row).collect(),
            clock: moment(clock.get(0)),
        }
    }

    pub(crate) async fn perform(&mut self, deed: &Deed, start: Moment, now: Moment) -> Facts {
        let mut answer = Facts::new();
        if let Err(error) = self.ask(deed, start, now, &mut answer).await {
            word(&mut answer, "error", error);
        }
        answer
    }

    async fn ask(
        &mut self,
        deed: &Deed,
        start: Moment,
        now: Moment,
        answer: &mut Facts,
    ) -> Result<(), StoreError> {
        match deed {
            Deed::User { rows, wish } => {
                self.user.run(rows, wish, start, answer).await;
            }
            Deed::Open { row, wish } => {
                self.second.batch("begin", answer).await;
                let changed = self.second.run(&[*row], wish, start, answer).await;
                self.open = changed.is_some_and(|n| n > 0);
                if !self.open {
                    self.second.batch("rollback", answer).await;
                }
            }
            Deed::End { commit } => {
                if std::mem::take(&mut self.open) {
                    let how = if *commit { "commit" } else { "rollback" };
                    self.second.batch(how, answer).await;
                }
            }
            Deed::Claim { by, asks, lease } => self.claim(*by, asks, *lease, answer).await?,
            Deed::Record { by, entries } => {
                let records: Vec<Record<Arc<Cleared>>> =
                    entries.iter().map(|t| t.record(now)).collect();
                let records: Vec<_> = records.iter().collect();
                for (token, state) in self.store(*by).record(&records).await? {
                    let key = format!("recorded {}", token_name(token));
                    word(answer, &key, "done");
                    if let Some(state) = state {
                        of_state(answer, &key, &state);
                    }
                }
            }
            Deed::Keep { by, kept } => {
                let all: Vec<_> = kept
                    .iter()
                    .map(|(row, token, parts)| {
                        (message(*row), attempt(*token), texts(*row, *parts))
                    })
                    .collect();
                for token in self.store(*by).keep_texts(&all).await? {
                    word(answer, format!("kept {}", token_name(token)), "done");
                }
            }
            Deed::Read { rows } => {
                let ids: Vec<_> = rows.iter().map(|row| message(*row)).collect();
                for (id, state) in self.store(1).read(&ids).await? {
                    of_state(answer, &format!("read {}", name(id)), &state);
                }
            }
            Deed::Load { until } => self.load(at(start, *until), answer).await?,
            Deed::Miss { rows } => self.miss(rows).await,
            Deed::Follow => {
                word(
                    answer,
                    "followed",
                    self.store(1).follow_missed(1_000).await?,
                );
            }
            Deed::Expire => word(
                answer,
                "expired",
                self.store(1)
                    .expire(MAX_LATENESS, self.quarantined, 1_000)
                    .await?
                    .len(),
            ),
            Deed::TimesAhead { by } => self.times_ahead(*by, answer).await?,
            Deed::OrphanedClaims { by } => {
                for (id, token) in self.store(*by).orphaned_claims().await? {
                    word(answer, format!("stray {}", token_name(token)), name(id));
                }
            }
            Deed::Strand { row, forget } => self.strand(*row, *forget).await,
            Deed::CorrectWithoutAttempt { by } => {
                word(
                    answer,
                    "corrected",
                    self.correct_without_attempt(*by).await?,
                );
            }
            Deed::Reap { by } => word(
                answer,
                "reaped",
                self.store(*by).reap(SILENCE, 1_000).await?,
            ),
            Deed::Quarantine { .. } | Deed::Clear { .. } | Deed::EndQuarantine { .. } => {
                self.quarantine(deed, start, answer).await?;
            }
            Deed::Pause { .. }
            | Deed::Resume { .. }
            | Deed::SetPace { .. }
            | Deed::RemovePace { .. }
            | Deed::ClaimPaced { .. } => self.waits(deed, start, answer).await?,
            Deed::Start { by } | Deed::Beat { by } | Deed::Age { by } => {
                self.live(deed, *by).await?;
            }
        }
        Ok(())
    }

    async fn claim(
        &self,
        by: u64,
        asks: &[(u64, u64)],
        lease: Duration,
        answer: &mut Facts,
    ) -> Result<(), StoreError> {
        let asks = asks.iter();
        let asks = asks.map(|(row, token)| (message(*row), attempt(*token), None));
        let asks: Vec<_> = asks.collect();
        for (id, response) in self.store(by).claim(&asks, lease).await?.answers {
            match response {
                ClaimResponse::Won(claim) => facts::of_claim(answer, &claim),
                ClaimResponse::Lost(state) => {
                    of_state(answer, &format!("lost {}", name(id)), &state);
                }
                ClaimResponse::Paused(state) => {
                    of_state(answer, &format!("paused {}", name(id)), &state);
                }
                ClaimResponse::Paced(state) => {
                    of_state(answer, &format!("paced {}", name(id)), &state);
                }
                ClaimResponse::OptedOut => unreachable!("nobody opts out here"),
            }
        }
        Ok(())
    }

    /// Pauses and paces.
    async fn waits(
        &self,
        deed: &Deed,
        start: Moment,
        answer: &mut Facts,
    ) -> Result<(), StoreError> {
        match deed {
            Deed::Pause { key, until } => {
                let until = until.map_or(Moment::MAX, |s| at(start, s));
                pauses::pause(&self.admin, key, until, None, None).await?;
            }
            Deed::Resume { key } => {
                pauses::resume(&self.admin, key).await?;
            }
            Deed::SetPace {
                campaign: n,
                gaps,
                near,
            } => self.set_pace(*n, *gaps, *near, start).await?,
            Deed::RemovePace { campaign: n } => {
                paces::remove(&self.admin, &key(*n)).await?;
            }
            Deed::ClaimPaced { by, asks, lease } => {
                let asks = asks
                    .iter()
                    .map(|(n, token)| (pace(*n), attempt(*token), RATE_SLACK));
                let asks: Vec<_> = asks.collect();
                let until = at(start, WINDOW);
                let store = self.store(*by);
                let mut won = store
                    .claim_paced(&asks, &vec![None; asks.len()], *lease, 0)
                    .await?
                    .won;
                let of: Vec<_> = asks.iter().map(|(id, ..)| *id).collect();
                let mut waits = store.paces(Some(&of), until).await?;
                for id in of {
                    let wait = waits.iter().position(|due| due.id == id);
                    let answered = match (won.remove(&id), wait) {
                        (Some(paced), _) => PacedResponse::Won(Box::new(paced)),
                        (None, Some(at)) => PacedResponse::Wait(waits.swap_remove(at)),
                        (None, None) => PacedResponse::Idle,
                    };
                    facts::of_paced(answer, id, &answered);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// With an id and a seed that the model knows. What the guard does to a pace that is there is seen.
    async fn set_pace(
        &self,
        n: u64,
        gaps: (u64, u64),
        near: bool,
        start: Moment,
    ) -> Result<(), StoreError> {
        let (min, max) = (Duration::from_secs(gaps.0), Duration::from_secs(gaps.1));
        let key = key(n);
        let (max, burst) = if n == RATE { (min, BURST) } else { (max, 1) };
        let there = "select from punctual.paces where what = $1";
        let there = self.admin.query(there, &[&key.what]).await.unwrap();
        let guarded = "set session_replication_role = origin";
        self.admin.batch_execute(guarded).await.unwrap();
        paces::set(&self.admin, &key, (min, max), burst).await?;
        let unseen = "set session_replication_role = replica";
        self.admin.batch_execute(unseen).await.unwrap();
        if near || there.is_empty() {
            let next = at(start, OVERDUE).to_utc().unwrap();
            let sql = "update punctual.paces set id = $1, seed = $2, next_at = $3 where what = $4";
            self.admin
                .execute(sql, &[&pace(n).0, &SEED, &next, &key.what])
                .await
                .unwrap();
        }
        Ok(())
    }

    async fn quarantine(
        &mut self,
        deed: &Deed,
        start: Moment,
        answer: &mut Facts,
    ) -> Result<(), StoreError> {
        match deed {
            Deed::Quarantine { by, before } => {
                let store = self.store(*by);
                let before = at(start, *before);
                let before = store.quarantine_begin(before, &[], None, SILENCE).await?;
                self.quarantined = Some(before);
                word(answer, "quarantine", before);
            }
            Deed::Clear { rows } => {
                let ids: Vec<_> = rows.iter().map(|row| message(*row)).collect();
                self.store(1).quarantine_clear(&ids).await?;
            }
            Deed::EndQuarantine { before } => {
                let before = at(start, *before);
                self.store(1).quarantine_end(before).await?;
                self.quarantined = self.quarantined.filter(|own| *own > before);
            }
            _ => {}
        }
        Ok(())
    }

    async fn miss(&self, rows: &[u64]) {
        let ids: Vec<_> = rows.iter().map(|row| message(*row).0).collect();
        let sql = "insert into punctual.missed_event_changes (message_id, user_id)
                   select ask.id, ask.id from unnest($1::uuid[]) ask (id)
                    where exists (select from scheduled_messages m where m.id = ask.id)";
        self.admin.execute(sql, &[&ids]).await.unwrap();
    }

    async fn load(&self, until: Moment, answer: &mut Facts) -> Result<(), StoreError> {
        let (sender, mut hears) = mpsc::unbounded_channel();
        let take = move |rows| -> futures_util::future::BoxFuture<'static, ()> {
            sender.send(rows).unwrap();
            Box::pin(std::future::ready(()))
        };
        self.store(1)
            .load((None, until), usize::MAX, MAX_LATENESS, take)
            .await?;
        while let Ok(rows) = hears.try_recv() {
            for row in &rows {
                facts::of_upcoming(answer, row);
            }
        }
        Ok(())
    }

    async fn strand(&self, row: u64, forget: bool) {
        let id = message(row);
        let mut sql = format!(
            "update scheduled_messages set status = 'sending', error_message = null, deferred_reason = null
              where id = '{id}'"
        );
        if forget {
            let _ = write!(
                sql,
                "; delete from punctual.attempts where message_id = '{id}'"
            );
        }
        self.admin.batch_execute(&sql).await.unwrap();
    }

    async fn correct_without_attempt(&self, by: u64) -> Result<u64, StoreError> {
        let store = self.store(by);
        let corrected = store.correct_without_attempt(Duration::ZERO, 1_000).await?;
        Ok(corrected.pending + corrected.unconfirmed)
    }

    /// What an instance says of itself, moved by an hour.
    async fn live(&self, deed: &Deed, by: u64) -> Result<(), StoreError> {
        let set = match deed {
            Deed::Start { .. } => {
                self.store(by).instance_start("notify").await?;
                "started_at = started_at + interval '1 hour', heartbeat_at = heartbeat_at + interval '1 hour'"
            }
            Deed::Beat { .. } => {
                self.store(by).instance_beat().await?;
                "heartbeat_at = heartbeat_at + interval '1 hour'"
            }
            _ => "started_at = now() - interval '1 hour', heartbeat_at = now() - interval '1 hour'",
        };
        let sql = format!(
            "update punctual.instances set {set} where id = '{}'",
            instance(by)
        );
        self.admin.batch_execute(&sql).await.unwrap();
        Ok(())
    }

    async fn times_ahead(&self, by: u64, answer: &mut Facts) -> Result<(), StoreError> {
        let ahead = format!(
            "update punctual.attempts
                set claimed_at = claimed_at + interval '1 hour', lease_until = lease_until + interval '1 hour'
              where outcome is null and instance = '{}';
             update punctual.paces set next_at = next_at + interval '1 hour' where slot is not null",
            instance(by)
        );
        self.admin.batch_execute(&ahead).await.unwrap();
        let ahead = self.store(by).correct_times_ahead(1_000).await?;
        let corrected = [ahead.instances, ahead.claims, ahead.paces];
        word(answer, "corrected", format!("{corrected:?}"));
        // Neither young nor silent, as after a start.
        let lives = "update punctual.instances set started_at = started_at + interval '1 hour',
            heartbeat_at = heartbeat_at + interval '1 hour'
          where heartbeat_at between clock_timestamp() - interval '30 min' and clock_timestamp()";
        self.admin.batch_execute(lives).await.unwrap();
        Ok(())
    }

    fn store(&self, by: u64) -> &Store {
        &self.stores[usize::from(by == 2)]
    }
}

fn pause(row: &tokio_postgres::Row) -> (PauseKey, Moment) {
    let key = PauseKey {
        scope: PauseScope::of(row.get("scope")).unwrap(),
        what: row.get("what"),
    };
    let until = if row.get("is_open") {
        Moment::MAX
    } else {
        row.get::<_, chrono::DateTime<chrono::Utc>>("until").into()
    };
    (key, until)
}

fn key(n: u64) -> PaceKey {
    let (scope, what) = if n == RATE {
        (PaceScope::Sender, SENDER_NUMBER.to_owned())
    } else {
        (PaceScope::Campaign, campaign(n).to_string())
    };
    PaceKey { scope, what }
}

fn pace_row(row: &tokio_postgres::Row) -> (Uuid, Pace) {
    let moment = |column: &str| -> Option<Moment> {
        let at: Option<chrono::DateTime<chrono::Utc>> = row.get(column);
        at.map(Moment::from)
    };
    let gap = |column: &str| Duration::from_micros(row.get::<_, i64>(column).unsigned_abs());
    let pace = Pace {
        id: PaceId(row.get("id")),
        gaps: (gap("gap_min"), gap("gap_max")),
        burst: row.get("burst"),
        seed: row.get("seed"),
        position: row.get("position"),
        next: moment("next_at").unwrap(),
        token: row.get::<_, Option<Uuid>>("token").map(AttemptToken),
        slot: moment("slot"),
    };
    let campaign: Option<Uuid> = row.get("campaign");
    (campaign.unwrap_or(SENDER), pace)
}
