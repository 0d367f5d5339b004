//! A provider that remembers what it took, shows it in a list that lags, and reports it in callbacks that
//! are lost, doubled, late and out of order.

use std::time::Duration;

use punctual::message::{
    AttemptToken, Category, Delivery, Failure, LaneKey, MessageId, Moment, ProviderSid, Retry,
};
use punctual::proof::{About, ProviderMessage, ProviderStatus, Report};

use punctual::provider::Fetched;

use crate::dice::Dice;

/// A message that the provider took.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) sid: ProviderSid,
    pub(super) message: MessageId,
    /// Which of its texts.
    pub(super) part: i16,
    pub(super) token: AttemptToken,
    pub(super) to: String,
    pub(super) body: String,
    /// In true time.
    pub(super) at: i64,
    /// From when on the list shows it, in true time.
    pub(super) listed_from: i64,
    /// How far it comes, and when, in true time.
    pub(super) course: Vec<(i64, Delivery)>,
    /// Callbacks carry the attempt's ids.
    pub(super) carries_ids: bool,
}

/// The simulated provider.
#[derive(Debug, Default)]
pub(super) struct Provider {
    pub(super) taken: Vec<Taken>,
    /// Its clock less the true one.
    pub(super) offset: i64,
    /// It answers no query, until then.
    pub(super) silent_until: i64,
    /// It shows texts, and the last four digits of numbers, redacted.
    pub(super) redacts: (bool, bool),
}

const SECOND: i64 = 1_000_000;

fn failure(dice: &mut Dice) -> Failure {
    let retry = if dice.chance(500) {
        Retry::after(Duration::from_secs(5))
    } else {
        Retry::No
    };
    Failure {
        category: Category::Unreachable,
        retry,
    }
}

fn course(at: i64, dice: &mut Dice) -> Vec<(i64, Delivery)> {
    let mut course = vec![(at, Delivery::Queued)];
    let sent = at + dice.between(10_000, 3 * SECOND);
    course.push((sent, Delivery::Sent));
    let end = sent + dice.between(10_000, 60 * SECOND);
    match dice.below(10) {
        0..=5 => course.push((end, Delivery::Delivered)),
        6..=7 => {
            course.push((end, Delivery::Undelivered(failure(dice))));
            // The carrier tried again by itself.
            if dice.chance(300) {
                let after_all = end + dice.between(10_000, 30 * SECOND);
                course.push((after_all, Delivery::Delivered));
            }
        }
        8 => course.push((end, Delivery::Failed(failure(dice)))),
        // The carrier says nothing more.
        _ => {}
    }
    course
}

impl Taken {
    pub(super) fn new(
        (message, part, token): (MessageId, i16, AttemptToken),
        (to, body): (&str, &str),
        n: usize,
        at: i64,
        dice: &mut Dice,
    ) -> Self {
        // Lists lag, and never by as long as after which a miss is believed.
        let lag = match dice.below(4) {
            0 => dice.between(0, 10 * 60 * SECOND),
            _ => dice.between(0, SECOND),
        };
        Self {
            sid: ProviderSid(format!("S{n}")),
            message,
            part,
            token,
            to: to.to_owned(),
            body: body.to_owned(),
            at,
            listed_from: at + lag,
            course: course(at, dice),
            carries_ids: dice.chance(700),
        }
    }

    /// How far it has come by then.
    pub(super) fn delivery_at(&self, now: i64) -> Delivery {
        let past = self.course.iter().rev().find(|(at, _)| *at <= now);
        past.map_or(Delivery::Queued, |(_, delivery)| *delivery)
    }

    /// Whether it was known by then that it did not arrive, though it may have arrived since.
    pub(super) fn had_failed_by(&self, now: i64) -> bool {
        let past = self.course.iter().take_while(|(at, _)| *at <= now);
        past.into_iter()
            .any(|(_, delivery)| delivery.failure().is_some())
    }

    pub(super) fn report(&self, delivery: Delivery) -> Report {
        let about = if self.carries_ids {
            About::Attempt {
                message: self.message,
                token: self.token,
            }
        } else {
            About::Sid
        };
        Report {
            lane: LaneKey::default(),
            about,
            sid: self.sid.clone(),
            status: status(delivery),
            from: None,
            to: Some(self.to.clone()),
        }
    }

    fn shown(&self, now: i64, offset: i64, redacts: (bool, bool)) -> ProviderMessage {
        let created = (self.at + offset).div_euclid(SECOND) * SECOND;
        ProviderMessage {
            sid: self.sid.clone(),
            status: Some(status(self.delivery_at(now))),
            to: if redacts.1 {
                format!("{}XXXX", &self.to[..self.to.len() - 4])
            } else {
                self.to.clone()
            },
            from: None,
            body: if redacts.0 {
                String::new()
            } else {
                self.body.clone()
            },
            by_api: true,
            created: Some(Moment::from_micros(created)),
            price: None,
        }
    }
}

fn status(delivery: Delivery) -> ProviderStatus {
    ProviderStatus {
        delivery,
        word: delivery.stage().as_str(),
        code: None,
        error: delivery.failure().map(|_| "not delivered".to_owned()),
    }
}

impl Provider {
    pub(super) fn of(&self, sid: &str) -> Option<&Taken> {
        self.taken.iter().find(|taken| taken.sid.0 == sid)
    }

    pub(super) fn by_attempt(&self, token: AttemptToken) -> Option<&Taken> {
        self.taken.iter().find(|taken| taken.token == token)
    }

    /// What the list shows of a number; `None`: no answer.
    pub(super) fn list(&self, to: &str, since: Moment, now: i64) -> Option<Vec<ProviderMessage>> {
        if now < self.silent_until {
            return None;
        }
        let of = self
            .taken
            .iter()
            .filter(|taken| taken.to == to && taken.listed_from <= now);
        let shown = of.map(|taken| taken.shown(now, self.offset, self.redacts));
        Some(
            shown
                .filter(|shown| shown.created.is_none_or(|at| at >= since))
                .collect(),
        )
    }

    /// One message by its sid.
    pub(super) fn fetch(&self, sid: &str, now: i64) -> Fetched {
        if now < self.silent_until {
            return Fetched::NotNow {
                reason: "silent".to_owned(),
                is_throttled: false,
            };
        }
        self.of(sid).map_or(Fetched::Absent, |taken| {
            Fetched::Found(Box::new(taken.shown(now, self.offset, self.redacts)))
        })
    }
}
