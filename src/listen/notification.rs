//! The payload of a notification. Any role may NOTIFY, so it is only a hint: rows are read again by their
//! ids, and what cannot be parsed is ignored.

use uuid::Uuid;

use crate::message::MessageId;

/// A payload of the channel, as the triggers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// `ids …,…`: these rows changed.
    Ids(Vec<MessageId>),
    /// `rescan`: too many to name.
    Rescan,
    /// `missed`: messages have missed a change, which a chore applies.
    Missed,
    /// `plan`: an event or a preference has changed by which reminders are planned, which a chore does.
    Plan,
    /// `members`: an instance has started or stopped.
    Members,
    /// `paces`: a pace was set, changed or removed.
    Paces,
    /// `pauses`: what is paused has changed.
    Pauses,
    /// `drafts`: texts are wanted.
    Drafts,
    /// `nonce …`: a listener verifies its channel.
    Nonce(Uuid),
}

impl Notification {
    /// The payload of [`Self::Members`].
    pub const MEMBERS: &str = "members";

    /// Parses a payload; `None` if it cannot be parsed.
    pub fn parse(payload: &str) -> Option<Self> {
        match payload.split_once(' ') {
            None if payload == "rescan" => Some(Self::Rescan),
            None if payload == "missed" => Some(Self::Missed),
            None if payload == "plan" => Some(Self::Plan),
            None if payload == Self::MEMBERS => Some(Self::Members),
            None if payload == "paces" => Some(Self::Paces),
            None if payload == "pauses" => Some(Self::Pauses),
            None if payload == "drafts" => Some(Self::Drafts),
            Some(("ids", ids)) => {
                let ids: Vec<_> = ids
                    .split(',')
                    .filter_map(|id| id.parse().ok().map(MessageId))
                    .collect();
                (!ids.is_empty()).then_some(Self::Ids(ids))
            }
            Some(("nonce", nonce)) => nonce.parse().ok().map(Self::Nonce),
            _ => None,
        }
    }

    /// The payload of a nonce.
    pub fn nonce(nonce: Uuid) -> String {
        format!("nonce {nonce}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000-0000-0000-0000-000000000001";

    fn check(payload: &str, expected: Option<&Notification>) {
        assert_eq!(
            Notification::parse(payload).as_ref(),
            expected,
            "{payload:?}"
        );
    }

    #[test]
    fn reads_what_the_triggers_write_and_nothing_else() {
        let one = MessageId(Uuid::from_u128(1));
        check("rescan", Some(&Notification::Rescan));
        check("missed", Some(&Notification::Missed));
        check("plan", Some(&Notification::Plan));
        check("paces", Some(&Notification::Paces));
        check("pauses", Some(&Notification::Pauses));
        check("drafts", Some(&Notification::Drafts));
        check(&format!("ids {ID}"), Some(&Notification::Ids(vec![one])));
        check(
            &format!("ids {ID},forged,{ID}"),
            Some(&Notification::Ids(vec![one, one])),
        );
        check(
            &Notification::nonce(Uuid::from_u128(1)),
            Some(&Notification::Nonce(Uuid::from_u128(1))),
        );
        for nothing in [
            "",
            "ids",
            "ids ",
            "ids x",
            "nonce",
            "nonce x",
            "drop table",
            "rescan now",
        ] {
            check(nothing, None);
        }
    }
}
