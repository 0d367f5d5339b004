//! How fast Twilio sends by default, by the kind of sender, and for how long it queues what waits for that.

use std::time::Duration;

use crate::message::Sender;

/// What waits longer is refused (30001).
pub const QUEUED_MAX: Duration = Duration::from_secs(36_000);

/// Toll-free numbers of the North American plan.
const TOLL_FREE: [&str; 7] = [
    "+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888",
];

/// The default of a kind of sender. A sender that is registered may have more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRate {
    /// The kind, for people.
    pub kind: &'static str,
    /// How many segments in a second.
    pub segments_per_s: u32,
}

impl DefaultRate {
    /// The time of a segment.
    pub fn each(self) -> Duration {
        Duration::from_secs(1) / self.segments_per_s.max(1)
    }
}

/// Of this sender. `None`: it is not known, as of numbers of most countries, of names, of services and on WhatsApp.
pub fn default_rate(sender: &Sender) -> Option<DefaultRate> {
    let (kind, segments_per_s) = match sender {
        Sender::ShortCode(_) => ("short code", 100),
        Sender::Number(number) => {
            let number = number.as_str();
            if TOLL_FREE.iter().any(|code| number.starts_with(code)) {
                ("toll-free number", 3)
            } else if number.starts_with("+1") {
                ("long code of the US or Canada", 1)
            } else {
                return None;
            }
        }
        _ => return None,
    };
    Some(DefaultRate {
        kind,
        segments_per_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_sender_has_its_rate() {
        for (sender, expected) in [
            ("+12025550100", Some(1)),
            ("+18885550100", Some(3)),
            ("+14155550100", Some(1)),
            ("72345", Some(100)),
            ("+4915112345678", None),
            ("ACME", None),
            ("whatsapp:+12025550100", None),
        ] {
            let sender: Sender = sender.parse().unwrap();
            let rate = default_rate(&sender);
            assert_eq!(rate.map(|rate| rate.segments_per_s), expected, "{sender:?}");
        }
        let toll_free = default_rate(&"+18885550100".parse().unwrap()).unwrap();
        assert_eq!(toll_free.each().as_millis(), 333);
    }
}
