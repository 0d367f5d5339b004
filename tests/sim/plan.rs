//! What is to happen in a world, drawn from its seed: a list of deeds, each of which can be
//! left out, and the odds of the small faults, each of which can be silenced. Both make a
//! failing world a short story.

use std::sync::Arc;
use std::time::Duration;

use punctual::limits::Limits;
use punctual::message::{Channel, PaceId, PauseKey, PauseScope, Priority, Status};
use punctual::reactor::Settings;
use punctual::schedule::{LeadSetting, PACE_SLACK};
use uuid::Uuid;

use crate::costs::CostPlan;
use crate::dice::Dice;
use crate::model::{Change, Pace, SENDER, address};
use crate::odds::Odds;
use crate::planner::Edit;
use crate::small;
use crate::trouble::{SHARED, Trouble};
use crate::world::START;

pub(crate) const MS: i64 = 1_000;
pub(crate) const SECOND: i64 = 1_000 * MS;

/// How soon after the chaos everything is expected to be known again: the near sweep, its
/// repetition after a failure, and the pauses of what was held.
pub(crate) const SETTLING: i64 = 14 * SECOND;

/// In the calm nothing on the way to the database takes longer.
pub(crate) const SLOW_IN_CALM: i64 = 300 * MS;

/// How often heartbeat, chores and a measurement of the clock are due; `daemon::heartbeat` has the same.
pub(crate) const BEAT: i64 = 5 * SECOND;

/// A silent instance is dead after this; `daemon::heartbeat` has the same.
pub(crate) const SILENCE: Duration = Duration::from_secs(20);

/// Something somebody does, at its time.
#[derive(Clone, Debug)]
pub(crate) struct Deed {
    pub(crate) at: i64,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A statement, and after so long its commit, or its rollback.
    User {
        row: usize,
        change: Change,
        open_for: i64,
        commits: bool,
    },
    Crash {
        slot: usize,
        down_for: i64,
    },
    Drain {
        slot: usize,
        down_for: i64,
    },
    Suspend {
        slot: usize,
        lasts: i64,
    },
    /// Somebody sets the wall clock; it is measured again after a while.
    Step {
        slot: usize,
        by: i64,
        lasts: i64,
    },
    /// The listener's connection dies, which is noticed later, and stands again.
    Deafen {
        slot: usize,
        noticed_after: i64,
        lasts: i64,
    },
    /// One statement over many rows, which skips those that it may not change.
    Mass {
        rows: Vec<usize>,
        change: Change,
    },
    /// Their recipient wants no more: the daemon cancels them, and notifies nobody.
    OptOut {
        rows: Vec<usize>,
    },
    /// Triggers disabled, or notices swallowed: nobody is notified of anything.
    Mute {
        lasts: i64,
    },
    /// Somebody notifies what is not so.
    Forge {
        slot: usize,
        rows: Vec<usize>,
    },
    Rescan {
        slot: usize,
    },
    /// Somebody pauses something, and resumes it after a while; `timed`: its end was given with it.
    Pause {
        key: PauseKey,
        lasts: i64,
        timed: bool,
    },
    /// The messages of a campaign get a pace, or another one, while some may wait.
    SetPace {
        campaign: Uuid,
        gaps: (i64, i64),
    },
    RemovePace {
        campaign: Uuid,
    },
    /// The rate of the sender of all texts is another one, while some may wait.
    SetRate {
        each: i64,
        burst: i32,
    },
    /// No statement comes to its end.
    Blackout {
        lasts: i64,
    },
    /// The database's clock is set, and back.
    Jump {
        by: i64,
        lasts: i64,
    },
    /// Somebody changes the calendar that reminders are planned from.
    Calendar {
        event: usize,
        edit: Edit,
    },
    /// As after a restore: what is due by now is in quarantine. These rows are cleared one by one, the others at
    /// its end.
    Quarantine {
        cleared: Vec<usize>,
        lasts: i64,
    },
}

