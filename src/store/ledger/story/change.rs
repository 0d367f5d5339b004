//! Who changed a message, as its story shows it: numbers masked, texts only counted.

use serde::Serialize;
use tokio_postgres::Row;

use super::read::at;
use crate::message::{Address, Channel, Moment, counted};

/// One statement of another session than the daemon's that changed or deleted the row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct StoryChange {
    /// When.
    pub at: Moment,
    /// `update` or `delete`.
    pub op: String,
    /// The role of that session.
    pub role: String,
    /// For whom it acted, as it said (`punctual.actor`).
    pub actor: Option<String>,
    /// The subject of the JWT, where `PostgREST` made the request.
    pub subject: Option<String>,
    /// Its `application_name`.
    pub application: Option<String>,
    /// The columns that changed; of a deleted row what it was.
    pub columns: Vec<StoryEdit>,
}

/// One column of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct StoryEdit {
    /// Its name.
    pub column: String,
    /// Its value before; `None`: it had none, or it is not kept.
    pub old: Option<String>,
    /// Its value after.
    pub new: Option<String>,
}

pub(super) fn read(row: &Row) -> Result<StoryChange, tokio_postgres::Error> {
    let columns: Vec<String> = row.try_get("columns")?;
    let old: Vec<Option<String>> = row.try_get("old")?;
    let new: Vec<Option<String>> = row.try_get("new")?;
    let edits = columns.into_iter().zip(old.into_iter().zip(new));
    Ok(StoryChange {
        at: at(row, "at")?,
        op: row.try_get("op")?,
        role: row.try_get("role")?,
        actor: row.try_get("actor")?,
        subject: row.try_get("subject")?,
        application: row.try_get("application")?,
        columns: edits
            .map(|(column, (old, new))| StoryEdit {
                old: old.map(|value| shown(&column, value)),
                new: new.map(|value| shown(&column, value)),
                column,
            })
            .collect(),
    })
}

/// A value as far as it may be shown.
fn shown(column: &str, value: String) -> String {
    match column {
        "to_number" | "from_number" => masked(&value),
        "subject" | "body" => counted(value.chars().count(), "character", "characters"),
        // The app's words, which may contain a number or a text.
        "template_vars" | "dedup_key" | "media_urls" => "not shown".into(),
        _ => value,
    }
}

/// By whatever channel it is an address of: the change may have been one of the channel too.
fn masked(value: &str) -> String {
    let mut channels = Channel::UNDERSTOOD.iter();
    let address = channels.find_map(|channel| Address::parse(*channel, value).ok());
    address.map_or_else(|| "not an address".into(), |address| address.masked())
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_masked_and_texts_counted() {
        let shown = |column: &str, value: &str| super::shown(column, value.to_owned());
        assert_eq!(shown("body", "héllo"), "5 characters");
        assert_eq!(shown("status", "pending"), "pending");
        assert_eq!(shown("template_vars", "{}"), "not shown");
        for (column, value) in [
            ("to_number", "+13105550100"),
            ("from_number", "+13105550100"),
            ("to_number", "someone@example.com"),
            ("to_number", "310 555 0100 or so"),
        ] {
            let masked = shown(column, value);
            assert!(
                !masked.contains("5550100") && !masked.contains("someone@"),
                "{masked}"
            );
        }
        assert!(shown("to_number", "+13105550100").contains("00"));
    }
}
