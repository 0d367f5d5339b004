//! What the stand-in knows: every text it was asked to send, every message it took in, every
//! callback it made.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::habits::{Habits, Plan};
use crate::standin::Seen;

/// A message that was taken in: its text goes out.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) sid: String,
    pub(crate) account: String,
    pub(crate) to: String,
    pub(crate) from: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) body: String,
    pub(crate) callback: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) code: Option<i32>,
    pub(crate) at: Instant,
    pub(crate) created: DateTime<Utc>,
    pub(crate) updated: DateTime<Utc>,
    pub(crate) sent: Option<DateTime<Utc>>,
}

impl Message {
    /// The resource as Twilio shows it where it redacts texts and numbers.
    pub(super) fn redacted(&self) -> Value {
        let mut resource = self.resource();
        resource["body"] = "".into();
        let shown = &self.to[..self.to.len().saturating_sub(4)];
        resource["to"] = format!("{shown}XXXX").into();
        resource
    }

    /// The resource, as Twilio shows it: all twenty fields.
    pub(crate) fn resource(&self) -> Value {
        let date = |at: DateTime<Utc>| at.to_rfc2822();
        let (account, sid) = (&self.account, &self.sid);
        let uri = format!("/2010-04-01/Accounts/{account}/Messages/{sid}");
        json!({
            "account_sid": account,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": date(self.created),
            "date_sent": self.sent.map(date),
            "date_updated": date(self.updated),
            "direction": "outbound-api",
            "error_code": self.code,
            "error_message": self.code.map(|code| format!("error {code} of the stand-in")),
            "from": self.from,
            "messaging_service_sid": self.service,
            "num_media": "0",
            "num_segments": "1",
            "price": null,
            "price_unit": "USD",
            "sid": sid,
            "status": self.status,
            "subresource_uris": {"media": format!("{uri}/Media.json")},
            "to": self.to,
            "uri": format!("{uri}.json"),
        })
    }
}

/// One callback that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallbackMade {
    pub(crate) sid: String,
    pub(crate) status: &'static str,
    /// With which HTTP status it was taken at last; `None`: nobody was there, however often.
    pub(crate) answer: Option<u16>,
}

/// How often a text was asked for and how often it went out. The judge of "sent twice".
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    /// When each request was read, since the epoch.
    pub(crate) asked: Vec<Duration>,
    /// The messages that came of them; of webhooks the ids.
    pub(crate) sids: Vec<String>,
    /// How many requests had a 201 written in full.
    pub(crate) answered: usize,
}

/// Everything the simulated Twilio knows.
pub(crate) struct Book {
    pub(super) account: String,
    pub(super) auth_token: String,
    pub(super) habits: Habits,
    /// Whether what is asked for later is shown redacted.
    pub(crate) redacts: bool,
    pub(super) script: VecDeque<Plan>,
    pub(super) by_text: HashMap<String, VecDeque<Plan>>,
    /// Where callbacks go, whatever host they name: a stand-in for the proxy before us.
    pub(super) hooks: Vec<String>,
    texts: HashMap<String, Text>,
    messages: Vec<Message>,
    by_sid: HashMap<String, usize>,
    callbacks: Vec<CallbackMade>,
    /// All requests that are not for a new message: their first lines.
    pub(super) others: Vec<String>,
}

impl Book {
    /// A message, as it is shown to who asks for it later.
    pub(super) fn shown(&self, message: &Message) -> Value {
        if self.redacts {
            message.redacted()
        } else {
            message.resource()
        }
    }

    pub(super) fn new(account: &str, auth_token: &str, habits: Habits) -> Self {
        Self {
            account: account.to_owned(),
            auth_token: auth_token.to_owned(),
            habits,
            redacts: false,
            script: VecDeque::new(),
            by_text: HashMap::new(),
            hooks: Vec::new(),
            texts: HashMap::new(),
            messages: Vec::new(),
            by_sid: HashMap::new(),
            callbacks: Vec::new(),
            others: Vec::new(),
        }
    }

