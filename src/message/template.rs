//! Templates: `{{name}}` is a variable, and there is no other syntax.
//!
//! One pass from left to right. A value is inserted as it is and not parsed again, so a value that
//! contains `{{other}}` stays as it is. A variable that is not given is left out, unless the
//! template requires it. Where the text ends with variables that are left out, the template's blanks around them are
//! left out too: `{{name}} {{link}}` without a link is the name. Numbers are inserted as they were written: `1.50`
//! stays `1.50`.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::facts::Template;
use super::parts::split;

/// Why a template cannot be rendered. For people: with names of variables, without their values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is not in use.
    #[error("template {0} is not active")]
    Inactive(String),
    /// A required variable is not there, or null.
    #[error("template {template} needs the variable {variable}, which template_vars does not have")]
    Missing {
        /// The template.
        template: String,
        /// Its name.
        variable: String,
    },
    /// A variable that has no one text.
    #[error("the variable {0} is {1}; expected a string, a number, true or false")]
    NotText(String, &'static str),
    /// `template_vars` is not an object.
    #[error("template_vars must be an object, like {{\"name\": \"Ada\"}}")]
    Vars,
    /// `required_vars` is not a list of names.
    #[error("required_vars of template {0} must be a list of names, like [\"name\"]")]
    Required(String),
    /// Braces that are not closed.
    #[error("template {0} has a {{{{ without its }}}}")]
    Open(String),
    /// Braces with something else than a name in them.
    #[error("template {template} has {{{{{inside}}}}}, which is not a variable's name")]
    NoName {
        /// The template.
        template: String,
        /// What is written there, shortened.
        inside: String,
    },
    /// The text, or one of its parts, came out longer than the template allows.
    #[error("the text of template {template} has {length} characters, at most {max} are allowed")]
    TooLong {
        /// The template.
        template: String,
        /// Its characters.
        length: usize,
        /// See `max_length`.
        max: usize,
    },
}

/// How much of an invalid name an error shows.
const SHOWN_CHARS: usize = 40;

/// The text of a template with these variables, given as `jsonb` prints them. Its `max_length` is of each part, where
/// `separator` divides it.
pub fn render(
    template: &Template,
    vars: &str,
    separator: Option<&str>,
) -> Result<String, TemplateError> {
    let name = || template.name.clone();
    if !template.is_active {
        return Err(TemplateError::Inactive(name()));
    }
    let vars = parsed(vars)?;
    let required: Option<Vec<String>> = template
        .required_vars
        .as_deref()
        .map_or(Ok(None), serde_json::from_str)
        .map_err(|_| TemplateError::Required(name()))?;
    for variable in required.into_iter().flatten() {
        if value(&vars, &variable)?.is_none() {
            let template = name();
            return Err(TemplateError::Missing { template, variable });
        }
    }
    let text = substitute(&template.name, &template.text, |variable| {
        value(&vars, variable)
    })?;
    let lengths = split(&text, separator).into_iter();
    let length = lengths.map(|part| part.chars().count()).max().unwrap_or(0);
    match template
        .max_length
        .map(|max| usize::try_from(max).unwrap_or(0))
    {
        Some(max) if length > max => Err(TemplateError::TooLong {
            template: name(),
            length,
            max,
        }),
        _ => Ok(text),
    }
}

/// The names of the variables in a template's text, each once, in their order.
pub fn variables(template: &Template) -> Result<Vec<String>, TemplateError> {
    let mut names: Vec<String> = Vec::new();
    substitute(&template.name, &template.text, |name| {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        Ok(None)
    })?;
    Ok(names)
}

/// Another text with variables than a template's: `name` says in errors what it is.
pub fn fill(name: &str, text: &str, vars: &str) -> Result<String, TemplateError> {
    let vars = parsed(vars)?;
    substitute(name, text, |variable| value(&vars, variable))
}

/// The HTML beside the text of a template: values are text in it, whatever they contain.
pub fn fill_html(name: &str, html: &str, vars: &str) -> Result<String, TemplateError> {
    let vars = parsed(vars)?;
    let escaped = |text: String| escape_html(&text);
    substitute(name, html, |variable| {
        Ok(value(&vars, variable)?.map(escaped))
    })
}

/// A text as HTML shows it, between tags and in quoted attributes.
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn parsed(vars: &str) -> Result<BTreeMap<String, &RawValue>, TemplateError> {
    serde_json::from_str(vars).map_err(|_| TemplateError::Vars)
}

/// The text, with what `value` returns for each variable.
fn substitute(
    name: &str,
    from: &str,
    mut value: impl FnMut(&str) -> Result<Option<String>, TemplateError>,
) -> Result<String, TemplateError> {
    let mut text = String::with_capacity(from.len());
    // Where it ends, if nothing but blanks follows; and the end of the last value, which may have blanks of its own.
    let (mut end, mut value_end) = (None, 0);
    let mut rest = from;
    while let Some((before, from)) = rest.split_once("{{") {
        text.push_str(before);
        if !before.trim().is_empty() {
            end = None;
        }
        let (inside, after) = from
            .split_once("}}")
            .ok_or_else(|| TemplateError::Open(name.to_owned()))?;
        let variable = inside.trim();
        if !is_name(variable) {
            return Err(TemplateError::NoName {
                template: name.to_owned(),
                inside: inside.chars().take(SHOWN_CHARS).collect(),
            });
        }
        match value(variable)? {
            Some(value) if !value.is_empty() => {
                text.push_str(&value);
                (end, value_end) = (None, text.len());
            }
            _ => end = end.or_else(|| Some(text.trim_end().len().max(value_end))),
        }
        rest = after;
    }
    text.push_str(rest);
    if let Some(end) = end.filter(|_| rest.trim().is_empty()) {
        text.truncate(end);
    }
    Ok(text)
}

/// Whether a variable can be called so: letters of any language, digits, and what joins words.
pub fn is_name(word: &str) -> bool {
    !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// A variable as text; `None`: it is not given, or null.
fn value(vars: &BTreeMap<String, &RawValue>, name: &str) -> Result<Option<String>, TemplateError> {
    let Some(raw) = vars.get(name).map(|raw| raw.get()) else {
        return Ok(None);
    };
    let not_text = |what| TemplateError::NotText(name.to_owned(), what);
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw)
            .map(Some)
            .map_err(|_| not_text("no text")),
        Some(b'{') => Err(not_text("an object")),
        Some(b'[') => Err(not_text("a list")),
        Some(b'n') | None => Ok(None),
        // A number as it was written, true or false.
        Some(_) => Ok(Some(raw.to_owned())),
    }
}

#[cfg(test)]
mod tests;
