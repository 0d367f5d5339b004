//! Draws what is done. Times are far from whatever would judge them, so that a slow machine
//! changes no answer.

use std::time::Duration;

use punctual::message::{
    Channel, LedgerOutcome, Moment, Part, PauseKey, PauseScope, ProviderSid, Status,
};
use punctual::policy::{Reason, ReasonKind};
use punctual::settle::{Next, Settled, Settlement, Wait};

use crate::deed::{Deed, Entry, RATE, Wish, message, name, queue, token_name};
use crate::dice::Dice;
use crate::model::Database;

/// Rows there are from the start; a few more come by transactions left open.
const ROWS: u64 = 8;

const HOUR: Duration = Duration::from_secs(3600);

/// Draws one deed after the other.
pub(crate) struct Draw {
    dice: Dice,
    /// Rows that have a name by now.
    rows: u64,
    /// Tokens drawn, each for a row, won or not.
    tokens: Vec<(u64, u64)>,
    /// The row of the transaction left open.
    held: Option<u64>,
    text: u64,
    started: Vec<u64>,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed, "parity"),
            rows: ROWS,
            tokens: Vec::new(),
            held: None,
            text: 0,
            started: Vec::new(),
        }
    }

    /// The next; `db` shows where there is something to be done.
    pub(crate) fn next(&mut self, db: &Database) -> Deed {
        let by = 1 + self.dice.next() % 2;
        match self.dice.below(100) {
            0..=18 => self.user(db),
            // What has a pace is mostly without one again soon, so that there is something to claim by its id.
            19 | 20 => self.set_pace(db),
            21 => Deed::RemovePace {
                campaign: self.dice.pick(&[1, 2, RATE]),
            },
            22..=25 => self.claim_paced(by),
            26 => Deed::Pause {
                key: self.pause_key(),
                until: self.dice.pick(&[None, Some(2_400), Some(-1)]),
            },
            // What is paused is mostly resumed soon, so that there is something to claim.
            27..=29 => Deed::Resume {
                key: match db.pauses.keys().next() {
                    Some(key) if self.dice.chance(700) => key.clone(),
                    _ => self.pause_key(),
                },
            },
            30..=34 => self.open(db),
            35..=38 => {
                self.held = None;
                Deed::End {
                    commit: self.dice.chance(500),
                }
            }
            39..=58 => self.claim(by),
            59..=64 => self.keep(by, db),
            65..=78 => self.record(by, db),
            79 => Deed::Follow,
            80 => Deed::Read {
                rows: self.some_rows(false),
            },
            81 if self.dice.chance(500) => self.strand(),
            81 => Deed::CorrectWithoutAttempt { by },
            82 => Deed::Miss {
                rows: self.some_rows(false),
            },
            83 => Deed::Load {
                until: self.dice.pick(&[-3_000, 600, 4_000, 9_000]),
            },
            84 | 85 => self.quarantine(by),
            86 => Deed::Expire,
            87..=89 if !self.started.contains(&by) => {
                self.started.push(by);
                Deed::Start { by }
            }
            87..=89 => Deed::Beat { by },
            90..=92 if self.started.contains(&by) => Deed::Age { by },
            93 => Deed::TimesAhead { by },
            90..=94 => Deed::OrphanedClaims { by },
            _ => Deed::Reap { by },
        }
    }

    /// Of few things.
    fn pause_key(&mut self) -> PauseKey {
        let (scope, what) = self.dice.pick(&[
            (PauseScope::Everything, ""),
            (PauseScope::Lane, "sms"),
            (PauseScope::MessageType, "odd"),
        ]);
        let what = what.to_owned();
        PauseKey { scope, what }
    }

    /// Different rows, mostly one; `free`: none that would keep its user waiting.
    fn some_rows(&mut self, free: bool) -> Vec<u64> {
        let n = self.dice.pick(&[1, 1, 1, 2, 4]);
        let mut rows: Vec<u64> = (0..n).map(|_| 1 + self.dice.next() % self.rows).collect();
        rows.sort_unstable();
        rows.dedup();
        rows.retain(|row| !free || self.held != Some(*row));
        rows
    }

    /// Overdue by little, due in half an hour or more, or long past.
    fn when(&mut self) -> i64 {
        match self.dice.below(8) {
            0..=4 => -self.dice.between(1, 600),
            5 | 6 => self.dice.between(1_800, 6_000),
            _ => -self.dice.between(9_000, 20_000),
        }
    }

    fn wish(&mut self) -> Wish {
        self.text += 1;
        let (text, at) = (self.text, self.when());
        let channel = self.channel();
        match self.dice.below(13) {
            0..=2 => Wish::Reschedule { at },
            3 => Wish::Edit { text },
            4 | 5 => Wish::Cancel,
            6 => Wish::Delete,
            7 => Wish::Mark(
                self.dice
                    .pick(&[Status::Sent, Status::Failed, Status::Failed]),
            ),
            8 | 9 => Wish::PutBack {
                at: Some(at).filter(|_| self.dice.chance(500)),
            },
            10 => Wish::Reroute { channel },
            _ => Wish::Insert { at, channel, text },
        }
    }

    /// Before all rows were written, which are then exempt, or after it.
    fn quarantine(&mut self, by: u64) -> Deed {
        let before = self.dice.pick(&[-300, 1_000, 4_000]);
        match self.dice.below(6) {
            0 => Deed::Quarantine { by, before },
            1 => Deed::Clear {
                rows: self.some_rows(false),
            },
            // Of one that began since nothing ends.
            2 => Deed::EndQuarantine { before: -300 },
            _ => Deed::EndQuarantine { before: 4_000 },
        }
    }

    /// Mostly the usual one.
    fn channel(&mut self) -> Channel {
        self.dice.pick(
            &[Channel::Sms; 6]
                .into_iter()
                .chain(Channel::ALL)
                .collect::<Vec<_>>(),
        )
    }

    fn user(&mut self, db: &Database) -> Deed {
        let mut rows = self.some_rows(true);
        let first = rows.first().and_then(|row| db.rows.get(&message(*row)));
        let mut wish = self.wish();
        // What has come to its end makes room, and what is missing comes, so that there is
        // always something to be sent.
        match first.map(|row| row.status) {
            None if self.dice.chance(700) => {
                wish = Wish::Insert {
                    at: self.when(),
                    channel: self.channel(),
                    text: self.text,
                };
            }
            Some(Status::Sent | Status::Unconfirmed) if self.dice.chance(400) => {
                wish = Wish::Delete;
            }
            _ => {}
        }
        if matches!(
            wish,
            Wish::Insert { .. } | Wish::Edit { .. } | Wish::Reroute { .. }
        ) {
            rows.truncate(1);
        }
        Deed::User { rows, wish }
    }

    fn open(&mut self, db: &Database) -> Deed {
        if self.held.is_some() {
            return self.user(db);
        }
        let mut row = 1 + self.dice.next() % self.rows;
        let mut wish = self.wish();
        if matches!(wish, Wish::Insert { .. }) {
            if self.dice.chance(500) {
                self.rows += 1;
                row = self.rows;
            } else {
                wish = Wish::Hold;
            }
        }
        self.held = Some(row);
        Deed::Open { row, wish }
    }

    /// No row that its user keeps locked.
    fn strand(&mut self) -> Deed {
        let row = 1 + self.dice.next() % ROWS;
        if self.held == Some(row) {
            return Deed::CorrectWithoutAttempt { by: 1 };
        }
        Deed::Strand {
            row,
            forget: self.dice.chance(300),
        }
    }

    fn claim(&mut self, by: u64) -> Deed {
        let rows = self.some_rows(false);
        let first = self.tokens.len() as u64 + 1;
        let asks: Vec<_> = rows.into_iter().zip(first..).collect();
        self.tokens.extend(&asks);
        let lease = self.dice.pick(&[Duration::ZERO, HOUR]);
        Deed::Claim { by, asks, lease }
    }

    fn set_pace(&mut self, db: &Database) -> Deed {
        let all = [1, 2, RATE];
        let there = all
            .into_iter()
            .filter(|n| db.paces.contains_key(&queue(*n)));
        let there: Vec<_> = there.collect();
        let campaign = if !there.is_empty() && self.dice.chance(600) {
            self.dice.pick(&there)
        } else {
            self.dice.pick(&all)
        };
        let mut gaps = self.dice.pick(&[(1, 1), (1, 3), (3_600, 7_200)]);
        // The room that there is counts in texts: at a much slower rate a moment between the two clocks is a long time.
        if let Some(rate) = db.paces.get(&queue(campaign)).filter(|_| campaign == RATE) {
            let most = rate.gaps.0.as_secs() * 2;
            gaps.0 = gaps.0.min(most);
        }
        Deed::SetPace {
            campaign,
            gaps,
            near: self.dice.chance(300),
        }
    }

    fn claim_paced(&mut self, by: u64) -> Deed {
        let campaigns: &[u64] = if self.dice.chance(500) {
            &[1, 2, RATE]
        } else {
            &[1]
        };
        // Its row is not known before.
        let first = self.tokens.len() as u64 + 1;
        let asks: Vec<_> = campaigns.iter().copied().zip(first..).collect();
        let rows = asks.iter().map(|(campaign, token)| (*campaign, *token));
        self.tokens.extend(rows);
        let lease = self.dice.pick(&[Duration::ZERO, HOUR]);
        Deed::ClaimPaced { by, asks, lease }
    }

    fn record(&mut self, by: u64, db: &Database) -> Deed {
        let mut from: Vec<_> = db
            .open_attempts()
            .map(|a| (name(a.message), token_name(a.token)))
            .collect();
        if from.is_empty() || self.dice.chance(300) {
            // Late, doubled, under the token of another attempt, or of one that never was.
            from.clone_from(&self.tokens);
        }
        let mut entries: Vec<Entry> = Vec::new();
        for _ in 0..self.dice.pick(&[1, 1, 2, 3]) {
            if from.is_empty() {
                break;
            }
            let (mut row, token) = self.dice.pick(&from);
            if self.dice.chance(30) {
                row = 1 + self.dice.next() % ROWS;
            }
            if Some(row) == self.held && !db.rows.contains_key(&message(row)) {
                continue;
            }
            if entries.iter().any(|t| t.row == row || t.token == token) {
                continue;
            }
            let settlement = self.settlement(token);
            let its = db.attempts.iter().find(|a| token_name(a.token) == token);
            let before = its.map_or(0, |a| a.part);
            let of = db.rows.get(&message(row)).and_then(|row| row.parts_total);
            let of = of
                .unwrap_or_else(|| self.dice.pick(&[1, 1, 2]))
                .max(before + 1);
            entries.push(Entry {
                row,
                token,
                part: Part { before, of },
                settlement,
            });
        }
        Deed::Record { by, entries }
    }

    /// Mostly of claims that are open, before they are recorded.
    fn keep(&mut self, by: u64, db: &Database) -> Deed {
        let open: Vec<_> = db
            .open_attempts()
            .map(|a| (name(a.message), token_name(a.token)))
            .collect();
        let from = if open.is_empty() || self.dice.chance(100) {
            self.tokens.clone()
        } else {
            open
        };
        let mut kept: Vec<(u64, u64, i16)> = Vec::new();
        for _ in 0..self.dice.pick(&[1, 1, 2]) {
            let parts = self.dice.pick(&[1, 2, 2, 3]);
            if let Some((row, token)) = (!from.is_empty()).then(|| self.dice.pick(&from))
                && kept.iter().all(|(other, _, _)| *other != row)
            {
                kept.push((row, token, parts));
            }
        }
        Deed::Keep { by, kept }
    }

    fn settlement(&mut self, token: u64) -> Settlement {
        let dice = &mut self.dice;
        let counts = dice.chance(500);
        let reason = dice
            .chance(700)
            .then(|| format!("reason {}", dice.below(100)));
        let pause = dice.pick(&[None, Some(Duration::ZERO), Some(HOUR), Some(HOUR)]);
        let back = pause.map_or(Next::Back(Wait::No), |pause| Next::Back(Wait::Pause(pause)));
        let (next, outcome) = match dice.below(11) {
            0..=2 => {
                let sid = ProviderSid(format!("SM{token:032x}"));
                return Settlement::Accepted { sid };
            }
            3 => return Settlement::returned("released"),
            4 => return Settlement::rejected(Reason::new(ReasonKind::Text, "it cannot be")),
            5 => return Settlement::cancelled(Reason::new(ReasonKind::TooLate, "a verdict")),
            6 => {
                let ahead = dice.pick(&[0, 3_600]);
                let until = Moment::from_micros(ahead * 1_000_000);
                return Settlement::deferred(
                    until,
                    Reason::new(ReasonKind::QuietHours, "not at this hour"),
                );
            }
            7 => (Next::Unconfirmed, LedgerOutcome::Unknown),
            8 => (Next::Failed, LedgerOutcome::Refused),
            9 => (back, LedgerOutcome::Throttled),
            _ => (back, LedgerOutcome::Unsent),
        };
        Settlement::Settled(Settled {
            next,
            outcome,
            code: None,
            category: None,
            verdict: None,
            reason,
            lawful: None,
            counts,
        })
    }
}