    /// What is to be done with this request, which is noted.
    pub(super) fn asked(&mut self, seen: &Seen) -> Plan {
        let body = &seen.text();
        let text = self.texts.entry(body.to_owned()).or_default();
        let nth = text.asked.len();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        text.asked.push(now.unwrap_or_default());
        let own = self.by_text.get_mut(body).and_then(VecDeque::pop_front);
        own.or_else(|| self.script.pop_front())
            .unwrap_or_else(|| self.habits.plan(body, nth))
    }

    /// Takes the message in.
    pub(super) fn take_in(&mut self, seen: &Seen) -> Message {
        let field = |name| seen.field(name).map(str::to_owned);
        let now = Utc::now();
        let message = Message {
            sid: format!("SM{}", uuid::Uuid::new_v4().simple()),
            account: self.account.clone(),
            to: field("To").unwrap_or_default(),
            from: field("From"),
            service: field("MessagingServiceSid"),
            body: field("Body").unwrap_or_default(),
            callback: field("StatusCallback"),
            status: "queued",
            code: None,
            at: seen.at,
            created: now,
            updated: now,
            sent: None,
        };
        let text = self.texts.entry(message.body.clone()).or_default();
        text.sids.push(message.sid.clone());
        self.by_sid.insert(message.sid.clone(), self.messages.len());
        self.messages.push(message.clone());
        message
    }

    /// Whether a webhook with this id was processed before.
    pub(super) fn is_known(&self, seen: &Seen) -> bool {
        let text = self.texts.get(&seen.text());
        text.is_some_and(|text| text.sids.iter().any(|id| Some(&**id) == seen.webhook_id()))
    }

    /// Processes a webhook, each id once.
    pub(super) fn process(&mut self, seen: &Seen) {
        if let (false, Some(id)) = (self.is_known(seen), seen.webhook_id()) {
            let text = self.texts.entry(seen.text()).or_default();
            text.sids.push(id.to_owned());
        }
    }

    pub(super) fn answered(&mut self, text: &str) {
        self.texts.entry(text.to_owned()).or_default().answered += 1;
    }

    /// The message has come so far.
    pub(super) fn reached(&mut self, sid: &str, status: &'static str, code: Option<i32>) {
        if let Some(message) = self.by_sid.get(sid).map(|i| &mut self.messages[*i]) {
            message.status = status;
            message.code = code;
            message.updated = Utc::now();
            if status == "sent" {
                message.sent = Some(message.updated);
            }
        }
    }

    pub(super) fn called_back(&mut self, made: CallbackMade) {
        self.callbacks.push(made);
    }

    /// Of one text; all nought if it was never asked for.
    pub(crate) fn text(&self, body: &str) -> Text {
        self.texts.get(body).cloned().unwrap_or_default()
    }

    /// All requests for messages.
    pub(crate) fn asks(&self) -> usize {
        self.texts.values().map(|text| text.asked.len()).sum()
    }

    /// Every message taken in, oldest first.
    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }

    pub(crate) fn message(&self, sid: &str) -> Option<&Message> {
        self.by_sid.get(sid).map(|i| &self.messages[*i])
    }

    /// How many requests had their 201 in full.
    pub(crate) fn answers(&self) -> usize {
        self.texts.values().map(|text| text.answered).sum()
    }

    /// Texts that went out more than once.
    pub(crate) fn doubled(&self) -> Vec<String> {
        let doubled = self.texts.iter().filter(|(_, text)| text.sids.len() > 1);
        doubled.map(|(body, _)| body.clone()).collect()
    }

    /// The callbacks made so far.
    pub(crate) fn callbacks(&self) -> &[CallbackMade] {
        &self.callbacks
    }

    /// First lines of the requests that were for something else: look-ups, warming.
    pub(crate) fn others(&self) -> &[String] {
        &self.others
    }
}
