//! The text of a scheduled message: as written, or rendered from a template, and the parts it is sent in. Texts that
//! the claim would refuse are refused here, before a row is inserted.

use std::collections::BTreeMap;

use tokio_postgres::Client;
use uuid::Uuid;

use super::Args;
use crate::cli::Usage;
use crate::message::Channel;
use crate::message::facts::Template;
use crate::message::parts::{SEPARATOR, divided, is_blank};
use crate::message::segments::Segments;
use crate::message::template::{self, TemplateError};
use crate::policy::Rule;
use crate::provider;
use crate::store::user::{Named, UserSession};

/// What the row has of it.
pub(super) struct Text {
    /// As written, or as rendered now: the claim renders it again.
    pub(super) body: String,
    /// The texts that are sent, one after the other.
    pub(super) parts: Vec<String>,
    /// The template it is rendered from.
    pub(super) template: Option<Of>,
    /// Possible mistakes.
    pub(super) remarks: Vec<String>,
}

/// A template and its variables.
pub(super) struct Of {
    pub(super) id: Uuid,
    pub(super) name: String,
    /// A JSON object.
    pub(super) vars: String,
}

/// Reads `NAME=VALUE`.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=VALUE, like name=Ada")?;
    let name = name.trim();
    if !template::is_name(name) {
        return Err("expected a name of letters, digits, _, - and ., like name=Ada".into());
    }
    if value.contains('\0') {
        return Err("it contains a null character".into());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// The texts that a text is sent in, or why it cannot be sent.
pub(super) fn parts_of(
    channel: Channel,
    text: &str,
    separator: Option<&str>,
) -> Result<Vec<String>, String> {
    let most = if channel.is_phone() {
        provider::TEXTS.max_chars
    } else {
        usize::MAX
    };
    let parts = divided(text, separator, most)?;
    Ok(parts.into_iter().map(ToOwned::to_owned).collect())
}

/// Checks of a text what can be known without the database.
pub(super) fn check(text: &str) -> Result<(), String> {
    if is_blank(text) {
        return Err("it is empty".into());
    }
    // Postgres has no such character in a text.
    if text.contains('\0') {
        return Err("it contains a null character".into());
    }
    Ok(())
}

impl Text {
    pub(super) async fn of(app: &UserSession<&Client>, args: &Args) -> anyhow::Result<Self> {
        let separator = app.part_separator().await?;
        let separator = separator.as_deref().unwrap_or(SEPARATOR);
        let separator = Some(separator).filter(|_| Rule::Parts.holds(args.channel));
        let Some(key) = &args.template else {
            // The parser does not report it: with --body it takes --template as excluded.
            if !args.var.is_empty() {
                let why = "variables need --template";
                return Err(Usage::of("--var")(why.into()).into());
            }
            let body = args.body.clone().unwrap_or_default();
            return Ok(Self {
                parts: parts_of(args.channel, &body, separator).map_err(Usage::of("--body"))?,
                body,
                template: None,
                remarks: Vec::new(),
            });
        };
        let named = found(app.templates(key).await?, key)?;
        let mut vars = BTreeMap::new();
        for (name, value) in &args.var {
            if vars.insert(name.as_str(), value.as_str()).is_some() {
                return Err(Usage::of("--var")(format!("{name} is given twice")).into());
            }
        }
        let json = serde_json::to_string(&vars)?;
        let template = named.template;
        let (body, parts) = rendered(args.channel, &template, &json, separator)?;
        let remarks = remarks(&template, &vars);
        let template = Some(Of {
            id: named.id,
            name: template.name,
            vars: json,
        });
        Ok(Self {
            body,
            parts,
            template,
            remarks,
        })
    }
}

/// The template of that name; else the error lists the active ones.
fn found(mut templates: Vec<Named>, key: &str) -> Result<Named, Usage> {
    match templates.first() {
        Some(first) if first.is_it => Ok(templates.swap_remove(0)),
        _ => {
            let names: Vec<_> = templates
                .iter()
                .filter(|other| other.template.is_active)
                .map(|other| other.template.name.as_str())
                .collect();
            let others = match names.join(", ") {
                none if none.is_empty() => "sms_templates has no active template".to_owned(),
                names => format!("sms_templates has {names}"),
            };
            Err(Usage::of("--template")(format!(
                "no template {key:?}; {others}"
            )))
        }
    }
}

fn rendered(
    channel: Channel,
    template: &Template,
    vars: &str,
    separator: Option<&str>,
) -> Result<(String, Vec<String>), Usage> {
    let wrong = Usage::of("--template");
    let text = template::render(template, vars, separator).map_err(|error| match &error {
        TemplateError::Inactive(_) => wrong(format!(
            "{error}: set its is_active in sms_templates, or use another"
        )),
        TemplateError::Missing { variable, .. } => Usage::of("--var")(format!(
            "template {} needs the variable {variable}: pass --var {variable}=…",
            template.name
        )),
        TemplateError::TooLong { .. } => {
            // The rendered text helps to shorten it.
            let unbounded = Template {
                max_length: None,
                ..template.clone()
            };
            let text = template::render(&unbounded, vars, separator).unwrap_or_default();
            let segments = Segments::of(&text);
            wrong(format!(
                "{error}; use shorter values, or raise its max_length. The text has {segments}:\n{text}"
            ))
        }
        TemplateError::NotText(..)
        | TemplateError::Vars
        | TemplateError::Required(_)
        | TemplateError::Open(_)
        | TemplateError::NoName { .. } => wrong(format!("{error}; correct it in sms_templates")),
    })?;
    let parts = check(&text).and_then(|()| parts_of(channel, &text, separator));
    match parts {
        Ok(parts) => Ok((text, parts)),
        Err(why) => Err(wrong(format!("its text cannot be sent: {why}"))),
    }
}

/// Remarks about variables that the template does not have, and those that are missing.
fn remarks(template: &Template, vars: &BTreeMap<&str, &str>) -> Vec<String> {
    let shown = template::variables(template).unwrap_or_default();
    let required = template.required_vars.as_deref();
    let required: Vec<String> = required
        .and_then(|names| serde_json::from_str(names).ok())
        .unwrap_or_default();
    let has = |name: &str| shown.iter().chain(&required).any(|own| own == name);
    let unknown = vars.keys().filter(|name| !has(name)).map(|name| {
        let template = &template.name;
        format!("template {template} has no variable {name}; it is stored, but not used")
    });
    let missing = shown.iter().filter(|own| !vars.contains_key(own.as_str()));
    let missing =
        missing.map(|name| format!("variable {name} is missing and left out of the text"));
    unknown.chain(missing).collect()
}
