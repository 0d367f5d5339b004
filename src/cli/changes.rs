//! The history of pauses and paces, for `punctual pauses --history` and `punctual pace list --history`: a sentence for
//! each change.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::pace::{gaps, rated};
use super::{output, session, when};
use crate::config::Sources;
use crate::message::{Moment, PaceScope};
use crate::store::changes::{Changed, HistoryOf, changes};

/// Prints the latest changes, the last first. `name` is how the command calls what was paused or has the pace.
pub(super) async fn show(
    of: HistoryOf,
    name: impl Fn(&str, &str) -> String,
    as_json: bool,
    sources: &Sources,
) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let all = session::with(&dsn, async |client| Ok(changes(client, of).await?)).await?;
    if as_json {
        return output::print(&format!("{:#}\n", json!(all)));
    }
    if all.is_empty() {
        return output::print("nothing was changed, as far as the history goes back\n");
    }
    let local = TimeZone::system();
    let line = |changed: &Changed| {
        let name = name(&changed.scope, &changed.what);
        let said = match of {
            HistoryOf::Pauses => pause(changed, &local),
            HistoryOf::Paces => pace(changed),
        };
        let at = when::show(changed.at, &local);
        format!("{at}  {}\n", output::one_line(&format!("{name} {said}")))
    };
    output::print(&all.iter().map(line).collect::<String>())
}

/// What was done to a pause, by whom.
fn pause(changed: &Changed, local: &TimeZone) -> String {
    // One whose end has passed is none.
    let in_force = |of: &Value| end(of).is_none_or(|end| end > changed.at);
    let old = changed.old.as_ref().filter(|old| in_force(old));
    let new = changed.new.as_ref().filter(|new| in_force(new));
    let who = &changed.who;
    let terms = |of: &Value| {
        let until = match end(of) {
            Some(Moment::MAX) | None => "until somebody resumes".to_owned(),
            Some(until) => format!("until {}", when::show(until, local)),
        };
        let why = of["why"].as_str().map(|why| format!(": {why}"));
        format!("{until}{}", why.unwrap_or_default())
    };
    match (old, new) {
        (None, Some(new)) => format!("was paused by {who} {}", terms(new)),
        (Some(old), Some(new)) => {
            format!(
                "was paused again by {who} {}; before, {}",
                terms(new),
                terms(old)
            )
        }
        (Some(old), None) => format!("was resumed by {who}; it was paused {}", terms(old)),
        (None, None) => format!("was changed by {who} when it was not paused"),
    }
}

/// What was done to a pace, by whom.
fn pace(changed: &Changed) -> String {
    let who = &changed.who;
    let is_rate = changed.scope == PaceScope::Sender.as_str();
    let terms = |of: &Value| {
        let text = |name: &str| of[name].as_str().unwrap_or("an unknown time");
        let gap = |name: &str| seconds(text(name));
        let burst = of["burst"]
            .as_i64()
            .and_then(|burst| i32::try_from(burst).ok());
        match (gap("gap_min"), gap("gap_max")) {
            (Some(min), Some(_)) if is_rate => rated(min, burst.unwrap_or(1)),
            (Some(min), Some(max)) => format!("a message every {}", gaps(min, max)),
            _ => format!("a gap of {} to {}", text("gap_min"), text("gap_max")),
        }
    };
    match (&changed.old, &changed.new) {
        (None, Some(new)) => format!("got its pace from {who}: {}", terms(new)),
        (Some(old), Some(new)) => {
            format!(
                "got another pace from {who}: {}; before, {}",
                terms(new),
                terms(old)
            )
        }
        (Some(old), None) => format!("lost its pace by {who}: it was {}", terms(old)),
        (None, None) => format!("was changed by {who}"),
    }
}

fn end(pause: &Value) -> Option<Moment> {
    pause["until"].as_str()?.parse().ok()
}

/// The seconds of an interval, as the server writes one without days: `00:04:00.5`. `None`: it is written otherwise.
fn seconds(interval: &str) -> Option<f64> {
    let mut parts = interval.split(':').map(str::parse::<f64>);
    let mut next = || parts.next()?.ok();
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    Some(hours * 3600.0 + minutes * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(scope: &str, old: Value, new: Value) -> Changed {
        Changed {
            at: "2026-01-01T09:00:00Z".parse().unwrap(),
            scope: scope.into(),
            what: String::new(),
            op: "update".into(),
            who: "ann".into(),
            role: "app".into(),
            application: None,
            old: Some(old).filter(|old| !old.is_null()),
            new: Some(new).filter(|new| !new.is_null()),
        }
    }

    #[test]
    fn a_change_of_a_pause_is_a_sentence() {
        let forever =
            json!({"until": "infinity", "why": "a test", "who": "ann", "at": "2026-01-01"});
        let noon = json!({"until": "2026-01-01T12:00:00+00:00", "why": null, "who": "bob"});
        let over = json!({"until": "2026-01-01T09:00:00+00:00", "why": "a test", "who": "ann"});
        for (old, new, expected) in [
            (
                Value::Null,
                forever.clone(),
                "was paused by ann until somebody resumes: a test",
            ),
            (
                over.clone(),
                noon.clone(),
                "was paused by ann until Thu 2026-01-01 12:00:00 +00:00 (UTC)",
            ),
            (
                forever.clone(),
                noon,
                "was paused again by ann until Thu 2026-01-01 12:00:00 +00:00 (UTC); before, until somebody resumes: a test",
            ),
            (
                forever.clone(),
                over,
                "was resumed by ann; it was paused until somebody resumes: a test",
            ),
            (
                forever,
                Value::Null,
                "was resumed by ann; it was paused until somebody resumes: a test",
            ),
        ] {
            let said = pause(&changed("everything", old, new), &TimeZone::UTC);
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn a_change_of_a_pace_is_a_sentence() {
        let range = json!({"gap_min": "00:04:00", "gap_max": "00:07:00", "burst": 1, "who": "ann"});
        let one =
            json!({"gap_min": "00:00:00.5", "gap_max": "00:00:00.5", "burst": 3, "who": "bob"});
        // As a server with another style of intervals writes it.
        let other = json!({"gap_min": "PT4M", "gap_max": "PT7M", "burst": 1});
        for (scope, old, new, expected) in [
            (
                "campaign",
                Value::Null,
                range.clone(),
                "got its pace from ann: a message every 4m..7m",
            ),
            (
                "campaign",
                range.clone(),
                one.clone(),
                "got another pace from ann: a message every 500ms; before, a message every 4m..7m",
            ),
            (
                "sender",
                one,
                Value::Null,
                "lost its pace by ann: it was 2 segments a second, 3 at once",
            ),
            (
                "campaign",
                Value::Null,
                other,
                "got its pace from ann: a gap of PT4M to PT7M",
            ),
        ] {
            assert_eq!(pace(&changed(scope, old, new)), expected);
        }
    }
}
