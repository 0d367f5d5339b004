//! The users of the demo's app, and their preferences.

use jiff::civil::Time;
use jiff::tz::{TimeZone, offset};
use jiff::{Timestamp, ToSpan};
use tokio_postgres::Client;
use uuid::Uuid;

use super::script::{DAILY_LIMIT, Owner, QUIET_UNTIL};
use crate::message::Moment;
use crate::store::StoreError;
use crate::store::user::UserSession;

const QUIET: Uuid = Uuid::from_u128(0x51);
const LIMITED: Uuid = Uuid::from_u128(0xb5);

/// The length of the quiet hours.
const QUIET_H: i64 = 8;

/// The id of the user a message belongs to.
pub(super) const fn id_of(owner: Owner) -> Option<Uuid> {
    match owner {
        Owner::Nobody => None,
        Owner::Quiet => Some(QUIET),
        Owner::Limited(_) => Some(LIMITED),
    }
}

/// Writes their preferences. Their time zone is one where it is about noon, so that no day ends while the
/// demo runs.
pub(super) async fn set_preferences(
    app: &UserSession<Client>,
    began: Moment,
) -> Result<(), StoreError> {
    let on_clock = |at: Moment, zone: &TimeZone| {
        let at = Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
        zone.to_datetime(at).time()
    };
    let ahead = 12 - on_clock(began, &TimeZone::UTC).hour();
    // POSIX: the signs of these names are reversed.
    let name = match ahead {
        0 => "Etc/GMT".to_owned(),
        1.. => format!("Etc/GMT-{ahead}"),
        _ => format!("Etc/GMT+{}", -ahead),
    };
    let ends = on_clock(began + QUIET_UNTIL, &TimeZone::fixed(offset(ahead)));
    let starts = ends.wrapping_sub(QUIET_H.hours());
    app.prefer(QUIET, &name, (starts, ends), 10).await?;
    let never = (Time::midnight(), Time::midnight());
    let a_day = i32::try_from(DAILY_LIMIT).unwrap_or(i32::MAX);
    app.prefer(LIMITED, &name, never, a_day).await
}
