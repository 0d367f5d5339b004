//! What is printed of a message that was scheduled.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::cli::{output, when};
use crate::forecast::Forecast;
use crate::message::segments::Segments;
use crate::message::{Channel, MessageId, Moment, counted};

/// The printed description of a scheduled message.
#[derive(Serialize)]
pub(super) struct Summary {
    /// Of one that was only tried there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<MessageId>,
    pub(super) channel: &'static str,
    pub(super) to: String,
    pub(super) scheduled_at: Moment,
    pub(super) send_before: Option<Moment>,
    pub(super) characters: usize,
    /// Of a text that is sent as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) segments: Option<Segments>,
    /// Of one that is sent in several parts, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<PartSummary>,
    /// If it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) template: Option<String>,
    /// As rendered now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    /// What will happen to it; `null`: this role may not read what that depends on.
    pub(super) forecast: Option<Forecast>,
    #[serde(skip)]
    pub(super) now: Moment,
    #[serde(skip)]
    pub(super) remarks: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct PartSummary {
    pub(super) characters: usize,
    pub(super) segments: Segments,
}

impl PartSummary {
    pub(super) fn of(text: &str) -> Self {
        Self {
            characters: text.chars().count(),
            segments: Segments::of(text),
        }
    }
}

pub(super) fn show(it: &Summary, zone: &TimeZone) -> String {
    let mut text = match it.id {
        Some(id) => format!("scheduled {id}\n"),
        None => "not scheduled; it would be\n".to_owned(),
    };
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<10}{value}");
    };
    if it.channel != Channel::Sms.as_str() {
        line("channel", it.channel.to_owned());
    }
    line("to", it.to.clone());
    let at = when::show(it.scheduled_at, zone);
    line(
        "at",
        format!("{at}, {}", when::distance(it.scheduled_at, it.now)),
    );
    if let Some(before) = it.send_before {
        line("before", when::show(before, zone));
    }
    let size = match (&it.segments, it.parts.len()) {
        (Some(segments), _) => segments.to_string(),
        (None, parts) => format!("{parts} parts"),
    };
    let characters = counted(it.characters, "character", "characters");
    line("text", format!("{characters}, {size}"));
    for (n, part) in (1..).zip(&it.parts) {
        let characters = counted(part.characters, "character", "characters");
        let segments = part.segments;
        line(&format!("part {n}"), format!("{characters}, {segments}"));
    }
    if let Some(template) = &it.template {
        line("template", template.clone());
    }
    if let Some(text) = &it.text {
        // Several lines are aligned.
        line("", text.replace('\n', &format!("\n  {:<10}", "")));
    }
    if let Some(forecast) = &it.forecast {
        let show = |at| when::show(at, zone);
        line("next", output::with_times(&forecast.to_string(), show));
    }
    if let Some(id) = it.id {
        line("details", format!("punctual why {id}"));
    }
    text
}
