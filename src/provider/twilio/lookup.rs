//! Queries Twilio for one message by its sid, or for the newest messages to a number.
//!
//! The client is the one for sending, so it follows no redirects and does not retry. `Absent` needs
//! proof, as a refusal does: only a 404 that Twilio itself wrote.

use reqwest::{Client, Request};
use serde_json::{Map, Value};

use super::SID_MAX;
use super::is_message_sid;
use super::request::{Requests, recipient};
use super::status::status;
use crate::message::{ProviderSid, is_whatsapp};
use crate::proof::{Price, ProviderMessage};
use crate::provider::http::{date, root, whole};
use crate::provider::{Fetched, Listed, Query};

/// Messages on a page. To one number there are seldom more in one day.
const PAGE_SIZE: usize = 100;

/// Pages read for one look-up. A number with more messages since the attempt than these is not a
/// phone, and its look-up reports that the list is not complete.
const PAGES_MAX: usize = 3;

/// The longest list read: a page of the longest texts, each character escaped.
const LIST_MAX: usize = 2 * 1024 * 1024;

/// Too many requests.
const THROTTLED: u16 = 429;

/// Queries one message.
pub(super) async fn fetch(client: &Client, requests: &Requests, sid: &ProviderSid) -> Fetched {
    let name = sid.0.as_str();
    if name.is_empty() || name.len() > SID_MAX || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        // Not a sid of Twilio's, so Twilio has no such message.
        return Fetched::Absent;
    }
    match ask(client, requests.fetch(name)).await {
        Ok((status, body)) => fetched(status, &body, name),
        Err(reason) => Fetched::NotNow {
            reason,
            is_throttled: false,
        },
    }
}

/// Queries the newest messages, by text, on WhatsApp, or both.
pub(super) async fn list(client: &Client, requests: &Requests, query: &Query) -> Listed {
    let is_whatsapp = query.from.as_deref().is_some_and(is_whatsapp);
    if !query.also_whatsapp || query.from.is_some() {
        return list_one(client, requests, query, is_whatsapp).await;
    }
    let texts = list_one(client, requests, query, false).await;
    let Listed::Shown { messages, whole } = texts else {
        return texts;
    };
    match list_one(client, requests, query, true).await {
        Listed::Shown {
            messages: more,
            whole: is_all,
        } => Listed::Shown {
            messages: [messages, more].concat(),
            whole: whole && is_all,
        },
        failed @ Listed::NotNow { .. } => failed,
    }
}

/// Page by page until they are older than the query.
async fn list_one(client: &Client, requests: &Requests, query: &Query, whatsapp: bool) -> Listed {
    let mut messages = Vec::new();
    let mut request = requests.list(query, whatsapp, PAGE_SIZE);
    for _ in 0..PAGES_MAX {
        let page = match ask(client, request).await {
            Ok((status, body)) => {
                page(status, &body).map_err(|reason| (reason, status == THROTTLED))
            }
            Err(reason) => Err((reason, false)),
        };
        let page = match page {
            Ok(page) => page,
            Err((reason, is_throttled)) => {
                return Listed::NotNow {
                    reason,
                    is_throttled,
                };
            }
        };
        let oldest = page.messages.iter().filter_map(|m| m.created).min();
        let is_past = oldest.is_some_and(|oldest| oldest < query.since);
        messages.extend(
            page.messages
                .into_iter()
                .filter(|m| m.created.is_none_or(|at| at >= query.since)),
        );
        match page.next {
            Some(next) if !is_past => request = requests.page(&next),
            _ => {
                return Listed::Shown {
                    messages,
                    whole: true,
                };
            }
        }
    }
    Listed::Shown {
        messages,
        whole: false,
    }
}

/// Status and body of a complete response.
async fn ask(client: &Client, request: Request) -> Result<(u16, Vec<u8>), String> {
    let mut response = client
        .execute(request)
        .await
        .map_err(|error| format!("no response to the look-up: {}", root(&error)))?;
    let status = response.status().as_u16();
    let body = whole(&mut response, LIST_MAX).await?;
    Ok((status, body))
}

