//! An id that the app knows: the rows that it stands for, and the messages that follow them.

use std::fmt::Write as _;

use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::cli::output;
use crate::store::forecast::Assumed;
use crate::store::story::{KnownRow, Story, known_as};

/// Of an event with many deliveries so many messages are shown.
const SHOWN: usize = 20;

/// What is known of an id.
pub(super) struct Known {
    /// Empty: it is that of a message.
    pub(super) rows: Vec<KnownRow>,
    pub(super) stories: Vec<Story>,
}

impl Known {
    /// Of the rows that this id stands for.
    pub(super) async fn of(client: &Client, id: Uuid, assumed: &Assumed) -> anyhow::Result<Self> {
        let rows = known_as(client, id).await?;
        let mut stories = Vec::new();
        for message in rows.iter().filter_map(|row| row.message).take(SHOWN) {
            stories.push(Story::read(client, message, assumed).await?);
        }
        Ok(Self { rows, stories })
    }

    /// A message as ever; else the rows and the messages.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        match &self.stories[..] {
            [story] if self.rows.is_empty() => serde_json::to_string_pretty(story),
            stories => {
                let all = json!({"rows": self.rows, "messages": stories});
                serde_json::to_string_pretty(&all)
            }
        }
    }

    pub(super) fn text(&self, show: impl Fn(&Story) -> String) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let follows = match (row.message, &row.status) {
                (Some(message), _) => format!("message {message}"),
                (None, Some(status)) => {
                    let reason = row.reason.as_ref().map(|reason| format!(": {reason}"));
                    format!("no message; it is {status}{}", reason.unwrap_or_default())
                }
                (None, None) => "no message".to_owned(),
            };
            let line = format!("row {} of {}: {follows}", row.key, row.table);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", output::one_line(&line));
        }
        for story in &self.stories {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&show(story));
        }
        let messages = self.rows.iter().filter(|row| row.message.is_some()).count();
        if messages > self.stories.len() {
            let _ = writeln!(text, "\nthe first {SHOWN} of {messages} messages");
        }
        text
    }
}
