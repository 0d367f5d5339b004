//! The accounts next to the default one, and what chooses them.

use super::error::Problem;
use super::key;
use super::provider::{ProviderChoice, choose, fallback_sender, set_sender};
use super::raw::Raw;
use crate::message::{Channel, LaneKey, Routes, Sender};
use crate::provider;

/// An account next to the default one.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its provider.
    pub provider: ProviderChoice,
    /// Those of other channels beside it.
    pub beside: Vec<ProviderChoice>,
    /// The sender of its messages that name none.
    pub sender: Option<Sender>,
    /// Its other senders: they choose the account of a row that names none.
    pub senders: Vec<Sender>,
}

impl Account {
    /// Its channels that have a provider.
    pub fn channels(&self) -> Vec<Channel> {
        self.provider.with(&self.beside)
    }
}

/// All of them, and what they mean for a row; `set_sender` chooses the default one, whose provider is `texts`. If that
/// one prints texts, all do: a trial sends none.
pub(super) fn accounts(
    raw: &mut Raw,
    set_sender: Option<&Sender>,
    texts: Option<&ProviderChoice>,
) -> (Vec<Account>, Routes) {
    if let Some(texts) = texts {
        see_that_senders_are_taken(raw, LaneKey::DEFAULT_ACCOUNT, texts, set_sender.into_iter());
    }
    let is_trial = matches!(texts, Some(ProviderChoice::Console));
    let (mut accounts, mut routes) = (Vec::new(), Routes::new(set_sender));
    for name in raw.accounts() {
        let read = raw.in_account(&name, |own| account(&name, own));
        let Some((mut account, choosing)) = read else {
            continue;
        };
        if is_trial && account.provider.channels().contains(&Channel::Sms) {
            account.provider = ProviderChoice::Console;
        }
        if let Err(taken) = routes.add(&name, account.sender.clone(), &choosing) {
            raw.problem(Problem::SenderTaken {
                account: name,
                taken,
            });
        }
        accounts.push(account);
    }
    (accounts, routes)
}

/// Refuses senders that the provider of their account sends nothing from: each of their messages would fail.
fn see_that_senders_are_taken<'a>(
    raw: &mut Raw,
    account: &str,
    provider: &ProviderChoice,
    mut senders: impl Iterator<Item = &'a Sender>,
) {
    if senders.any(|sender| !provider.takes(sender)) {
        raw.problem(Problem::SenderNotTaken {
            account: account.to_owned(),
            provider: provider.as_str(),
        });
    }
}

/// The account, and the senders that choose it.
fn account(name: &str, own: &mut Raw) -> Option<(Account, Vec<Sender>)> {
    let chosen = choose(own);
    let set = set_sender(own);
    let senders = own.get(&key::SENDERS, |text| {
        let all = text.split(',').map(str::trim).filter(|own| !own.is_empty());
        let parse = |text| Sender::parse(text, provider::TEXTS.sender_pools);
        all.map(parse).collect::<Result<Vec<_>, _>>().map_err(|why| {
            format!("numbers, short codes, names and messaging services, separated by commas ({why})")
        })
    });
    // Rows may name the messaging service also where it is not the sender of those that name none.
    let service = own.get(&key::SERVICE_SID, |text| {
        // What is wrong with it is reported already.
        Ok::<_, String>(Sender::parse(text, provider::TEXTS.sender_pools).ok())
    });
    let mut senders = senders.unwrap_or_default();
    senders.extend(
        service
            .flatten()
            .filter(|service| set.as_ref() != Some(service)),
    );
    let (provider, beside) = chosen?;
    let all = set.iter().chain(&senders);
    see_that_senders_are_taken(own, name, &provider, all);
    let choosing = set.iter().chain(&senders).cloned().collect();
    let account = Account {
        name: name.to_owned(),
        sender: set.or_else(|| fallback_sender(&provider)),
        provider,
        beside,
        senders,
    };
    Some((account, choosing))
}
