//! What happens in the demo: a dozen messages within some twenty seconds, and what the person
//! at the app does to them meanwhile.

use std::time::Duration;

use super::phone::INVALID_NUMBER;

/// What the person does to a message, and how long after the demo's start.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    /// Changes its time to this long after the start.
    Move(Duration),
    /// Changes its text.
    Edit(&'static str),
    /// Cancels it.
    Cancel,
    /// Deletes it.
    Delete,
}

/// What is to become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, once, with this text, not before this long after the start.
    Arrives(Duration, &'static str),
    /// It does not, and its row says so.
    Cancelled,
    /// It does not, and its row says why.
    Failed,
    /// It does not; the row is gone.
    Deleted,
}

/// Whose message it is, and what the policy makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Nobody's in particular: it just goes.
    Nobody,
    /// A user's who sleeps until [`WAKES`].
    Sleeper,
    /// The so-and-so many-th, of a user who is sent [`DAILY`] a day.
    Busy(usize),
}

/// How long after the start the quiet hours of the sleeper end.
pub const WAKES: Duration = ms(8_250);

/// How many messages the busy user is sent in a day.
pub const DAILY: usize = 2;

/// One message of the demo.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// For people.
    pub title: &'static str,
    /// The recipient.
    pub to: &'static str,
    /// The text it is inserted with; unique, so that an arrival tells whose it is.
    pub body: &'static str,
    /// When it is inserted.
    pub inserted: Duration,
    /// When it is scheduled for.
    pub at: Duration,
    /// Whose it is.
    pub of: Of,
    /// What is done to it, and when.
    pub deed: Option<(Duration, Deed)>,
}

impl Scene {
    /// What is to become of it.
    pub fn fate(&self) -> Fate {
        match self.of {
            Of::Sleeper => return Fate::Arrives(self.at.max(WAKES), self.body),
            Of::Busy(nth) if nth > DAILY => return Fate::Cancelled,
            Of::Busy(_) | Of::Nobody => {}
        }
        match self.deed {
            _ if !self.to.starts_with('+') || self.to == INVALID_NUMBER => Fate::Failed,
            None => Fate::Arrives(self.at, self.body),
            Some((_, Deed::Move(at))) => Fate::Arrives(at, self.body),
            Some((_, Deed::Edit(body))) => Fate::Arrives(self.at, body),
            Some((_, Deed::Cancel)) => Fate::Cancelled,
            Some((_, Deed::Delete)) => Fate::Deleted,
        }
    }

    /// When it is over with, one way or the other.
    pub fn over(&self) -> Duration {
        match self.fate() {
            Fate::Arrives(at, _) => at,
            _ => self.at,
        }
    }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn scene(title: &'static str, to: &'static str, body: &'static str, at: u64) -> Scene {
    Scene {
        title,
        to,
        body,
        inserted: Duration::ZERO,
        at: ms(at),
        of: Of::Nobody,
        deed: None,
    }
}

const fn then(scene: Scene, when: u64, deed: Deed) -> Scene {
    Scene {
        deed: Some((ms(when), deed)),
        ..scene
    }
}

const fn of(of: Of, title: &'static str, body: &'static str, at: u64) -> Scene {
    let to = match of {
        Of::Sleeper => "+12025550113",
        Of::Busy(_) | Of::Nobody => "+12025550114",
    };
    Scene {
        of,
        ..scene(title, to, body, at)
    }
}

/// The dozen and a few, in the order of the table that is printed first. `+1 555 01xx` numbers are
/// reserved for fiction.
pub const SCENES: [Scene; 18] = [
    scene(
        "on time",
        "+12025550101",
        "Your appointment is confirmed.",
        3_000,
    ),
    scene(
        "on time",
        "+12025550102",
        "Your table is ready at seven.",
        4_321,
    ),
    then(
        scene(
            "moved later",
            "+12025550103",
            "Your parcel arrives today.",
            5_000,
        ),
        3_500,
        Deed::Move(ms(9_000)),
    ),
    then(
        scene(
            "moved earlier",
            "+12025550104",
            "Your car is ready.",
            18_000,
        ),
        2_000,
        Deed::Move(ms(6_000)),
    ),
    then(
        scene("edited text", "+12025550105", "See you at eihgt.", 7_500),
        4_000,
        Deed::Edit("See you at eight."),
    ),
    then(
        scene(
            "cancelled just before",
            "+12025550106",
            "This one was cancelled.",
            10_000,
        ),
        9_850,
        Deed::Cancel,
    ),
    scene(
        "three at one instant",
        "+12025550107",
        "Doors open now (1).",
        11_000,
    ),
    scene(
        "three at one instant",
        "+12025550108",
        "Doors open now (2).",
        11_000,
    ),
    scene(
        "three at one instant",
        "+12025550109",
        "Doors open now (3).",
        11_000,
    ),
    of(Of::Sleeper, "held by quiet hours", "Good morning!", 5_500),
    of(
        Of::Busy(1),
        "two a day at most",
        "First news of the day.",
        12_800,
    ),
    of(
        Of::Busy(2),
        "two a day at most",
        "Second news of the day.",
        13_000,
    ),
    of(
        Of::Busy(3),
        "two a day at most",
        "Third news of the day.",
        13_200,
    ),
    scene(
        "number refused",
        INVALID_NUMBER,
        "Nobody will read this.",
        12_000,
    ),
    scene(
        "no phone number",
        "call me",
        "Nobody will read this either.",
        12_500,
    ),
    then(
        scene("deleted", "+12025550110", "This one was deleted.", 13_500),
        9_000,
        Deed::Delete,
    ),
    Scene {
        inserted: ms(14_000),
        ..scene(
            "inserted 200 ms before",
            "+12025550111",
            "Quick reminder.",
            14_200,
        )
    },
    scene(
        "on time",
        "+12025550112",
        "That is all. Good night.",
        16_000,
    ),
];
