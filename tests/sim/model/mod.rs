//! The database as the daemon and its users see it: rows with the columns that matter, the
//! guard's rules, locks, the ledger of attempts and the heartbeats. Every function is one
//! statement that takes effect at one instant.
//!
//! `user` follows `triggers/scheduled_messages.sql`, `daemon` follows `src/store/*/sql/*.sql`.

mod daemon;
mod pace;
mod user;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveTime;
use punctual::message::facts::CampaignHours;
use punctual::message::status::{Writer, transition};
use punctual::message::{
    AttemptToken, Channel, InstanceId, LaneKey, MessageId, Moment, NO_SENDER, Pausable, PauseKey,
    Priority, Routes, RowState, Status,
};
use punctual::policy::Rule;
use uuid::Uuid;

#[allow(unused_imports, reason = "shared with the parity test")]
pub(crate) use pace::SENDER_NUMBER;
pub(crate) use pace::{Pace, SENDER, TakenSlot, campaign_of};
pub(crate) use user::{Change, Transaction};

use crate::mutant::Mutant;

/// A row of `scheduled_messages`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: MessageId,
    pub(crate) status: Status,
    pub(crate) channel: Channel,
    pub(crate) to: String,
    pub(crate) body: String,
    pub(crate) priority: Priority,
    pub(crate) scheduled_at: Moment,
    pub(crate) deferred_until: Option<Moment>,
    pub(crate) next_attempt_at: Option<Moment>,
    pub(crate) requeued_at: Option<Moment>,
    pub(crate) created_at: Moment,
    pub(crate) attempts: i32,
    pub(crate) parts_done: i16,
    pub(crate) parts_total: Option<i16>,
    pub(crate) version: i64,
    pub(crate) reason: Option<String>,
    pub(crate) sid: Option<String>,
    pub(crate) sent_at: Option<Moment>,
}

impl Row {
    /// `greatest(scheduled_at, deferred_until, next_attempt_at)`.
    pub(crate) fn due(&self) -> Moment {
        self.after([self.deferred_until, self.next_attempt_at])
    }

    /// `greatest(scheduled_at, deferred_until, requeued_at)`, of a later part the time that it was due as well.
    pub(crate) fn wanted_at(&self) -> Moment {
        let since = self.after([self.deferred_until, self.requeued_at]);
        let part = self.next_attempt_at.filter(|_| self.parts_done > 0);
        part.map_or(since, |part| part.max(since))
    }

    /// From when the allowed lateness counts.
    pub(crate) fn late_from(&self) -> Moment {
        if self.parts_done == 0 && Rule::Lateness.holds(self.channel) {
            self.wanted_at()
        } else {
            Moment::MAX
        }
    }

    /// When it was inserted or put back last.
    pub(crate) fn written(&self) -> Moment {
        self.requeued_at
            .map_or(self.created_at, |at| at.max(self.created_at))
    }

    fn after(&self, others: [Option<Moment>; 2]) -> Moment {
        others
            .into_iter()
            .flatten()
            .fold(self.scheduled_at, Moment::max)
    }

    /// What a pause may stop it by.
    pub(crate) fn pausable(&self) -> Pausable {
        Pausable {
            channel: self.channel,
            message_type: Some(type_of(self.id).to_owned()),
            campaign: campaign_of(self.id).map(|campaign| campaign.to_string()),
            ..Pausable::default()
        }
    }
}

/// The `n`th recipient of a channel; of a channel that is not supported, a number.
pub(crate) fn address(channel: Channel, n: u64) -> String {
    match channel {
        Channel::Sms | Channel::Other => format!("+1500555{n:04}"),
        Channel::Email => format!("user{n}@example.com"),
        Channel::Push => format!("https://push.example/{n}"),
        Channel::InApp => format!("00000000-0000-4000-8000-{n:012}"),
        // Two hosts: two lanes.
        Channel::Webhook => format!("https://hooks{}.example/{n}", n % 2),
    }
}

/// The sender of the `n`th message.
pub(crate) fn sender_of(n: u128) -> String {
    format!("+1500555000{}", 1 + n % 2)
}

/// The `message_type` of a row, by its id.
pub(crate) fn type_of(id: MessageId) -> &'static str {
    ["even", "odd"][usize::from(id.0.as_u128() % 2 == 1)]
}

/// A row of `punctual.attempts`.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) token: AttemptToken,
    pub(crate) message: MessageId,
    pub(crate) number: i32,
    pub(crate) part: i16,
    /// Of an attempt at a first part: the texts of all parts.
    pub(crate) texts: Vec<String>,
    pub(crate) instance: InstanceId,
    pub(crate) claimed_at: Moment,
    pub(crate) lease_until: Moment,
    /// When its request began, as far as that is recorded.
    pub(crate) started: Option<Moment>,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) account: String,
}

