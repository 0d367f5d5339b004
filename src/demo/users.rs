//! The users of the demo's app, and what they have chosen.

use jiff::civil::Time;
use jiff::tz::{TimeZone, offset};
use jiff::{Timestamp, ToSpan};
use tokio_postgres::Client;
use uuid::Uuid;

use super::script::{DAILY, Of, WAKES};
use crate::message::Moment;
use crate::store::StoreError;
use crate::store::user::UserSession;

const SLEEPER: Uuid = Uuid::from_u128(0x51);
const BUSY: Uuid = Uuid::from_u128(0xb5);

/// How long the sleeper sleeps.
const NIGHT_H: i64 = 8;

/// The user whose message it is.
pub(super) const fn of(of: Of) -> Option<Uuid> {
    match of {
        Of::Nobody => None,
        Of::Sleeper => Some(SLEEPER),
        Of::Busy(_) => Some(BUSY),
    }
}

/// Lets them choose. Where they live it is about noon, so that no day ends while the demo runs.
pub(super) async fn settle(app: &UserSession<Client>, began: Moment) -> Result<(), StoreError> {
    let on_clock = |at: Moment, zone: &TimeZone| {
        let at = Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
        zone.to_datetime(at).time()
    };
    let ahead = 12 - on_clock(began, &TimeZone::UTC).hour();
    // The signs of these names are the other way round.
    let name = match ahead {
        0 => "Etc/GMT".to_owned(),
        1.. => format!("Etc/GMT-{ahead}"),
        _ => format!("Etc/GMT+{}", -ahead),
    };
    let wakes = on_clock(began + WAKES, &TimeZone::fixed(offset(ahead)));
    let sleeps = wakes.wrapping_sub(NIGHT_H.hours());
    app.prefer(SLEEPER, &name, (sleeps, wakes), 10).await?;
    let never = (Time::midnight(), Time::midnight());
    let a_day = i32::try_from(DAILY).unwrap_or(i32::MAX);
    app.prefer(BUSY, &name, never, a_day).await
}
