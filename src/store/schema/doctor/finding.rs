//! What a check found, how bad it is, and what to do.

use serde::Serialize;
use tokio_postgres::Row;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but the operator should know.
    Warn,
    /// It does not work, or not safely.
    Bad,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub what: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do, if it is not ok.
    pub remedy: String,
}

impl Finding {
    /// As it should be.
    pub fn ok(what: &str, found: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            level: Level::Ok,
            found: found.into(),
            remedy: String::new(),
        }
    }

    /// From a row of a check's statement.
    pub(super) fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let what = row.try_get("what")?;
        let Some(found) = row.try_get::<_, Option<String>>("found")? else {
            return Ok(Self::ok(what, row.try_get::<_, String>("fine")?));
        };
        let level = match row.try_get("level")? {
            "warn" => Level::Warn,
            _ => Level::Bad,
        };
        Ok(Self::not(level, what, found, row.try_get("remedy")?))
    }

    /// Not as it should be.
    pub fn not(level: Level, what: &str, found: impl Into<String>, remedy: &str) -> Self {
        Self {
            what: what.to_owned(),
            level,
            found: found.into(),
            remedy: remedy.to_owned(),
        }
    }
}
