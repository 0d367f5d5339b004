//! Routes: for the messages of a channel that name neither an account nor a sender an ordered list of accounts. The
//! next one takes what is known not to have been accepted ([`choose`]).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{Channel, LaneKey, Uptime};

/// A country code has at most so many digits.
const CODE_MAX: usize = 3;

/// An ordered list of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The channel of its messages.
    pub channel: Channel,
    /// The country code of their recipients, without a plus; `None`: those of every country without a route of its own.
    pub country: Option<String>,
    /// The accounts, the first one first.
    pub accounts: Vec<Arc<str>>,
    /// What takes the place of an account in the key of a lane: formatted once, and not for each message.
    key: Arc<str>,
}

/// All routes of an installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteList(pub Vec<Route>);

/// Why a text is no list of routes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No sign between the channel and its accounts.
    #[error("a route is a channel and its accounts, as in sms = default, eu")]
    Form,
    /// Not a channel.
    #[error("a route begins with {}", Channel::UNDERSTOOD.map(Channel::as_str).join(", "))]
    Channel,
    /// Not a country code.
    #[error("a country is its code, up to three digits, as in sms +49")]
    Country,
    /// Only texts have phone numbers.
    #[error("only a route of sms has a country: the recipients of {0} have no number")]
    NoNumbers(&'static str),
    /// It has no account.
    #[error("the route of {0} has no account")]
    Empty(String),
    /// A message would come back to an account that has refused it.
    #[error("the route of {0} has the account {1} twice, and would lead back to it")]
    Loop(String, String),
    /// Which of the two counts would be unknown.
    #[error("{0} has two routes")]
    Twice(String),
}

impl Route {
    /// What its messages are: `sms`, `sms +49`.
    pub fn of(&self) -> &str {
        &self.key[LaneKey::ROUTE.len()..]
    }

    pub(super) const fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// Whether a recipient's number has its country code.
    fn leads_to(&self, number: Option<&str>) -> bool {
        self.country.as_deref().is_none_or(|code| {
            let digits = number.and_then(|number| number.trim().strip_prefix('+'));
            digits.is_some_and(|digits| digits.starts_with(code))
        })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.of(), self.accounts.join(", "))
    }
}

impl FromStr for Route {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        let (of, accounts) = text.split_once('=').ok_or(RouteError::Form)?;
        let (word, code) = match of.split_once('+') {
            Some((word, code)) => (word.trim(), Some(code.trim())),
            None => (of.trim(), None),
        };
        let known = |channel: &Channel| channel.as_str() == word;
        let mut channels = Channel::UNDERSTOOD.into_iter();
        let channel = channels.find(known).ok_or(RouteError::Channel)?;
        if let Some(code) = code {
            let is_code = (1..=CODE_MAX).contains(&code.len())
                && code.bytes().all(|b| b.is_ascii_digit())
                && !code.starts_with('0');
            if !is_code {
                return Err(RouteError::Country);
            }
            if !channel.is_phone() {
                return Err(RouteError::NoNumbers(channel.as_str()));
            }
        }
        let names = accounts.split(',').map(str::trim);
        let accounts: Vec<Arc<str>> = names
            .filter(|name| !name.is_empty())
            .map(Arc::from)
            .collect();
        let of = match code {
            Some(code) => format!("{word} +{code}"),
            None => word.to_owned(),
        };
        let route = Self {
            channel,
            country: code.map(str::to_owned),
            accounts,
            key: format!("{}{of}", LaneKey::ROUTE).into(),
        };
        if route.accounts.is_empty() {
            return Err(RouteError::Empty(of));
        }
        for (n, name) in route.accounts.iter().enumerate() {
            if route.accounts[..n].contains(name) {
                return Err(RouteError::Loop(of, name.to_string()));
            }
        }
        Ok(route)
    }
}

impl FromStr for RouteList {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        let routes = text.split(';').map(str::trim);
        let routes = routes.filter(|route| !route.is_empty());
        let routes = routes.map(str::parse).collect::<Result<Vec<Route>, _>>()?;
        for (n, route) in routes.iter().enumerate() {
            if routes[..n].iter().any(|other| other.of() == route.of()) {
                return Err(RouteError::Twice(route.of().to_owned()));
            }
        }
        Ok(Self(routes))
    }
}

impl fmt::Display for RouteList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join("; "))
    }
}

impl RouteList {
    /// The route of a message to this number.
    pub(super) fn to(&self, channel: Channel, number: Option<&str>) -> Option<&Route> {
        let own = self.0.iter().filter(|route| route.channel == channel);
        let leads = own.filter(|route| route.leads_to(number));
        leads.max_by_key(|route| route.country.as_ref().map_or(0, String::len))
    }

