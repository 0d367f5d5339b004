//! The history of pauses and paces, for `punctual pauses --history` and `punctual pace list --history`.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{output, session, when};
use crate::config::Sources;
use crate::store::changes::{Changed, HistoryOf, changes};

/// Prints the latest changes, the last first.
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
        let at = when::show(changed.at, &local);
        let name = name(&changed.scope, &changed.what);
        let text = format!("{name}, by {}: {}", changed.who, said(changed));
        format!("{at}  {}\n", output::one_line(&text))
    };
    output::print(&all.iter().map(line).collect::<String>())
}

/// What was done, from what to what.
fn said(changed: &Changed) -> String {
    match (&changed.old, &changed.new) {
        (None, Some(new)) => format!("set to {}", values(new, None)),
        (Some(old), Some(new)) => {
            format!("{} → {}", values(old, Some(new)), values(new, Some(old)))
        }
        (Some(old), None) => format!("removed; it was {}", values(old, None)),
        (None, None) => "nothing".to_owned(),
    }
}

/// The values that are set, or those of them that differ from others. Who and when stand beside them.
fn values(of: &Value, others: Option<&Value>) -> String {
    let all = of.as_object().into_iter().flatten();
    let all = all.filter(|(key, value)| {
        let is_same = others.is_some_and(|others| others.get(key.as_str()) == Some(value));
        !["who", "at"].contains(&key.as_str()) && !is_same && (others.is_some() || !value.is_null())
    });
    let words = all.map(|(key, value)| match value {
        Value::Null => format!("{key} none"),
        Value::String(text) => format!("{key} {text}"),
        other => format!("{key} {other}"),
    });
    let words: Vec<_> = words.collect();
    if words.is_empty() {
        return "the same".to_owned();
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Moment;

    #[test]
    fn a_change_says_from_what_to_what() {
        let changed = |old: Value, new: Value| Changed {
            at: Moment::from_micros(0),
            scope: "everything".into(),
            what: String::new(),
            op: "update".into(),
            who: "ann".into(),
            role: "app".into(),
            application: None,
            old: Some(old).filter(|old| !old.is_null()),
            new: Some(new).filter(|new| !new.is_null()),
        };
        let set = json!({"until": "infinity", "why": "a test", "who": "ann", "at": "2026-01-01"});
        let other = json!({"until": "infinity", "why": null, "who": "bob", "at": "2026-01-02"});
        for (old, new, expected) in [
            (
                Value::Null,
                set.clone(),
                "set to until infinity, why a test",
            ),
            (set.clone(), other.clone(), "why a test → why none"),
            (other.clone(), other.clone(), "the same → the same"),
            (
                set,
                Value::Null,
                "removed; it was until infinity, why a test",
            ),
        ] {
            assert_eq!(said(&changed(old, new)), expected);
        }
    }
}
