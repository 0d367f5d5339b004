//! The settings of lawful hours: which rules, and which message types are transactional.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::key;
use super::raw::Raw;
use crate::policy::LawfulHours;

/// The longest file of rules. Each instance publishes it for the forecasts of others.
const FILE_MAX: u64 = 64 * 1024;

/// The most characters of an answer: those of a text.
const HELP_MAX: usize = 1_600;

/// The value that means none, and that of the rules of this binary.
const OFF: &str = "off";
const BUILTIN: &str = "builtin";

/// What is chosen.
#[derive(Clone, Debug)]
pub struct LawfulSettings {
    /// The rules; `None`: there are none.
    pub hours: Option<LawfulHours>,
    /// As it is set.
    set: String,
    types: Vec<String>,
    /// What is answered to who asks for help; `None`: nothing is.
    pub help_text: Option<Arc<str>>,
}

impl LawfulSettings {
    pub(super) fn read(raw: &mut Raw, dir: &Path) -> Self {
        let types = raw.or(&key::TRANSACTIONAL_TYPES, "none", types);
        let (set, hours) = raw.or(&key::LAWFUL_HOURS, OFF, |text| {
            let hours = rules(text, dir)?;
            Ok((text.to_owned(), hours))
        });
        let hours = hours.map(|hours| hours.with_transactional(types.clone()));
        Self {
            hours,
            set,
            types,
            help_text: raw.get(&key::HELP_TEXT, help_text),
        }
    }

    pub(super) fn shown(&self) -> Shown<'_> {
        let types = if self.types.is_empty() {
            "none".to_owned()
        } else {
            self.types.join(", ")
        };
        Shown {
            hours: &self.set,
            transactional_types: types,
        }
    }
}

fn rules(text: &str, dir: &Path) -> Result<Option<LawfulHours>, String> {
    match text {
        OFF => return Ok(None),
        BUILTIN => return Ok(Some(LawfulHours::builtin())),
        _ => {}
    }
    let expected = |why: String| format!("off, builtin, or a file of rules: {why}");
    let path = dir.join(text);
    let length = std::fs::metadata(&path).map(|file| file.len());
    let length = length.map_err(|error| expected(error.to_string()))?;
    if length > FILE_MAX {
        return Err(expected(format!("it has more than {FILE_MAX} bytes")));
    }
    let file = std::fs::read_to_string(&path).map_err(|error| expected(error.to_string()))?;
    let own = LawfulHours::own(&file).map_err(|why| expected(why.to_string()))?;
    Ok(Some(own))
}

fn help_text(text: &str) -> Result<Arc<str>, String> {
    let is_one = !text.trim().is_empty() && text.chars().count() <= HELP_MAX;
    is_one.then(|| text.into()).ok_or_else(|| {
        format!("a text of at most {HELP_MAX} characters, with who you are and how you are reached")
    })
}

fn types(text: &str) -> Result<Vec<String>, String> {
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    let types: Vec<String> = text.split(',').map(|of| of.trim().to_owned()).collect();
    if types.iter().any(String::is_empty) {
        return Err(
            "none, or message types with commas between them, like invoice, appointment".into(),
        );
    }
    Ok(types)
}

/// As the settings file has it.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    hours: &'a str,
    transactional_types: String,
}