/// A row of `punctual.instances`.
#[derive(Clone, Copy, Debug)]
struct Beat {
    started: Moment,
    last: Moment,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Database {
    pub(crate) rows: BTreeMap<MessageId, Row>,
    pub(crate) attempts: Vec<Attempt>,
    instances: BTreeMap<InstanceId, Beat>,
    /// What is due before this is in quarantine.
    quarantine: Option<Moment>,
    pub(crate) quarantine_cleared: BTreeSet<MessageId>,
    /// `punctual.pauses`: until when what is paused, those that are over included.
    pub(crate) pauses: BTreeMap<PauseKey, Moment>,
    /// `punctual.paces`, by campaign, or [`SENDER`].
    pub(crate) paces: BTreeMap<Uuid, Pace>,
    /// Of each claim from a pace, its slot.
    pub(crate) slots: BTreeMap<AttemptToken, TakenSlot>,
    /// Held by transactions of users.
    locked: BTreeSet<MessageId>,
    /// Those that have missed a change of what they follow.
    pub(crate) missed: BTreeSet<MessageId>,
    /// When each row last became pending as it is: by a user's commit, or released.
    pub(crate) touched: BTreeMap<MessageId, Moment>,
    /// When somebody last put a row back.
    pub(crate) put_back: BTreeMap<MessageId, Moment>,
    /// Transitions that the table does not have, made all the same.
    pub(crate) forbidden: Vec<String>,
    /// Those of every other recipient, as clocks in UTC show them.
    pub(crate) quiet: Option<(NaiveTime, NaiveTime)>,
    /// The hours of the campaigns.
    pub(crate) campaign_hours: Option<CampaignHours>,
    /// From the acceptance of one part to the next.
    pub(crate) part_gap: Duration,
    /// A row with another channel fails when it is written.
    understood: &'static [Channel],
    /// The accounts of messages that name none.
    pub(crate) routes: Arc<Routes>,
    /// Of a row, its `account`.
    pub(crate) accounts: BTreeMap<MessageId, String>,
    /// The user of each message, in worlds that have users.
    pub(crate) user_of: Option<fn(MessageId) -> Uuid>,
    mutant: Option<Mutant>,
}

impl Database {
    /// From when until when the recipient of this message is not to be disturbed.
    pub(crate) fn quiet_hours_of(&self, id: MessageId) -> Option<(NaiveTime, NaiveTime)> {
        self.quiet.filter(|_| id.0.as_u128() % 2 == 1)
    }

    /// The lane of a row, or its route.
    pub(crate) fn lane_of(&self, row: &Row) -> LaneKey {
        let account = self.accounts.get(&row.id).map(String::as_str);
        if account.is_none() && self.routes.list().0.is_empty() {
            return LaneKey::of_row(row.channel, Some(&row.to));
        }
        match row.channel {
            // It names no sender.
            Channel::Sms => {
                let to = format!("{NO_SENDER}{}", row.to);
                self.routes.queue(row.channel, account, Some(&to))
            }
            _ => self.routes.queue(row.channel, account, Some(&row.to)),
        }
    }

    pub(crate) fn pending_state(&self, row: &Row) -> RowState {
        RowState::Pending {
            due: row.due(),
            version: row.version,
            attempts: row.attempts,
            priority: row.priority,
            lane: self.lane_of(row),
            written: Some(row.written()),
            pace: None,
        }
    }

    /// The end of the last of the pauses that stop a row, which may be over.
    pub(crate) fn paused_until(&self, row: &Row) -> Option<Moment> {
        let pausable = row.pausable();
        let own = self
            .pauses
            .iter()
            .filter(|(key, _)| pausable.is_stopped_by(key));
        own.map(|(_, until)| *until).max()
    }

    /// The same, if it is not over.
    pub(crate) fn stopped_until(&self, row: &Row, now: Moment) -> Option<Moment> {
        self.paused_until(row).filter(|until| *until > now)
    }

    /// When a row may be sent, pauses included.
    fn due(&self, row: &Row, now: Moment) -> Moment {
        let until = self.stopped_until(row, now);
        until.map_or(row.due(), |until| row.due().max(until))
    }

    /// From when on its lateness counts, pauses included.
    fn wanted_at(&self, row: &Row) -> Moment {
        let until = self.paused_until(row);
        until.map_or(row.wanted_at(), |until| row.wanted_at().max(until))
    }

    /// From when on it may be too late, pauses included.
    fn late_from(&self, row: &Row) -> Moment {
        let until = self.paused_until(row);
        until.map_or(row.late_from(), |until| row.late_from().max(until))
    }

    /// `pause_keep.sql`.
    pub(crate) fn pause(&mut self, key: PauseKey, until: Moment) {
        self.pauses.insert(key, until);
    }

    /// `pause_end.sql`.
    pub(crate) fn resume(&mut self, key: &PauseKey, now: Moment) {
        if let Some(until) = self.pauses.get_mut(key) {
            *until = now.min(*until);
        }
    }

    pub(crate) fn attempt(&self, token: AttemptToken) -> Option<&Attempt> {
        self.attempts.iter().find(|a| a.token == token)
    }

    pub(crate) fn open_attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().filter(|a| a.outcome.is_none())
    }

    pub(crate) fn new(mutant: Option<Mutant>, understood: &'static [Channel]) -> Self {
        Self {
            understood,
            mutant,
            ..Self::default()
        }
    }

    fn free(&self, id: MessageId) -> bool {
        !self.locked.contains(&id)
    }

    /// Moves a row for the daemon; the guard has a word there too.
    fn move_row(&mut self, id: MessageId, to: Status) -> Option<&mut Row> {
        let row = self.rows.get_mut(&id)?;
        if !transition(Some(row.status), to, Writer::Daemon) {
            self.forbidden
                .push(format!("{} -> {}", row.status.as_str(), to.as_str()));
        }
        row.status = to;
        Some(row)
    }
}
