//! Many rows in few statements: if the database refuses a group because of a row, the group is halved until
//! that row is alone, so it never delays the others.

use super::StoreError;

/// The groups that are left of some rows, in their order.
pub struct Halving<'a, T> {
    /// The next one is the last.
    left: Vec<&'a [T]>,
}

impl<'a, T> Halving<'a, T> {
    /// These rows, at most `most` in a group.
    pub fn new(rows: &'a [T], most: usize) -> Self {
        Self {
            left: rows.chunks(most.max(1)).rev().collect(),
        }
    }

    /// The next group.
    pub fn next_group(&mut self) -> Option<&'a [T]> {
        self.left.pop()
    }

    /// Halves a group that failed, if the error may be about one of its rows. `false`: the group is one row,
    /// or the error would be the same for each of them.
    pub fn halve(&mut self, failed: &'a [T], error: &StoreError) -> bool {
        let is_halved = failed.len() > 1 && error.is_about_a_row();
        if is_halved {
            let (first, second) = failed.split_at(failed.len() / 2);
            self.left.extend([second, first]);
        }
        is_halved
    }
}
