//! What can be reached: the daemon on this machine, and if asked for, Twilio, and the way that
//! Twilio takes to us.

use reqwest::{StatusCode, Url};

use crate::cli::ask::{self, Daemon};
use crate::cli::run;
use crate::config::{Config, ProviderChoice};
use crate::message::ProviderSid;
use crate::provider::{Fetched, Provider as _};
use crate::receipt::STATUS_PATH;
use crate::store::doctor::{Finding, Level};

/// A message that no account has: to be asked for it takes good credentials, and tells nothing.
const NO_MESSAGE: &str = "SM00000000000000000000000000000000";

/// What a daemon here says of itself. One that runs elsewhere cannot be asked, and is no mistake.
pub(super) async fn daemon(config: &Config) -> Option<Finding> {
    const WHAT: &str = "daemon here";
    let daemon = Daemon::at(config.http.addr, None).ok()?;
    let (status, body) = daemon.get(&["readyz"], &[]).await.ok()?;
    Some(match status {
        StatusCode::OK => Finding::ok(WHAT, "ready"),
        StatusCode::SERVICE_UNAVAILABLE => Finding::not(
            Level::Bad,
            WHAT,
            format!("not ready: {}", ask::sentence(&body)),
            "its log tells why; it mends itself once that is mended",
        ),
        other => Finding::not(
            Level::Warn,
            WHAT,
            format!("something else answers at {}: {other}", config.http.addr),
            "give PUNCTUAL_HTTP_ADDR a port of its own",
        ),
    })
}

/// Whether the credentials are good.
pub(super) async fn provider(config: &Config) -> Option<Finding> {
    const WHAT: &str = "twilio";
    let ProviderChoice::Twilio(settings) = &config.provider else {
        return None;
    };
    let twilio = match run::twilio(settings, config) {
        Ok(twilio) => twilio,
        Err(e) => {
            let remedy = "check TWILIO_API_BASE_URL and the machine's certificates";
            return Some(Finding::not(Level::Bad, WHAT, format!("{e:#}"), remedy));
        }
    };
    Some(match twilio.fetch(&ProviderSid(NO_MESSAGE.into())).await {
        Fetched::Found(_) | Fetched::Absent => Finding::ok(WHAT, "takes the credentials"),
        Fetched::NotNow { reason } => Finding::not(
            Level::Bad,
            WHAT,
            format!("does not answer as it should: {reason}"),
            "401: TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN (or the API key) are not a pair; else \
             see whether this machine reaches api.twilio.com",
        ),
    })
}

/// Whether the public URL leads to a daemon: one of ours refuses what Twilio has not signed.
pub(super) async fn public_url(config: &Config) -> Option<Finding> {
    const WHAT: &str = "callbacks";
    let url = config.http.public_url.as_ref()?;
    let url: Url = format!("{}{STATUS_PATH}", url.as_str().trim_end_matches('/'))
        .parse()
        .ok()?;
    let remedy = "PUNCTUAL_PUBLIC_URL must lead to PUNCTUAL_WEBHOOK_ADDR (or PUNCTUAL_HTTP_ADDR) \
                  of a running daemon, /webhooks included";
    let not = |found: String| Finding::not(Level::Bad, WHAT, found, remedy);
    let answer = match ask::client() {
        Ok(client) => client.post(url).send().await,
        Err(e) => return Some(not(format!("{e:#}"))),
    };
    Some(match answer {
        Ok(answer) if answer.status() == StatusCode::FORBIDDEN => {
            Finding::ok(WHAT, "the public URL leads to a daemon")
        }
        Ok(answer) => not(format!(
            "the public URL answers {} to what is not signed, and not 403",
            answer.status().as_u16()
        )),
        Err(e) => not(format!(
            "the public URL cannot be reached from here: {}",
            ask::why(&e.without_url())
        )),
    })
}
