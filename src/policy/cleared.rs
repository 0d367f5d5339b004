//! A message that may be sent.

use std::fmt;

use uuid::Uuid;

use super::Lawful;
use crate::message::facts::Priority;
use crate::message::{
    Address, AttemptToken, Channel, LaneKey, MessageId, Moment, Part, Sender, WebUrl,
};

/// A message that may be sent, with all that the provider needs. Only [`judge`](super::judge) creates one.
#[derive(Clone, PartialEq, Eq)]
pub struct Cleared {
    pub(super) id: MessageId,
    pub(super) token: AttemptToken,
    pub(super) due: Moment,
    pub(super) expires: Moment,
    /// Boxed, because it is long.
    pub(super) lane: Box<LaneKey>,
    pub(super) to: Address,
    pub(super) from: Option<Sender>,
    pub(super) subject: Option<String>,
    pub(super) body: String,
    pub(super) part: Part,
    pub(super) texts: Vec<String>,
    /// Boxed too, because few providers read it.
    pub(super) about: Box<MessageContext>,
}

/// What a message is about, for recipients that are programs and services that pass it on, and what goes with its text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MessageContext {
    /// The row's `message_type`.
    pub message_type: Option<String>,
    /// The row's `scheduled_at`.
    pub scheduled_at: Option<Moment>,
    /// The user it belongs to.
    pub user_id: Option<Uuid>,
    /// See [`Cleared::media`].
    pub media: Vec<WebUrl>,
    /// See [`Cleared::html`].
    pub html: Option<String>,
    /// The row's `priority`.
    pub priority: Priority,
    /// See [`Cleared::lawful`].
    pub lawful: Option<Lawful>,
}

/// Without the HTML, which has the text.
impl fmt::Debug for MessageContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageContext")
            .field("message_type", &self.message_type)
            .field("scheduled_at", &self.scheduled_at)
            .field("user_id", &self.user_id)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}

impl Cleared {
    /// The message.
    pub const fn id(&self) -> MessageId {
        self.id
    }
    /// The attempt it is cleared for.
    pub const fn token(&self) -> AttemptToken {
        self.token
    }
    /// No request starts before this.
    pub const fn due(&self) -> Moment {
        self.due
    }
    /// It should not be delivered after this, by the provider either.
    pub const fn expires(&self) -> Moment {
        self.expires
    }
    /// The channel it is sent by.
    pub const fn channel(&self) -> Channel {
        self.lane.channel()
    }
    /// The lane it is sent by.
    pub const fn lane(&self) -> &LaneKey {
        &self.lane
    }
    /// The recipient.
    pub const fn to(&self) -> &Address {
        &self.to
    }
    /// The sender of a text message, or of an e-mail whose row names one; `None` for other channels.
    pub const fn from(&self) -> Option<&Sender> {
        self.from.as_ref()
    }
    /// The subject, rendered if there is a template; `None`: the channel has none, or the row.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
    /// The text of this part, rendered if there is a template.
    pub fn body(&self) -> &str {
        &self.body
    }
    /// The pictures and files that go with this part: of a message of several parts with the first.
    pub fn media(&self) -> &[WebUrl] {
        &self.about.media
    }
    /// What an e-mail shows in place of the text, where it can: rendered from its template.
    pub fn html(&self) -> Option<&str> {
        self.about.html.as_deref()
    }
    /// Which part it is.
    pub const fn part(&self) -> Part {
        self.part
    }
    /// The texts of all parts, if this is the first: they are kept before the request, so that later parts are of the
    /// same text. Empty: there is nothing to keep.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }
    /// What the law permits it by, and until when; `None`: the installation has chosen no rules about it.
    pub fn lawful(&self) -> Option<&Lawful> {
        self.about.lawful.as_ref()
    }
    /// What it is about.
    pub const fn about(&self) -> &MessageContext {
        &self.about
    }
}

/// Without the text, and with both numbers masked, because it may be logged.
impl fmt::Debug for Cleared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cleared")
            .field("id", &self.id)
            .field("token", &self.token)
            .field("due", &self.due)
            .field("expires", &self.expires)
            .field("to", &self.to)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}
