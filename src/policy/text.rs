//! The text that a claim sends: the row's, or one rendered from its template, or a part of it; and its subject.

use super::{Reason, ReasonKind, Rule, Rules};
use crate::message::parts::{PARTS_MAX, is_blank, split};
use crate::message::{Capabilities, Channel, Claim, Part, WebUrl, media, template};

/// What is sent.
pub(super) struct Text {
    /// The text of this part.
    pub(super) body: String,
    pub(super) part: Part,
    /// The texts of all parts, if they are to be kept.
    pub(super) all: Vec<String>,
    /// What goes with this part.
    pub(super) media: Vec<WebUrl>,
    /// What an e-mail shows in its place.
    pub(super) html: Option<String>,
}

/// The text of the part that is next, or why it cannot be sent.
/// `vars` are those of a template.
pub(super) fn of(
    claim: &Claim,
    vars: Option<&str>,
    rules: &Rules,
    provider: &Capabilities,
) -> Result<Text, Reason> {
    let (channel, max_chars) = (claim.lane.channel(), provider.max_chars);
    let separator = rules.separator(channel);
    if claim.part.before > 0 {
        return later(claim, separator, max_chars);
    }
    let media = media::parse(channel, provider.media, &claim.facts.media);
    let media = media.map_err(|why| Reason::new(ReasonKind::Media, why.text()))?;
    let (text, what) = whole(claim, vars, separator)?;
    let texts = split(&text, separator);
    if texts.len() > PARTS_MAX {
        let n = texts.len();
        return Err(unfit(format!(
            "the {what} has {n} parts, at most {PARTS_MAX} can be sent"
        )));
    }
    let Some(first) = texts.first().filter(|first| !is_blank(first)) else {
        return Err(unfit(match separator {
            Some(separator) if !is_blank(&text) => format!(
                "every part of the {what} is empty: it has nothing but the separator {separator}"
            ),
            _ => format!("the {what} is empty"),
        }));
    };
    let of = i16::try_from(texts.len()).unwrap_or(i16::MAX);
    for (part, text) in (0..of).map(|before| Part { before, of }).zip(&texts) {
        is_short(text, part, what, max_chars)?;
    }
    // Of an attempt before this one more parts may have been kept.
    let is_kept = of > 1 || !claim.part.is_only();
    Ok(Text {
        body: (*first).to_owned(),
        part: Part { before: 0, of },
        all: if is_kept {
            texts.iter().map(|text| (*text).to_owned()).collect()
        } else {
            Vec::new()
        },
        media,
        html: None,
    })
}

/// The text of a part that is not the first: as it was kept. If the ledger has lost it, a body that has the same
/// number of parts still says it; what a template was rendered to is unknown.
fn later(claim: &Claim, separator: Option<&str>, max_chars: usize) -> Result<Text, Reason> {
    let part = claim.part;
    let of_body = || {
        let texts = split(&claim.body, separator);
        let is_same = claim.facts.template_vars.is_none()
            && usize::try_from(part.of).is_ok_and(|of| of == texts.len());
        let nth = usize::try_from(part.before).ok().filter(|_| is_same)?;
        texts.get(nth).map(|text| (*text).to_owned())
    };
    let Some(body) = claim.part_text.clone().or_else(of_body) else {
        return Err(unfit(format!(
            "the text of part {part} is no longer in the ledger; insert a new row for what is left"
        )));
    };
    is_short(&body, part, "text", max_chars)?;
    Ok(Text {
        body,
        part,
        all: Vec::new(),
        media: Vec::new(),
        html: None,
    })
}

/// The text as a whole, and what it is for people.
fn whole(
    claim: &Claim,
    vars: Option<&str>,
    separator: Option<&str>,
) -> Result<(String, &'static str), Reason> {
    match (vars, &claim.facts.template) {
        (None, _) => Ok((claim.body.clone(), "body")),
        (Some(_), None) => Err(Reason::new(
            ReasonKind::Template,
            "the row has template_vars, and no template with that template_id",
        )),
        (Some(vars), Some(template)) => {
            let text = template::render(template, vars, separator)
                .map_err(|e| Reason::new(ReasonKind::Template, e.to_string()))?;
            Ok((text, "text of the template"))
        }
    }
}

/// What an e-mail shows in place of its text, or why it cannot be sent: the HTML of its template.
pub(super) fn html(
    claim: &Claim,
    vars: Option<&str>,
    part: Part,
    provider: &Capabilities,
) -> Result<Option<String>, Reason> {
    let facts = &claim.facts;
    let is_email = claim.lane.channel() == Channel::Email;
    let (Some(html), Some(vars), true) = (&facts.html, vars, is_email) else {
        return Ok(None);
    };
    if !part.is_only() {
        let n = part.of;
        return Err(unfit(format!(
            "the text of the template has {n} parts, and its html_template is of one e-mail"
        )));
    }
    let html = template::fill_html("html_template", html, vars)
        .map_err(|e| Reason::new(ReasonKind::Template, e.to_string()))?;
    is_short(&html, part, "html_template", provider.max_chars)?;
    Ok((!is_blank(&html)).then_some(html))
}

/// The most characters of a subject.
pub const SUBJECT_MAX: usize = 255;

/// The subject of a message whose channel has one, or why it cannot be sent. With variables it is a template, too.
pub(super) fn subject(claim: &Claim, vars: Option<&str>) -> Result<Option<String>, Reason> {
    let facts = &claim.facts;
    let own = facts.subject.as_deref().map(str::trim);
    let own = own.filter(|own| !own.is_empty() && claim.lane.channel().has_subject());
    let Some(own) = own else {
        return Ok(None);
    };
    let subject = match vars {
        None => own.to_owned(),
        Some(vars) => template::fill("subject", own, vars)
            .map_err(|e| Reason::new(ReasonKind::Template, e.to_string()))?,
    };
    match subject_fault(&subject) {
        Some(fault) => Err(unfit(fault)),
        None => Ok(Some(subject)),
    }
}

/// Why a subject cannot be sent.
pub fn subject_fault(subject: &str) -> Option<String> {
    if subject.chars().any(char::is_control) {
        return Some("the subject has a line break or a control character".into());
    }
    let length = subject.chars().count();
    (length > SUBJECT_MAX)
        .then(|| format!("the subject has {length} characters, at most {SUBJECT_MAX} can be sent"))
}

fn is_short(text: &str, part: Part, what: &str, max_chars: usize) -> Result<(), Reason> {
    let length = text.chars().count();
    if length <= max_chars {
        return Ok(());
    }
    let what = if part.is_only() {
        format!("the {what}")
    } else {
        format!("part {part} of the {what}")
    };
    Err(unfit(format!(
        "{what} has {length} characters, at most {max_chars} can be sent"
    )))
}

/// A text that cannot be sent.
fn unfit(why: String) -> Reason {
    Reason::new(ReasonKind::Text, why)
}

impl Rules {
    /// What divides texts of this channel.
    pub fn separator(&self, channel: crate::message::Channel) -> Option<&str> {
        let separator = self.part_separator.as_deref();
        separator.filter(|_| Rule::Parts.holds(channel))
    }
}
