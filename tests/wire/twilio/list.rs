//! The look-ups: one message by its sid, and the list, newest first, page by page.

use std::time::Instant;

use chrono::NaiveDate;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::book::{Book, Message};

/// Twilio's own limits.
const PAGE_SIZE: usize = 50;
const PAGE_SIZE_MAX: usize = 1_000;

/// What `GET path` answers: status and body.
pub(super) fn look_up(book: &Book, target: &str) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let messages = format!("/2010-04-01/Accounts/{}/Messages", book.account);
    match path.strip_prefix(&messages) {
        Some(".json") => list(book, path, query).map_or_else(|| not_found(path), |it| (200, it)),
        Some(rest) => rest
            .strip_prefix('/')
            .and_then(|rest| book.message(rest.strip_suffix(".json")?))
            .map_or_else(|| not_found(path), |found| (200, book.shown(found))),
        None => not_found(path),
    }
}

fn not_found(path: &str) -> (u16, Value) {
    let message = format!("The requested resource {path} was not found");
    (404, error(404, 20404, &message))
}

/// An error in Twilio's form.
pub(super) fn error(status: u16, code: i32, message: &str) -> Value {
    json!({
        "code": code,
        "message": message,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status,
    })
}

#[derive(Default)]
struct Wanted {
    to: Option<String>,
    from: Option<String>,
    on: Option<NaiveDate>,
    since: Option<NaiveDate>,
    until: Option<NaiveDate>,
    size: Option<usize>,
    page: usize,
    after: Option<String>,
}

impl Wanted {
    /// `None`: it is not understood.
    fn read(query: &str) -> Option<Self> {
        let mut wanted = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "To" => wanted.to = Some(value),
                "From" => wanted.from = Some(value),
                "DateSent" => wanted.on = Some(value.parse().ok()?),
                "DateSent>" => wanted.since = Some(value.parse().ok()?),
                "DateSent<" => wanted.until = Some(value.parse().ok()?),
                "PageSize" => wanted.size = Some(value.parse().ok()?),
                "Page" => wanted.page = value.parse().ok()?,
                "PageToken" => wanted.after = Some(value.strip_prefix("PA")?.to_owned()),
                _ => return None,
            }
        }
        Some(wanted)
    }

    /// By the day, as Twilio has it; what has not been sent yet by when it was made.
    fn has(&self, message: &Message) -> bool {
        let day = message.sent.unwrap_or(message.created).date_naive();
        self.to.as_ref().is_none_or(|to| *to == message.to)
            && (self.from.is_none() || self.from == message.from)
            && self.on.is_none_or(|on| day == on)
            && self.since.is_none_or(|since| day >= since)
            && self.until.is_none_or(|until| day <= until)
    }
}

fn list(book: &Book, path: &str, query: &str) -> Option<Value> {
    let wanted = Wanted::read(query)?;
    let now = Instant::now();
    let shows = |message: &&Message| {
        let shown = message.at.checked_add(book.habits.list_lag);
        shown.is_some_and(|shown| shown <= now) && wanted.has(message)
    };
    let size = wanted.size.unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE_MAX);
    let mut found = book.messages().iter().rev().filter(shows).peekable();
    if let Some(after) = &wanted.after {
        found.find(|message| message.sid == *after)?;
    }
    let page: Vec<&Message> = found.by_ref().take(size).collect();
    let next = match (page.last(), found.peek()) {
        (Some(last), Some(_)) => Some(next_page(path, query, wanted.page + 1, &last.sid)),
        _ => None,
    };
    let start = wanted.page * size;
    Some(json!({
        "messages": page.iter().map(|message| book.shown(message)).collect::<Vec<_>>(),
        "page": wanted.page,
        "page_size": size,
        "start": start,
        "end": start + page.len().saturating_sub(1),
        "uri": format!("{path}?{query}"),
        "first_page_uri": format!("{path}?{}", without_page(query)),
        "previous_page_uri": null,
        "next_page_uri": next,
    }))
}

fn without_page(query: &str) -> String {
    let kept = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name != "Page" && name != "PageToken");
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .finish()
}

fn next_page(path: &str, query: &str, page: usize, last: &str) -> String {
    let same = without_page(query);
    let and = if same.is_empty() { "" } else { "&" };
    format!("{path}?{same}{and}Page={page}&PageToken=PA{last}")
}
