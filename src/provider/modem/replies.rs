//! What a text that the modem received means: a command, or what somebody says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::pdu::Reply;
use super::reports::international;
use crate::provider::{self, Callback, OptOut, opt_out};

/// What is recorded of a text to this SIM; `None`: nothing. A segment of a longer text is no command, and is recorded
/// by itself.
pub(super) fn callback(
    reply: Reply,
    pdu: &str,
    account: &str,
    imsi: &str,
    ours: &str,
) -> Option<Callback> {
    let text = reply.text?;
    let command = opt_out::command(&text).filter(|_| !reply.is_segment);
    let Some(theirs) = international(&reply.from) else {
        if command.is_some() {
            tracing::warn!(
                ?command,
                "a reply cannot be recorded: the network gives its sender's number without the country"
            );
        }
        return None;
    };
    // It has the time at which it was sent, so no other reply has the same.
    let id = URL_SAFE_NO_PAD.encode(Sha256::digest(pdu.trim().to_ascii_uppercase()));
    let id = format!("{account}:{imsi}:reply:{id}");
    let ours = vec![ours.to_owned()];
    Some(match command {
        Some(command) => Callback::Opt(OptOut {
            command,
            id,
            ours,
            theirs,
        }),
        None => Callback::Reply(provider::Reply {
            id,
            account: account.to_owned(),
            ours,
            theirs,
            asks_help: !reply.is_segment && opt_out::asks_help(&text, false),
            text,
        }),
    })
}
