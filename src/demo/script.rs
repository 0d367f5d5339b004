//! The messages of the demo, all within about twenty seconds, the changes that the app makes to them
//! meanwhile, and the result that is expected of each.

use std::time::Duration;

use super::phone::INVALID_NUMBER;
use super::webhook::JOBS;
use crate::message::parts::SEPARATOR;

/// A change that the app makes to a message. Times count from the start of the demo.
#[derive(Clone, Copy, Debug)]
pub enum UserChange {
    /// Moves it to this time.
    Move(Duration),
    /// Changes its text.
    Edit(&'static str),
    /// Cancels it.
    Cancel,
    /// Deletes it.
    Delete,
}

/// The expected result of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It arrives once, with this text, and not before this time; if the text has several parts, one after the other.
    Arrives(Duration, &'static str),
    /// It does not arrive, and its row is `cancelled`.
    Cancelled,
    /// It does not arrive, and its row is `failed`.
    Failed,
    /// It does not arrive, and there is no row.
    Deleted,
}

/// The user a message belongs to, whose preferences the policy applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// No user: no preferences apply.
    Nobody,
    /// A user with quiet hours until [`QUIET_UNTIL`].
    Quiet,
    /// A user with a limit of [`DAILY_LIMIT`] messages a day; the number counts theirs, from 1.
    Limited(usize),
}

/// When the quiet hours of [`Owner::Quiet`] end.
pub const QUIET_UNTIL: Duration = ms(8_250);

/// The daily limit of [`Owner::Limited`].
pub const DAILY_LIMIT: usize = 2;

/// One message of the demo.
#[derive(Clone, Copy, Debug)]
pub struct DemoMessage {
    /// Its name in the printed table.
    pub title: &'static str,
    /// The recipient.
    pub to: &'static str,
    /// The text it is inserted with; unique, so that an arrival can be assigned to its message.
    pub body: &'static str,
    /// When the app inserts it.
    pub inserted: Duration,
    /// Its scheduled time.
    pub at: Duration,
    /// The user it belongs to.
    pub owner: Owner,
    /// A change to it, and when it is made.
    pub change: Option<(Duration, UserChange)>,
}

impl DemoMessage {
    /// Whether it is a request to an endpoint, and no text.
    pub fn is_webhook(&self) -> bool {
        self.to == JOBS
    }

    /// The texts that are expected to arrive, in their order.
    pub fn texts(&self) -> Vec<&'static str> {
        match self.expected() {
            Expected::Arrives(_, body) => body.split(SEPARATOR).collect(),
            _ => Vec::new(),
        }
    }

    /// Its expected result.
    pub fn expected(&self) -> Expected {
        match self.owner {
            Owner::Quiet => return Expected::Arrives(self.at.max(QUIET_UNTIL), self.body),
            Owner::Limited(nth) if nth > DAILY_LIMIT => return Expected::Cancelled,
            Owner::Limited(_) | Owner::Nobody => {}
        }
        match self.change {
            None if self.is_webhook() => Expected::Arrives(self.at, self.body),
            _ if !self.to.starts_with('+') || self.to == INVALID_NUMBER => Expected::Failed,
            None => Expected::Arrives(self.at, self.body),
            Some((_, UserChange::Move(at))) => Expected::Arrives(at, self.body),
            Some((_, UserChange::Edit(body))) => Expected::Arrives(self.at, body),
            Some((_, UserChange::Cancel)) => Expected::Cancelled,
            Some((_, UserChange::Delete)) => Expected::Deleted,
        }
    }

    /// When it is sent, or would have been.
    pub fn ends_at(&self) -> Duration {
        match self.expected() {
            Expected::Arrives(at, _) => at,
            _ => self.at,
        }
    }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn message(
    title: &'static str,
    to: &'static str,
    body: &'static str,
    at: u64,
) -> DemoMessage {
    DemoMessage {
        title,
        to,
        body,
        inserted: Duration::ZERO,
        at: ms(at),
        owner: Owner::Nobody,
        change: None,
    }
}

const fn changed(message: DemoMessage, when: u64, change: UserChange) -> DemoMessage {
    DemoMessage {
        change: Some((ms(when), change)),
        ..message
    }
}

const fn of(owner: Owner, title: &'static str, body: &'static str, at: u64) -> DemoMessage {
    let to = match owner {
        Owner::Quiet => "+12025550113",
        Owner::Limited(_) | Owner::Nobody => "+12025550114",
    };
    DemoMessage {
        owner,
        ..message(title, to, body, at)
    }
}

/// All messages, in the order of their insertion. `+1 555 01xx` numbers are
/// reserved for fiction.
pub const MESSAGES: [DemoMessage; 20] = [
    message(
        "on time",
        "+12025550101",
        "Your appointment is confirmed.",
        3_000,
    ),
    message(
        "on time",
        "+12025550102",
        "Your table is ready at seven.",
        4_321,
    ),
    changed(
        message(
            "moved later",
            "+12025550103",
            "Your parcel arrives today.",
            5_000,
        ),
        3_500,
        UserChange::Move(ms(9_000)),
    ),
    changed(
        message(
            "moved earlier",
            "+12025550104",
            "Your car is ready.",
            18_000,
        ),
        2_000,
        UserChange::Move(ms(6_000)),
    ),
    changed(
        message("edited text", "+12025550105", "See you at eihgt.", 7_500),
        4_000,
        UserChange::Edit("See you at eight."),
    ),
    changed(
        message(
            "cancelled just before",
            "+12025550106",
            "This one was cancelled.",
            10_000,
        ),
        9_850,
        UserChange::Cancel,
    ),
    message(
        "three at the same time",
        "+12025550107",
        "Doors open now (1).",
        11_000,
    ),
    message(
        "three at the same time",
        "+12025550108",
        "Doors open now (2).",
        11_000,
    ),
    message(
        "three at the same time",
        "+12025550109",
        "Doors open now (3).",
        11_000,
    ),
    message(
        "message of three texts",
        "+12025550115",
        "Hi![BUBBLE]It is me, your alarm clock.[BUBBLE]Get up.",
        5_000,
    ),
    message("webhook, verified", JOBS, "{\"report\": 7}", 10_400),
    of(
        Owner::Quiet,
        "deferred: quiet hours",
        "Good morning!",
        5_500,
    ),
    of(
        Owner::Limited(1),
        "two a day at most",
        "First news of the day.",
        12_800,
    ),
    of(
        Owner::Limited(2),
        "two a day at most",
        "Second news of the day.",
        13_000,
    ),
    of(
        Owner::Limited(3),
        "two a day at most",
        "Third news of the day.",
        13_200,
    ),
    message(
        "number refused",
        INVALID_NUMBER,
        "Nobody will read this.",
        12_000,
    ),
    message(
        "no phone number",
        "call me",
        "Nobody will read this either.",
        12_500,
    ),
    changed(
        message("deleted", "+12025550110", "This one was deleted.", 13_500),
        9_000,
        UserChange::Delete,
    ),
    DemoMessage {
        inserted: ms(14_000),
        ..message(
            "inserted 200 ms before",
            "+12025550111",
            "Quick reminder.",
            14_200,
        )
    },
    message(
        "on time",
        "+12025550112",
        "That is all. Good night.",
        16_000,
    ),
];
