//! Small limits, and what reaches them: a world has a few dozen rows, and with limits of one to
//! five these are as many as a million are with the daemon's own.

use punctual::limits::Limits;
use punctual::limits::daemon::ChoreLimits;
use punctual::limits::{
    ClaimLimits, DaemonLimits, EventLimits, IntakeLimits, ProviderLimits, RecordLimits, SlowLimits,
};
use punctual::message::Priority;

use crate::dice::Dice;
use crate::model::Change;
use crate::plan::{Deed, MS, Plan, SECOND, What, micros, recipient};
use crate::world::START;

/// The limits of a world: in one of four with one lane the daemon's own, and in two of five with several. `keeping`:
/// how many lanes may keep what they have taken. Each of them takes half of what the others leave, so there must be
/// enough for one more.
pub(crate) fn limits(seed: u64, lanes: usize, keeping: usize) -> Limits {
    let mut dice = Dice::new(seed, "limits");
    let is_own = dice.chance(250);
    let is_small = if lanes > 1 {
        Dice::new(seed, "lanes small").chance(600)
    } else {
        !is_own
    };
    if !is_small {
        return Limits::default();
    }
    let mut few = || 1 + dice.below(5);
    let shared = |few: usize| few.max(1 << keeping);
    // What is reserved for urgent messages leaves enough, too.
    let reserved = |few: usize, of: usize| few.min(if lanes > 1 { of - (1 << keeping) } else { 5 });
    let ahead_max = shared(few());
    let ahead_max_with_journal = shared(few());
    let own = Limits::default();
    let mut armed = Dice::new(seed, "armed");
    let mut behind = Dice::new(seed, "behind");
    Limits {
        intake: IntakeLimits {
            armed_max: 1 + armed.below(12),
            notified_max: few(),
            read_batch: few(),
            stretch: few(),
            quarantine_cleared_max: few(),
            rescan_share: u32::try_from(few()).unwrap_or(1),
            rescan_pause: own.intake.rescan_pause / u32::try_from(few()).unwrap_or(1),
            near_pause: own.intake.near_pause / u32::try_from(few()).unwrap_or(1),
            behind: own.intake.behind / u32::try_from(1 + behind.below(5)).unwrap_or(1),
            ..own.intake
        },
        claims: ClaimLimits {
            batch: few(),
            at_once: few(),
            ahead_max,
            ahead_max_with_journal,
            ahead_urgent: reserved(few(), ahead_max.min(ahead_max_with_journal)),
            herd: few(),
            alone_max: few(),
            locked_share: u32::try_from(few()).unwrap_or(1),
            ..own.claims
        },
        records: RecordLimits {
            batch: few(),
            gather: own.records.gather * u32::try_from(few() - 1).unwrap_or(1),
            at_once: few(),
            unrecorded_max: shared(few()),
            ..own.records
        },
        provider: ProviderLimits {
            steps: few(),
            ..own.provider
        },
        slowed: SlowLimits {
            max: few(),
            gap_first: own.slowed.gap_first,
            gap_max: own.slowed.gap_first * u32::try_from(few()).unwrap_or(1),
            ..own.slowed
        },
        events: EventLimits {
            agenda_max: few(),
            max: few(),
        },
        daemon: DaemonLimits {
            chores: ChoreLimits {
                expired: u32::try_from(few()).unwrap_or(1),
                reaped: u32::try_from(few()).unwrap_or(1),
                times_ahead: u32::try_from(few()).unwrap_or(1),
                ..own.daemon.chores
            },
            ..own.daemon
        },
        ..own
    }
}

impl Plan {
    /// A herd of four claims, in the calm or before it, and something urgent beside it. Some of it
    /// is cancelled or moved at once, more than can be noted; some recipients opt out while it is
    /// sent.
    pub(crate) fn draw_herd(&mut self, dice: &mut Dice) {
        if !dice.chance(350) {
            return;
        }
        let first = self.rows;
        let limits = &self.settings.limits;
        // As many with the daemon's own limits as with small ones.
        let herd = 4 * limits.claims.batch.min(15);
        let many = 3 * limits.intake.notified_max.min(5);
        let rows = herd.max(many);
        let calm = dice.chance(600);
        let written = if calm {
            self.calm_at + dice.between(0, 5 * SECOND)
        } else {
            dice.between(0, self.calm_at)
        };
        let due = written + dice.between(SECOND, 20 * SECOND);
        let scattered = dice.pick(&[0, 0, 30 * MS, 3 * SECOND]);
        for row in first..first + rows {
            let due = due + dice.between(0, scattered + 1);
            self.insert(row, written, due, Priority::Normal);
        }
        self.rows += rows;
        for _ in 0..dice.pick(&[1, 1, 2]) {
            let due = due + dice.between(-60 * MS, 500 * MS);
            let row = self.rows;
            self.insert(row, written, due, Priority::Urgent);
            self.rows += 1;
        }
        let herd: Vec<_> = (first..first + many).collect();
        if dice.chance(400) {
            let at = dice.between(written, due + 200 * MS);
            let change = if dice.chance(500) {
                Change::Cancel
            } else {
                let by = dice.between(-5 * SECOND, 20 * SECOND);
                Change::Reschedule {
                    at: START + micros((due + by).max(0)),
                }
            };
            let rows = herd.clone();
            self.deeds.push(Deed {
                at,
                what: What::Mass { rows, change },
            });
        }
        if dice.chance(300) {
            let rows = herd.into_iter().filter(|row| row % 3 == 0).collect();
            let at = due + dice.between(-SECOND, 300 * MS);
            self.deeds.push(Deed {
                at,
                what: What::OptOut { rows },
            });
        }
    }

    fn insert(&mut self, row: usize, at: i64, due: i64, priority: Priority) {
        let channel = self.channels[row % self.channels.len()];
        let change = Change::Insert {
            at: START + micros(due.max(0)),
            channel,
            to: recipient(channel, row),
            body: format!("text 1 of {row}"),
            priority,
        };
        let what = What::User {
            row,
            change,
            open_for: 0,
            commits: true,
        };
        self.deeds.push(Deed { at, what });
    }
}
