//! Routes: messages that name no account, and accounts that refuse them, cannot be reached or say nothing, for a while
//! or for good. What one may have taken goes by no other; everything else goes by one that takes it.

use punctual::message::{
    Capabilities, Channel, LaneKey, MessageId, ProviderCapabilities, RouteList, Routes, Sender,
};

use crate::dice::Dice;
use crate::model::sender_of;
use crate::plan::{Plan, SECOND, SETTLING};
use crate::trouble::{Kind, Trouble};
use crate::watch::Invariant;
use crate::witness::Seen;
use crate::world::{Payload, Request, World, message};

/// The accounts that there are, each with its sender.
const ACCOUNTS: [(&str, &str); 3] = [
    (LaneKey::DEFAULT_ACCOUNT, ""),
    ("eu", "+15005550201"),
    ("us", "+15005550202"),
];

/// For good.
const FOR_EVER: i64 = i64::MAX / 4;

impl Plan {
    /// Each channel has a route. Accounts of it are in trouble, or what befalls single requests is all.
    pub(crate) fn draw_routes(&mut self, dice: &mut Dice) {
        if !self.troubles.is_empty() || !dice.chance(200) {
            return;
        }
        let mut accounts = ACCOUNTS.map(|(name, _)| name).to_vec();
        // A route of texts begins with the default account.
        if !self.channels.contains(&Channel::Sms) {
            accounts.rotate_left(dice.below(3));
        }
        accounts.truncate(dice.pick(&[1, 2, 2, 3, 3]));
        for channel in self.channels.clone() {
            // Of a route that works, one account at least does.
            let lasts = accounts.len() > 1 && dice.chance(300);
            for (n, account) in accounts.iter().enumerate() {
                if !dice.chance(600) || lasts && n + 1 == accounts.len() {
                    continue;
                }
                let kind = match dice.below(5) {
                    0 | 1 => Kind::Refused {
                        probe: dice.between(SECOND, 4 * SECOND),
                    },
                    2 | 3 => Kind::Unreached,
                    _ => Kind::Mute,
                };
                let from = dice.between(0, self.calm_at + SETTLING);
                let until = dice.between(self.calm_at, self.calm_at + SETTLING + 25 * SECOND);
                let until = match kind {
                    // Requests without an answer keep their places.
                    Kind::Mute => from + dice.between(0, 10 * SECOND),
                    _ if lasts => FOR_EVER,
                    _ => until.max(from),
                };
                self.troubles.push(Trouble {
                    channel,
                    account: Some(account),
                    kind,
                    from,
                    until: if kind == Kind::Mute {
                        until.min(self.calm_at)
                    } else {
                        until
                    },
                });
            }
        }
        self.named = dice.chance(300) && self.troubles.iter().all(|own| own.until < FOR_EVER);
        self.accounts = accounts;
        self.end_at += 15 * SECOND;
    }
}

/// The routes of a world.
pub(crate) fn of(plan: &Plan, default_sender: &Sender) -> Routes {
    if plan.accounts.is_empty() {
        return Routes::default();
    }
    let mut routes = Routes::new(Some(default_sender));
    for (name, sender) in ACCOUNTS.into_iter().skip(1) {
        let sender = sender.parse().expect("a valid number");
        routes.add(name, Some(sender), &[]).expect("its own sender");
    }
    let accounts = plan.accounts.join(", ");
    let list = plan
        .channels
        .iter()
        .map(|own| format!("{} = {accounts}", own.as_str()));
    let list: RouteList = list
        .collect::<Vec<_>>()
        .join("; ")
        .parse()
        .expect("a list of routes");
    routes.with_list(list)
}

/// Every account sends everything.
pub(crate) fn capabilities() -> ProviderCapabilities {
    let all = || ProviderCapabilities::all(Capabilities::SENDS_ONLY);
    let others = ACCOUNTS.iter().skip(1);
    others.fold(all(), |known, (name, _)| known.with_account(name, all()))
}

/// The messages that name their accounts.
pub(crate) fn named(plan: &Plan) -> Vec<(MessageId, String)> {
    let of = |row: usize| {
        (
            message(row),
            plan.accounts[row % plan.accounts.len()].to_owned(),
        )
    };
    let rows = (0..plan.rows).filter(|row| plan.named && row % 7 == 3);
    rows.map(of).collect()
}

impl World {
    fn ways(&self, id: MessageId) -> Vec<LaneKey> {
        let row = self.db.rows.get(&id);
        row.map_or_else(Vec::new, |row| self.db.routes.ways(&self.db.lane_of(row)))
    }

    /// It goes by an account that is not its own, or the ledger has another.
    pub(crate) fn astray(&self, payload: &Payload) -> Seen {
        if self.plan.accounts.is_empty() {
            return None;
        }
        let (lane, ways) = (payload.lane(), self.ways(payload.id()));
        let noted = &self.db.attempt(payload.token())?.account;
        let what = if ways.contains(lane) {
            format!("it goes by {lane}, and the ledger has {noted}")
        } else {
            format!("it goes by {lane}, which is none of {ways:?}")
        };
        let is_so = ways.contains(lane) && noted == lane.account();
        (!is_so).then_some((Invariant::ByItsRoute, what))
    }

    /// Whether a request under the same id, by the same account, makes no second message.
    pub(crate) fn is_same(&self, before: &Request, payload: &Payload) -> bool {
        !self.plan.accounts.is_empty()
            && payload.channel() == Channel::Webhook
            && before.account == payload.lane().account()
    }

    /// How many accounts of its route may have taken nothing since it was due; `None`: none takes any.
    pub(crate) fn passed_over(&self, id: MessageId, due: i64) -> Option<i64> {
        let row = self.db.rows.get(&id)?;
        let ways = self.ways(id);
        if self.db.lane_of(row).route().is_none() {
            return Some(0);
        }
        let shut = ways.iter().filter(|way| self.is_shut(way, id, due)).count();
        (shut < ways.len()).then(|| i64::try_from(shut).unwrap_or(0))
    }

    fn is_shut(&self, way: &LaneKey, id: MessageId, due: i64) -> bool {
        let mut troubles = self.plan.troubles.iter();
        let to = self.db.rows.get(&id).map_or("", |row| &row.to);
        let from = sender_of(id.0.as_u128());
        troubles.any(|own| own.excuses(due, self.t) && own.concerns(way, &from, to))
    }

    /// Whether nothing will ever take it.
    pub(crate) fn is_shut_for_ever(&self, id: MessageId) -> bool {
        let ways = self.ways(id);
        let lasts = |way: &LaneKey| {
            let mut troubles = self.plan.troubles.iter();
            troubles.any(|own| {
                own.until >= FOR_EVER
                    && own.channel == way.channel()
                    && own.account == Some(way.account())
            })
        };
        !ways.is_empty() && ways.iter().all(lasts)
    }
}