/// The meaning of a response about one message. Pure.
fn fetched(status: u16, body: &[u8], sid: &str) -> Fetched {
    let json = serde_json::from_slice::<Map<String, Value>>(body).ok();
    let shown = json.as_ref().and_then(shown);
    match (status, shown, json) {
        (200, Some(shown), _) if shown.sid.0 == sid => Fetched::Found(Box::new(shown)),
        // The code of "not found", or the status in the body: Twilio wrote it, not a gateway.
        (404, _, Some(json))
            if number(&json, "code") == Some(20404) || number(&json, "status") == Some(404) =>
        {
            Fetched::Absent
        }
        _ => Fetched::NotNow {
            reason: not_a_word(status),
            is_throttled: status == THROTTLED,
        },
    }
}

fn not_a_word(status: u16) -> String {
    format!("HTTP {status} to the look-up, which says nothing about messages")
}

#[derive(Debug)]
struct Page {
    messages: Vec<ProviderMessage>,
    /// The query of the page after it.
    next: Option<String>,
}

/// The meaning of a response with a list. Pure. If one message cannot be parsed, the page is rejected: it
/// might be the one that is searched for.
fn page(status: u16, body: &[u8]) -> Result<Page, String> {
    if status != 200 {
        return Err(not_a_word(status));
    }
    let read = || -> Option<Page> {
        let json = serde_json::from_slice::<Map<String, Value>>(body).ok()?;
        let messages = json.get("messages")?.as_array()?;
        let messages: Option<Vec<_>> = messages.iter().map(|m| shown(m.as_object()?)).collect();
        let next = json.get("next_page_uri").and_then(Value::as_str);
        let next = next.and_then(|uri| uri.split_once('?'));
        Some(Page {
            messages: messages?,
            next: next.map(|(_, query)| query.to_owned()),
        })
    };
    read().ok_or_else(|| format!("HTTP {status} to the look-up, and no list of messages"))
}

fn number(json: &Map<String, Value>, key: &str) -> Option<i64> {
    json.get(key)?.as_i64()
}

/// A message resource.
fn shown(json: &Map<String, Value>) -> Option<ProviderMessage> {
    let text = |key: &str| json.get(key).and_then(Value::as_str);
    let sid = text("sid")?;
    if !is_message_sid(sid) {
        return None;
    }
    let created = text("date_created").and_then(date::parse);
    let code = number(json, "error_code").and_then(|code| i32::try_from(code).ok());
    Some(ProviderMessage {
        sid: ProviderSid(sid.to_owned()),
        status: status(text("status")?, code),
        to: recipient(text("to")?).to_owned(),
        from: text("from").filter(|from| !from.is_empty()).map(Into::into),
        body: text("body")?.to_owned(),
        by_api: text("direction") == Some("outbound-api"),
        created,
        price: text("price").zip(text("price_unit")).and_then(price),
    })
}

