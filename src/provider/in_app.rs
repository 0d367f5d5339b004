//! Messages that the app shows itself: each is a row of a table that the app's users read. `docs/in-app.md` describes
//! it.
//!
//! The message and its part are the idempotency key: a second request for them makes no second row. This module
//! knows no SQL: `store` implements [`Inbox`].

use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt as _};
use uuid::Uuid;

use super::{Fetched, Provider, is_of_attempt};
use crate::message::{
    Address, AttemptToken, Capabilities, Category, MessageId, Outcome, ProviderSid, Retry,
};
use crate::policy::Cleared;
use crate::proof::{ProviderMessage, ProviderStatus};

/// Connections to the database: one for what is being committed, and one for what has come meanwhile.
pub const CONNECTIONS: usize = 2;

/// The most requests at once. Those that wait for a connection are put there together.
const AT_ONCE: usize = 64;

/// After the database has refused everybody's messages, until one of them is tried again.
const PROBE: Duration = Duration::from_secs(60);

/// The capabilities of messages in the app.
pub const CAPABILITIES: Capabilities = Capabilities {
    idempotent: true,
    knows_ids: true,
    max_in_flight: AT_ONCE,
    ..Capabilities::SENDS_ONLY
};

/// What a row is to have.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// The message.
    pub message: MessageId,
    /// Which part of it, from 1.
    pub part: i16,
    /// Who is to read it.
    pub user: Uuid,
    /// The message's type.
    pub kind: Option<&'a str>,
    /// Its title.
    pub subject: Option<&'a str>,
    /// Its text.
    pub body: &'a str,
}

/// How an attempt to put a row into the table ended. The texts have names, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The row is committed, by this attempt or an earlier one.
    Done,
    /// The database refuses this row, and would again.
    Refused(String),
    /// The database refuses every row: a right or the table is missing.
    RefusesAll(String),
    /// Certainly not now: there is no connection, or the database has rolled it back.
    Not(String),
    /// It is not known.
    Unknown(String),
}

/// The table.
pub trait Inbox: Send + Sync + 'static {
    /// Puts one row there, unless it is there already. It is committed then, perhaps with others.
    fn put<'a>(&'a self, item: Item<'a>, within: Duration) -> BoxFuture<'a, Put>;

    /// Whether a part of a message is there; `None`: the database does not say so now.
    fn has(&self, message: MessageId, part: i16, within: Duration) -> BoxFuture<'_, Option<bool>>;

    /// Opens connections in advance.
    fn open(&self) -> BoxFuture<'_, ()>;
}

/// Puts messages into the table.
pub struct InApp<I> {
    inbox: I,
    send_timeout: Duration,
}

/// The prefix of every sid.
const SID: &str = "IA";

/// The name of an acceptance: of the attempt.
fn sid(token: AttemptToken) -> ProviderSid {
    ProviderSid(format!("{SID}{}", token.0.simple()))
}

/// Whether a text has the form of a sid of these messages.
pub fn is_message_sid(text: &str) -> bool {
    is_of_attempt(SID, text)
}

impl<I: Inbox> InApp<I> {
    /// Into this table; `send_timeout` is for one row.
    pub const fn new(inbox: I, send_timeout: Duration) -> Self {
        Self {
            inbox,
            send_timeout,
        }
    }

    async fn put(&self, message: &Cleared) -> Outcome {
        let to = message.to();
        let (Address::User(_), Ok(user)) = (to, to.as_str().parse::<Uuid>()) else {
            return Outcome::Unsent {
                reason: "it is not for a user of the app".to_owned(),
            };
        };
        let item = Item {
            message: message.id(),
            part: message.part().before + 1,
            user,
            kind: message.about().message_type.as_deref(),
            subject: message.subject(),
            body: message.body(),
        };
        let refused = |text, retry| Outcome::Refused {
            code: None,
            category: match retry {
                Retry::No => Category::Content,
                _ => Category::AccountIssue,
            },
            text,
            retry,
        };
        match self.inbox.put(item, self.send_timeout).await {
            Put::Done => Outcome::Accepted {
                sid: sid(message.token()),
            },
            Put::Refused(text) => refused(text, Retry::No),
            Put::RefusesAll(text) => refused(text, Retry::HoldAccount { probe: PROBE }),
            Put::Not(reason) => Outcome::Unsent { reason },
            Put::Unknown(reason) => Outcome::Unknown { reason },
        }
    }
}

impl<I: Inbox> Provider for InApp<I> {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn send<'a>(&'a self, message: &'a Cleared, _: Duration) -> BoxFuture<'a, Outcome> {
        self.put(message).boxed()
    }

    /// An attempt without a response is proven before its message is put back: the app may cancel that, though it is
    /// shown.
    fn find(&self, message: MessageId, part: i16, token: AttemptToken) -> BoxFuture<'_, Fetched> {
        async move {
            match self.inbox.has(message, part, self.send_timeout).await {
                Some(true) => Fetched::Found(Box::new(ProviderMessage {
                    sid: sid(token),
                    status: Some(ProviderStatus::TAKEN),
                    to: String::new(),
                    from: None,
                    body: String::new(),
                    by_api: true,
                    created: None,
                    price: None,
                })),
                Some(false) => Fetched::Absent,
                None => Fetched::NotNow {
                    reason: "the database does not say whether it is in the app's table".to_owned(),
                    is_throttled: false,
                },
            }
        }
        .boxed()
    }

    fn prewarm(&self, connections: usize) -> BoxFuture<'_, ()> {
        match connections {
            0 => future::ready(()).boxed(),
            _ => self.inbox.open(),
        }
    }
}
