//! The JSON that a service worker gets. `docs/web-push.md` documents it.

use serde::Serialize;

use crate::policy::Cleared;

#[derive(Serialize)]
struct Payload<'a> {
    /// The message: two notifications with one `tag` replace each other.
    id: uuid::Uuid,
    /// From 1.
    part: i16,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    body: &'a str,
}

/// The text of the request for a message, before it is encrypted.
pub(super) fn of(message: &Cleared) -> Vec<u8> {
    let payload = Payload {
        id: message.id().0,
        part: message.part().before + 1,
        r#type: message.about().message_type.as_deref(),
        title: message.subject(),
        body: message.body(),
    };
    serde_json::to_vec(&payload).expect("texts and ids are valid JSON")
}
