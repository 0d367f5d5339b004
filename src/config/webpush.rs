//! The settings of push messages.

use secrecy::SecretString;

use super::error::Problem;
use super::key;
use super::provider::said;
use super::raw::Raw;
use super::values;
use crate::provider::webhook::Allowed;
use crate::provider::webpush::{Vapid, VapidError};

/// The settings of push messages.
#[derive(Clone, Debug)]
pub struct WebPushSettings {
    /// Shows push services who sends.
    pub vapid: Vapid,
    /// Where requests may go in addition to the internet. Not those of webhooks: here the app's users choose the URL.
    pub allowed: Allowed,
}

pub(super) fn read(raw: &mut Raw) -> Option<WebPushSettings> {
    let private = raw.require(
        &key::VAPID_PRIVATE,
        "the private VAPID key, which `npx web-push generate-vapid-keys` prints",
        values::credential,
    );
    let public = raw.require(
        &key::VAPID_PUBLIC,
        "the public VAPID key, which belongs to the private one",
        said::<String>,
    );
    let subject = raw.require(
        &key::VAPID_SUBJECT,
        "a mailto: or https: URL at which a push service can reach you",
        said::<String>,
    );
    let allowed = raw.get(&key::PUSH_ALLOW, said::<Allowed>);
    let (private, public, subject): (SecretString, _, _) = (private?, public?, subject?);
    match Vapid::new(&private, &public, &subject) {
        Ok(vapid) => Some(WebPushSettings {
            vapid,
            allowed: allowed.unwrap_or_default(),
        }),
        Err(why) => {
            let setting = match why {
                VapidError::Subject => &key::VAPID_SUBJECT,
                VapidError::Form | VapidError::Pair => &key::VAPID_PRIVATE,
            };
            let problem = Problem::Unusable {
                key: raw.name(setting),
                value: None,
                expected: why.to_string(),
            };
            raw.problem(problem);
            None
        }
    }
}
