//! From whom and to whom a message is, as far as a provider's limits apply to either.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::LaneKey;

/// A sender, or a sender with a recipient, of one account and channel: a hash, so that no number is kept where only
/// equality matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartyKey(u64);

/// The parties of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parties {
    /// Its sender.
    pub sender: PartyKey,
    /// Its sender and its recipient.
    pub pair: PartyKey,
}

impl Parties {
    /// The parties of a message that is not claimed yet.
    pub const NONE: Self = Self {
        sender: PartyKey(0),
        pair: PartyKey(0),
    };

    /// Those of a message of this lane. White space around either does not count. `None`: the provider picks the
    /// sender.
    pub fn of(lane: &LaneKey, sender: Option<&str>, recipient: &str) -> Self {
        let mut of_sender = DefaultHasher::new();
        let channel = lane.channel().as_str();
        (lane.account(), channel, sender.map(str::trim)).hash(&mut of_sender);
        let mut of_pair = of_sender.clone();
        recipient.trim().hash(&mut of_pair);
        Self {
            sender: PartyKey(of_sender.finish()),
            pair: PartyKey(of_pair.finish()),
        }
    }
}

impl fmt::Debug for PartyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Channel;

    #[test]
    fn equal_are_those_of_the_same_account_channel_and_numbers() {
        let sms = LaneKey::of(Channel::Sms);
        let of = |lane: &LaneKey, sender, to| Parties::of(lane, sender, to);
        let one = of(&sms, Some("+15005550006"), "+12025550101");
        assert_eq!(one, of(&sms, Some(" +15005550006\n"), "\t+12025550101 "));
        let other_recipient = of(&sms, Some("+15005550006"), "+12025550102");
        assert_eq!(one.sender, other_recipient.sender);
        assert_ne!(one.pair, other_recipient.pair);
        for other in [
            of(&sms, Some("+15005550007"), "+12025550101"),
            of(&sms, None, "+12025550101"),
            of(
                &LaneKey::of(Channel::Email),
                Some("+15005550006"),
                "+12025550101",
            ),
            of(
                &sms.clone().with_account("eu"),
                Some("+15005550006"),
                "+12025550101",
            ),
        ] {
            assert!(
                one.sender != other.sender && one.pair != other.pair,
                "{other:?}"
            );
        }
        // Hosts are lanes, and not other senders.
        let host = LaneKey::of(Channel::Webhook).with_host("a.example");
        assert_eq!(
            of(&host, None, "x"),
            of(&LaneKey::of(Channel::Webhook), None, "x")
        );
    }
}
