//! Presets: tables of apps that are known, as data. `punctual migrate --preset NAME` creates those that are missing,
//! and follows the source tables among them. Nothing else knows of a preset.

use std::borrow::Cow;

use super::migrate::File;
use super::source::SourceTable;
use crate::store::app_schema::in_use;

/// One of them.
#[derive(Debug)]
pub struct Preset {
    /// What people call it.
    pub name: &'static str,
    /// The schema of its tables; `None`: that of the app's tables. Then it has a table `scheduled_messages`, and
    /// Punctual's is in another schema.
    pub(in crate::store) schema: Option<&'static str>,
    /// Its tables, in the order in which they are created.
    pub(in crate::store) tables: &'static [Table],
    /// Its source tables, as JSON.
    sources: &'static str,
    /// Adds the columns and rows that its app has in tables that are always there.
    pub(in crate::store) adds: &'static [File<'static>],
}

/// A table of a preset.
#[derive(Debug)]
pub(in crate::store) struct Table {
    /// Its name.
    pub(in crate::store) name: &'static str,
    /// Creates it, with its types and indexes, unless it is there.
    pub(in crate::store) create: File<'static>,
    /// What it refers to, where that is there: its column, the other table, and what happens when a row of that is
    /// deleted. As JSON.
    pub(in crate::store) references: &'static str,
}

/// A table that refers to none.
pub(in crate::store) const NONE: &str = "[]";

macro_rules! table {
    ($name:literal, $file:literal, $references:expr) => {
        Table {
            name: $name,
            create: File {
                name: concat!("the table ", $name),
                sql: assembled!($file),
            },
            references: $references,
        }
    };
}

/// All presets.
pub static PRESETS: [Preset; 2] = [BUILDOS, CAMPAIGN];

const BUILDOS: Preset = Preset {
    name: "buildos",
    schema: None,
    tables: &[
        table!(
            "notification_events",
            "sql/preset_notification_events.sql",
            r#"[["actor_user_id", "users", "set null"], ["target_user_id", "users", "set null"]]"#
        ),
        table!(
            "notification_subscriptions",
            "sql/preset_notification_subscriptions.sql",
            r#"[["user_id", "users", "cascade"], ["created_by", "users", "no action"]]"#
        ),
        table!(
            "user_notification_preferences",
            "sql/preset_user_notification_preferences.sql",
            r#"[["user_id", "users", "cascade"]]"#
        ),
        table!(
            "notification_deliveries",
            "sql/preset_notification_deliveries.sql",
            r#"[["event_id", "notification_events", "cascade"], ["recipient_user_id", "users", "cascade"],
                ["subscription_id", "notification_subscriptions", "set null"]]"#
        ),
        table!(
            "queue_jobs",
            "sql/preset_queue_jobs.sql",
            r#"[["user_id", "users", "cascade"]]"#
        ),
        table!(
            "sms_messages",
            "sql/preset_sms_messages.sql",
            r#"[["user_id", "users", "cascade"], ["template_id", "sms_templates", "set null"],
                ["queue_job_id", "queue_jobs", "set null"], ["project_id", "projects", "set null"],
                ["notification_delivery_id", "notification_deliveries", "set null"],
                ["task_id", "tasks", "set null"]]"#
        ),
        table!(
            "scheduled_sms_messages",
            "sql/preset_scheduled_sms_messages.sql",
            r#"[["user_id", "users", "no action"], ["sms_message_id", "sms_messages", "no action"]]"#
        ),
        table!(
            "notification_tracking_links",
            "sql/preset_notification_tracking_links.sql",
            r#"[["delivery_id", "notification_deliveries", "cascade"]]"#
        ),
    ],
    sources: include_str!("presets/buildos.json"),
    adds: &[
        File {
            name: "the lead time of reminders",
            sql: assembled!("sql/preset_lead_time.sql"),
        },
        File {
            name: "the templates",
            sql: assembled!("sql/preset_templates.sql"),
        },
    ],
};

const CAMPAIGN: Preset = Preset {
    name: "campaign",
    schema: Some("public"),
    tables: &[table!(
        "scheduled_messages",
        "sql/preset_scheduled_messages.sql",
        NONE
    )],
    sources: include_str!("presets/campaign.json"),
    adds: &[],
};

impl Preset {
    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// Its source tables.
    ///
    /// # Panics
    ///
    /// Never: a test has read them.
    pub fn sources(&self) -> Vec<SourceTable> {
        let all: Vec<SourceTable> =
            serde_json::from_str(self.sources).expect("they have been tested");
        all.into_iter()
            .map(|mut source| {
                source.preset = Some(self.name.to_owned());
                source
            })
            .collect()
    }

    /// The name of a table with its schema, quoted.
    pub(in crate::store) fn qualified(&self, table: &Table) -> String {
        let schema = self.schema.unwrap_or(in_use().as_str());
        format!("\"{schema}\".\"{}\"", table.name)
    }

    /// The statement that creates a table of it, with its schema.
    pub(in crate::store) fn create(&self, table: &Table) -> Cow<'static, str> {
        match self.schema {
            None => table.create.sql.into(),
            // Quoted, it is not taken for that of the app's tables.
            Some(schema) => {
                let named = format!("\"{schema}\".");
                table.create.sql.replace("app_schema.", &named).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn their_sources_are_complete_and_their_references_can_be_read() {
        for preset in &PRESETS {
            let sources = preset.sources();
            assert_eq!(SourceTable::twice(&sources), None);
            for source in sources {
                let complete = SourceTable::complete(source.clone());
                assert_eq!(complete, Ok(source), "words that are not given");
            }
            for table in preset.tables {
                let read = serde_json::from_str::<Vec<[String; 3]>>(table.references);
                assert!(read.is_ok(), "{}: {read:?}", table.name);
            }
        }
    }
}
