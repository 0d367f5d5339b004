//! The app's tables for sent messages where they have names of their own: `[app]` of the settings file, which
//! `punctual.map_app` (`triggers/tables_setup.sql`) gets as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::message::DialPlan;

/// The names of their columns in the settings.
const MESSAGES: [&str; 17] = [
    "conversation_id",
    "direction",
    "body",
    "from_number",
    "to_number",
    "number",
    "twilio_sid",
    "status",
    "metadata",
    "scheduled_message_id",
    "created_at",
    "updated_at",
    "sent_at",
    "delivered_at",
    "twilio_status",
    "twilio_error_code",
    "attempt_count",
];

/// See [`MESSAGES`].
const CONVERSATIONS: [&str; 6] = [
    "id",
    "phone_number",
    "contact_id",
    "last_message_at",
    "created_at",
    "updated_at",
];

/// See [`MESSAGES`].
const CONTACTS: [&str; 3] = ["id", "phone_number", "created_at"];

/// The words that are written to messages.
const WORDS: [&str; 10] = [
    "outbound",
    "inbound",
    "received",
    "queued",
    "sending",
    "sent",
    "delivered",
    "undelivered",
    "failed",
    "cancelled",
];

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppTables {
    /// The country of numbers that are written without a country code; `None`: numbers are compared as they are
    /// written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(default)]
    messages: AppTable,
    /// `None`: they have the usual names, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conversations: Option<AppTable>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contacts: Option<AppTable>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AppTable {
    /// Its schema; `None`: that of the app's tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    /// `None`: it has the usual name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    /// Whether the conversation is written to the message that was scheduled, if that has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    write_back: Option<bool>,
    /// The names of columns, by ours; an empty one is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    columns: BTreeMap<String, String>,
    /// The words that are written, by ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    words: BTreeMap<String, String>,
    /// What other columns get.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "texts"
    )]
    constants: BTreeMap<String, String>,
}

/// Strings, numbers and booleans as texts.
fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let all = BTreeMap::<String, Value>::deserialize(from)?;
    let text = |(name, value): (String, Value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
        _ => Err(serde::de::Error::custom(format!(
            "the constant {name} must be a string, a number, true or false"
        ))),
    };
    all.into_iter().map(text).collect()
}

impl AppTables {
    /// The same, if it can be what it says. The error says what is wrong.
    pub fn checked(self) -> Result<Self, String> {
        if let Some(country) = &self.country
            && DialPlan::of(country).is_none()
        {
            return Err(format!(
                "country must be the two letters of a country, such as US, and is {country:?}"
            ));
        }
        self.messages.check("messages", &MESSAGES, &WORDS)?;
        if self.messages.write_back.is_some() {
            return Err("write_back is of conversations, not of messages".to_owned());
        }
        if let Some(conversations) = &self.conversations {
            conversations.check("conversations", &CONVERSATIONS, &[])?;
        }
        if let Some(contacts) = &self.contacts {
            contacts.check("contacts", &CONTACTS, &[])?;
            if contacts.write_back.is_some() || !contacts.constants.is_empty() {
                return Err("contacts are only read: they have only columns".to_owned());
            }
        }
        Ok(self)
    }

    /// As the database gets it: with how numbers are written in the country.
    pub(super) fn described(&self) -> String {
        // Strings and maps of strings.
        let mut described = serde_json::to_value(self).unwrap_or_default();
        if let Some(plan) = self.country.as_deref().and_then(DialPlan::of) {
            described["numbers"] = serde_json::to_value(plan).unwrap_or_default();
        }
        described.to_string()
    }
}

impl AppTable {
    fn check(&self, part: &str, columns: &[&str], words: &[&str]) -> Result<(), String> {
        let unknown = |of: &str, given: &BTreeMap<String, String>, known: &[&str]| {
            let found = given.keys().find(|name| !known.contains(&name.as_str()))?;
            Some(match known {
                [] => format!("{part} has no {of}"),
                _ => format!(
                    "{part}.{of} has no {found}; there are: {}",
                    known.join(", ")
                ),
            })
        };
        if let Some(why) = unknown("columns", &self.columns, columns)
            .or_else(|| unknown("words", &self.words, words))
        {
            return Err(why);
        }
        match self.words.iter().find(|(_, word)| word.is_empty()) {
            Some((name, _)) => Err(format!("{part}.words.{name} must not be empty")),
            None => Ok(()),
        }
    }
}
