//! Which account sends a message: the row's `account`, or the one that its sender belongs to, or else the default one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sender::is_whatsapp;
use super::{Channel, LaneKey, Sender};

/// How many senders go with every claim, so that the ledger has the account of each attempt.
const SENDERS_MAX: usize = 500;

/// The accounts of the settings, next to the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// Each with the sender of its messages that name none.
    accounts: BTreeMap<Arc<str>, Option<Sender>>,
    /// The accounts that senders choose.
    senders: BTreeMap<String, Arc<str>>,
}

/// A sender that belongs to two accounts, so that it chooses none. The sentence does not repeat it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sender belongs to the account {first} already")]
pub struct SenderTaken {
    /// The account that has it.
    pub first: String,
}

impl Routes {
    /// The routes of an installation whose default account has this sender.
    pub fn new(default_sender: Option<&Sender>) -> Self {
        let own =
            default_sender.map(|own| (own.as_str().to_owned(), LaneKey::DEFAULT_ACCOUNT.into()));
        Self {
            senders: own.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Adds an account with the sender of its messages that name none, and the senders that choose it.
    pub fn add(
        &mut self,
        name: &str,
        sender: Option<Sender>,
        senders: &[Sender],
    ) -> Result<(), SenderTaken> {
        let name: Arc<str> = name.into();
        for own in senders {
            let taken = self
                .senders
                .insert(own.as_str().to_owned(), Arc::clone(&name));
            if let Some(first) = taken.filter(|first| *first != name) {
                let first = first.to_string();
                return Err(SenderTaken { first });
            }
        }
        self.accounts.insert(name, sender);
        Ok(())
    }

    /// The lane of a row with this channel and account. `address`: of a webhook its recipient, of a text its sender.
    pub fn lane(&self, channel: Channel, account: Option<&str>, address: Option<&str>) -> LaneKey {
        let sender = address.filter(|_| channel.is_phone());
        LaneKey::of_row(channel, address).in_account(self.account(account, sender))
    }

    /// `None`: the default account.
    fn account(&self, named: Option<&str>, sender: Option<&str>) -> Option<Arc<str>> {
        match named.map(str::trim).filter(|name| !name.is_empty()) {
            Some(LaneKey::DEFAULT_ACCOUNT) => None,
            Some(name) => {
                let known = self.accounts.get_key_value(name);
                Some(known.map_or_else(
                    || LaneKey::UNKNOWN_ACCOUNT.into(),
                    |(name, _)| Arc::clone(name),
                ))
            }
            None => sender
                .and_then(|sender| self.senders.get(sender.trim()))
                .filter(|of| &***of != LaneKey::DEFAULT_ACCOUNT)
                .cloned(),
        }
    }

    /// The sender of this account's messages that name none.
    pub fn sender(&self, account: &str) -> Option<&Sender> {
        self.accounts.get(account)?.as_ref()
    }

    /// Whether a message of this lane may be one of WhatsApp, though its row names no sender there.
    pub fn may_be_whatsapp(&self, lane: &LaneKey, default_sender: Option<&str>) -> bool {
        let own = match lane.other_account() {
            None => default_sender,
            Some(account) => self.sender(account).map(Sender::as_str),
        };
        let choosing = self.senders(lane.account());
        own.into_iter().chain(choosing).any(is_whatsapp)
    }

    /// The senders that choose this account.
    pub fn senders(&self, account: &str) -> impl Iterator<Item = &str> {
        let own = self.senders.iter().filter(move |(_, of)| ***of == *account);
        own.map(|(sender, _)| sender.as_str())
    }

    /// The senders that choose an account, each with its account, as JSON; `None`: more than go with every claim.
    pub fn account_of_sender(&self) -> Option<serde_json::Value> {
        let all = self.senders.iter().map(|(sender, of)| (&**sender, &**of));
        (self.senders.len() <= SENDERS_MAX).then(|| all.collect())
    }

    /// The names of the accounts, without the default one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().map(|name| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(text: &str) -> Sender {
        text.parse().unwrap()
    }

    #[test]
    fn the_account_of_the_row_comes_first_and_then_that_of_its_sender() {
        let mut routes = Routes::default();
        routes
            .add(
                "eu",
                Some(sender("+4915112345678")),
                &[sender("+4915112345678"), sender("ACME")],
            )
            .unwrap();
        routes.add("hooks", None, &[]).unwrap();
        let sms = |account, from| routes.lane(Channel::Sms, account, from).to_string();
        for (account, from, lane) in [
            (None, None, "default/sms"),
            (Some(" "), None, "default/sms"),
            (Some("default"), Some("ACME"), "default/sms"),
            (None, Some("+13105551234"), "default/sms"),
            (None, Some(" +4915112345678 "), "eu/sms"),
            (None, Some("ACME"), "eu/sms"),
            (Some(" eu\n"), Some("+13105551234"), "eu/sms"),
            (Some("EU"), None, "unknown/sms"),
            (Some("us"), Some("ACME"), "unknown/sms"),
        ] {
            assert_eq!(sms(account, from), lane, "{account:?} {from:?}");
        }
        let hook = Some("https://a.example/");
        let lane = routes.lane(Channel::Webhook, Some("hooks"), hook);
        assert_eq!(lane.to_string(), "hooks/webhook/a.example");
        assert_eq!(routes.sender("eu"), Some(&sender("+4915112345678")));
        assert_eq!(routes.sender("hooks"), None);
    }

    #[test]
    fn a_sender_belongs_to_one_account() {
        let mut routes = Routes::default();
        routes
            .add("eu", None, &[sender("ACME"), sender("ACME")])
            .unwrap();
        let first = "eu".to_owned();
        assert_eq!(
            routes.add("us", None, &[sender("ACME")]),
            Err(SenderTaken { first })
        );
        let ours = sender("+13105550100");
        let mut routes = Routes::new(Some(&ours));
        let lane = routes.lane(Channel::Sms, None, Some(ours.as_str()));
        assert_eq!(lane, LaneKey::of(Channel::Sms));
        let first = LaneKey::DEFAULT_ACCOUNT.to_owned();
        assert_eq!(routes.add("eu", None, &[ours]), Err(SenderTaken { first }));
    }
}
