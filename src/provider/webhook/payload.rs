//! The JSON that a webhook has. `docs/webhook.md` documents it.

use serde::Serialize;

use crate::policy::Cleared;

/// The type of messages that have none.
const NO_TYPE: &str = "message";

/// After [Standard Webhooks](https://www.standardwebhooks.com): what it is about, since when, and the data. All
/// attempts at a message have the same, unless its row was changed.
#[derive(Serialize)]
struct Payload<'a> {
    r#type: &'a str,
    /// The row's `scheduled_at`.
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    id: uuid::Uuid,
    user_id: Option<uuid::Uuid>,
    body: &'a str,
}

/// The body of the request for a message.
pub(super) fn of(message: &Cleared) -> Vec<u8> {
    let about = message.about();
    let payload = Payload {
        r#type: about.message_type.as_deref().unwrap_or(NO_TYPE),
        timestamp: about.scheduled_at.unwrap_or(message.due()).to_string(),
        data: Data {
            id: message.id().0,
            user_id: about.user_id,
            body: message.body(),
        },
    };
    serde_json::to_vec(&payload).expect("texts and ids are valid JSON")
}
