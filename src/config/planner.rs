//! The settings of the planner of reminders.

use std::time::Duration;

use humantime::{format_duration, parse_duration};
use serde::Serialize;

use super::raw::Raw;
use super::{ConfigError, Sources, key, values};
use crate::plan::reminders::{LEAD, LEAD_MAX, Planning, TEMPLATE};
use crate::store::migrate::planner::Switch;

/// `[planner]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannerSettings {
    /// Whether it is on; `None`: the settings do not say, and it is not.
    pub enabled: Option<bool>,
    /// What is planned, if it is.
    pub planning: Planning,
}

/// The same as the settings file has it.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    enabled: bool,
    lead: String,
    template: &'a str,
}

impl PlannerSettings {
    pub(super) fn shown(&self) -> Shown<'_> {
        Shown {
            enabled: self.enabled == Some(true),
            lead: format_duration(self.planning.lead).to_string(),
            template: &self.planning.template,
        }
    }

    /// What is planned; `None`: it is off.
    pub fn planning(&self) -> Option<Planning> {
        (self.enabled == Some(true)).then(|| self.planning.clone())
    }

    /// What `punctual migrate` makes of it.
    pub fn switch(&self) -> Option<Switch> {
        self.enabled.map(|is_on| Switch {
            is_on,
            template: self.planning.template.clone(),
        })
    }

    pub(super) fn read(raw: &mut Raw) -> Self {
        Self {
            enabled: raw.get(&key::PLANNER, values::yes_or_no),
            planning: Planning {
                template: raw.or(&key::PLANNER_TEMPLATE, TEMPLATE, template),
                lead: raw.get(&key::PLANNER_LEAD, lead).unwrap_or(LEAD),
            },
        }
    }
}

/// Reads only these, for commands that need nothing else. Misspelt keys are errors here too.
pub fn planner(sources: &Sources) -> Result<PlannerSettings, ConfigError> {
    let mut raw = Raw::read(sources);
    let settings = PlannerSettings::read(&mut raw);
    if raw.problems.is_empty() {
        Ok(settings)
    } else {
        Err(raw.into_error())
    }
}

fn lead(text: &str) -> Result<Duration, String> {
    let lead = parse_duration(text)
        .ok()
        .filter(|lead| *lead <= LEAD_MAX && lead.subsec_nanos() == 0 && lead.as_secs() % 60 == 0);
    lead.ok_or_else(|| "whole minutes like 15m, at most 24h".into())
}

fn template(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("a template_key of sms_templates: small letters, digits and _".into())
    }
}
