//! The sender of a message.

use super::Rules;
use crate::message::{Capabilities, Channel, Claim, Sender};

/// The sender: of a text message the row's own, or else the default one; of an e-mail the row's own, or else that of
/// its provider. Other channels have none.
pub(super) fn of(
    claim: &Claim,
    rules: &Rules,
    provider: &Capabilities,
) -> Result<Option<Sender>, String> {
    let own = claim.from_number.as_deref().map(str::trim);
    let channel = claim.lane.channel();
    match own.filter(|own| !own.is_empty()) {
        None if !channel.is_phone() => Ok(None),
        Some(own) if channel == Channel::Email => own
            .parse()
            .map(|own| Some(Sender::Email(own)))
            .map_err(|e| format!("from_number is not valid: {e}")),
        Some(_) if !channel.is_phone() => Err(format!(
            "from_number is set, and a message of the channel {} has none: set it to null",
            channel.as_str()
        )),
        own => of_text(own, claim, rules, provider).map(Some),
    }
}

fn of_text(
    own: Option<&str>,
    claim: &Claim,
    rules: &Rules,
    provider: &Capabilities,
) -> Result<Sender, String> {
    let sender = match own {
        None => rules.sender(&claim.lane).cloned().ok_or_else(|| {
            match claim.lane.other_account() {
                Some(account) => format!(
                    "no sender: the row has no from_number, and its account {account} has no sender \
                     (set sms_from_number or messaging_service_sid in [accounts.{account}])"
                ),
                None => "no sender: the row has no from_number and no sender is configured \
                         (set TWILIO_SMS_FROM_NUMBER or TWILIO_MESSAGING_SERVICE_SID)"
                    .to_owned(),
            }
        }),
        Some(own) => Sender::parse(own, provider.sender_pools)
            .map_err(|e| format!("from_number is not valid: {e}")),
    }?;
    if matches!(sender, Sender::WhatsApp(_)) && !provider.whatsapp {
        let why = "the sender is a number on WhatsApp, and the provider of its account sends nothing there";
        return Err(why.to_owned());
    }
    Ok(sender)
}
