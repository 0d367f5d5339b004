//! Which account sends a message: the row's `account`, or the one that its sender belongs to, or else the default one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sender::is_whatsapp;
use super::{Channel, Claim, LaneKey, NO_SENDER, Route, RouteList, Sender};

/// How many senders go with every claim, so that the ledger has the account of each attempt.
const SENDERS_MAX: usize = 500;

/// The accounts of the settings, next to the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// Each with the sender of its messages that name none.
    accounts: BTreeMap<Arc<str>, Option<Sender>>,
    /// The accounts that senders choose.
    senders: BTreeMap<String, Arc<str>>,
    /// The sender of the default account's messages that name none.
    default_sender: Option<Sender>,
    /// Those of messages that name neither.
    list: RouteList,
}

/// An account by its place among those of the settings: 0 is the default one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountNumber(u16);

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
            default_sender: default_sender.cloned(),
            ..Self::default()
        }
    }

    /// The same where messages of the default account that name no sender have this one.
    #[must_use]
    pub fn with_default_sender(self, sender: Option<&Sender>) -> Self {
        let default_sender = sender.cloned();
        Self {
            default_sender,
            ..self
        }
    }

    /// The same with these routes for messages that name neither an account nor a sender.
    #[must_use]
    pub fn with_list(self, list: RouteList) -> Self {
        Self { list, ..self }
    }

    /// The routes.
    pub const fn list(&self) -> &RouteList {
        &self.list
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

    /// What messages of this kind wait in until an account is chosen: a key that names their route, if they have one,
    /// else [`Self::lane`]. `address`: of a text without a sender [`NO_SENDER`] and the beginning of its recipient's
    /// number, as `lane_address!` has it.
    pub fn queue(&self, channel: Channel, account: Option<&str>, address: Option<&str>) -> LaneKey {
        let lane = self.lane(channel, account, address);
        let is_named = account.is_some_and(|name| !name.trim().is_empty());
        let to = address.map(str::trim).filter(|own| !own.is_empty());
        let to = to.map(|own| own.strip_prefix(NO_SENDER).ok_or(own));
        let route = match to {
            _ if is_named || self.list.0.is_empty() => None,
            // It names its sender.
            Some(Err(_)) if channel.is_phone() => None,
            Some(Ok(number)) => self.list.to(channel, Some(number)),
            Some(Err(_)) | None => self.list.to(channel, None),
        };
        match route {
            Some(route) => lane.by_route(route),
            None => lane,
        }
    }

    /// The lanes that a message of this one may go by, in order: those of its route, or the one itself.
    pub fn ways(&self, key: &LaneKey) -> Vec<LaneKey> {
        let way = |name: &Arc<str>| key.clone().with_account(name);
        match self.list.named(key) {
            Some(route) => route.accounts.iter().map(way).collect(),
            // A route that the settings have no more: as if there were none.
            None if key.route().is_some() => vec![key.clone().in_account(None)],
            None => vec![key.clone()],
        }
    }

    /// The first of [`Self::ways`].
    pub fn first(&self, key: &LaneKey) -> LaneKey {
        self.ways(key).swap_remove(0)
    }

    /// Whether a claim goes by an account of its route.
    pub fn permit(&self, claim: &Claim) -> bool {
        let route = claim.route.as_ref();
        route.is_none_or(|route| self.ways(route).contains(&claim.lane))
    }

    /// Whether messages that name no account may come to this lane by a route.
    pub fn lead_to(&self, lane: &LaneKey) -> bool {
        let is_on = |route: &Route| {
            let mut accounts = route.accounts.iter();
            route.channel == lane.channel() && accounts.any(|name| &**name == lane.account())
        };
        self.list.0.iter().any(is_on)
    }

    /// The number of a lane's account, where a claim has to say by which account its messages go; `None`: no route of
    /// the channel leads there, so the rows say it.
    pub fn number(&self, lane: &LaneKey) -> Option<AccountNumber> {
        if !self.lead_to(lane) {
            return None;
        }
        let Some(account) = lane.other_account() else {
            return Some(AccountNumber(0));
        };
        let at = self.names().position(|name| name == account)?;
        u16::try_from(at + 1).ok().map(AccountNumber)
    }

    /// The account of a number.
    pub fn numbered(&self, number: AccountNumber) -> Option<&str> {
        match number.0 {
            0 => Some(LaneKey::DEFAULT_ACCOUNT),
            n => self.names().nth(usize::from(n) - 1),
        }
    }

    /// The sender of an account's messages that name none, the default one among them.
    pub fn sender_of(&self, account: &str) -> Option<&Sender> {
        match account {
            LaneKey::DEFAULT_ACCOUNT => self.default_sender.as_ref(),
            other => self.sender(other),
        }
    }

    /// The senders of all accounts that texts may go by without naming one: an opt-out from any of them is one from
    /// all.
    pub fn senders_of_routes(&self) -> Option<Vec<&str>> {
        let texts = self.list.0.iter().filter(|route| route.channel.is_phone());
        let accounts = texts.flat_map(|route| &route.accounts);
        let senders = accounts.filter_map(|name| self.sender_of(name));
        let mut senders: Vec<&str> = senders.map(Sender::as_str).collect();
        senders.sort_unstable();
        senders.dedup();
        (!senders.is_empty()).then_some(senders)
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
            // A text that names no sender.
            None if sender.is_some_and(|sender| sender.starts_with(NO_SENDER)) => None,
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
    fn a_message_that_names_neither_waits_for_its_route() {
        let ours = sender("+13105550100");
        let mut routes = Routes::new(Some(&ours));
        routes
            .add("eu", Some(sender("ACME")), &[sender("ACME")])
            .unwrap();
        routes.add("us", None, &[]).unwrap();
        let lists = "sms = default, eu; sms +49 = eu, default; webhook = us, default";
        let routes = routes.with_list(lists.parse().unwrap());
        let ways = |channel, account, address| {
            let key = routes.queue(channel, account, address);
            let ways = routes.ways(&key);
            let ways: Vec<String> = ways.iter().map(ToString::to_string).collect();
            ways.join(" ")
        };
        for (account, address, expected) in [
            (None, None, "default/sms eu/sms"),
            (None, Some(">+120"), "default/sms eu/sms"),
            (None, Some(">+491"), "eu/sms default/sms"),
            (Some(" "), Some(">+491"), "eu/sms default/sms"),
            (Some("default"), Some(">+491"), "default/sms"),
            (Some("us"), Some(">+491"), "us/sms"),
            (None, Some("ACME"), "eu/sms"),
            (None, Some("+13105551234"), "default/sms"),
        ] {
            assert_eq!(
                ways(Channel::Sms, account, address),
                expected,
                "{account:?} {address:?}"
            );
        }
        let hook = Some("https://a.example/");
        let expected = "us/webhook/a.example default/webhook/a.example";
        assert_eq!(ways(Channel::Webhook, None, hook), expected);
        assert_eq!(ways(Channel::Email, None, None), "default/email");
        let eu = LaneKey::of(Channel::Sms).with_account("eu");
        let number = routes.number(&eu).unwrap();
        assert_eq!(routes.numbered(number), Some("eu"));
        assert_eq!(routes.number(&LaneKey::of(Channel::Email)), None);
        assert_eq!(
            routes.senders_of_routes(),
            Some(vec!["+13105550100", "ACME"])
        );
        let gone = Routes::default().ways(&routes.queue(Channel::Sms, None, None));
        assert_eq!(gone, [LaneKey::of(Channel::Sms)]);
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
