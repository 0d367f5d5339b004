//! Messages of several parts, and what happens between them.

use std::fmt::Write as _;

use punctual::message::parts::{SEPARATOR, split};
use punctual::message::{MessageId, Status};

use crate::dice::Dice;
use crate::model::Change;
use crate::plan::{Deed, MS, Plan, SECOND, What};
use crate::watch::Invariant;
use crate::witness::Seen;
use crate::world::{Payload, START, World};

impl Plan {
    /// Some of the messages get several parts, and some of these troubles between them.
    pub(crate) fn draw_parts(&mut self, dice: &mut Dice) {
        if !dice.chance(500) {
            return;
        }
        self.part_gap = dice.pick(&[0, 50 * MS, 400 * MS, 1_500 * MS]);
        let mut between = Vec::new();
        for deed in &mut self.deeds {
            let What::User { row, change, .. } = &mut deed.what else {
                continue;
            };
            let (Change::Insert { body, .. } | Change::Edit { body }) = change else {
                continue;
            };
            if !dice.chance(300) {
                continue;
            }
            let parts = dice.pick(&[2, 2, 3, 4]);
            for part in 2..=parts {
                let space = dice.pick(&["", " ", "\n"]);
                let _ = write!(body, "{space}{SEPARATOR}{space}part {part}");
            }
            // Empty ones are dropped.
            if dice.chance(200) {
                body.push_str(SEPARATOR);
            }
            self.end_at += parts * (2 * self.part_gap + SECOND);
            if let Change::Insert { at, .. } = change {
                let due = at.micros_from(START).max(deed.at);
                between.push((*row, due, parts * (self.part_gap + 50 * MS)));
            }
        }
        for (row, due, lasts) in between {
            for _ in 0..dice.pick(&[0, 0, 1, 2]) {
                let at = due + dice.between(0, lasts + 1);
                self.deeds.push(self.between_parts(dice, row, at));
            }
        }
    }

    fn between_parts(&self, dice: &mut Dice, row: usize, at: i64) -> Deed {
        let by_user = |change| What::User {
            row,
            change,
            open_for: 0,
            commits: true,
        };
        let is_calm = at >= self.calm_at;
        let what = match dice.below(8) {
            0 | 1 if !is_calm => What::Crash {
                slot: dice.below(self.slots),
                down_for: dice.between(0, 3 * SECOND),
            },
            2 => by_user(Change::Cancel),
            3 => by_user(Change::Edit {
                body: format!("text 99 of {row}"),
            }),
            4 => by_user(Change::PutBack { at: None }),
            5 => by_user(Change::Reschedule { at: START }),
            6 => What::OptOut { rows: vec![row] },
            _ => by_user(Change::Hold),
        };
        Deed { at, what }
    }
}

impl World {
    /// A request sends the part that is next: each one before it was accepted, and none after it was requested.
    pub(crate) fn out_of_order(&self, payload: &Payload) -> Seen {
        let (id, part) = (payload.id(), payload.part());
        let of_it = || self.requests.iter().filter(|r| r.id == id);
        let missing =
            (0..part.before).find(|before| !of_it().any(|r| r.part == *before && r.is_accepted));
        if let Some(missing) = missing {
            let what = format!("part {part} before the {missing}th was accepted");
            return Some((Invariant::PartsInOrder, what));
        }
        let later = of_it().find(|r| r.part > part.before && !r.known_unaccepted)?;
        let what = format!("part {part} after the {}th", later.part);
        Some((Invariant::PartsInOrder, what))
    }

    /// The text that the row has for this part.
    pub(crate) fn text_of(&self, payload: &Payload) -> Option<&str> {
        let row = self.db.rows.get(&payload.id())?;
        let texts = split(&row.body, self.separator(payload.channel()));
        texts
            .get(usize::try_from(payload.part().before).ok()?)
            .copied()
    }

    /// At the end: what is sent was sent in all of its parts.
    pub(crate) fn parts_missing(&self, id: MessageId) -> Option<String> {
        let row = self.db.rows.get(&id)?;
        // What its user marked has no proof.
        if row.status != Status::Sent || row.sid.is_none() {
            return None;
        }
        let parts = split(&row.body, self.separator(row.channel)).len();
        let is_accepted = |part: &usize| {
            let mut of_it = self.requests.iter().filter(|r| r.id == id);
            of_it.any(|r| usize::try_from(r.part) == Ok(*part) && r.is_accepted)
        };
        let missing = (0..parts).find(|part| !is_accepted(part))?;
        Some(format!("sent, and part {} of {parts} was not", missing + 1))
    }
}
