//! The recipient of a scheduled message.

use super::session;
use crate::cli::{Usage, output};
use crate::config::Sources;
use crate::message::{Address, Channel, NumberFault, Sender};
use crate::policy::{self, Reason, Rules, Validate};
use crate::store::forecast;

/// Whom a webhook goes to whose row names no URL.
const BY_TYPE: &str = "the URL of its message type";

/// The recipient; `None`: it is a webhook, and its message type has the URL.
pub(super) fn parse(channel: Channel, to: Option<&str>) -> Result<Option<Address>, String> {
    match to {
        Some(to) => Address::parse(channel, to)
            .map(Some)
            .map_err(|why| why.to_string()),
        None if channel == Channel::Webhook => Ok(None),
        None => {
            Err("a recipient is required: only a webhook has one by its message type".to_owned())
        }
    }
}

/// Says what is wrong with the recipient's number, or refuses it where the daemon does, for a message of this sender.
pub(super) async fn check_number(
    client: &tokio_postgres::Client,
    to: &Address,
    from: Option<&Sender>,
    sources: &Sources,
) -> Result<(), Usage> {
    if to.phone().is_none() {
        return Ok(());
    }
    // An app's role may have no right on what the daemon has published.
    let around = forecast::surroundings(client, &session::assumed(sources)).await;
    let rules = around.ok().map(|around| around.rules);
    if let Some(why) = rules.as_ref().and_then(|rules| refusal(rules, to, from)) {
        return Err(Usage::of("--to")(why.text));
    }
    let Some(fault) = policy::number_fault(to) else {
        return Ok(());
    };
    if rules
        .is_some_and(|rules| rules.validate == Validate::Refuse && fault != NumberFault::Premium)
    {
        let why = format!(
            "{}; PUNCTUAL_VALIDATE=refuse sends nothing to such numbers",
            fault.text()
        );
        return Err(Usage::of("--to")(why));
    }
    output::remark(&format!(
        "the provider may refuse the number: {}",
        fault.text()
    ));
    Ok(())
}

/// Why a guard refuses the number, for a text from this sender, or from the default one.
fn refusal(rules: &Rules, to: &Address, from: Option<&Sender>) -> Option<Reason> {
    let from = from.or(rules.default_sender.as_ref());
    rules.guards.refusal(to, from)
}

/// For people.
pub(super) fn shown(to: Option<&Address>) -> String {
    to.map_or_else(|| BY_TYPE.to_owned(), Address::masked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Countries, Guards, Unknown};

    #[test]
    fn what_goes_by_a_default_sender_on_whatsapp_may_go_anywhere() {
        let sender = |text: &str| text.parse::<Sender>().unwrap();
        let all = [sender("+13105551234"), sender("whatsapp:+13105550199")];
        let mut rules = Rules {
            guards: Guards::new(&Countries::OfSenders, Unknown::Refuse, all.iter().map(Some)),
            ..Rules::default()
        };
        let to = Address::parse(Channel::Sms, "+4915112345678").unwrap();
        for (default, own, is_refused) in [
            (&all[0], None, true),
            (&all[1], None, false),
            (&all[0], Some(&all[1]), false),
            (&all[1], Some(&all[0]), true),
        ] {
            rules.default_sender = Some(default.clone());
            let why = refusal(&rules, &to, own);
            assert_eq!(why.is_some(), is_refused, "{default:?} {own:?}");
        }
    }
}
