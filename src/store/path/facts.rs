//! Reads what comes with a claim: its token, and the facts by which the policy judges it.

use jiff::civil::Date;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::message::facts::{
    CampaignHours, Event, Limit, Preferences, Priority, QuietHours, Switch, Template, TypeHours,
};
use crate::message::{AttemptToken, Facts, MessageId, Moment};
use crate::store::session::timestamp::PgTimestamp;

/// A row of a claim: under which token it was won, and when; none: it was cancelled instead.
pub(super) fn token(
    row: &Row,
) -> Result<(MessageId, Option<(AttemptToken, Moment)>), tokio_postgres::Error> {
    let now = row.try_get::<_, PgTimestamp>("now")?.0;
    let token: Option<Uuid> = row.try_get("token")?;
    let id = MessageId(row.try_get("id")?);
    Ok((id, token.map(|token| (AttemptToken(token), now))))
}

pub(in crate::store) fn read(row: &Row) -> Result<Facts, tokio_postgres::Error> {
    Ok(Facts {
        user_id: row.try_get("user_id")?,
        scheduled_at: Some(row.try_get::<_, PgTimestamp>("scheduled_at")?.0),
        timezone: row.try_get("timezone")?,
        account_timezone: row.try_get("account_timezone")?,
        is_planned: row
            .try_get::<_, Option<bool>>("is_planned")?
            .unwrap_or(false),
        message_type: row.try_get("message_type")?,
        priority: Priority::of(row.try_get("priority")?),
        template: template(row)?,
        template_vars: row.try_get("template_vars")?,
        preferences: preferences(row)?,
        type_hours: type_hours(row)?,
        event: event(row)?,
        limit: limit(row)?,
        subject: row.try_get("subject")?,
        html: row.try_get("html")?,
        campaign_hours: campaign_hours(row)?,
        media: media(row)?,
    })
}

fn campaign_hours(row: &Row) -> Result<Option<CampaignHours>, tokio_postgres::Error> {
    let own: Option<Vec<String>> = row.try_get("campaign_hours")?;
    let own = own.and_then(|own| <[String; 4]>::try_from(own).ok());
    Ok(own.map(|[hours, timezone, state, reply]| CampaignHours {
        hours,
        timezone,
        is_cancelled: state == "cancelled",
        has_reply: !reply.is_empty(),
    }))
}

/// Reads `type_hours`: what is no time of day is none.
fn type_hours(row: &Row) -> Result<Option<TypeHours>, tokio_postgres::Error> {
    let own: Option<Vec<Option<String>>> = row.try_get("type_hours")?;
    let Some([Some(start), Some(end), timezone]) =
        own.and_then(|own| <[Option<String>; 3]>::try_from(own).ok())
    else {
        return Ok(None);
    };
    let times = start.parse().ok().zip(end.parse().ok());
    let hours = times.and_then(|(start, end)| QuietHours::from_micros(start, end));
    Ok(hours.map(|hours| TypeHours { hours, timezone }))
}

fn media(row: &Row) -> Result<Vec<String>, tokio_postgres::Error> {
    let media: Vec<Option<String>> = row.try_get("media")?;
    // One that is null is none that can be sent.
    Ok(media.into_iter().map(Option::unwrap_or_default).collect())
}

fn template(row: &Row) -> Result<Option<Template>, tokio_postgres::Error> {
    let Some(text) = row.try_get("template_text")? else {
        return Ok(None);
    };
    Ok(Some(Template {
        name: row
            .try_get::<_, Option<String>>("template_name")?
            .unwrap_or_default(),
        text,
        required_vars: row.try_get("template_required")?,
        max_length: row.try_get("template_max_length")?,
        is_active: row
            .try_get::<_, Option<bool>>("template_is_active")?
            .unwrap_or(true),
    }))
}

fn preferences(row: &Row) -> Result<Option<Preferences>, tokio_postgres::Error> {
    if !row.try_get::<_, bool>("has_preferences")? {
        return Ok(None);
    }
    let off: Vec<&str> = row.try_get("off")?;
    let is_off = |switch: &Switch| off.contains(&switch.message_types()[0]);
    let quiet = (row.try_get("quiet_start")?, row.try_get("quiet_end")?);
    Ok(Some(Preferences {
        phone_number: row.try_get("user_number")?,
        phone_verified: row.try_get("phone_verified")?,
        opted_out: row.try_get("opted_out")?,
        off: Switch::ALL.into_iter().filter(is_off).collect(),
        quiet_hours: match quiet {
            (Some(start), Some(end)) => QuietHours::from_micros(start, end),
            // Where one end is not set there are none.
            _ => None,
        },
        timezone: row.try_get("user_timezone")?,
    }))
}

fn event(row: &Row) -> Result<Event, tokio_postgres::Error> {
    if row.try_get::<_, Option<bool>>("event_gone")? == Some(true) {
        return Ok(Event::Gone);
    }
    let starts: Option<PgTimestamp> = row.try_get("event_start")?;
    let starts = starts.map(|at| at.0);
    let is_there: Option<bool> = row.try_get("event_is_there")?;
    if row.try_get::<_, Option<bool>>("names_event")? == Some(true) && is_there != Some(true) {
        return Ok(Event::Missing(starts));
    }
    Ok(starts.map_or(Event::None, Event::Begins))
}

fn limit(row: &Row) -> Result<Limit, tokio_postgres::Error> {
    if let Some(limit) = row.try_get("over_limit")? {
        return Ok(Limit::Over { limit });
    }
    let day: Option<&str> = row.try_get("place_day")?;
    let day = day.and_then(|day| day.parse::<Date>().ok());
    Ok(day.map_or(Limit::NotCounted, |day| Limit::Taken { day }))
}