impl What {
    /// The daemon it befalls. A shrunk world may not have it any more.
    pub(crate) const fn slot(&self) -> Option<usize> {
        match self {
            Self::Crash { slot, .. }
            | Self::Drain { slot, .. }
            | Self::Suspend { slot, .. }
            | Self::Step { slot, .. }
            | Self::Deafen { slot, .. }
            | Self::Forge { slot, .. }
            | Self::Rescan { slot } => Some(*slot),
            Self::User { .. }
            | Self::Mass { .. }
            | Self::OptOut { .. }
            | Self::Mute { .. }
            | Self::Pause { .. }
            | Self::SetPace { .. }
            | Self::RemovePace { .. }
            | Self::SetRate { .. }
            | Self::Blackout { .. }
            | Self::Jump { .. }
            | Self::Calendar { .. }
            | Self::Quarantine { .. } => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) slots: usize,
    /// Messages that are written.
    pub(crate) rows: usize,
    pub(crate) settings: Settings,
    pub(crate) max_lateness: Duration,
    /// No listener gets through, ever: a pooler in transaction mode.
    pub(crate) deaf: bool,
    /// How far off each instance's clock may be, which it publishes.
    pub(crate) uncertainty: i64,
    pub(crate) odds: Odds,
    /// Faults that go on in the calm: what the daemon must cope with in time.
    pub(crate) calm_odds: Odds,
    pub(crate) deeds: Vec<Deed>,
    /// The lanes that messages go by.
    pub(crate) channels: Vec<Channel>,
    pub(crate) troubles: Vec<Trouble>,
    /// Those that each channel has a route of, if there are any.
    pub(crate) accounts: Vec<&'static str>,
    /// Whether some messages name theirs.
    pub(crate) named: bool,
    /// What texts cost, and may.
    pub(crate) costs: Option<CostPlan>,
    /// From when until when every other recipient is not to be disturbed.
    pub(crate) quiet: Option<(i64, i64)>,
    /// From the acceptance of one part to the next.
    pub(crate) part_gap: i64,
    /// The paces of campaigns.
    pub(crate) paces: Vec<(Uuid, Pace)>,
    /// When the daemons start.
    pub(crate) begins: i64,
    /// Chaos ends: what is away comes back, and nothing fails any more.
    pub(crate) calm_at: i64,
    pub(crate) end_at: i64,
}

impl Plan {
    /// What each message that is due at the same time may add, where there is one permit, and
    /// where each is claimed and recorded by itself.
    pub(crate) fn queued(&self) -> i64 {
        45 * MS + 2 * self.recorded()
    }

    /// What each result that is recorded by itself may add to the others' wait.
    pub(crate) fn recorded(&self) -> i64 {
        if *self.settings.limits == Limits::default() {
            0
        } else if self.calm_odds.slow > 0 {
            2 * SLOW_IN_CALM
        } else {
            9 * MS
        }
    }

