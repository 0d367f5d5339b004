//! The requests: a prepared part that is always the same, and the form of a message.

use std::time::Duration;

use reqwest::{Client, Request};
use secrecy::ExposeSecret;
use url::Url;
use url::form_urlencoded::Serializer;

use super::config::{BaseUrl, StatusCallback, TwilioConfig};
use crate::message::{E164, Sender, WHATSAPP};
use crate::policy::Cleared;
use crate::provider::Query;
use crate::provider::http::handoff::Handoff;
use crate::provider::http::{copy, with_body};

/// The version of the API, the only one that creates messages.
const API: &str = "2010-04-01";

/// How long Twilio may keep trying, in seconds, by its own rule.
const VALIDITY: std::ops::RangeInclusive<u64> = 1..=36_000;

/// Makes requests. All that does not depend on the message is prepared before it is due: URL,
/// credentials, headers.
pub(super) struct Requests {
    create: Request,
    touch: Request,
    look_up: Request,
    base_url: BaseUrl,
    account: String,
    status_callback: Option<StatusCallback>,
}

impl Requests {
    /// `touch_timeout` is the deadline of a request that only opens a connection.
    pub(super) fn new(
        client: &Client,
        config: &TwilioConfig,
        touch_timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        let account = config.account_sid.as_str();
        let (user, password) = config.credentials.basic(&config.account_sid);
        let create = client
            .post(messages(config, account))
            .basic_auth(user, Some(password.expose_secret()))
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded")
            .build()?;
        let touch = client
            .get(config.base_url.join(&[&format!("{API}.json")]))
            .timeout(touch_timeout)
            .build()?;
        let look_up = client
            .get(messages(config, account))
            .timeout(config.send_timeout)
            .basic_auth(user, Some(password.expose_secret()))
            .header("accept", "application/json")
            .build()?;
        Ok(Self {
            create,
            touch,
            look_up,
            base_url: config.base_url.clone(),
            account: account.to_owned(),
            status_callback: config.status_callback.clone(),
        })
    }

    /// The request for a message, and the latch that shows whether its form was handed over.
    pub(super) fn create(
        &self,
        message: &Cleared,
        route: (&E164, &Sender),
        valid_for: Duration,
    ) -> (Request, Handoff) {
        let (handoff, form) = Handoff::of(self.form(message, route, valid_for));
        (with_body(&self.create, form), handoff)
    }

    /// A request that costs nothing, reveals nothing and needs no credentials.
    pub(super) fn touch(&self) -> Request {
        copy(&self.touch)
    }

    /// Queries one message. The sid is one segment of a path: letters and digits.
    pub(super) fn fetch(&self, sid: &str) -> Request {
        let mut request = copy(&self.look_up);
        let resource = format!("{sid}.json");
        let path = [API, "Accounts", &self.account, "Messages", &resource];
        *request.url_mut() = self.base_url.join(&path);
        request
    }

    /// Queries the newest messages, by text or on WhatsApp. No `DateSent`: what Twilio has taken in and
    /// not yet passed on has none, and would be missing.
    pub(super) fn list(&self, query: &Query, whatsapp: bool, page_size: usize) -> Request {
        let mut request = copy(&self.look_up);
        let mut pairs = request.url_mut().query_pairs_mut();
        pairs.append_pair("To", &at(&query.to, whatsapp));
        if let Some(from) = &query.from {
            pairs.append_pair("From", from);
        }
        pairs.append_pair("PageSize", &page_size.to_string());
        drop(pairs);
        request
    }

    /// Queries a further page, by the query of the URI in the previous one. Host and path are the
    /// configured ones, whatever the response has.
    pub(super) fn page(&self, query: &str) -> Request {
        let mut request = copy(&self.look_up);
        request.url_mut().set_query(Some(query));
        request
    }

    fn form(&self, message: &Cleared, (to, from): (&E164, &Sender), valid_for: Duration) -> String {
        let validity = valid_for
            .as_secs()
            .clamp(*VALIDITY.start(), *VALIDITY.end());
        let mut form = Serializer::new(String::new());
        let whatsapp = matches!(from, Sender::WhatsApp(_));
        form.append_pair("To", &at(to.as_str(), whatsapp))
            .append_pair(sender_field(from), from.as_str())
            .append_pair("Body", message.body())
            .append_pair("ValidityPeriod", &validity.to_string());
        for url in message.media() {
            form.append_pair("MediaUrl", url.as_str());
        }
        if let Some(callback) = &self.status_callback {
            form.append_pair(
                "StatusCallback",
                &callback.url(message.id(), message.token()),
            );
        }
        form.finish()
    }
}

fn messages(config: &TwilioConfig, account: &str) -> Url {
    config
        .base_url
        .join(&[API, "Accounts", account, "Messages.json"])
}

/// A service picks the sender, so it has a field of its own.
const fn sender_field(sender: &Sender) -> &'static str {
    match sender {
        Sender::Pool(_) => "MessagingServiceSid",
        Sender::Number(_)
        | Sender::ShortCode(_)
        | Sender::Alphanumeric(_)
        | Sender::WhatsApp(_)
        | Sender::Email(_) => "From",
    }
}

/// A recipient, as Twilio has it.
fn at(number: &str, whatsapp: bool) -> String {
    let prefix = if whatsapp { WHATSAPP } else { "" };
    format!("{prefix}{number}")
}

/// A recipient as rows have it: the same number, on WhatsApp too.
pub(super) fn recipient(shown: &str) -> &str {
    shown.strip_prefix(WHATSAPP).unwrap_or(shown)
}