    /// The route that a lane's key names in place of an account; `None`: it names an account.
    pub(super) fn named(&self, key: &LaneKey) -> Option<&Route> {
        let name = key.route()?;
        self.0.iter().find(|route| route.of() == name)
    }
}

/// How an account is seen by those who would send through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<T = Uptime> {
    /// Nothing speaks against it.
    Free,
    /// It refuses its messages, or could not be reached.
    Shut {
        /// When it is tried again.
        try_at: T,
        /// That time has come, and nothing else tries it: the next message does.
        wants_probe: bool,
    },
    /// A person has stopped its sender.
    Paused,
}

impl<T> Standing<T> {
    /// Whether a message may be sent there at once.
    pub const fn takes(&self) -> bool {
        matches!(
            self,
            Self::Free
                | Self::Shut {
                    wants_probe: true,
                    ..
                }
        )
    }
}

/// Which account of a route a message goes by: the first that takes messages, or else the one that is tried first. An
/// account whose sender is paused is passed over; that of the default account stops the message in the database, which
/// knows no route. By the uptime of an instance, or for a forecast by the database's clock.
pub fn choose<T: Copy + Ord>(standings: &[Standing<T>]) -> usize {
    let free = standings.iter().position(Standing::takes);
    free.unwrap_or_else(|| {
        let shut = standings
            .iter()
            .enumerate()
            .filter_map(|(n, standing)| match standing {
                Standing::Shut { try_at, .. } => Some((*try_at, n)),
                Standing::Free | Standing::Paused => None,
            });
        shut.min().map_or(0, |(_, n)| n)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn standing() -> impl Strategy<Value = Standing> {
        prop_oneof![
            Just(Standing::Free),
            Just(Standing::Paused),
            (0..9_i64, any::<bool>()).prop_map(|(at, wants_probe)| Standing::Shut {
                try_at: Uptime::from_micros(at),
                wants_probe,
            }),
        ]
    }

    proptest! {
        #[test]
        fn the_next_account_is_taken_only_while_every_one_before_it_takes_nothing(
            all in prop::collection::vec(standing(), 1..6),
        ) {
            let chosen = choose(&all);
            let before = &all[..chosen];
            prop_assert!(before.iter().all(|standing| !standing.takes()));
            if all[chosen] == Standing::Paused {
                prop_assert!(all.iter().all(|standing| *standing == Standing::Paused));
            } else if !all[chosen].takes() {
                // Nothing takes it: it waits where it is tried first.
                prop_assert!(all.iter().all(|standing| !standing.takes()));
                for other in &all {
                    if let (Standing::Shut { try_at, .. }, Standing::Shut { try_at: own, .. }) =
                        (other, all[chosen])
                    {
                        prop_assert!(own <= *try_at);
                    }
                }
            }
        }
    }

    #[test]
    fn the_route_of_a_country_comes_before_that_of_all() {
        let text = "sms = default, eu; sms +49 = eu, default; sms +4 = a; email = mail2,default ";
        let routes: RouteList = text.parse().unwrap();
        let to = |channel, number: &str| {
            let route = routes.to(channel, Some(number));
            route.map(|route| route.accounts.join(","))
        };
        for (number, route) in [
            (" +4915112345678", "eu,default"),
            ("+44123", "a"),
            ("+12025550101", "default,eu"),
            ("4915112345678", "default,eu"),
        ] {
            assert_eq!(to(Channel::Sms, number).as_deref(), Some(route), "{number}");
        }
        assert_eq!(to(Channel::Webhook, "+49"), None);
        let shown = "sms = default, eu; sms +49 = eu, default; sms +4 = a; email = mail2, default";
        assert_eq!(routes.to_string(), shown);
        assert_eq!(shown.parse(), Ok(routes));
    }

    #[test]
    fn what_would_lead_nowhere_or_back_is_refused() {
        for (text, why) in [
            ("sms", "a route is a channel and its accounts"),
            ("fax = eu", "a route begins with sms, webhook"),
            ("sms +0 = eu", "a country is its code"),
            ("sms +1202 = eu", "a country is its code"),
            ("email +49 = eu", "only a route of sms has a country"),
            ("sms = ", "the route of sms has no account"),
            ("sms +49 = ,", "the route of sms +49 has no account"),
            ("sms = eu, us, eu", "the account eu twice"),
            ("sms = eu; sms = us", "sms has two routes"),
        ] {
            let error = text.parse::<RouteList>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