    pub(crate) fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "plan");
        let send_timeout = dice.between(SECOND, 4 * SECOND);
        let lease = 2 * send_timeout + 50 * MS + dice.between(1, 8 * SECOND);
        let horizon = dice.between(25 * SECOND, 90 * SECOND);
        let settings = Settings {
            horizon: micros(horizon),
            lead: dice.pick(&[
                LeadSetting::Auto,
                LeadSetting::Auto,
                LeadSetting::Fixed(Duration::from_millis(50)),
                LeadSetting::Fixed(Duration::from_millis(5)),
            ]),
            max_in_flight: dice.pick(&[1, 2, 3, 8]),
            lease: micros(lease),
            send_timeout: micros(send_timeout),
            limits: Arc::default(),
        };
        let calm_at = dice.between(20 * SECOND, 70 * SECOND);
        let mut plan = Self {
            seed,
            slots: dice.pick(&[1, 1, 2, 2, 3]),
            rows: 0,
            max_lateness: micros(dice.pick(&[8 * SECOND, 3_600 * SECOND, 3_600 * SECOND])),
            deaf: dice.chance(60),
            uncertainty: dice.pick(&[0, 0, 400]),
            odds: if dice.chance(120) {
                Odds::default()
            } else {
                Odds::draw(&mut dice)
            },
            calm_odds: if dice.chance(500) {
                Odds {
                    notice_twice: 100,
                    refused: 80,
                    slow: 300,
                    throttled: 350,
                    ..Odds::default()
                }
            } else {
                Odds::default()
            },
            deeds: Vec::new(),
            channels: Self::draw_channels(&mut dice),
            troubles: Vec::new(),
            accounts: Vec::new(),
            named: false,
            costs: None,
            quiet: None,
            part_gap: 0,
            paces: Vec::new(),
            begins: 0,
            calm_at,
            end_at: calm_at + SETTLING + lease + horizon / 2 + 35 * SECOND,
            settings,
        };
        if plan.channels.len() > 1 && dice.chance(700) {
            // Those that keep their places leave one of two, and one of four if there are two of them.
            let most = match plan.settings.max_in_flight {
                1 => 0,
                2 | 3 => 1,
                _ => plan.channels.len() - 1,
            };
            plan.troubles = Trouble::draw(&mut dice, &plan.channels, most, calm_at);
        }
        plan.draw_routes(&mut Dice::new(seed, "routes"));
        let keeping = plan.troubles.iter().filter(|t| t.kind.keeps()).count();
        let limits = small::limits(seed, plan.channels.len().max(plan.accounts.len()), keeping);
        plan.settings.limits = Arc::new(limits);
        let mut slow = Dice::new(seed, "slowed");
        if slow.chance(350) && plan.accounts.is_empty() {
            let trouble = Trouble::draw_of_one(&mut slow, &plan.channels, calm_at);
            plan.troubles.push(trouble);
        }
        plan.draw_messages(&mut dice);
        plan.draw_crowds(&mut dice);
        plan.draw_herd(&mut Dice::new(seed, "herd"));
        if !dice.chance(100) {
            plan.draw_faults(&mut dice);
        }
        plan.draw_history(&mut Dice::new(seed, "history"));
        plan.draw_pauses(&mut Dice::new(seed, "pauses"));
        plan.draw_parts(&mut Dice::new(seed, "parts"));
        plan.draw_paces(&mut Dice::new(seed, "paces"));
        plan.draw_changes(&mut Dice::new(seed, "changes"));
        plan.draw_rate(&mut Dice::new(seed, "rate"));
        plan.draw_rates(&mut Dice::new(seed, "rates"));
        plan.draw_costs(&mut Dice::new(seed, "costs"));
        plan.deeds.sort_by_key(|deed| deed.at);
        plan.end_at += i64::try_from(plan.rows).unwrap_or(0) * plan.queued();
        // By a clock that jumped it cannot be said what was quiet when.
        if !plan.jumps() && dice.chance(400) {
            let from = dice.between(0, calm_at + 5 * SECOND);
            plan.quiet = Some((from, from + dice.between(SECOND, 30 * SECOND)));
        }
        plan
    }

    /// With time for all messages before the end.
    fn draw_paces(&mut self, dice: &mut Dice) {
        // By a clock that jumped it cannot be said how far apart requests are. Where a sender or a recipient is slowed,
        // one message of a campaign after the other finds that out, for longer than the trouble lasts.
        let slows = self.troubles.iter().any(|trouble| trouble.kind.slows());
        if self.jumps() || slows || !dice.chance(350) {
            return;
        }
        self.draw_queue(&mut Dice::new(self.seed, "queue"));
        for n in 1..=dice.pick(&[1, 1, 2]) {
            let shortest = dice.pick(&[20 * MS, SECOND]);
            let min = dice.between(MS, shortest);
            let max = min + dice.between(0, SECOND);
            let pace = Pace {
                id: PaceId(Uuid::from_u128(0xE << 120 | n)),
                gaps: (micros(min), micros(max)),
                burst: 1,
                seed: i64::try_from(self.seed).unwrap_or(0),
                position: 0,
                next: START,
                token: None,
                slot: None,
            };
            self.paces.push((Uuid::from_u128(0xC << 120 | n), pace));
            let each = max + micros_of(PACE_SLACK);
            self.end_at += i64::try_from(self.rows).unwrap_or(0) * each;
        }
    }

    /// The paces of campaigns change.
    fn draw_changes(&mut self, dice: &mut Dice) {
        let campaigns: Vec<_> = self.paces.iter().map(|(campaign, _)| *campaign).collect();
        for campaign in campaigns {
            if dice.chance(500) {
                continue;
            }
            for _ in 0..dice.pick(&[1, 1, 2, 4]) {
                let mut at = dice.between(0, self.calm_at + 20 * SECOND);
                if dice.chance(300) {
                    let what = What::RemovePace { campaign };
                    self.deeds.push(Deed { at, what });
                    at += dice.between(0, 5 * SECOND);
                }
                let shortest = dice.pick(&[20 * MS, SECOND, 3 * SECOND]);
                let min = dice.between(MS, shortest);
                let max = min + dice.between(0, SECOND);
                let gaps = (min, max);
                let what = What::SetPace { campaign, gaps };
                self.deeds.push(Deed { at, what });
                let each = max + micros_of(PACE_SLACK);
                self.end_at += i64::try_from(self.rows).unwrap_or(0) * each;
            }
        }
    }

    /// In the calm, after all else, several messages within a few seconds: most of them in a campaign.
    fn draw_queue(&mut self, dice: &mut Dice) {
        if dice.chance(500) {
            return;
        }
        let at = self.calm_at + dice.between(31 * SECOND, 35 * SECOND);
        for _ in 0..dice.pick(&[4, 6, 9]) {
            let due = at + dice.between(0, 12 * SECOND);
            let channel = dice.pick(&self.channels);
            let change = Change::Insert {
                at: START + micros(due),
                channel,
                to: recipient(channel, self.rows),
                body: format!("text 1 of {}", self.rows),
                priority: Priority::Normal,
            };
            self.user(dice, self.rows, at, change);
            self.rows += 1;
        }
        self.end_at += 25 * SECOND;
    }

    /// The rate of the sender of all texts changes.
    fn draw_rates(&mut self, dice: &mut Dice) {
        let has_rate = self.paces.iter().any(|(of, _)| *of == SENDER);
        if !has_rate || dice.chance(500) {
            return;
        }
        // While texts may wait for it.
        let due = |deed: &Deed| match &deed.what {
            What::User {
                change:
                    Change::Insert {
                        at,
                        channel: Channel::Sms,
                        ..
                    },
                ..
            } => Some(at.micros_from(START).max(deed.at)),
            _ => None,
        };
        let due: Vec<_> = self.deeds.iter().filter_map(due).collect();
        if due.is_empty() {
            return;
        }
        for _ in 0..dice.pick(&[1, 2, 4, 6]) {
            let shortest = dice.pick(&[100 * MS, SECOND]);
            let each = dice.between(20 * MS, shortest);
            let burst = dice.pick(&[1, 1, 2, 3]);
            let at = dice.pick(&due) + dice.between(0, 2 * SECOND);
            let what = What::SetRate { each, burst };
            self.deeds.push(Deed { at, what });
            self.end_at += i64::try_from(self.rows).unwrap_or(0) * 8 * (each + SECOND / 2);
        }
    }

    /// The rate of the sender of all texts. With time for all messages before the end.
    fn draw_rate(&mut self, dice: &mut Dice) {
        if self.jumps() || !self.troubles.is_empty() || !dice.chance(250) {
            return;
        }
        if self.paces.is_empty() {
            self.draw_queue(&mut Dice::new(self.seed, "texts"));
        }
        let shortest = dice.pick(&[100 * MS, SECOND]);
        let each = dice.between(20 * MS, shortest);
        let pace = Pace {
            id: PaceId(Uuid::from_u128(0x5E << 120)),
            gaps: (micros(each), micros(each)),
            burst: dice.pick(&[1, 1, 2, 3]),
            seed: 0,
            position: 0,
            next: START,
            token: None,
            slot: None,
        };
        self.paces.push((SENDER, pace));
        // A slot may be lost to each request, and each text have parts.
        self.end_at += i64::try_from(self.rows).unwrap_or(0) * 8 * (each + SECOND / 2);
    }

    /// All are over before the end, with time to send what they stopped.
    fn draw_pauses(&mut self, dice: &mut Dice) {
        // By a clock that jumped it cannot be said when a pause ends.
        if self.jumps() || !dice.chance(400) {
            return;
        }
        let key = |scope, what: &str| PauseKey {
            scope,
            what: what.to_owned(),
        };
        for _ in 0..dice.pick(&[1, 1, 2, 3]) {
            let channel = dice.pick(&self.channels);
            let key = match dice.below(4) {
                0 => key(PauseScope::Everything, ""),
                1 => key(PauseScope::Lane, channel.as_str()),
                2 => key(PauseScope::MessageType, "odd"),
                _ => key(PauseScope::MessageType, "even"),
            };
            let at = dice.between(0, self.calm_at + 25 * SECOND);
            let longest = dice.pick(&[50 * MS, SECOND, 15 * SECOND]);
            self.deeds.push(Deed {
                at,
                what: What::Pause {
                    key,
                    lasts: dice.between(MS, longest),
                    timed: dice.chance(400),
                },
            });
        }
    }

    /// One, or two or three in any order.
    fn draw_channels(dice: &mut Dice) -> Vec<Channel> {
        let mut channels = vec![Channel::Sms, Channel::Webhook, Channel::Email];
        channels.rotate_left(dice.below(3));
        channels.truncate(dice.pick(&[1, 1, 2, 3]));
        channels
    }

    /// More of a lane in trouble than there is room for, and beside them some of the others, all
    /// known of in time.
    fn draw_crowds(&mut self, dice: &mut Dice) {
        let ahead = micros_of(self.settings.send_timeout) + SECOND;
        for trouble in self.troubles.clone() {
            let Some(due) = trouble.crowd_at(dice, self.calm_at) else {
                continue;
            };
            let crowd = self.settings.max_in_flight + 2;
            for n in 0..crowd + 3 {
                let (channel, due) = if n < crowd {
                    (trouble.channel, due)
                } else {
                    (
                        dice.pick(&self.channels),
                        due + dice.between(20 * MS, SECOND),
                    )
                };
                let change = Change::Insert {
                    at: START + micros(due),
                    channel,
                    to: recipient(channel, self.rows),
                    body: format!("text 1 of {}", self.rows),
                    priority: Priority::Normal,
                };
                let at = due - ahead - dice.between(0, SECOND);
                self.user(dice, self.rows, at.max(0), change);
                self.rows += 1;
            }
        }
    }

    fn draw_messages(&mut self, dice: &mut Dice) {
        let rows = 3 + dice.below(10);
        self.rows = rows;
        let together = dice.between(SECOND, self.calm_at);
        for row in 0..rows {
            // A third of them in the calm after the chaos, to be exactly on time.
            let at = if dice.chance(330) {
                dice.between(self.calm_at, self.calm_at + 30 * SECOND)
            } else {
                dice.between(0, self.calm_at)
            };
            let due = if dice.chance(150) {
                together
            } else {
                at + self.ahead(dice)
            };
            let nobody = dice.chance(30);
            let channel = dice.pick(&self.channels);
            let change = Change::Insert {
                at: START + micros(due.max(0)),
                channel,
                to: if nobody {
                    "nobody".to_owned()
                } else {
                    recipient(channel, row)
                },
                body: format!("text 1 of {row}"),
                priority: Priority::Normal,
            };
            self.user(dice, row, at, change);
            if at > self.calm_at && self.calm_odds.slow > 0 {
                self.trouble(dice, row, due.max(at));
            }
            if dice.chance(120) && at < self.calm_at {
                // Longer than many a lease.
                let held = What::User {
                    row,
                    change: Change::Hold,
                    open_for: dice.between(0, 30 * SECOND),
                    commits: false,
                };
                let at = due.max(at) + dice.between(-100 * MS, SECOND);
                if at < self.calm_at {
                    self.deeds.push(Deed { at, what: held });
                }
            }
            let edits = dice.pick(&[0, 0, 1, 1, 2, 4]);
            for edit in 0..edits {
                let at = Self::edit_time(dice, at, due);
                let change = self.draw_change(dice, row, edit + 2, at);
                self.user(dice, row, at, change);
            }
        }
    }

    /// In the calm, about a due time: a lock that is held over it and comes to nothing, and
    /// edits while the message is sent, recorded and notified, where marks are left.
    fn trouble(&mut self, dice: &mut Dice, row: usize, due: i64) {
        let held = What::User {
            row,
            change: Change::Hold,
            open_for: dice.between(20 * MS, 400 * MS),
            commits: false,
        };
        let at = due - dice.between(0, 100 * MS);
        if dice.chance(500) {
            self.deeds.push(Deed { at, what: held });
        }
        for _ in 0..dice.pick(&[1, 1, 2]) {
            let at = due + dice.between(5 * MS, 900 * MS);
            let soon = START + micros(at + dice.between(60 * MS, 500 * MS));
            self.user(dice, row, at, Change::Reschedule { at: soon });
        }
    }

    /// How long before their time messages are written.
    fn ahead(&self, dice: &mut Dice) -> i64 {
        let far = i64::try_from(self.settings.horizon.as_micros()).unwrap_or(0);
        let longest = dice.pick(&[0, 60 * MS, 2 * SECOND, 20 * SECOND, far]);
        dice.between(-200 * MS, longest)
    }

    /// Mostly about the due time: there the race with the claim is.
    fn edit_time(dice: &mut Dice, written: i64, due: i64) -> i64 {
        let at = match dice.below(4) {
            0 => due - dice.between(0, 100 * MS),
            1 => due + dice.between(0, 5 * SECOND),
            _ => dice.between(written, due.max(written + SECOND)),
        };
        at.max(written)
    }

    fn draw_change(&self, dice: &mut Dice, row: usize, text: usize, at: i64) -> Change {
        let due = START + micros((at + self.ahead(dice)).max(0));
        match dice.below(10) {
            0..=2 => Change::Reschedule { at: due },
            9 => {
                let channel = dice.pick(&self.channels);
                Change::Reroute {
                    channel,
                    to: recipient(channel, row),
                }
            }
            3 => Change::Edit {
                body: format!("text {text} of {row}"),
            },
            4 | 5 => Change::Cancel,
            6 => Change::Delete,
            7 => Change::PutBack { at: Some(due) },
            _ => Change::Mark(Status::Sent),
        }
    }

    fn user(&mut self, dice: &mut Dice, row: usize, at: i64, change: Change) {
        // Now and then a transaction is left open, with its row held, and not in the calm.
        let chaos = at < self.calm_at;
        let open_for = match dice.below(10) {
            0 | 1 if chaos => dice.between(0, 15 * SECOND),
            2 | 3 if chaos => dice.between(0, 200 * MS),
            _ => 0,
        };
        let what = What::User {
            row,
            change,
            open_for,
            commits: !chaos || !dice.chance(120),
        };
        self.deeds.push(Deed { at, what });
    }

    pub(crate) fn jumps(&self) -> bool {
        let mut deeds = self.deeds.iter();
        deeds.any(|deed| matches!(deed.what, What::Jump { .. }))
    }

    /// A clock of the database that jumps, or a quarantine.
    fn draw_history(&mut self, dice: &mut Dice) {
        if dice.chance(150) {
            // Shorter ones no other daemon may notice than the one that claims.
            let lasts = dice.between(2 * BEAT, 40 * SECOND);
            let by = dice.pick(&[-3_600, -600, -2, 2, 600, 3_600]) * SECOND;
            let at = dice.between(SECOND, self.calm_at);
            if at + lasts < self.calm_at {
                let what = What::Jump { by, lasts };
                self.deeds.push(Deed { at, what });
                // What it wrote by that clock stays.
                if dice.chance(400) {
                    let what = What::Crash {
                        slot: dice.below(self.slots),
                        down_for: dice.between(0, SECOND),
                    };
                    let at = at + dice.between(0, lasts);
                    self.deeds.push(Deed { at, what });
                }
            }
        }
        // By a clock that jumped it cannot be said what was written after it began.
        let jumps = self.jumps();
        if !jumps && dice.chance(150) {
            let what = What::Quarantine {
                cleared: (0..self.rows).filter(|_| dice.chance(300)).collect(),
                lasts: dice.between(SECOND, 60 * SECOND),
            };
            let at = dice.between(SECOND, self.calm_at);
            self.deeds.push(Deed { at, what });
        }
    }

    fn draw_faults(&mut self, dice: &mut Dice) {
        for _ in 0..dice.below(9) {
            let at = dice.between(SECOND, self.calm_at);
            let slot = dice.below(self.slots);
            let longest = dice.pick(&[100 * MS, 3 * SECOND, 60 * SECOND]);
            let lasts = dice.between(0, longest);
            let what = match dice.below(10) {
                0 | 1 => What::Crash {
                    slot,
                    down_for: lasts,
                },
                2 => What::Drain {
                    slot,
                    down_for: lasts,
                },
                3 => What::Suspend { slot, lasts },
                4 => What::Step {
                    slot,
                    by: dice.pick(&[-3_600, -3, -1, 1, 3, 3_600]) * SECOND / 2,
                    lasts: lasts / 4,
                },
                5 | 6 => What::Deafen {
                    slot,
                    noticed_after: dice.between(0, 5 * SECOND),
                    lasts,
                },
                7 => What::Mute { lasts },
                8 => dice.pick(&[true, false]).then_some(()).map_or_else(
                    || What::Rescan { slot },
                    |()| What::Forge {
                        slot,
                        rows: (0..4).map(|_| dice.below(15)).collect(),
                    },
                ),
                // A minute, where the chaos lasts as long.
                _ => What::Blackout { lasts },
            };
            self.deeds.push(Deed { at, what });
        }
    }
}

/// The recipient of a row: some have the same.
pub(crate) fn recipient(channel: Channel, row: usize) -> String {
    let own = u64::try_from(row).unwrap_or(0);
    let n = if row.is_multiple_of(3) { 0 } else { own };
    address(channel, SHARED + 2 * n)
}

/// A span on the virtual clock.
pub(crate) fn micros_of(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(0)
}

/// A span of the virtual clock.
pub(crate) fn micros(us: i64) -> Duration {
    Duration::from_micros(u64::try_from(us).unwrap_or(0))
}
