//! The accounts next to the default one, and what chooses them.

use super::error::Problem;
use super::key;
use super::provider::{ProviderChoice, choose, fallback_sender, set_sender};
use super::raw::Raw;
use crate::message::{Channel, LaneKey, Route, RouteList, Routes, Sender};
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

/// The providers of an account: the one of its texts, and those of other channels beside it.
type Own = (ProviderChoice, Vec<ProviderChoice>);

/// All of them, what they and the default one (`own`) mean for a row, and the sender of that one's rows that name none.
/// If it prints texts, all do: a trial sends none.
pub(super) fn accounts(raw: &mut Raw, own: Option<&Own>) -> (Vec<Account>, Routes, Option<Sender>) {
    let texts = own.map(|(provider, _)| provider);
    let default = set_sender(raw);
    if let Some(texts) = texts {
        see_that_senders_are_taken(raw, LaneKey::DEFAULT_ACCOUNT, texts, default.iter());
    }
    let is_trial = matches!(texts, Some(ProviderChoice::Console));
    let (mut accounts, mut routes) = (Vec::new(), Routes::new(default.as_ref()));
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
    let default = default.or_else(|| texts.and_then(fallback_sender));
    let routes = with_list(raw, routes, own, &accounts, default.as_ref());
    (accounts, routes, default)
}

/// The same with the lists of accounts for messages that name none. `own`: the providers of the default account.
fn with_list(
    raw: &mut Raw,
    routes: Routes,
    own: Option<&Own>,
    accounts: &[Account],
    default_sender: Option<&Sender>,
) -> Routes {
    let lists = raw.get(&key::ROUTES, |text| {
        let lists = text.parse::<RouteList>();
        lists.map_err(|why| format!("lists of accounts, as in sms = default, eu ({why})"))
    });
    let Some(lists) = lists else {
        return routes;
    };
    let routes = routes.with_default_sender(default_sender);
    for route in &lists.0 {
        for name in &route.accounts {
            let account = accounts.iter().find(|account| *account.name == **name);
            let channels = match account {
                Some(account) => account.channels(),
                None if **name == *LaneKey::DEFAULT_ACCOUNT => own
                    .map(|(provider, beside)| provider.with(beside))
                    .unwrap_or_default(),
                None => {
                    let why = format!(
                        "names {name}, which is no account: describe it as [accounts.{name}]"
                    );
                    raw.problem(Problem::Route {
                        of: route.of().to_owned(),
                        why,
                    });
                    continue;
                }
            };
            if let Some(why) = fault(route, name, &channels, &routes) {
                raw.problem(Problem::Route {
                    of: route.of().to_owned(),
                    why,
                });
            }
        }
    }
    routes.with_list(lists)
}

/// Why an account cannot be on this route.
fn fault(route: &Route, name: &str, channels: &[Channel], routes: &Routes) -> Option<String> {
    let channel = route.channel.as_str();
    if !channels.contains(&route.channel) {
        return Some(format!("names {name}, whose provider sends no {channel}"));
    }
    if route.channel.is_phone() && routes.sender_of(name).is_none() {
        return Some(format!(
            "names {name}, which has no sender for messages that name none"
        ));
    }
    // What the database does before an account is chosen (rates, pauses) is by the sender of the default account.
    let is_first = route.accounts.first().is_some_and(|first| **first == *name);
    let is_default = name == LaneKey::DEFAULT_ACCOUNT;
    (route.channel.is_phone() && route.country.is_none() && is_first && !is_default).then(|| {
        format!(
            "begins with {name}: texts that name no account begin with default, so make {name} the default account \
             ([twilio], [modem]), or give the list to a country"
        )
    })
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