/// A price, which is negative for what the account pays. Null until the message was sent.
fn price((amount, unit): (&str, &str)) -> Option<Price> {
    let amount = amount.strip_prefix('-').unwrap_or(amount);
    let is_number = amount.len() <= 20
        && amount.starts_with(|c: char| c.is_ascii_digit())
        && amount.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && amount.parse::<f64>().is_ok();
    let is_unit = (1..=8).contains(&unit.len()) && unit.bytes().all(|b| b.is_ascii_alphabetic());
    (is_number && is_unit).then(|| Price {
        amount: amount.to_owned(),
        unit: unit.to_ascii_uppercase(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SID: &str = "SM0123456789abcdef0123456789abcdef";

    fn resource(sid: &str) -> String {
        format!(
            r#"{{"sid":"{sid}","status":"delivered","to":"+13105551234","from":null,"body":"x",
               "direction":"outbound-api","error_code":30003,
               "date_created":"Thu, 01 Jan 2026 09:00:00 +0000"}}"#
        )
    }

    fn check(status: u16, body: &str, expected: &str) {
        let got = match fetched(status, body.as_bytes(), SID) {
            Fetched::Found(shown) => match shown.status {
                Some(status) => format!("{} {:?}", status.word, status.code),
                None => "found".into(),
            },
            Fetched::Absent => "absent".into(),
            Fetched::NotNow { .. } => "not now".into(),
        };
        assert_eq!(got, expected, "{status} {body}");
    }

    #[test]
    fn one_message_is_found_absent_or_nothing_is_known() {
        check(200, &resource(SID), "delivered Some(30003)");
        check(200, &resource(&SID.replace('f', "e")), "not now");
        check(200, "{}", "not now");
        check(200, "<html>", "not now");
        check(
            404,
            r#"{"code":20404,"message":"no","status":404}"#,
            "absent",
        );
        check(404, r#"{"message":"no","status":404}"#, "absent");
        check(404, "<html>no such page</html>", "not now");
        check(404, r#"{"message":"no"}"#, "not now");
        check(
            401,
            r#"{"code":20003,"message":"no","status":401}"#,
            "not now",
        );
        check(500, "", "not now");
        check(302, &resource(SID), "not now");
    }

    #[test]
    fn a_price_is_a_number_with_a_unit() {
        for (amount, unit, expected) in [
            ("-0.00750", "USD", Some("0.00750 USD")),
            ("0.01", "usd", Some("0.01 USD")),
            ("1.2.3", "USD", None),
            ("", "USD", None),
            (".", "USD", None),
            ("much", "USD", None),
            ("1", "", None),
        ] {
            let read =
                price((amount, unit)).map(|price| format!("{} {}", price.amount, price.unit));
            assert_eq!(read.as_deref(), expected, "{amount} {unit}");
        }
        let with = resource(SID).replace(
            "\"from\"",
            "\"price\":\"-0.0075\",\"price_unit\":\"USD\",\"from\"",
        );
        let Fetched::Found(shown) = fetched(200, with.as_bytes(), SID) else {
            panic!("it is found")
        };
        assert_eq!(shown.price.unwrap().amount, "0.0075");
    }

    #[test]
    fn a_list_is_whole_or_none() {
        let good = format!(
            r#"{{"messages":[{}],"next_page_uri":"/x?Page=1"}}"#,
            resource(SID)
        );
        let read = page(200, good.as_bytes()).expect("a list");
        assert_eq!(read.next.as_deref(), Some("Page=1"));
        let [only] = &read.messages[..] else {
            panic!("{read:?}");
        };
        assert!(only.by_api && only.from.is_none());
        let at = only.created.map(|at| at.to_string());
        assert_eq!(at.as_deref(), Some("2026-01-01T09:00:00.000000Z"));
        for broken in [
            good.replace("sid", "id"),
            good.replace("messages", "message"),
            good.replace("\"body\"", "\"text\""),
            "[]".into(),
            String::new(),
        ] {
            assert!(page(200, broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(page(401, good.as_bytes()).is_err());
        let empty = page(200, br#"{"messages":[],"next_page_uri":null}"#).expect("an empty list");
        assert!(empty.messages.is_empty() && empty.next.is_none());
    }

    #[test]
    fn debug_shows_neither_number_nor_text() {
        let read: Map<String, Value> = serde_json::from_str(&resource(SID)).expect("JSON");
        let debug = format!("{:?}", shown(&read));
        assert!(
            !debug.contains("3105551234") && !debug.contains("body"),
            "{debug}"
        );
    }

    proptest! {
        #[test]
        fn nothing_that_comes_is_a_surprise(status in 100u16..600, body in any::<Vec<u8>>()) {
            let _ = page(status, &body);
            prop_assert!(!matches!(fetched(status, &body, SID), Fetched::Found(_)));
        }
    }
}
