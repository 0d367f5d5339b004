//! The recipient of a scheduled message.

use super::session;
use crate::cli::{Usage, output};
use crate::config::Sources;
use crate::message::{Address, Channel, NumberFault, Sender};
use crate::policy::{self, Validate};
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
    let guards = rules.as_ref().map(|rules| &rules.guards);
    if let Some(why) = guards.and_then(|guards| guards.refusal(to, from)) {
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

/// For people.
pub(super) fn shown(to: Option<&Address>) -> String {
    to.map_or_else(|| BY_TYPE.to_owned(), Address::masked)
}
