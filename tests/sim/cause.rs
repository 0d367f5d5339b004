//! Why a daemon may read everything: a full sweep costs what the table costs, and one without a
//! cause is followed by another.

use std::collections::{BTreeMap, BTreeSet};

use punctual::message::{ClaimResponse, MessageId, Moment, PauseKey, RowState};
use punctual::reactor::Settings;
use punctual::schedule::Ranking;

use crate::watch::Invariant;
use crate::witness::Seen;
use crate::world::Input;

/// What has happened since the last full sweep.
#[derive(Debug)]
pub(crate) struct Causes {
    /// Between full sweeps that nobody asked for.
    full_every: i64,
    /// And where more may be due than may be armed: half of a short window, and at least this.
    full_every_short: i64,
    armed_max: usize,
    /// What may be armed.
    armed: BTreeSet<MessageId>,
    was_short: bool,
    notified_max: usize,
    read_batch: usize,
    full_at: Option<i64>,
    /// Something that calls for one.
    cause: bool,
    /// Messages that wait to be read, at the most: a message noted twice counts twice.
    to_read: usize,
    /// Messages in the read that is under way.
    reading: usize,
    read_before_sweep: bool,
    ranking: Option<Ranking>,
    /// As they were read last.
    pauses: BTreeMap<PauseKey, Moment>,
    /// A claim met a pause that was not among them: for so many reads, the one that may be under way and the next.
    met: u8,
}

impl Causes {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            full_every: i64::try_from(settings.horizon.as_micros() / 2).unwrap_or(i64::MAX),
            full_every_short: i64::try_from(settings.limits.intake.near_sweep.as_micros())
                .unwrap_or(i64::MAX),
            // A full sweep reads no more, and leaves the rest for what is written meanwhile.
            armed_max: settings.limits.intake.armed_max - settings.limits.intake.armed_max / 4,
            armed: BTreeSet::new(),
            was_short: false,
            notified_max: settings.limits.intake.notified_max,
            read_batch: settings.limits.intake.read_batch,
            full_at: None,
            cause: true,
            to_read: 0,
            reading: 0,
            read_before_sweep: false,
            ranking: None,
            pauses: BTreeMap::new(),
            met: 0,
        }
    }

    pub(crate) fn hears(&mut self, input: &Input) {
        self.counts(input);
        match input {
            Input::ChannelUp { .. }
            | Input::Rescan
            | Input::PacesChanged
            | Input::ClockFound
            | Input::QuarantineEnded
            | Input::LoadEnded {
                complete: false, ..
            } => self.cause = true,
            Input::Members(ranking) => {
                self.cause |= self.ranking.as_ref() != Some(ranking);
                self.ranking = Some(ranking.clone());
            }
            // One that has ended calls for everything that it stopped.
            Input::Pauses {
                pauses: Some(pauses),
                ..
            } => {
                self.cause |= self.met > 0;
                self.met = self.met.saturating_sub(1);
                let now = pauses.iter().map(|pause| (pause.key.clone(), pause.until));
                let was = std::mem::replace(&mut self.pauses, now.collect());
                let is = &self.pauses;
                self.cause |= was
                    .iter()
                    .any(|(key, was)| is.get(key).is_none_or(|is| is < was));
            }
            Input::Notification(ids) | Input::QuarantineCleared(ids) => self.to_read += ids.len(),
            // To be read again, if that failed or a sweep began meanwhile.
            Input::Rows { rows } if rows.is_none() || self.read_before_sweep => {
                self.to_read += self.reading;
            }
            Input::Claimed { answers, .. } => {
                self.to_read += answers.len();
                let known = |due| self.pauses.values().any(|until| *until == due);
                let has_met = answers.iter().any(|(_, answer)| {
                    matches!(answer, ClaimResponse::Paused(RowState::Pending { due, .. }) if !known(*due))
                });
                if has_met {
                    self.met = 2;
                }
            }
            Input::Recorded { done, .. } => self.to_read += done.len(),
            _ => {}
        }
        // More than can be noted: half of the room may be taken by what the last sweep did not
        // find.
        self.cause |= self.to_read >= (self.notified_max / 2).max(1);
    }

    fn counts(&mut self, input: &Input) {
        match input {
            Input::Loaded(rows) => self.armed.extend(rows.iter().map(|row| row.id)),
            Input::Rows { rows } => {
                for (id, state) in rows.iter().flatten() {
                    match state {
                        RowState::Gone { .. } => self.armed.remove(id),
                        _ => self.armed.insert(*id),
                    };
                }
            }
            Input::Claimed { answers, .. } => {
                for (id, answer) in answers {
                    if matches!(answer, ClaimResponse::Won(_)) {
                        self.armed.remove(id);
                    }
                }
            }
            _ => {}
        }
        self.was_short |= self.armed.len() >= self.armed_max;
    }

    pub(crate) const fn reads(&mut self, ids: usize) {
        self.to_read = if ids < self.read_batch {
            // It has taken all there were.
            0
        } else {
            self.to_read.saturating_sub(ids)
        };
        self.reading = ids;
        self.read_before_sweep = false;
    }

    pub(crate) const fn loads(&mut self, while_reading: bool) {
        self.read_before_sweep = while_reading;
    }

    /// A full sweep begins.
    pub(crate) fn sweeps(&mut self, t: i64) -> Seen {
        let since = self.full_at.map_or(0, |at| t - at);
        let every = if self.was_short {
            self.full_every_short
        } else {
            self.full_every
        };
        let periodic = self.full_at.is_none() || since >= every;
        self.was_short = self.armed.len() >= self.armed_max;
        let broken = !(self.cause || periodic);
        // What waits to be read waits on.
        (self.full_at, self.cause) = (Some(t), false);
        broken.then(|| {
            let what = format!("a full sweep {since} us after the last, and nothing happened");
            (Invariant::SweepCause, what)
        })
    }
}
